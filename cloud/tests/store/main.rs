//! What every store promises: memory, a directory, S3 and Google Cloud Storage, the last two by servers
//! in this process that check every signature. Then links.
#![allow(clippy::unwrap_used)]

mod links;
mod others;
mod promises;
mod sites;
mod staged;

use crate::promises::*;
use crate::sites::*;
use cloud::Error;
use cloud::store::{Created, Store};
use cloud::testing::objects::Fault;

#[tokio::test]
async fn memory_conforms() {
    conforms(&Store::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_directory_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::directory(&dir.path().join("new/store")).unwrap();
    conforms(&store).await;
}

#[tokio::test]
async fn s3_conforms() {
    let (server, store) = s3();
    conforms(&store).await;
    store
        .put("typed.png", bytes("x"), "image/png")
        .await
        .unwrap();
    let stored = server.content_type("bucket/some/prefix/typed.png");
    assert_eq!(stored.as_deref(), Some("image/png"));
    assert_eq!(server.refusals(), [] as [&str; 0]);
}

#[tokio::test]
async fn google_cloud_conforms() {
    let (server, store) = gcs();
    conforms(&store).await;
    assert_eq!(server.refusals(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_lost_reply_to_a_create_is_still_the_writers_own() {
    for (server, store) in [s3(), gcs()] {
        for (round, fault) in [Fault::LoseReply, Fault::FailAfter, Fault::FailBefore]
            .into_iter()
            .enumerate()
        {
            let name = format!("lost/{round}.json");
            server.fail(&[fault]);
            let created = store.create(&name, bytes("mine"), "application/json").await;
            assert_eq!(
                created.unwrap(),
                Created::New,
                "{fault:?} at {}",
                store.address()
            );
            // Somebody else's object with the same bytes is not.
            server.fail(&[fault]);
            let created = store.create(&name, bytes("mine"), "application/json").await;
            assert_eq!(
                created.unwrap(),
                Created::Exists,
                "{fault:?} at {}",
                store.address()
            );
        }
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_not_shown() {
    let (server, _) = s3();
    let store = s3_client(&server, "swordfish", &[]);
    let error = store.get("x", 10).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(!format!("{error} {error:?} {store:?}").contains("swordfish"));
    assert_eq!(server.refusals(), ["the signature does not match"]);
}
