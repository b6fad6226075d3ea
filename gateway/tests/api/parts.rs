//! Files that are cut off on their way, and go on at the byte where they stopped.

use crate::site::Site;
use dispatcher::jobs::Rules;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;
use url::Url;
use worker::atomic::sha256;

/// No image, and the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 7u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn header(answer: &Response, name: &str) -> Option<String> {
    let value = answer.headers().get(name)?;
    Some(value.to_str().unwrap().to_owned())
}

/// How far a file is: bytes, and whether that is all.
async fn far(site: &Site, link: &str) -> (u64, bool) {
    let answer = site.client.head(link).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let offset = header(&answer, "upload-offset").unwrap().parse().unwrap();
    (offset, header(&answer, "upload-complete").unwrap() == "?1")
}

async fn send(site: &Site, link: &str, offset: usize, bytes: &[u8], complete: &str) -> Response {
    let request = site.client.patch(link).body(bytes.to_vec());
    let request = request.header("Upload-Offset", offset);
    let request = request.header("Upload-Complete", complete);
    request.send().await.unwrap()
}

/// The head of a request that says it brings `len` bytes, on a connection of its own.
fn begun(link: &str, offset: usize, len: usize) -> TcpStream {
    let link = Url::parse(link).unwrap();
    let (host, port) = (link.host_str().unwrap(), link.port().unwrap());
    let mut wire = TcpStream::connect((host, port)).unwrap();
    let (path, query) = (link.path(), link.query().unwrap());
    write!(
        wire,
        "PATCH {path}?{query} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len}\r\n\
         Upload-Offset: {offset}\r\nUpload-Complete: ?1\r\n\r\n"
    )
    .unwrap();
    wire
}

async fn link(site: &Site, token: &str, name: &str, len: usize) -> (String, Value) {
    let answer = site.announce(token, &[(name, len)]).await;
    let place = &answer["files"][0];
    assert_eq!(place["resumable"], true, "{answer}");
    (place["url"].as_str().unwrap().to_owned(), answer)
}

/// Waits until as many bytes are kept below a folder of parts.
async fn kept(site: &Site, owner: &str, wanted: u64) {
    let sum = || {
        let mut open = vec![site.store.join(".scratch/arriving").join(owner)];
        let mut sum = 0;
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(meta) if meta.is_dir() => open.push(entry.path()),
                    Ok(meta) => sum += meta.len(),
                    Err(_) => {}
                }
            }
        }
        sum
    };
    let wait = async {
        while sum() != wanted {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    assert!(waited.is_ok(), "{} instead of {wanted}", sum());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_connection_breaks_goes_on_at_the_byte_where_it_stopped() {
    let site = Site::new().await;
    let bytes = noise(900_000);
    let (link, announced) = link(&site, &site.ada, "a b/ü.png", bytes.len()).await;
    assert_eq!(far(&site, &link).await, (0, false));

    // The connection breaks in the middle, twice.
    let mut wire = begun(&link, 0, bytes.len());
    wire.write_all(&bytes[..400_000]).unwrap();
    kept(&site, "ada", 400_000).await;
    drop(wire);
    assert_eq!(far(&site, &link).await, (400_000, false));
    let mut wire = begun(&link, 400_000, bytes.len() - 400_000);
    wire.write_all(&bytes[400_000..500_001]).unwrap();
    kept(&site, "ada", 500_001).await;
    // This one is not noticed to be dead; whoever asks or goes on takes over all the same.
    assert_eq!(far(&site, &link).await, (500_001, false));
    drop(wire);

    // Nothing of it can be taken by a job yet, and it counts.
    let upload = announced["upload"].as_str().unwrap();
    let path = format!("v1/uploads/{upload}");
    let (status, _) = site.call("GET", &path, &site.ada, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, me) = site.call("GET", "v1/me", &site.ada, None).await;
    assert_eq!(me["usage"]["upload_bytes"], 500_001);

    // Elsewhere than where it stopped it does not go on, and is told where.
    for wrong in [0, 400_000, 600_000] {
        let answer = send(&site, &link, wrong, &bytes[..10], "?0").await;
        assert_eq!(answer.status(), StatusCode::CONFLICT, "{wrong}");
        assert_eq!(header(&answer, "upload-offset").unwrap(), "500001");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["key"], "Upload-Offset", "{problem}");
    }
    let answer = send(&site, &link, 500_001, &bytes[500_001..700_000], "?0").await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&answer, "upload-complete").unwrap(), "?0");
    let answer = send(&site, &link, 700_000, &bytes[700_000..], "?1").await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&answer, "upload-offset").unwrap(), "900000");
    assert_eq!(far(&site, &link).await, (900_000, true));

    let name = format!("uploads/ada/{upload}/a b/ü.png");
    let got = site.client.get(site.link(&name).await).send().await;
    let got = got.unwrap().bytes().await.unwrap();
    assert_eq!(sha256(&got), sha256(&bytes));
    assert_eq!(site.left(), 0, "nothing of the parts is left");
    let (_, me) = site.call("GET", "v1/me", &site.ada, None).await;
    assert_eq!(me["usage"]["upload_bytes"], 900_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_held_to_what_was_announced_and_signed() {
    let site = Site::new().await;
    let (link, announced) = link(&site, &site.ada, "a.png", 1000).await;
    let plain = async |headers: &[(&str, &str)]| {
        let mut request = site.client.patch(&link).body(vec![0; 10]);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let (status, problem) = (answer.status(), answer.json::<Value>().await.unwrap());
        (status.as_u16(), problem["key"].as_str().unwrap().to_owned())
    };
    let offset = |code| (code, "Upload-Offset".to_owned());
    assert_eq!(plain(&[("Upload-Complete", "?1")]).await, offset(400));
    for wrong in ["-1", "+1", "x", "1.5", ""] {
        let headers = [("Upload-Offset", wrong), ("Upload-Complete", "?1")];
        assert_eq!(plain(&headers).await, offset(400), "{wrong}");
    }
    let complete = (400, "Upload-Complete".to_owned());
    assert_eq!(plain(&[("Upload-Offset", "0")]).await, complete);
    let headers = [("Upload-Offset", "0"), ("Upload-Complete", "1")];
    assert_eq!(plain(&headers).await, complete);

    let large = StatusCode::PAYLOAD_TOO_LARGE;
    assert_eq!(
        send(&site, &link, 0, &[0; 1001], "?1").await.status(),
        large
    );
    assert_eq!(send(&site, &link, 0, &[1; 600], "?0").await.status(), 204);
    assert_eq!(
        send(&site, &link, 600, &[0; 401], "?1").await.status(),
        large
    );
    // Also where its length is not told.
    let chunks =
        futures_util::stream::iter([Ok::<_, std::io::Error>(vec![0; 300]), Ok(vec![0; 300])]);
    let body = reqwest::Body::wrap_stream(chunks);
    let request = site.client.patch(&link).body(body);
    let request = request
        .header("Upload-Offset", 600)
        .header("Upload-Complete", "?1");
    assert_eq!(request.send().await.unwrap().status(), large);

    // Another name, another user, another purpose: the signature is for none of them.
    let other = link.replace("a.png", "b.png");
    let eves = link.replace("uploads/ada", "uploads/eve");
    let upload = announced["upload"].as_str().unwrap();
    let got = site.link(&format!("uploads/ada/{upload}/a.png")).await;
    for wrong in [&other, &eves, &got] {
        let status = send(&site, wrong, 0, &[0; 10], "?1").await.status();
        assert_eq!(status, StatusCode::FORBIDDEN, "{wrong}");
    }
    let head = site.client.head(&other).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::FORBIDDEN);

    // A whole file in place of what has come, and an upload that is removed: nothing stays.
    assert_eq!(site.put(&link, vec![5; 1000]).await, 204);
    assert_eq!((far(&site, &link).await, site.left()), ((1000, true), 0));
    assert_eq!(send(&site, &link, 0, &[1; 600], "?0").await.status(), 204);
    let path = format!("v1/uploads/{upload}");
    let removed = async |token| site.call("DELETE", &path, token, None).await.0;
    assert_eq!(removed(&site.eve).await, StatusCode::NOT_FOUND);
    assert_eq!(far(&site, &link).await, (600, false));
    assert_eq!(removed(&site.ada).await, StatusCode::NO_CONTENT);
    assert_eq!((far(&site, &link).await, site.left()), ((0, false), 0));
    let wicked = site
        .call("DELETE", "v1/uploads/%2e%2e", &site.ada, None)
        .await;
    assert_eq!(wicked.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_have_the_places_the_pace_and_the_quota_of_whole_files() {
    let rules = Rules {
        stored_bytes: Some(1500),
        ..Rules::default()
    };
    let change = |config: &mut gateway::Config| {
        config.limits.receiving = 4;
        config.limits.pace.window = Duration::from_secs(1);
        config.limits.upload_life = Duration::from_secs(100);
    };
    let site = Site::with(change, rules).await;
    let (first, _) = link(&site, &site.ada, "a.png", 1000).await;
    let (second, announced) = link(&site, &site.ada, "b.png", 1000).await;
    // One of the four places is ada's; what trickles loses it, and keeps what has come.
    let mut wire = begun(&first, 0, 1000);
    wire.write_all(&[1; 5]).unwrap();
    kept(&site, "ada", 5).await;
    let (eves, _) = link(&site, &site.eve, "e.png", 800).await;
    assert_eq!(send(&site, &eves, 0, &[1; 10], "?0").await.status(), 204);
    let trickles = std::io::read_to_string(&mut wire).unwrap();
    assert!(trickles.starts_with("HTTP/1.1 408"), "{trickles}");
    assert!(
        trickles.contains("fewer than the 1024 a second"),
        "{trickles}"
    );
    assert_eq!(far(&site, &first).await, (5, false));

    // Both were announced while nothing was there; one of them fits.
    assert_eq!(send(&site, &first, 5, &[1; 900], "?0").await.status(), 204);
    let refused = send(&site, &second, 0, &[1; 700], "?0").await;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let problem: Value = refused.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("a user may keep"), "{problem}");
    assert_eq!(
        site.put(&second, vec![0; 1000]).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    // Its announcement again is not refused for what is there of it.
    let files = json!({"files": [{"name": "c.png", "bytes": 1400}]});
    let again = async |files: &Value| {
        let request = site.client.post(site.url.join("v1/uploads").unwrap());
        let request = request
            .bearer_auth(&site.eve)
            .header("Idempotency-Key", "k");
        let answer = request.json(files).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let (status, answer) = again(&files).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let link = answer["files"][0]["url"].as_str().unwrap();
    assert_eq!(send(&site, link, 0, &[1; 1300], "?0").await.status(), 204);
    assert_eq!(again(&files).await.0, StatusCode::CREATED);
    assert_eq!(send(&site, link, 1300, &[1; 100], "?1").await.status(), 204);
    assert_eq!(again(&files).await.0, StatusCode::CREATED);
    drop(announced);

    // Everything of a user goes with the user.
    let erased = site.call("DELETE", "v1/users/ada", &site.root, None).await;
    assert_eq!(erased.0, StatusCode::OK, "{erased:?}");
    kept(&site, "ada", 0).await;
    assert_eq!(far(&site, &eves).await, (10, false));
}
