//! The HTTP API on a real listener: the whole way of a job, and everything that is refused.

#![allow(clippy::unwrap_used)]

mod account;
mod archive;
mod described;
mod lists;
mod looks;
mod nodes;
mod objects;
mod parts;
mod refusals;
mod site;

use reqwest::StatusCode;
use serde_json::{Value, json};
use site::{PIPELINE, Site, picture};
use worker::atomic::sha256;

/// Hashes of the outputs of the same images in one process.
fn hashes_of_a_run(pictures: &[(&str, Vec<u8>)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    for (name, bytes) in pictures {
        let path = input.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let request = worker::batch::Request {
        job_id: "run".into(),
        job: protocol::Job {
            inputs: vec![input.to_str().unwrap().into()],
            output: output.to_str().unwrap().into(),
            pipeline: PIPELINE.into(),
            ..protocol::Job::default()
        },
        only: None,
        dry_run: false,
        elsewhere: None,
        commit: None,
    };
    let comm = imaging::comm::serial::Serial::default();
    let stop = imaging::executor::Stop::default();
    worker::batch::run(&comm, Some(&request), 1, false, &stop, &mut |_| {}).unwrap();
    let hash = |name: &str| sha256(&std::fs::read(output.join(name)).unwrap());
    pictures.iter().map(|(name, _)| hash(name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_from_upload_to_links_with_the_pixels_of_a_serial_run() {
    let mut site = Site::new().await;
    site.start_dispatcher();
    let pictures = [
        ("a.pgm", picture(1)),
        ("sub/ü b?#[1]&=%20+☃.pgm", picture(2)),
        ("z.pgm", picture(3)),
    ];
    let inputs = site.upload(&site.ada, &pictures).await;
    let id = site.submit(&site.ada, &inputs).await;
    let status = site.ended(&site.ada, &id).await;
    assert_eq!(status["state"], "succeeded", "{status}");
    assert_eq!(
        (&status["name"], &status["counts"]["succeeded"]),
        (&json!("test"), &json!(3))
    );
    let path = format!("v1/jobs/{id}/results?expires=600");
    let (status, answer) = site.call("GET", &path, &site.ada, None).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(
        (&answer["job"], &answer["state"]),
        (&json!(id), &json!("succeeded"))
    );
    let hashes = hashes_of_a_run(&pictures);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    for ((result, hash), (name, bytes)) in results.iter().zip(hashes).zip(&pictures) {
        assert_eq!(result["output"], format!("out/{name}"));
        assert_eq!(result["sha256"], hash);
        assert_eq!(
            (&result["width"], &result["height"]),
            (&json!(40), &json!(30))
        );
        let got = site
            .client
            .get(result["url"].as_str().unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(got.status(), StatusCode::OK);
        assert_eq!(got.headers()["content-type"], "image/x-portable-anymap");
        let got = got.bytes().await.unwrap();
        assert_eq!(sha256(&got), hash);
        assert_eq!(result["bytes"], got.len());
        let head = site
            .client
            .head(result["url"].as_str().unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(
            head.headers()["content-length"],
            got.len().to_string().as_str()
        );
        let before = site
            .client
            .get(result["input_url"].as_str().unwrap())
            .send()
            .await;
        assert_eq!(before.unwrap().bytes().await.unwrap(), *bytes);
    }
    let (_, job) = site
        .call("GET", &format!("v1/jobs/{id}"), &site.ada, None)
        .await;
    assert_eq!(
        (&job["spec"]["pipeline"], &job["spec"]["inputs"]),
        (&json!(PIPELINE), &inputs)
    );
    let (status, receipt) = site
        .call("GET", &format!("v1/jobs/{id}/receipt"), &site.ada, None)
        .await;
    assert_eq!(
        (status, &receipt["state"]),
        (StatusCode::OK, &json!("succeeded"))
    );
    let (_, list) = site.call("GET", "v1/jobs", &site.ada, None).await;
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
    let (status, retried) = site
        .call("POST", &format!("v1/jobs/{id}/retry"), &site.ada, None)
        .await;
    assert_eq!(
        (status, retried),
        (StatusCode::ACCEPTED, json!({"job": id, "tasks": 0}))
    );
    assert_eq!(site.left(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_image_is_told_with_its_reason_and_is_its_owners_dead_letter() {
    let mut site = Site::new().await;
    site.start_dispatcher();
    let files = [("a.pgm", picture(1)), ("b.pgm", b"P5 9 9 255\n".to_vec())];
    let inputs = site.upload(&site.ada, &files).await;
    let id = site.submit(&site.ada, &inputs).await;
    assert_eq!(site.ended(&site.ada, &id).await["state"], "partial");
    let (_, answer) = site
        .call("GET", &format!("v1/jobs/{id}/results"), &site.ada, None)
        .await;
    let failed = &answer["failed"][0];
    assert!(
        failed["reason"].as_str().is_some_and(|r| !r.is_empty()),
        "{answer}"
    );
    assert_eq!(
        (&failed["task"], &failed["state"]),
        (&json!(1), &json!("failed"))
    );
    let letters = async |token: &str| {
        let (status, answer) = site.call("GET", "v1/dead-letters", token, None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["letters"].as_array().unwrap().clone()
    };
    let wait = async { while letters(&site.ada).await.is_empty() {} };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait)
        .await
        .unwrap();
    assert_eq!(letters(&site.ada).await[0]["job"], id);
    assert_eq!(letters(&site.root).await.len(), 1);
    assert!(letters(&site.eve).await.is_empty());
    let replay = async |token: &str| {
        site.call("POST", "v1/dead-letters/replay", token, None)
            .await
            .1
    };
    assert_eq!(replay(&site.eve).await, json!({"replayed": 0}));
    assert_eq!(replay(&site.ada).await, json!({"replayed": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled() {
    let site = Site::new().await;
    let inputs = site.upload(&site.ada, &[("a.pgm", picture(1))]).await;
    let id = site.submit(&site.ada, &inputs).await;
    let path = format!("v1/jobs/{id}");
    let (status, answer) = site.call("DELETE", &path, &site.ada, None).await;
    assert_eq!((status, &answer["job"]), (StatusCode::ACCEPTED, &json!(id)));
    let (status, answer) = site
        .call("GET", &format!("{path}/receipt"), &site.ada, None)
        .await;
    assert_eq!(
        (status, &answer["code"]),
        (StatusCode::CONFLICT, &json!("conflict"))
    );
    let mut site = site;
    site.start_dispatcher();
    assert_eq!(site.ended(&site.ada, &id).await["state"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_job() {
    let site = Site::new().await;
    let submit = async |token: &str, key: &str, name: &str| {
        let job = json!({"name": name, "inputs": ["uploads/U1/"]});
        let request = site
            .client
            .post(site.url.join("v1/jobs").unwrap())
            .bearer_auth(token);
        let response = request
            .header("Idempotency-Key", key)
            .json(&job)
            .send()
            .await
            .unwrap();
        let location = response.headers().get("location").cloned();
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        if status == StatusCode::ACCEPTED {
            let path = format!("/v1/jobs/{}", answer["job"].as_str().unwrap());
            assert_eq!(location.unwrap(), path.as_str());
        }
        (status, answer["job"].clone())
    };
    let first = submit(&site.ada, "k", "x").await;
    assert_eq!(first.0, StatusCode::ACCEPTED);
    assert_eq!(submit(&site.ada, "k", "x").await, first);
    assert_eq!(
        submit(&site.ada, "k", "other").await.0,
        StatusCode::CONFLICT
    );
    assert_eq!(
        submit(&site.ada, "a b", "x").await.0,
        StatusCode::BAD_REQUEST
    );
    assert_ne!(submit(&site.ada, "k2", "x").await, first);
    assert_ne!(submit(&site.eve, "k", "x").await, first);
    let (_, list) = site.call("GET", "v1/jobs", &site.ada, None).await;
    assert_eq!(list["jobs"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_operations_and_health_are_told() {
    let mut site = Site::new().await;
    site.start_dispatcher();
    let wait = async {
        loop {
            let (_, answer) = site.call("GET", "v1/nodes", &site.eve, None).await;
            if answer["nodes"][0]["node"] == "node" {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait)
        .await
        .unwrap();
    let (_, ops) = site.call("GET", "v1/ops", &site.eve, None).await;
    let gaussian = ops
        .as_array()
        .unwrap()
        .iter()
        .find(|op| op["name"] == "gaussian");
    assert_eq!(gaussian.unwrap()["params"][0]["name"], "sigma");
    let (status, ready) = site.call("GET", "readyz", "", None).await;
    assert_eq!(
        (status, &ready["ready"]),
        (StatusCode::OK, &json!(true)),
        "{ready}"
    );
    assert_eq!(
        site.call("GET", "healthz", "", None).await.0,
        StatusCode::OK
    );
    let metrics = |token| site.call("GET", "metrics", token, None);
    assert_eq!(metrics("").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(metrics(&site.eve).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_admits_its_own_script_and_style_alone() {
    use base64::Engine as _;
    let site = Site::new().await;
    let page = site.send("GET", "", "", None).await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert_eq!(page.headers()["x-frame-options"], "DENY");
    let text = page.text().await.unwrap();
    for tag in ["style", "script"] {
        let begin = text.find(&format!("<{tag}")).unwrap();
        let begin = begin + text[begin..].find('>').unwrap() + 1;
        let end = begin + text[begin..].find(&format!("</{tag}>")).unwrap();
        let hash = ring::digest::digest(&ring::digest::SHA256, &text.as_bytes()[begin..end]);
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        assert!(
            policy.contains(&format!("{tag}-src 'sha256-{hash}'")),
            "{policy}"
        );
    }
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    for outside in [
        "http://",
        "https://",
        "innerHTML",
        "eval(",
        "document.write",
    ] {
        let own = text.replace("[\"http:\", \"https:\", \"blob:\"]", "");
        // A name, not an address.
        let own = own.replace("http://www.w3.org/2000/svg", "");
        assert!(!own.contains(outside), "{outside}");
    }
}
