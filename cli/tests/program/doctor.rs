//! `sundog doctor` where something is broken: what, how to mend it, and the exit code.

use crate::services::{self, S3_SECRET, objects, store, told};
use crate::{lines, program};
use cloud::testing::{Redis, available};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// What the checks found, by name.
pub struct Told {
    pub code: i32,
    text: String,
    checks: Vec<Value>,
}

impl Told {
    /// Lets a command with its environment look.
    pub fn by(command: &mut Command) -> Told {
        let (code, text, err) = told(command.args(["doctor", "--json"]));
        assert!(err.is_empty(), "{err}");
        Told {
            code,
            checks: lines(&text),
            text,
        }
    }

    /// A check that must have found something broken, with these words, and a fix that names `mend`.
    pub fn broken(&self, check: &str, words: &[&str], mend: &str) {
        let found = self.checks.iter().find(|found| found["check"] == check);
        let found = found.unwrap_or_else(|| panic!("no {check}: {}", self.text));
        assert_eq!(found["state"], "broken", "{found}");
        let said = found["found"].as_str().unwrap();
        assert!(words.iter().any(|word| said.contains(word)), "{found}");
        assert!(found["fix"].as_str().unwrap().contains(mend), "{found}");
    }

    /// Nothing of this was told.
    pub fn hides(&self, secret: &str) {
        assert!(!self.text.contains(secret), "{}", self.text);
    }
}

fn doctor(dir: &Path, environment: &[(String, String)]) -> Command {
    let mut command = program(dir);
    // Neither mpirun nor its ranks: they are looked at elsewhere.
    command.env("PATH", dir).envs(environment.iter().cloned());
    command
}

/// An address of this machine where nobody listens.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn set(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

#[test]
fn what_does_not_answer_is_named_with_its_fix() {
    let dir = tempfile::tempdir().unwrap();
    let environment = [
        set(
            "SUNDOG_BROKER",
            format!("amqp://ada:hush1@{}/%2f", closed()),
        ),
        set("SUNDOG_REDIS", format!("redis://:hush2@{}/0", closed())),
        set("SUNDOG_GATEWAY", format!("http://{}/", closed())),
        set("SUNDOG_TOKEN", "sundog_hush3"),
        set("SUNDOG_STORE", "s3://bucket/sundog"),
        set("SUNDOG_S3_ENDPOINT", format!("http://{}", closed())),
        set("AWS_ACCESS_KEY_ID", "ada"),
        set("AWS_SECRET_ACCESS_KEY", "hush4"),
        set("AWS_REGION", "us-east-1"),
    ];
    let told = Told::by(&mut doctor(dir.path(), &environment));
    assert_eq!(told.code, 1);
    told.broken("broker", &["refused", "no answer"], "start RabbitMQ");
    told.broken("Redis", &["refused", "no answer"], "start Redis");
    told.broken("gateway", &["refused", "reach"], "SUNDOG_GATEWAY");
    told.broken(
        "store",
        &["refused", "no answer", "reach"],
        "SUNDOG_S3_ENDPOINT",
    );
    told.hides("hush");

    // The same for people.
    let (code, out, _) = services::told(doctor(dir.path(), &environment[..1]).arg("doctor"));
    assert_eq!(code, 1);
    assert!(
        out.contains("broken   broker: ") && out.contains("fix: start RabbitMQ"),
        "{out}"
    );
    assert!(
        out.contains("missing  mpirun: ") && out.contains("fix: install Open MPI"),
        "{out}"
    );
}

#[test]
fn a_store_without_permission_is_named_with_its_fix() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let server = objects();
    let told = Told::by(&mut doctor(dir, &store(&server)));
    assert_eq!(told.code, 0, "{}", told.text);

    let mut wrong = doctor(dir, &store(&server));
    let told = Told::by(wrong.env("AWS_SECRET_ACCESS_KEY", "another-hush"));
    assert_eq!(told.code, 1);
    let words = ["permission", "credentials", "refused", "forbidden", "403"];
    told.broken("store", &words, "list, read, write and delete");
    told.broken("signed links", &["403"], "let the credentials sign");
    told.hides("another-hush");
    told.hides(S3_SECRET);

    // A directory that cannot be made, since a file is in its way.
    std::fs::write(dir.join("file"), "in the way").unwrap();
    let below = format!("file://{}", dir.join("file/store").display());
    let told = Told::by(&mut doctor(dir, &[set("SUNDOG_STORE", below)]));
    assert_eq!(told.code, 1);
    told.broken("store", &["file/store"], "SUNDOG_STORE");
}

/// A store that answers a browser's question, whether a page of this origin may come.
fn lets_in(origin: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\naccess-control-allow-origin: {origin}\r\naccess-control-allow-methods: GET, PUT\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let n = stream.read(&mut head).unwrap();
            let asked = String::from_utf8_lossy(&head[..n]).to_lowercase();
            let asks =
                asked.starts_with("options ") && asked.contains("origin: https://page.example");
            let refused =
                "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let text = if asks { &answer } else { refused };
            let _ = stream.write_all(text.as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn a_store_that_does_not_let_the_page_in_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let found = |endpoint: String| {
        let environment = [
            set("SUNDOG_STORE", "s3://bucket/sundog"),
            set("SUNDOG_S3_ENDPOINT", endpoint),
            set("SUNDOG_PUBLIC_URL", "https://page.example/"),
            set("AWS_ACCESS_KEY_ID", "ada"),
            set("AWS_SECRET_ACCESS_KEY", "hush"),
            set("AWS_REGION", "us-east-1"),
        ];
        let told = Told::by(&mut doctor(dir.path(), &environment));
        let found = told
            .checks
            .iter()
            .find(|found| found["check"] == "page and store");
        found.unwrap().clone()
    };
    assert_eq!(found(lets_in("https://page.example"))["state"], "ok");
    let other = found(lets_in("https://other.example"));
    assert_eq!(other["state"], "missing", "{other}");
    assert!(
        other["found"]
            .as_str()
            .unwrap()
            .contains("https://page.example")
    );
    assert!(other["fix"].as_str().unwrap().contains("put-bucket-cors"));
}

#[test]
fn settings_and_passwords_that_are_wrong_are_named_without_being_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let told = Told::by(&mut doctor(
        dir,
        &[set("SUNDOG_BROKER", "amqp//ada:hush@host")],
    ));
    assert_eq!(told.code, 1);
    told.broken("broker", &["SUNDOG_BROKER"], "correct the setting");
    told.hides("hush");

    if !available(Redis::program(), "Redis") {
        return;
    }
    let mut redis = Redis::start().unwrap();
    let right = redis.url();
    let (_, place) = right.split_once('@').unwrap();
    let wrong = [set("SUNDOG_REDIS", format!("redis://:hush@{place}"))];
    let told = Told::by(&mut doctor(dir, &wrong));
    assert_eq!(told.code, 1);
    told.broken(
        "Redis",
        &["password", "WRONGPASS", "refused"],
        "SUNDOG_REDIS",
    );
    told.hides("hush");
    let right = [set("SUNDOG_REDIS", right)];
    assert_eq!(Told::by(&mut doctor(dir, &right)).code, 0);
    redis.kill();
    let told = Told::by(&mut doctor(dir, &right));
    assert_eq!(told.code, 1);
    told.broken("Redis", &["refused", "no answer"], "start Redis");
}

#[test]
fn what_a_run_over_a_folder_would_meet_is_told() {
    let dir = crate::photos();
    let dir = dir.path();
    let look = |folder: &str| {
        let (code, text, err) = crate::run(dir, &["doctor", folder, "--json"]);
        assert!(err.is_empty(), "{err}");
        (code, lines(&text))
    };
    let state = |checks: &[Value], check: &str| {
        let found = checks.iter().find(|found| found["check"] == check).unwrap();
        (
            found["state"].as_str().unwrap().to_owned(),
            found["found"].to_string(),
        )
    };
    let (code, checks) = look("photos");
    assert_eq!((code, checks.len()), (0, 4));
    assert!(
        checks.iter().all(|found| found["state"] == "ok"),
        "{checks:?}"
    );
    assert!(state(&checks, "images").1.contains("3 "), "{checks:?}");
    std::fs::write(dir.join("photos/broken.png"), "none").unwrap();
    std::fs::copy(dir.join("photos/a.ppm"), dir.join("photos/A.pnm")).unwrap();
    std::fs::write(dir.join("photos/.DS_Store"), "x").unwrap();
    let (code, checks) = look("photos");
    assert_eq!(code, 1);
    let (state_of, found) = state(&checks, "headers");
    assert!(
        state_of == "broken" && found.contains("broken.png: "),
        "{found}"
    );
    let (state_of, found) = state(&checks, "names");
    assert!(state_of == "missing" && found.contains("A.pnm"), "{found}");
    assert!(state(&checks, "images").1.contains("1 junk"));
    assert_eq!(look("nowhere").0, 1);
}
