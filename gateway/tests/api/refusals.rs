//! What is refused: strangers, other users, forged links, tricks with names, too much of anything.

use crate::site::{Site, picture};
use dispatcher::jobs::Rules;
use futures_util::stream;
use reqwest::{Body, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_without_a_token() {
    let site = Site::new().await;
    for (method, path) in [
        ("POST", "v1/uploads"),
        ("GET", "v1/jobs"),
        ("POST", "v1/jobs"),
        ("GET", "v1/jobs/X"),
        ("DELETE", "v1/jobs/X"),
        ("POST", "v1/jobs/X/retry"),
        ("GET", "v1/jobs/X/results"),
        ("GET", "v1/jobs/X/receipt"),
        ("GET", "v1/nodes"),
        ("GET", "v1/ops"),
        ("GET", "v1/dead-letters"),
        ("POST", "v1/dead-letters/replay"),
    ] {
        for token in ["", "sundog_wrong", &site.ada[1..]] {
            let (status, answer) = site.call(method, path, token, None).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(answer["code"], "unauthorized");
        }
    }
    let (status, answer) = site.call("GET", "v1/nothing", &site.ada, None).await;
    assert_eq!(
        (status, &answer["code"]),
        (StatusCode::NOT_FOUND, &json!("not_found"))
    );
    let (status, _) = site.call("PUT", "v1/jobs", &site.ada, None).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_kept_apart() {
    let mut site = Site::new().await;
    site.start_dispatcher();
    let inputs = site.upload(&site.ada, &[("a.pgm", picture(1))]).await;
    let id = site.submit(&site.ada, &inputs).await;
    site.ended(&site.ada, &id).await;
    for token in [&site.eve, &site.root] {
        for (method, path) in [
            ("GET", format!("v1/jobs/{id}")),
            ("DELETE", format!("v1/jobs/{id}")),
            ("POST", format!("v1/jobs/{id}/retry")),
            ("GET", format!("v1/jobs/{id}/results")),
            ("GET", format!("v1/jobs/{id}/receipt")),
        ] {
            let (status, answer) = site.call(method, &path, token, None).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {answer}");
        }
    }
    let (_, list) = site.call("GET", "v1/jobs", &site.eve, None).await;
    assert_eq!(list, json!({"jobs": []}));
    // The name of somebody else's upload names nothing of one's own.
    let stolen = site.submit(&site.eve, &inputs).await;
    let status = site.ended(&site.eve, &stolen).await;
    assert_eq!(
        (&status["state"], &status["counts"]["succeeded"]),
        (&json!("failed"), &json!(0))
    );
    let own = site.announce(&site.eve, &[("a.pgm", 1213)]).await;
    let link = own["files"][0]["url"].as_str().unwrap();
    assert!(link.contains("/uploads/eve/"));
    let upload = inputs[0].as_str().unwrap().trim_start_matches("uploads/");
    let (_, query) = link.split_once('?').unwrap();
    let forged = format!("{}v1/objects/uploads/ada/{upload}a.pgm?{query}", site.url);
    assert_eq!(site.put(&forged, picture(9)).await, StatusCode::FORBIDDEN);
    let climbing = link.replace("/uploads/eve/", "/uploads/eve/%2e%2e/ada/");
    assert_eq!(site.put(&climbing, picture(9)).await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_good_for_what_they_were_signed_for() {
    let mut site = Site::new().await;
    site.start_dispatcher();
    let inputs = site.upload(&site.ada, &[("a.pgm", picture(1))]).await;
    let id = site.submit(&site.ada, &inputs).await;
    site.ended(&site.ada, &id).await;
    let link = async |expires: &str| {
        let path = format!("v1/jobs/{id}/results?expires={expires}");
        site.call("GET", &path, &site.ada, None).await
    };
    let (_, answer) = link("1").await;
    let brief = answer["results"][0]["url"].as_str().unwrap().to_owned();
    let get = async |url: &str| site.client.get(url).send().await.unwrap().status();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let expired = site.client.get(&brief).send().await.unwrap();
    assert_eq!(expired.status(), StatusCode::FORBIDDEN);
    assert!(expired.text().await.unwrap().contains("expired"));
    let (_, answer) = link("600").await;
    let good = answer["results"][0]["url"].as_str().unwrap();
    assert_eq!(get(good).await, StatusCode::OK);
    let (address, _) = good.split_once('?').unwrap();
    let (most, last) = good.split_at(good.len() - 1);
    let other = if last == "0" { "1" } else { "0" };
    for wrong in [
        address.to_owned(),
        format!("{most}{other}"),
        format!("{good}&more=1"),
        good.replace("/out/0-a.pgm", "/spec.json"),
        good.replace("/out/0-a.pgm", "/out/../spec.json"),
        good.replace("/out/", "//out/"),
        good.replace("expires=", "expires=9"),
    ] {
        let status = get(&wrong).await;
        assert!(status.is_client_error(), "{wrong}: {status}");
    }
    assert_eq!(site.put(good, picture(9)).await, StatusCode::FORBIDDEN);
    for wrong in ["0", "604801", "x", "-1", "1&more=1"] {
        assert_eq!(link(wrong).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_checked_before_they_begin() {
    let site = Site::new().await;
    let refused = async |files: Value| {
        let body = Some(json!({ "files": files }));
        let (status, answer) = site.call("POST", "v1/uploads", &site.ada, body).await;
        (
            status.as_u16(),
            answer["key"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let file = |name: &str, bytes: u64| json!({"name": name, "bytes": bytes});
    for name in [
        "../a",
        "/etc/passwd",
        "a/../../b",
        "a//b",
        "",
        "a\u{0}",
        "a\nb",
        &"x".repeat(300),
    ] {
        let files = json!([file("ok", 1), file(name, 1)]);
        assert_eq!(
            refused(files).await,
            (400, "files[1].name".into()),
            "{name:?}"
        );
    }
    let large = [(413, String::new())];
    assert_eq!([refused(json!([file("a", (1 << 20) + 1)])).await], large);
    let sum = json!([file("a", 1 << 20), file("b", 1 << 20)]);
    assert_eq!([refused(sum).await], large);
    assert_eq!(
        [refused(json!([file("a", u64::MAX), file("b", u64::MAX)])).await],
        large
    );
    let many: Vec<_> = (0..6).map(|n| file(&n.to_string(), 1)).collect();
    assert_eq!([refused(many.into()).await], large);
    assert_eq!(refused(json!([])).await.0, 400);
    assert_eq!(refused(json!([file("a", 1), file("a/b", 1)])).await.0, 400);
    assert_eq!(
        refused(json!([{"name": "a", "bytes": -1}])).await,
        (400, "files[0].bytes".into())
    );
    assert_eq!(
        refused(json!([{"name": "a", "bytes": 1, "x": 1}])).await.0,
        400
    );
    let long = "x".repeat(70 << 10);
    assert_eq!(refused(json!([file(&long, 1)])).await.0, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_bounded_by_what_was_announced_and_kept_whole_or_not_at_all() {
    let site = Site::new().await;
    let answer = site.announce(&site.ada, &[("a.pgm", 1000)]).await;
    let link = answer["files"][0]["url"].as_str().unwrap();
    assert_eq!(
        site.put(link, vec![0; 1001]).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    // Without a length in advance.
    let parts = (0..20).map(|_| Ok::<_, std::io::Error>(vec![0u8; 100]));
    let body = Body::wrap_stream(stream::iter(parts));
    let sent = site.client.put(link).body(body).send().await;
    // The answer may come before all is sent, which ends the connection.
    if let Ok(response) = sent {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    // A client that goes away in the middle.
    let url = reqwest::Url::parse(link).unwrap();
    let addr = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let (path, query) = (url.path(), url.query().unwrap());
    let head = format!("PUT {path}?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[0; 500]).await.unwrap();
    let wait = async {
        while site.left() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .unwrap();
    drop(stream);
    let wait = async {
        while site.left() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .unwrap();
    assert!(site.jobs.store.list("uploads").await.unwrap().is_empty());
    // The link is still good, and so it is for a second try.
    for content in [1, 2] {
        assert_eq!(
            site.put(link, vec![content; 1000]).await,
            StatusCode::NO_CONTENT
        );
    }
    let found = site.jobs.store.list("uploads/ada").await.unwrap();
    assert_eq!((found.len(), found[0].size), (1, 1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_cannot_work_are_refused_by_key() {
    let site = Site::new().await;
    let refused = async |job: Value| {
        let (status, answer) = site.call("POST", "v1/jobs", &site.ada, Some(job)).await;
        (
            status.as_u16(),
            answer["key"].as_str().unwrap_or_default().to_owned(),
            answer["detail"].to_string(),
        )
    };
    let (status, key, message) = refused(json!({"inputs": [], "pipline": "invert"})).await;
    assert_eq!((status, key.as_str()), (400, "pipline"), "{message}");
    assert!(message.contains("pipeline"), "{message}");
    for (key, job) in [
        ("pipeline", json!({"pipeline": "invrt"})),
        ("inputs", json!({"inputs": ["/etc/passwd"]})),
        ("inputs", json!({"inputs": ["uploads/../../x"]})),
        ("output", json!({"output": "../x"})),
        (
            "limits.timeout_secs",
            json!({"limits": {"timeout_secs": -1}}),
        ),
    ] {
        let (status, named, message) = refused(job).await;
        assert_eq!((status, named.as_str()), (400, key), "{message}");
    }
    let (status, _, _) = refused(json!({"name": "x".repeat(70 << 10)})).await;
    assert_eq!(status, 413);
    let plain = site
        .client
        .post(site.url.join("v1/jobs").unwrap())
        .bearer_auth(&site.ada);
    let plain = plain.body("{}").send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_asks_for_less_than_the_operator_allows_and_never_for_more() {
    let rules = Rules {
        max_pixels: 1_000_000,
        max_bytes: Some(5000),
        timeout_secs: 60.0,
        ..Rules::default()
    };
    let site = Site::with(|_| {}, rules).await;
    let inputs = site.upload(&site.ada, &[("a.pgm", picture(1))]).await;
    for (key, more, most, less) in [
        (
            "max_pixels",
            json!(1_000_000_000_000_000u64),
            "1000000",
            json!(1_000_000),
        ),
        ("max_bytes", json!(5001), "5000", json!(5000)),
        ("timeout_secs", json!(61), "60", json!(0.5)),
    ] {
        let submit = async |limit: &Value| {
            let mut limits = json!({"max_pixels": 1000, "max_bytes": 10, "timeout_secs": 1});
            limits[key] = limit.clone();
            let job = json!({"inputs": inputs, "limits": limits});
            site.call("POST", "v1/jobs", &site.ada, Some(job)).await
        };
        let (status, answer) = submit(&more).await;
        let named = format!("limits.{key}");
        assert_eq!(
            (status, &answer["key"]),
            (StatusCode::BAD_REQUEST, &json!(named))
        );
        let detail = answer["detail"].as_str().unwrap();
        assert!(
            detail.contains(most) && detail.contains("allows"),
            "{detail}"
        );
        let (status, answer) = submit(&less).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_cannot_set_is_refused_by_its_name_and_not_left_out() {
    let site = Site::new().await;
    for key in ["ranks", "threads", "thread_ranks"] {
        let mut job = json!({"inputs": []});
        job[key] = json!(2);
        let (status, answer) = site.call("POST", "v1/jobs", &site.ada, Some(job)).await;
        assert_eq!(
            (status, &answer["key"]),
            (StatusCode::BAD_REQUEST, &json!(key))
        );
        assert!(
            answer["detail"].as_str().unwrap().contains("leave it out"),
            "{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_one_user_that_trickle_leave_places_to_others_and_are_cut() {
    let few = |config: &mut gateway::Config| {
        config.limits.receiving = 4;
        config.limits.pace = gateway::Pace {
            least: 1000,
            window: Duration::from_millis(400),
        };
    };
    let site = Site::with(few, Rules::default()).await;
    let names = ["a.pgm", "b.pgm", "c.pgm", "d.pgm", "e.pgm"];
    let files = names.map(|name| (name, 1000));
    let places = site.announce(&site.ada, &files).await;
    let mut slow = Vec::new();
    for place in places["files"].as_array().unwrap() {
        let url = reqwest::Url::parse(place["url"].as_str().unwrap()).unwrap();
        let addr = (url.host_str().unwrap(), url.port().unwrap());
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let (path, query) = (url.path(), url.query().unwrap());
        let head =
            format!("PUT {path}?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let other = site.announce(&site.eve, &[("a.pgm", 3)]).await;
    let url = other["files"][0]["url"].as_str().unwrap();
    let sent = tokio::time::timeout(Duration::from_millis(350), site.put(url, b"P5 ".to_vec()));
    assert_eq!(sent.await.unwrap(), StatusCode::NO_CONTENT);
    // One after the other, since all are of one user.
    for mut stream in slow {
        let mut first = [0; 12];
        let read = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut first);
        let read = tokio::time::timeout(Duration::from_secs(30), read).await;
        read.unwrap().unwrap();
        assert_eq!(&first, b"HTTP/1.1 408");
    }
    assert!(
        site.jobs
            .store
            .list("uploads/ada")
            .await
            .unwrap()
            .is_empty()
    );
}
