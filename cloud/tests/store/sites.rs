//! Stores to try: on servers in this process that check every signature.

use bytes::Bytes;
use cloud::config::{Config, Location};
use cloud::store::Store;
use cloud::testing::objects::{Account, ObjectServer};
use std::time::Duration;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Made for these tests; it opens nothing.
pub(crate) const GCS_KEY: &str = include_str!("../gcs-test-key.pem");

pub(crate) const EMAIL: &str = "tests@example.iam.gserviceaccount.com";

pub(crate) fn config(vars: &[(&str, &str)]) -> Config {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Config::from_vars(vars.iter().map(owned)).unwrap()
}

pub(crate) fn s3() -> (ObjectServer, Store) {
    let account = Account::Aws {
        key_id: "test-key".into(),
        secret: "test-secret".into(),
    };
    let server = ObjectServer::start(account).unwrap();
    let store = s3_client(&server, "test-secret", &[]);
    (server, store)
}

pub(crate) fn s3_client(server: &ObjectServer, secret: &str, more: &[(&str, &str)]) -> Store {
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

pub(crate) fn gcs() -> (ObjectServer, Store) {
    let account = Account::google(EMAIL, GCS_KEY).unwrap();
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

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
