//! All results as one zip archive, read by another program.

use crate::site::{Site, picture};
use cloud::testing::{available, find_program};
use reqwest::StatusCode;
use serde_json::Value;
use std::process::Command;
use worker::atomic::sha256;

/// Reads an archive with Python's reader: names, hashes, whether they are stored as they are; all checksums hold.
const READ: &str = "
import hashlib, json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print(json.dumps([[i.filename, hashlib.sha256(z.read(i)).hexdigest(), i.compress_type, i.file_size] for i in z.infolist()]))
";

#[tokio::test(flavor = "multi_thread")]
async fn results_come_as_one_archive() {
    let python = find_program("python3");
    if !available(python.clone(), "Python") {
        return;
    }
    let mut site = Site::new().await;
    site.start_dispatcher();
    let broken = b"P5 9 9 255\n".to_vec();
    let files = [
        ("a.pgm", picture(1)),
        ("sub/A.pgm", picture(2)),
        ("sub/ü ☃: <b>.pgm", picture(3)),
        ("broken.pgm", broken),
    ];
    let inputs = site.upload(&site.ada, &files).await;
    let id = site.submit(&site.ada, &inputs).await;
    site.ended(&site.ada, &id).await;
    let path = format!("v1/jobs/{id}/results.zip");
    let sent = site.send("GET", &path, &site.ada, None).await;
    assert_eq!(sent.status(), StatusCode::OK);
    assert_eq!(sent.headers()["content-type"], "application/zip");
    let bytes = sent.bytes().await.unwrap();
    let again = site
        .send("GET", &path, &site.ada, None)
        .await
        .bytes()
        .await
        .unwrap();
    assert!(bytes == again, "the same results are other bytes");
    let (_, results) = site
        .call("GET", &format!("v1/jobs/{id}/results"), &site.ada, None)
        .await;
    // By a link, as a browser saves it.
    let link = results["archive_url"].as_str().unwrap();
    let linked = site.client.get(link).send().await.unwrap();
    assert_eq!(linked.status(), StatusCode::OK);
    assert!(linked.bytes().await.unwrap() == bytes);
    let other = link.replace("/ada/", "/eve/");
    let forged = site.client.get(other).send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("results.zip");
    std::fs::write(&file, &bytes).unwrap();
    let read = Command::new(python.unwrap())
        .args(["-c", READ])
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    let entries: Vec<(String, String, u32, u64)> = serde_json::from_slice(&read.stdout).unwrap();
    let hash = |task: usize| {
        results["results"][task]["sha256"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let names: Vec<&str> = entries.iter().map(|entry| entry.0.as_str()).collect();
    assert_eq!(
        names,
        ["a.pgm", "sub/A.pgm", "sub/ü ☃_ _b_.pgm", "failed.txt"]
    );
    for (n, (_, sha, kind, _)) in entries.iter().take(3).enumerate() {
        assert_eq!((sha, *kind), (&hash(n), 0));
    }
    let failed: &Value = &results["failed"][0];
    let line = format!(
        "{}\t{}\n",
        failed["input"].as_str().unwrap(),
        failed["reason"].as_str().unwrap()
    );
    assert_eq!(entries[3].1, sha256(line.as_bytes()));
    let strange = site.send("GET", &path, &site.eve, None).await;
    assert_eq!(strange.status(), StatusCode::NOT_FOUND);
    // An object that is gone ends the archive early, which the client notices.
    let output = site
        .jobs
        .store
        .list(&format!("jobs/{id}/out"))
        .await
        .unwrap();
    site.jobs.store.delete(&output[1].name).await.unwrap();
    let cut = site.send("GET", &path, &site.ada, None).await;
    assert!(cut.bytes().await.is_err());
}
