//! `sundog doctor` where something is broken: what, how to mend it, and the exit code.

use crate::services::{self, S3_SECRET, objects, store, told};
use crate::{lines, program};
use cloud::testing::{Redis, available};
use serde_json::Value;
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
