//! Histograms and thumbnails of results.

use crate::site::{Site, picture};
use imaging::codec::{Limits, OpenOptions, decode};
use reqwest::StatusCode;
use serde_json::Value;

fn sum(counts: &Value) -> u64 {
    let counts = counts.as_array().unwrap();
    assert_eq!(counts.len(), 256);
    counts.iter().map(|count| count.as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_shown_beside_its_input_to_its_owner_alone() {
    let mut site = Site::new().await;
    site.start_dispatcher();
    let files = [("a.pgm", picture(1)), ("b.pgm", b"P5 9 9 255\n".to_vec())];
    let inputs = site.upload(&site.ada, &files).await;
    let id = site.submit(&site.ada, &inputs).await;
    assert_eq!(site.ended(&site.ada, &id).await["state"], "partial");

    let path = format!("v1/jobs/{id}/results/0/histogram");
    let (status, found) = site.call("GET", &path, &site.ada, None).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    for side in ["before", "after"] {
        for channel in ["luma", "red", "green", "blue"] {
            assert_eq!(sum(&found[side][channel]), 40 * 30, "{side} {channel}");
        }
    }
    assert_ne!(found["before"], found["after"]);
    let own = &picture(1)[picture(1).len() - 40 * 30..];
    let dark = own.iter().filter(|value| **value == own[0]).count();
    assert_eq!(found["before"]["luma"][usize::from(own[0])], dark);

    for side in ["before", "after"] {
        let path = format!("v1/jobs/{id}/results/0/thumbnail?side={side}");
        let shown = site.send("GET", &path, &site.ada, None).await;
        assert_eq!(shown.status(), StatusCode::OK);
        assert_eq!(shown.headers()["content-type"], "image/png");
        let bytes = shown.bytes().await.unwrap().to_vec();
        let image = decode(bytes, &Limits::default(), &OpenOptions::default()).unwrap();
        assert_eq!((image.shape().cols, image.shape().rows), (40, 30));
    }

    for (path, expected) in [
        (
            format!("v1/jobs/{id}/results/1/histogram"),
            StatusCode::NOT_FOUND,
        ),
        (
            format!("v1/jobs/{id}/results/7/thumbnail?side=after"),
            StatusCode::NOT_FOUND,
        ),
        (
            format!("v1/jobs/{id}/results/0/thumbnail?side=left"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("v1/jobs/{id}/results/0/thumbnail"),
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let answer = site.send("GET", &path, &site.ada, None).await;
        assert_eq!(answer.status(), expected, "{path}");
    }
    for path in ["histogram", "thumbnail?side=after", "thumbnail?side=before"] {
        let path = format!("v1/jobs/{id}/results/0/{path}");
        let others = site.send("GET", &path, &site.eve, None).await;
        assert_eq!(others.status(), StatusCode::NOT_FOUND, "{path}");
        let nobody = site.send("GET", &path, "", None).await;
        assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preview_is_there_where_it_was_built_in_and_its_worker_alone_compiles() {
    let site = Site::new().await;
    let page = site.send("GET", "", "", None).await;
    let policy = page.headers()["content-security-policy"].clone();
    let policy = policy.to_str().unwrap();
    assert!(
        policy.contains("worker-src 'self'") && !policy.contains("wasm"),
        "{policy}"
    );
    let there = page.text().await.unwrap().contains("data-preview=\"yes\"");
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasm/built/sundog.wasm.gz");
    assert_eq!(there, std::path::Path::new(built).exists());
    let worker = site.send("GET", "page/worker.js", "", None).await;
    let module = site.send("GET", "page/sundog.wasm", "", None).await;
    if !there {
        let problem: Value = module.json().await.unwrap();
        assert_eq!(worker.status(), StatusCode::NOT_FOUND);
        let message = problem["detail"].as_str().unwrap();
        assert!(message.contains("scripts/demo-page"), "{message}");
        return;
    }
    let policy = worker.headers()["content-security-policy"].clone();
    assert!(
        policy
            .to_str()
            .unwrap()
            .contains("script-src 'wasm-unsafe-eval'; connect-src 'self'")
    );
    assert_eq!(module.headers()["content-type"], "application/wasm");
    assert_eq!(module.headers()["content-encoding"], "gzip");
    let tag = module.headers()["etag"].clone();
    assert_eq!(&module.bytes().await.unwrap()[..2], [0x1F, 0x8B]);
    let url = site.url.join("page/sundog.wasm").unwrap();
    let again = site.client.get(url).header("if-none-match", tag).send();
    assert_eq!(again.await.unwrap().status(), StatusCode::NOT_MODIFIED);
}
