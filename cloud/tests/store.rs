//! What every store promises: memory, a directory, S3 and Google Cloud Storage, the last two by servers
//! in this process that check every signature. Then links.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use cloud::Error;
use cloud::config::{Config, Location};
use cloud::links::{Access, Link, LinkError, LinkKey};
use cloud::store::{Created, Store};
use cloud::testing::objects::{Account, Fault, ObjectServer};
use futures_util::TryStreamExt as _;
use http::{Method, StatusCode};
use ring::signature::{KeyPair as _, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use std::time::{Duration, SystemTime};
use url::Url;

const HOUR: Duration = Duration::from_secs(3600);
/// Made for these tests; it opens nothing.
const GCS_KEY: &str = include_str!("gcs-test-key.pem");
const EMAIL: &str = "tests@example.iam.gserviceaccount.com";

fn config(vars: &[(&str, &str)]) -> Config {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Config::from_vars(vars.iter().map(owned)).unwrap()
}

fn s3() -> (ObjectServer, Store) {
    let account = Account::Aws {
        key_id: "test-key".into(),
        secret: "test-secret".into(),
    };
    let server = ObjectServer::start(account).unwrap();
    let store = s3_client(&server, "test-secret", &[]);
    (server, store)
}

fn s3_client(server: &ObjectServer, secret: &str, more: &[(&str, &str)]) -> Store {
    let url = server.url();
    let mut vars = vec![
        ("SUNDOG_S3_ENDPOINT", url.as_str()),
        ("AWS_ACCESS_KEY_ID", "test-key"),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_REGION", "eu-test-1"),
    ];
    vars.extend(more);
    let location = Location::parse("s3://bucket/some/prefix").unwrap();
    config(&vars).open(&location).unwrap()
}

fn gcs() -> (ObjectServer, Store) {
    let der = PrivatePkcs8KeyDer::from_pem_slice(GCS_KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let account = Account::Google {
        email: EMAIL.into(),
        public_key: key.public_key().as_ref().to_vec(),
    };
    let server = ObjectServer::start(account).unwrap();
    let service_account = serde_json::json!({
        "type": "service_account",
        "private_key": GCS_KEY,
        "private_key_id": "1",
        "client_email": EMAIL,
        "gcs_base_url": server.url(),
    });
    let store = config(&[
        (
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            service_account.to_string().as_str(),
        ),
        ("GOOGLE_ALLOW_HTTP", "true"),
    ])
    .open(&Location::parse("gs://bucket/some/prefix").unwrap())
    .unwrap();
    (server, store)
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn objects_come_back(store: &Store) {
    let odd = "jobs/1/ä b+c&d=e%20(1)'?#.txt";
    for (name, text) in [("plain.json", "{}"), (odd, "odd"), ("empty", "")] {
        store
            .put(name, bytes(text), "application/json")
            .await
            .unwrap();
        assert_eq!(store.get(name, 100).await.unwrap(), bytes(text), "{name}");
        let meta = store.head(name).await.unwrap();
        assert_eq!((meta.name.as_str(), meta.size), (name, text.len() as u64));
        if let Some(content_type) = meta.content_type {
            assert_eq!(content_type, "application/json");
        }
    }
    store
        .put("plain.json", bytes("second"), "text/plain")
        .await
        .unwrap();
    assert_eq!(store.get("plain.json", 6).await.unwrap(), bytes("second"));
    let large = store.get("plain.json", 5).await;
    assert!(matches!(large, Err(Error::Refused { .. })), "{large:?}");
    let listed = store.list("jobs/1").await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name, odd);
    for name in ["plain.json", odd, "empty", "never-there"] {
        store.delete(name).await.unwrap();
        let gone = store.get(name, 100).await;
        assert!(
            matches!(&gone, Err(Error::NotFound(n)) if n == name),
            "{gone:?}"
        );
        assert!(matches!(store.head(name).await, Err(Error::NotFound(_))));
    }
}

async fn files_become_objects_and_back(store: &Store) {
    let dir = tempfile::tempdir().unwrap();
    // One request, and parts of which the last is short.
    for (name, size) in [
        ("files/small.bin", 1000),
        ("files/large.bin", (9 << 20) + 7),
    ] {
        let content: Vec<u8> = (0..size).map(|i: u32| (i ^ (i >> 11)) as u8).collect();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::write(&from, &content).unwrap();
        let created = store.create_file(name, &from, "image/png").await.unwrap();
        assert_eq!(created, Created::New);
        assert_eq!(store.head(name).await.unwrap().size, size as u64);
        let read = store.get_file(name, &to, size as u64).await.unwrap();
        assert_eq!(read, size as u64);
        assert!(std::fs::read(&to).unwrap() == content, "{name}");
        assert!(
            store.get_file(name, &to, 1 << 30).await.is_err(),
            "it is there"
        );
        let short = store
            .get_file(name, &dir.path().join("no"), size as u64 - 1)
            .await;
        assert!(matches!(short, Err(Error::Refused { .. })), "{short:?}");
        if let Some(file) = store.file(name).unwrap() {
            assert!(std::fs::read(file).unwrap() == content);
            assert!(store.scratch().is_some());
        }
        let (size, stream) = store.get_stream(name).await.unwrap();
        assert_eq!(size, content.len() as u64);
        let parts: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert!(parts.concat() == content);
        // The directory took the file itself.
        std::fs::remove_file(&from).unwrap();
        std::fs::remove_file(&to).unwrap();
        assert_eq!(store.get(name, 1 << 30).await.unwrap().len(), content.len());
    }
    let other = dir.path().join("other");
    std::fs::write(&other, "other").unwrap();
    let again = store
        .create_file("files/small.bin", &other, "image/png")
        .await;
    assert_eq!(again.unwrap(), Created::Exists);
    assert_eq!(store.head("files/small.bin").await.unwrap().size, 1000);
    let missing = store
        .create_file("files/x", &dir.path().join("none"), "image/png")
        .await;
    assert!(missing.is_err());
    let missing = store.get_stream("files/x").await;
    assert!(matches!(missing.err(), Some(Error::NotFound(_))));
    // In place of what was there, and where nothing was.
    for (n, size) in [(0, 3), (1, 9 << 20)] {
        let (from, content) = (dir.path().join("put"), vec![n as u8; size]);
        for name in ["files/small.bin", "files/new/folder/x.bin"] {
            std::fs::write(&from, &content).unwrap();
            store.put_file(name, &from, "image/png").await.unwrap();
            assert!(store.get(name, 1 << 30).await.unwrap() == content);
            assert_eq!(from.exists(), store.scratch().is_none());
        }
    }
    for name in [
        "files/small.bin",
        "files/large.bin",
        "files/new/folder/x.bin",
    ] {
        store.delete(name).await.unwrap();
    }
}

async fn hints_are_objects(store: &Store) {
    let made = store
        .create_hint("hints/a", bytes("one"), "text/plain")
        .await;
    assert_eq!(made.unwrap(), Created::New);
    let made = store
        .create_hint("hints/a", bytes("two"), "text/plain")
        .await;
    assert_eq!(made.unwrap(), Created::Exists);
    assert_eq!(store.get("hints/a", 10).await.unwrap(), bytes("one"));
    store
        .put_hint("hints/a", bytes("three"), "text/plain")
        .await
        .unwrap();
    assert_eq!(store.get("hints/a", 10).await.unwrap(), bytes("three"));
    store.prepare(&["hints/folder".into()]).unwrap();
    for (name, there) in [
        ("hints/a", true),
        ("hints/b", false),
        ("hints/a/b", false),
        ("hints/folder", false),
    ] {
        assert_eq!(store.exists(name).await.unwrap(), there, "{name}");
    }
    store.delete("hints/a").await.unwrap();
}

async fn lists_are_complete_and_in_order(store: &Store) {
    let names: Vec<String> = (0..10).map(|i| format!("list/tasks/{i}.json")).collect();
    for name in &names {
        store
            .put(name, bytes(name), "application/json")
            .await
            .unwrap();
    }
    store
        .put("list/tasks-not/1", bytes("x"), "text/plain")
        .await
        .unwrap();
    let found = store.list("list/tasks").await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|meta| (meta.name, meta.size))
        .collect();
    let expected: Vec<_> = names
        .iter()
        .map(|name| (name.clone(), name.len() as u64))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(store.list("").await.unwrap().len(), 11);
    assert!(store.list("nothing/here").await.unwrap().is_empty());
    for meta in store.list("").await.unwrap() {
        store.delete(&meta.name).await.unwrap();
    }
}

async fn only_one_of_many_writers_creates(store: &Store) {
    for round in 0..5 {
        let name = format!("race/{round}.json");
        let writers: Vec<_> = (0..6)
            .map(|_| {
                let (store, name) = (store.clone(), name.clone());
                // All say the same: what they wrote cannot tell them apart.
                tokio::spawn(
                    async move { store.create(&name, bytes("same"), "application/json").await },
                )
            })
            .collect();
        let mut winners = 0;
        for writer in writers {
            winners += u32::from(writer.await.unwrap().unwrap() == Created::New);
        }
        assert_eq!(winners, 1);
        let late = store.create(&name, bytes("late"), "application/json").await;
        assert_eq!(late.unwrap(), Created::Exists);
        assert_eq!(store.get(&name, 100).await.unwrap(), bytes("same"));
        store.delete(&name).await.unwrap();
    }
}

async fn names_stay_inside(store: &Store) {
    for name in ["../x", "a/../../x", "/etc/x", "a//b", "a/", "./a"] {
        let refused = store.put(name, bytes("x"), "text/plain").await;
        assert!(
            matches!(refused, Err(Error::Invalid { .. })),
            "{name}: {refused:?}"
        );
        assert!(store.get(name, 10).await.is_err());
    }
}

async fn conforms(store: &Store) {
    objects_come_back(store).await;
    files_become_objects_and_back(store).await;
    hints_are_objects(store).await;
    lists_are_complete_and_in_order(store).await;
    only_one_of_many_writers_creates(store).await;
    names_stay_inside(store).await;
}

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

async fn send(method: Method, url: Url, headers: &[(String, String)], body: &str) -> StatusCode {
    let client = reqwest::Client::builder().build().unwrap();
    let mut request = client.request(method, url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send().await.unwrap().status()
}

async fn get(link: &Link) -> StatusCode {
    send(Method::GET, link.url.clone(), &[], "").await
}

#[tokio::test]
async fn remote_links_open_one_object_for_one_method_and_a_while() {
    for (server, store) in [s3(), gcs()] {
        let name = "out/ä b+c?%2B#.png";
        let put = store
            .link_put(name, Some("image/png"), 5, HOUR)
            .await
            .unwrap();
        let header = ("content-type".to_owned(), "image/png".to_owned());
        assert_eq!(put.headers[0], header);
        if store.address().starts_with("gs:") {
            // Which Google Cloud Storage holds uploads to.
            let range = ("x-goog-content-length-range".to_owned(), "0,5".to_owned());
            assert_eq!(put.headers[1], range);
            let status = send(Method::PUT, put.url.clone(), &put.headers[..1], "bytes").await;
            assert_eq!(status, StatusCode::FORBIDDEN, "no range");
        }
        let other = [("content-type".to_owned(), "text/html".to_owned())];
        let status = send(Method::PUT, put.url.clone(), &other, "bytes").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "another content type");
        let status = send(Method::PUT, put.url.clone(), &put.headers, "bytes").await;
        assert_eq!(status, StatusCode::OK, "{put:?}: {:?}", server.refusals());
        assert_eq!(store.get(name, 100).await.unwrap(), bytes("bytes"));

        let link = store.link_get(name, HOUR).await.unwrap();
        assert_eq!(get(&link).await, StatusCode::OK, "{:?}", server.refusals());
        let left = link.expires.duration_since(SystemTime::now()).unwrap();
        assert!(left > HOUR - Duration::from_secs(60) && left <= HOUR);
        assert!(link.expires_text().ends_with('Z'));
        assert!(!format!("{link:?}").contains("ignature="));

        let tampered = [
            link.url.as_str().replace("out/", "out2/"),
            link.url.as_str().replace("=3600", "=36000"),
            link.url.as_str().replace("ignature=", "ignature=00"),
            link.url.as_str().split('?').next().unwrap().to_owned(),
        ];
        for url in tampered {
            let url = Url::parse(&url).unwrap();
            assert_ne!(url, link.url);
            assert_eq!(send(Method::GET, url, &[], "").await, StatusCode::FORBIDDEN);
        }
        let status = send(Method::PUT, link.url.clone(), &[], "overwritten").await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(store.get(name, 100).await.unwrap(), bytes("bytes"));

        let brief = store.link_get(name, Duration::from_secs(1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(get(&brief).await, StatusCode::FORBIDDEN);
        assert_eq!(server.refusals().last(), Some(&"the request has expired"));

        let week = store.link_get(name, HOUR * 24 * 30).await.unwrap();
        assert!(week.expires <= SystemTime::now() + HOUR * 24 * 7);
        assert_eq!(get(&week).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn links_end_with_the_credentials_that_signed_them() {
    let (server, _) = s3();
    let end = SystemTime::now() + HOUR / 2;
    let text = chrono::DateTime::<chrono::Utc>::from(end).to_rfc3339();
    let token = ("AWS_SESSION_TOKEN", "token");
    let store = s3_client(
        &server,
        "test-secret",
        &[token, ("AWS_CREDENTIAL_EXPIRATION", &text)],
    );
    let link = store.link_get("x", HOUR * 24).await.unwrap();
    assert!(link.expires <= end);
    let past = s3_client(
        &server,
        "test-secret",
        &[token, ("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")],
    );
    let refused = past.link_get("x", HOUR).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn links_to_a_directory_are_signed_for_a_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::directory(dir.path()).unwrap();
    let none = store.link_get("x", HOUR).await;
    assert!(matches!(none, Err(Error::Refused { .. })), "{none:?}");

    let base = Url::parse("http://127.0.0.1:8080/v1/objects").unwrap();
    let secret = [7; 32];
    let key = LinkKey::new(&secret, base.clone()).unwrap();
    let shown = r#"LinkKey { base: "http://127.0.0.1:8080/v1/objects/", .. }"#;
    assert_eq!(format!("{key:?}"), shown);
    let store = store.with_links(key.clone());
    let name = "out/ä b?.png";
    let link = store.link_get(name, HOUR).await.unwrap();
    assert_eq!(link.url.path(), "/v1/objects/out/%C3%A4%20b%3F.png");
    let query = link.url.query().unwrap();
    let now = SystemTime::now();
    let check =
        |method: Method, name: &str, query: &str, now| key.verify(&method, name, query, now);
    assert_eq!(check(Method::GET, name, query, now), Ok(Access::Get));
    assert_eq!(check(Method::HEAD, name, query, now), Ok(Access::Get));
    assert_eq!(check(Method::PUT, name, query, now), Err(LinkError::Wrong));
    assert_eq!(
        check(Method::GET, "out/other.png", query, now),
        Err(LinkError::Wrong)
    );
    assert_eq!(
        check(Method::GET, name, query, now + HOUR),
        Err(LinkError::Expired)
    );

    let (expires, signature) = query.split_once('&').unwrap();
    let number: u64 = expires.strip_prefix("expires=").unwrap().parse().unwrap();
    let mut flipped = query.to_owned();
    let last = flipped.pop().unwrap();
    flipped.push(if last == '0' { '1' } else { '0' });
    for wrong in [
        format!("expires={}&{signature}", number + 1),
        format!("expires=0{number}&{signature}"),
        format!("expires=+{number}&{signature}"),
        format!("{query}&expires=99999999999"),
        format!("{query}&more=1"),
        expires.to_owned(),
        signature.to_owned(),
        format!("{expires}&signature="),
        query[..query.len() - 2].to_owned(),
        flipped,
        String::new(),
    ] {
        let verdict = check(Method::GET, name, &wrong, now);
        assert_eq!(verdict, Err(LinkError::Wrong), "{wrong}");
    }
    let other = LinkKey::new(&[8; 32], base.clone()).unwrap();
    assert_eq!(
        other.verify(&Method::GET, name, query, now),
        Err(LinkError::Wrong)
    );
    assert!(LinkKey::new(&[8; 31], base).is_err());

    // Never longer than a week, whatever is asked for.
    let access = Access::Put { max_bytes: 1234 };
    let long = key.sign(access, name, HOUR * 24 * 365, now).unwrap();
    assert!(long.expires <= now + HOUR * 24 * 7);
    let query = long.url.query().unwrap();
    assert_eq!(check(Method::PUT, name, query, now), Ok(access));
    // Nor for more bytes, nor for reading.
    let without = query.replace("bytes=1234&", "");
    let more = query.replace("1234", "12345");
    let twice = format!("bytes=1&{query}");
    for wrong in [without, more, twice, query.replace("=1234", "=01234")] {
        let verdict = check(Method::PUT, name, &wrong, now);
        assert_eq!(verdict, Err(LinkError::Wrong), "{wrong}");
    }
    assert_eq!(check(Method::GET, name, query, now), Err(LinkError::Wrong));
    assert!(key.sign(Access::Get, name, Duration::ZERO, now).is_err());
}
