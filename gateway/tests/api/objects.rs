//! Objects of a local store by their links: parts of them, and what a client has already.

use crate::site::{Site, picture};
use reqwest::{RequestBuilder, StatusCode};

#[tokio::test(flavor = "multi_thread")]
async fn objects_come_in_parts_and_only_where_they_are_new() {
    let site = Site::new().await;
    let bytes = picture(7);
    let inputs = site.upload(&site.ada, &[("a.pgm", bytes.clone())]).await;
    let below = inputs[0]
        .as_str()
        .unwrap()
        .replacen("uploads/", "uploads/ada/", 1);
    let name = format!("{below}a.pgm");
    let key = site.link(&name).await;
    let ask = async |change: &dyn Fn(RequestBuilder) -> RequestBuilder| {
        let sent = change(site.client.get(&key)).send().await.unwrap();
        let header = |name: &str| {
            let value = sent.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let headers = (
            header("content-range"),
            header("content-type"),
            header("etag"),
        );
        (sent.status(), headers, sent.bytes().await.unwrap())
    };
    let (status, (_, kind, tag), all) = ask(&|r| r).await;
    assert_eq!((status, &all[..]), (StatusCode::OK, &bytes[..]));
    assert_eq!(kind.as_deref(), Some("image/x-portable-anymap"));
    let tag = tag.unwrap();
    let size = bytes.len();
    let (status, (range, ..), part) = ask(&|r| r.header("Range", "bytes=10-19")).await;
    assert_eq!(
        (status, &part[..]),
        (StatusCode::PARTIAL_CONTENT, &bytes[10..20])
    );
    assert_eq!(range, Some(format!("bytes 10-19/{size}")));
    let (status, _, part) = ask(&|r| r.header("Range", "bytes=-5")).await;
    assert_eq!(
        (status, &part[..]),
        (StatusCode::PARTIAL_CONTENT, &bytes[size - 5..])
    );
    let (status, (range, kind, _), _) = ask(&|r| r.header("Range", "bytes=99999-")).await;
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(range, Some(format!("bytes */{size}")));
    assert_eq!(kind.as_deref(), Some("application/problem+json"));
    let (status, _, part) = ask(&|r| r.header("If-None-Match", &tag)).await;
    assert_eq!((status, part.len()), (StatusCode::NOT_MODIFIED, 0));
    let old = |r: RequestBuilder| r.header("Range", "bytes=0-1").header("If-Range", "\"old\"");
    let (status, _, all) = ask(&old).await;
    assert_eq!((status, all.len()), (StatusCode::OK, size));

    // Another state has another tag.
    site.jobs
        .store
        .put(&name, picture(8).into(), "image/x-portable-anymap")
        .await
        .unwrap();
    let (status, (_, _, other), _) = ask(&|r| r.header("If-None-Match", &tag)).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(other.unwrap(), tag);
    let head = site
        .client
        .head(&key)
        .header("Range", "bytes=0-3")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.status(), &head.headers()["content-length"]),
        (StatusCode::PARTIAL_CONTENT, &"4".parse().unwrap())
    );
    assert_eq!(head.headers()["accept-ranges"], "bytes");

    let empty = "uploads/ada/U/empty.csv";
    site.jobs
        .store
        .put(empty, Vec::new().into(), "text/csv")
        .await
        .unwrap();
    let sent = site
        .client
        .get(site.link(empty).await)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (sent.status(), &sent.headers()["content-type"]),
        (StatusCode::OK, &"text/csv".parse().unwrap())
    );
    assert!(
        sent.headers()["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    let missing = site.client.get(site.link("uploads/ada/U/none.png").await);
    assert_eq!(
        missing.send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}
