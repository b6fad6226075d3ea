//! A real `sundog serve` with TLS of its own and a proxy that it trusts, and what its audit says.

use crate::server::Serve;
use crate::{lines, program};
use cloud::testing::{available, find_program};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Makes a certificate for this machine's loopback addresses.
fn certificate(dir: &Path) {
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    let made = Command::new("openssl")
        .current_dir(dir)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args([
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            names,
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let own = fs::Permissions::from_mode(0o600);
    fs::set_permissions(dir.join("key.pem"), own).unwrap();
}

/// The status of a request.
fn curl(dir: &Path, more: &[&str]) -> String {
    let mut command = Command::new("curl");
    command
        .current_dir(dir)
        .args(["--silent", "--noproxy", "*", "--output", "answer"]);
    let done = command
        .args(["--write-out", "%{http_code}"])
        .args(more)
        .output()
        .unwrap();
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn serve_speaks_tls_and_notes_who_did_what_from_where() {
    let tools = ["openssl", "curl"].map(|name| available(find_program(name), name));
    if tools != [true, true] {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    certificate(dir);
    let more = [
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
        "--trusted-proxies",
        "127.0.0.1",
        "--audit-file",
        "audit.jsonl",
    ];
    let serve = Serve::with(dir, &more);
    assert!(
        serve.address.starts_with("https://127.0.0.1:"),
        "{}",
        serve.address
    );
    let health = format!("{}healthz", serve.address);
    assert_eq!(curl(dir, &["--cacert", "cert.pem", &health]), "200");
    // Not known to those who do not know the certificate, nor spoken plainly.
    assert_eq!(curl(dir, &[&health]), "000");
    assert_ne!(curl(dir, &[&health.replace("https:", "http:")]), "200");
    // Commands of the same user find it, where the system knows the certificate.
    let list = program(dir)
        .arg("list")
        .env("SSL_CERT_FILE", "cert.pem")
        .output()
        .unwrap();
    assert!(
        list.status.success(),
        "{}",
        String::from_utf8_lossy(&list.stderr)
    );
    assert!(!program(dir).arg("list").output().unwrap().status.success());

    let token = format!("Authorization: Bearer {}", serve.token());
    let job = format!("{}v1/jobs/X", serve.address);
    let delete = [
        "--cacert",
        "cert.pem",
        "--request",
        "DELETE",
        "--header",
        "X-Request-Id: r-1",
    ];
    let ask = |more: &[&str]| curl(dir, &[&delete[..], more, &[job.as_str()]].concat());
    assert_eq!(
        ask(&[
            "--header",
            &token,
            "--header",
            "X-Forwarded-For: 6.6.6.6, 198.51.100.7"
        ]),
        "404"
    );
    assert_eq!(
        ask(&["--header", "Authorization: Bearer sundog_wrong"]),
        "401"
    );
    let text = fs::read_to_string(dir.join("audit.jsonl")).unwrap();
    assert!(!text.contains(serve.token()) && !text.contains("sundog_wrong"));
    let acts = lines(&text);
    assert_eq!(acts.len(), 2, "{text}");
    for (key, value) in [
        ("operation", "deleteJob"),
        ("method", "DELETE"),
        ("path", "/v1/jobs/X"),
        ("from", "198.51.100.7"),
        ("outcome", "refused"),
        ("request", "r-1"),
    ] {
        assert_eq!(acts[0][key], value, "{text}");
    }
    assert!(acts[0]["user"].is_string() && acts[0]["status"] == 404);
    assert!(acts[1]["user"].is_null() && acts[1]["status"] == 401);
    assert_eq!(acts[1]["from"], "127.0.0.1");

    let both = program(dir)
        .args(["serve", "--tls-cert", "cert.pem"])
        .output()
        .unwrap();
    assert_eq!(both.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&both.stderr).contains("--tls-key"));
}
