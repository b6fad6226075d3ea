//! Over a store that signs its own links, uploads go straight there, and the page may talk to it.

#![allow(clippy::unwrap_used)]

use axum::body::{Body, to_bytes};
use cloud::config::{Config as Services, Location};
use cloud::events::memory::MemoryEvents;
use cloud::queue::memory::MemoryQueue;
use cloud::testing::objects::{Account, ObjectServer};
use dispatcher::jobs::{Jobs, Rules};
use gateway::{Config, Gateway, Secret};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use service::Tokens;
use std::sync::Arc;
use tower::ServiceExt as _;
use url::Url;

#[tokio::test]
async fn files_are_put_straight_into_the_store() {
    let server = ObjectServer::start(Account::Aws {
        key_id: "test-key".into(),
        secret: "test-secret".into(),
    })
    .unwrap();
    let endpoint = server.url();
    let vars = [
        ("SUNDOG_S3_ENDPOINT", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "test-key"),
        ("AWS_SECRET_ACCESS_KEY", "test-secret"),
        ("AWS_REGION", "eu-test-1"),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let store = Services::from_vars(vars)
        .unwrap()
        .open(&Location::parse("s3://bucket/sundog").unwrap())
        .unwrap();
    let jobs = Jobs {
        queue: Arc::new(MemoryQueue::new()),
        events: Arc::new(MemoryEvents::default()),
        store: store.clone(),
        rules: Rules::default(),
    };
    let scratch = tempfile::tempdir().unwrap();
    let mut config = Config::new(
        Tokens::single("ada", "token").unwrap(),
        Secret::random().unwrap(),
        Url::parse("http://127.0.0.1:1/").unwrap(),
    );
    config.scratch = Some(scratch.path().to_owned());
    let router = gateway::router(Gateway::new(&config, jobs).await.unwrap());

    let body = json!({"files": [{"name": "ä b.png", "bytes": 5}]});
    let request = Request::post("/v1/uploads")
        .header("authorization", "Bearer token")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let answer = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let place = &answer["files"][0];
    let url = place["url"].as_str().unwrap();
    assert!(url.starts_with(&endpoint), "{url}");
    let client = reqwest::Client::builder().build().unwrap();
    // Such as a browser lets a page set.
    let headers = place["headers"].as_object().unwrap();
    assert_eq!(Vec::from_iter(headers.keys()), ["content-type"]);
    for (body, status) in [("bytes and more", 403), ("less", 403), ("bytes", 200)] {
        let mut put = client.put(url).body(body);
        for (name, value) in headers {
            put = put.header(name, value.as_str().unwrap());
        }
        assert_eq!(put.send().await.unwrap().status(), status, "{body}");
    }
    let input = place["input"].as_str().unwrap();
    let key = input.replacen("uploads/", "uploads/ada/", 1);
    assert_eq!(&store.get(&key, 100).await.unwrap()[..], b"bytes");

    let page = Request::get("/").body(Body::empty()).unwrap();
    let page = router.clone().oneshot(page).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    let origin = endpoint.trim_end_matches('/');
    assert!(
        policy.contains(&format!("connect-src 'self' {origin};")),
        "{policy}"
    );

    // Where no link of the gateway leads, none is served.
    let forged = Request::get("/v1/objects/uploads/ada/x?expires=1&signature=00");
    let forged = router.oneshot(forged.body(Body::empty()).unwrap()).await;
    assert_eq!(forged.unwrap().status(), StatusCode::FORBIDDEN);
}
