//! Lists: a page where nothing is said, fields that are asked for, places where pages end; and everything of a user.

use crate::site::{Site, picture};
use cloud::testing::{available, find_program};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

async fn get(site: &Site, path: &str) -> Value {
    let (status, answer) = site.call("GET", path, &site.ada, None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

fn all<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    let entries = list.as_array().unwrap().iter();
    entries.map(|entry| entry[key].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_come_a_page_at_a_time_the_newest_first_whatever_their_ids() {
    let site = Site::new().await;
    let inputs = site.upload(&site.ada, &[("a.pgm", picture(1))]).await;
    let mut made = Vec::new();
    for n in 0..103 {
        let request = site.client.post(site.url.join("v1/jobs").unwrap());
        // Ids from keys are in no order.
        let request = request
            .bearer_auth(&site.ada)
            .header("Idempotency-Key", format!("key-{n}"));
        let answer = request.json(&json!({"inputs": inputs})).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        made.push(answer["job"].as_str().unwrap().to_owned());
    }
    made.reverse();
    let first = get(&site, "v1/jobs").await;
    assert_eq!(all(&first["jobs"], "job"), made[..100]);
    let next = first["next"].as_str().unwrap();
    // The page ended there, whether or not its last job is still to be had.
    site.jobs.purge("ada", &made[99]).await.unwrap();
    let second = get(&site, &format!("v1/jobs?after={next}")).await;
    assert_eq!(all(&second["jobs"], "job"), made[100..]);
    assert!(second.get("next").is_none(), "{second}");
    let by_id = get(&site, &format!("v1/jobs?limit=2&after={}", made[4])).await;
    assert_eq!(all(&by_id["jobs"], "job"), made[5..7]);
    let (status, _) = site
        .call("GET", "v1/jobs?after=NONE", &site.ada, None)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_have_the_fields_that_are_asked_for() {
    let mut site = Site::new().await;
    site.start_dispatcher();
    let files = [("a.pgm", picture(1)), ("b.pgm", b"P5 9 9 255\n".to_vec())];
    let inputs = site.upload(&site.ada, &files).await;
    let id = site.submit(&site.ada, &inputs).await;
    site.ended(&site.ada, &id).await;
    let jobs = get(&site, "v1/jobs?fields=job,state").await;
    assert_eq!(jobs["jobs"], json!([{"job": id, "state": "partial"}]));
    let uploads = get(&site, "v1/uploads?fields=files").await;
    assert_eq!(uploads["uploads"], json!([{"files": 2}]));
    let inputs = get(&site, &format!("v1/jobs/{id}/inputs?fields=number&limit=1")).await;
    assert_eq!(inputs["inputs"], json!([{"number": 0}]));
    assert_eq!(inputs["next"], 0);
    let results = get(&site, &format!("v1/jobs/{id}/results?fields=task,reason")).await;
    assert_eq!(results["results"], json!([{"task": 0}]));
    let failed = results["failed"][0].as_object().unwrap();
    assert_eq!(failed.keys().collect::<Vec<_>>(), ["reason", "task"]);
    let letters = get(&site, "v1/dead-letters?fields=task").await;
    assert_eq!(letters["letters"], json!([{"task": 1}]));
    // Ended jobs are remembered until somebody tries one again.
    site.stop_dispatcher();
    let path = format!("v1/jobs/{id}/retry");
    let (status, _) = site.call("POST", &path, &site.ada, None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let again = get(&site, "v1/jobs?fields=state").await;
    assert_ne!(again["jobs"], json!([{"state": "partial"}]));
    site.start_dispatcher();
    site.ended(&site.ada, &id).await;
    let again = get(&site, "v1/jobs?fields=state").await;
    assert_eq!(again["jobs"], json!([{"state": "partial"}]));
    for path in ["jobs", "uploads", "dead-letters"] {
        let path = format!("v1/{path}?fields=jub");
        let (status, answer) = site.call("GET", &path, &site.ada, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(answer["key"], "fields");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_read_page_by_page() {
    let mut site = Site::new().await;
    site.start_dispatcher();
    let broken = || b"P5 9 9 255\n".to_vec();
    let mut expected = BTreeSet::new();
    for token in [&site.ada, &site.ada, &site.eve] {
        let files = [
            ("a.pgm", broken()),
            ("b.pgm", broken()),
            ("c.pgm", broken()),
        ];
        let inputs = site.upload(token, &files).await;
        let id = site.submit(token, &inputs).await;
        site.ended(token, &id).await;
        expected.extend((0..3).map(|task| (id.clone(), task)));
    }
    let read = async |token: &str| {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("v1/dead-letters?limit=2{after}");
            let (status, answer) = site.call("GET", &path, token, None).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            for letter in answer["letters"].as_array().unwrap() {
                let job = letter["job"].as_str().unwrap().to_owned();
                found.push((job, letter["task"].as_u64().unwrap()));
            }
            match answer["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return found,
            }
        }
    };
    let of_all = read(&site.root).await;
    assert_eq!(of_all.len(), 9);
    assert_eq!(of_all.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(read(&site.ada).await.len(), 6);
    // Another's place shows nothing of the other's.
    let (_, page) = site
        .call("GET", "v1/dead-letters?limit=1", &site.eve, None)
        .await;
    let path = format!("v1/dead-letters?after={}", page["next"].as_str().unwrap());
    let letters = get(&site, &path).await;
    for letter in letters["letters"].as_array().unwrap() {
        assert_ne!(letter["job"], page["letters"][0]["job"]);
    }
    for wrong in ["x", "abcd", "%20"] {
        let path = format!("v1/dead-letters?after={wrong}");
        let (status, _) = site.call("GET", &path, &site.ada, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

const READ: &str = "
import json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print(json.dumps({i.filename: z.read(i).hex() for i in z.infolist()}))
";

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_a_user_comes_as_one_archive() {
    let python = find_program("python3");
    if !available(python.clone(), "Python") {
        return;
    }
    let mut site = Site::new().await;
    site.start_dispatcher();
    let files = [("a.pgm", picture(1)), ("b.pgm", b"P5 9 9 255\n".to_vec())];
    let mut ids = Vec::new();
    for token in [&site.ada, &site.eve] {
        let inputs = site.upload(token, &files).await;
        let id = site.submit(token, &inputs).await;
        site.ended(token, &id).await;
        ids.push((id, inputs[0].as_str().unwrap().to_owned()));
    }
    let (id, upload) = &ids[0];
    let hook = json!({"id": "W1", "secret": "hush", "url": "https://hooks.example/"});
    let hook = hook.to_string().into_bytes();
    let put = site
        .jobs
        .store
        .put("webhooks/ada/W1.json", hook.into(), "application/json");
    put.await.unwrap();
    let sent = site.send("GET", "v1/export", &site.ada, None).await;
    assert_eq!(sent.status(), StatusCode::OK);
    assert_eq!(sent.headers()["content-type"], "application/zip");
    let bytes = sent.bytes().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.zip");
    std::fs::write(&file, &bytes).unwrap();
    let mut read = Command::new(python.unwrap());
    let read = read.args(["-c", READ]).arg(&file).output().unwrap();
    assert!(read.status.success(), "{read:?}");
    let entries: Value = serde_json::from_slice(&read.stdout).unwrap();
    let names: BTreeSet<&str> = entries
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let upload = upload.trim_end_matches('/');
    let expected = [
        format!("jobs/{id}/job.json"),
        format!("jobs/{id}/receipt.json"),
        format!("jobs/{id}/out/a.pgm"),
        format!("{upload}/a.pgm"),
        format!("{upload}/b.pgm"),
        "dead-letters.json".to_owned(),
        "webhooks.json".to_owned(),
    ];
    assert_eq!(names, expected.iter().map(String::as_str).collect());
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(entries[&expected[3]], hex(&picture(1)));
    let text = entries["webhooks.json"].as_str().unwrap();
    assert!(text.contains(&hex(b"hooks.example")) && !text.contains(&hex(b"hush")));
    let (status, _) = site
        .call("GET", "v1/export?user=eve", &site.ada, None)
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let of_eve = site.send("GET", "v1/export?user=eve", &site.root, None);
    let of_eve = of_eve.await.bytes().await.unwrap();
    let eves = format!("jobs/{}/job.json", ids[1].0);
    let has = |text: &str| of_eve.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(has(&eves) && !has(id.as_str()));
}
