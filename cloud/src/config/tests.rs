//! Addresses and credentials: what is read, what is refused, and what is never shown.

use super::*;

fn config(vars: &[(&str, &str)]) -> Result<Config> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Config::from_vars(vars.iter().map(owned))
}

#[test]
fn nothing_shows_a_secret() {
    let config = config(&[
        ("SUNDOG_BROKER", "amqps://user:swordfish@broker/v"),
        ("SUNDOG_REDIS", "rediss://:swordfish@redis:6379/0"),
        ("SUNDOG_STORE", "s3://bucket/a/b/"),
        ("SUNDOG_S3_ENDPOINT", "http://127.0.0.1:9000"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "swordfish"),
    ])
    .unwrap();
    let text = format!(
        "{config:?} {:?}",
        config.open(config.store.as_ref().unwrap()).unwrap()
    );
    assert!(!text.contains("swordfish"), "{text}");
    assert!(
        text.contains("broker:5671/v") && text.contains("redis:6379"),
        "{text}"
    );
}

#[test]
fn errors_name_the_setting_and_not_its_value() {
    for (name, value) in [
        ("SUNDOG_BROKER", "ampq://user:swordfish@broker"),
        ("SUNDOG_BROKER", "swordfish"),
        ("SUNDOG_BROKER", "amqp://guest:swordfish@broker.example"),
        ("SUNDOG_BROKER", "amqp://broker.example"),
        ("SUNDOG_REDIS", "http://:swordfish@redis"),
        ("SUNDOG_STORE", "s3://key:swordfish@bucket"),
        ("SUNDOG_STORE", "ftp://swordfish"),
        ("SUNDOG_S3_ENDPOINT", "http://key:swordfish@host"),
    ] {
        let error = config(&[(name, value)]).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(name) && !text.contains("swordfish"), "{text}");
    }
}

#[test]
fn the_brokers_guest_may_be_on_loopback_alone() {
    for url in [
        "amqp://guest:guest@127.0.0.1:5672/%2f",
        "amqp://localhost",
        "amqp://guest:guest@[::1]",
        "amqps://ada:swordfish@broker.example",
    ] {
        assert!(config(&[("SUNDOG_BROKER", url)]).is_ok(), "{url}");
    }
    let refused = config(&[("SUNDOG_BROKER", "amqp://guest:guest@10.0.0.1")]);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("guest"), "{refused}");
}

#[test]
fn locations_are_read() {
    let bucket = |prefix: &str| Location::S3 {
        bucket: "b".into(),
        prefix: prefix.into(),
    };
    assert_eq!(Location::parse("s3://b").unwrap(), bucket(""));
    assert_eq!(Location::parse("s3://b/p/q/").unwrap(), bucket("p/q"));
    assert_eq!(
        Location::parse("file:///a%20b").unwrap(),
        Location::Directory("/a b".into())
    );
    assert_eq!(
        Location::parse("out/dir").unwrap(),
        Location::Directory("out/dir".into())
    );
    assert!(matches!(
        Location::parse("gs://b/p").unwrap(),
        Location::Gcs { .. }
    ));
    for wrong in ["", "s3://", "file:relative", "http://x", "gs:///p"] {
        assert!(Location::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn secrets_are_read_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let broker = path("broker", "amqps://ada:swordfish@broker.example/v\n");
    let key = path("key", "swordfish");
    let read = config(&[
        ("SUNDOG_BROKER_FILE", &broker),
        ("AWS_SECRET_ACCESS_KEY_FILE", &key),
    ])
    .unwrap();
    assert!(read.broker.is_some());
    assert_eq!(read.provider["AWS_SECRET_ACCESS_KEY"], "swordfish");
    assert!(!read.provider.contains_key("AWS_SECRET_ACCESS_KEY_FILE"));
    let refused = |vars: &[(&str, &str)]| config(vars).unwrap_err().to_string();
    let empty = path("empty", "\n");
    let missing = refused(&[("SUNDOG_BROKER_FILE", "/nowhere/broker")]);
    assert!(missing.contains("SUNDOG_BROKER_FILE") && missing.contains("/nowhere/broker"));
    assert!(refused(&[("SUNDOG_REDIS_FILE", &empty)]).contains("empty"));
    let long = path("long", &"x".repeat(20_000));
    assert!(refused(&[("SUNDOG_REDIS_FILE", &long)]).contains("larger"));
    let both = refused(&[
        ("SUNDOG_BROKER_FILE", &broker),
        ("SUNDOG_BROKER", "amqps://ada:swordfish@broker.example/v"),
    ]);
    assert!(
        both.contains("leave one") && !both.contains("swordfish"),
        "{both}"
    );
}

#[tokio::test]
async fn links_lead_where_clients_reach_the_store() {
    let config = config(&[
        ("SUNDOG_STORE", "s3://bucket/a"),
        ("SUNDOG_S3_ENDPOINT", "http://store:9000"),
        ("SUNDOG_S3_PUBLIC_ENDPOINT", "http://127.0.0.1:8080/"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "swordfish"),
    ])
    .unwrap();
    let store = config.open(config.store.as_ref().unwrap()).unwrap();
    let life = Duration::from_secs(60);
    let link = store.link_get("b.png", life).await.unwrap();
    let url = link.url.to_string();
    assert!(
        url.starts_with("http://127.0.0.1:8080/bucket/a/b.png?"),
        "{url}"
    );
}

#[test]
fn links_end_with_temporary_credentials() {
    let limits = |vars: &[(&str, &str)]| config(vars).unwrap().s3_limits();
    let key = ("AWS_ACCESS_KEY_ID", "key");
    let token = ("AWS_SESSION_TOKEN", "token");
    assert_eq!(limits(&[key]).unwrap(), Limits::default());
    assert_eq!(limits(&[key, token]).unwrap().longest, Some(TEMPORARY));
    assert_eq!(limits(&[]).unwrap().longest, Some(TEMPORARY));
    let end = ("AWS_CREDENTIAL_EXPIRATION", "2026-01-31T12:00:00Z");
    let end = limits(&[key, token, end]).unwrap().credentials_end;
    assert!(end.is_some());
    assert!(limits(&[key, token, ("AWS_CREDENTIAL_EXPIRATION", "soon")]).is_err());
}
