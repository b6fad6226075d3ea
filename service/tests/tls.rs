//! TLS of a service's own: spoken, read again when the certificate changes, and refused to whoever speaks plainly.

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::routing::get;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use service::{Front, Limits, Tls};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

/// Writes a new certificate and its key; returns the certificate.
fn renew(dir: &Path) -> String {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = dir.join("key.pem");
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(dir.join("cert.pem"), cert.pem()).unwrap();
    cert.pem()
}

fn client(root: &str) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(root.as_bytes()).unwrap();
    let builder = reqwest::Client::builder().tls_certs_only([root]).no_proxy();
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_renewed_is_the_one_that_is_shown() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let first = renew(dir.path());
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let tls = Tls::open(&cert, &key).unwrap();
    let listener = service::listen("127.0.0.1:0".parse().unwrap(), true)
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let url = format!("https://localhost:{}/", addr.port());
    let router = Router::new().route("/", get(|| async { "safe" }));
    let front = Front {
        tls: Some(tls),
        ..Front::default()
    };
    let shutdown = CancellationToken::new();
    let served =
        service::serve_behind(listener, router, Limits::default(), front, shutdown.clone());
    let served = tokio::spawn(served);
    let answer = client(&first).get(&url).send().await.unwrap();
    assert!(answer.headers().contains_key("strict-transport-security"));
    assert_eq!(answer.text().await.unwrap(), "safe");

    // Whoever speaks plainly is not answered.
    let mut plain = tokio::net::TcpStream::connect(addr).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"HTTP/"), "{said:?}");

    // One that cannot be used changes nothing.
    std::fs::write(&cert, "none").unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(client(&first).get(&url).send().await.is_ok());
    let second = renew(dir.path());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(client(&second).get(&url).send().await.is_ok());
    assert!(client(&first).get(&url).send().await.is_err());
    shutdown.cancel();
    served.await.unwrap();
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    renew(dir.path());
    let key = dir.path().join("key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = Tls::open(&dir.path().join("cert.pem"), &key).unwrap_err();
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
    let missing = Tls::open(&dir.path().join("none.pem"), &key).unwrap_err();
    assert!(missing.to_string().contains("--tls-cert"), "{missing}");
}
