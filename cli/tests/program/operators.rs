//! Those who have the services' credentials, and those who have a token: one cluster, with its objects on a
//! server that checks every signature.

use crate::doctor::Told;
use crate::server::{ended, long_pictures, wait};
use crate::services::{self, Cluster, S3_SECRET, objects, store, told};
use crate::{lines, photos, program, receipt, run};
use cloud::config::Config;
use cloud::testing::objects::ObjectServer;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PIPELINE: &str = "invert | gaussian(sigma=1)";

#[test]
fn with_credentials_or_with_a_token_a_job_is_its_owners_alone() {
    if !services::there() {
        return;
    }
    let dir = photos();
    let dir = dir.path();
    let server = objects();
    let cluster = Cluster::on(dir, store(&server));
    let job = directly(&cluster, &server, dir);
    a_changed_output_is_refused(&cluster, dir, &job);
    cancelled(&cluster, dir);
    tokens(&cluster, dir, &job);
    a_wrong_password(&cluster, dir);
    assert_eq!(server.refusals(), Vec::<&str>::new());
    let log = fs::read_to_string(dir.join("n1.log")).unwrap();
    assert!(log.contains("a job has ended"), "{log}");
    for secret in [S3_SECRET, "guest:guest", "X-Amz-Signature"] {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
}

/// From local files to verified results without a gateway.
fn directly(cluster: &Cluster, server: &ObjectServer, dir: &Path) -> String {
    let (code, out, err) = cluster.run(dir, &["submit", "photos", "-p", PIPELINE]);
    assert_eq!(code, 0, "{err}");
    let job = out.trim().to_owned();
    // The files went up by links alone.
    let puts = server.linked();
    let puts = puts
        .iter()
        .filter(|done| done.starts_with("PUT bucket/sundog/uploads/ada/"));
    assert_eq!(puts.count(), 3, "{:?}", server.linked());

    let (code, out, err) = cluster.run(dir, &["watch", &job, "--json"]);
    assert_eq!(code, 0, "{err}");
    let events = lines(&out);
    let numbers = events.iter().map(|event| event["seq"].as_u64().unwrap());
    assert!(numbers.eq(1..=events.len() as u64), "{out}");
    assert_eq!(events.last().unwrap()["state"], "succeeded");

    let (code, out, err) = cluster.run(dir, &["results", &job, "--json", "--expires", "90s"]);
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains(S3_SECRET), "{out}");
    let results = lines(&out).remove(0);
    for result in results["results"].as_array().unwrap() {
        assert!(
            result["url"].as_str().unwrap().contains("X-Amz-Signature="),
            "{result}"
        );
        assert!(result["expires"].is_string(), "{result}");
    }
    let (code, _, err) = cluster.run(dir, &["results", &job, "--download", "out"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("3 files fetched"), "{err}");
    assert!(
        cluster
            .run(dir, &["verify", "out"])
            .2
            .contains("3 of 3 outputs match")
    );
    assert_eq!(
        run(dir, &["run", "photos", "-o", "here", "-p", PIPELINE]).0,
        0
    );
    for name in ["a.ppm", "b.ppm", "more/c.ppm"] {
        let read = |out: &str| fs::read(dir.join(out).join(name)).unwrap();
        assert!(read("out") == read("here"), "{name}");
    }
    job
}

/// An output that somebody changed in the store is not taken for the result.
fn a_changed_output_is_refused(cluster: &Cluster, dir: &Path, job: &str) {
    let receipt = receipt(dir, "out/sundog-receipt.json");
    let (task, object) = (
        &receipt["tasks"][0],
        receipt["tasks"][0]["object"].as_str().unwrap(),
    );
    let output = task["output"].as_str().unwrap();
    let name = format!("jobs/{job}/{object}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (store, whole) = runtime.block_on(async {
        let config = Config::from_vars(cluster.environment()).unwrap();
        let store = config.store(dir).unwrap();
        let whole = store.get(&name, 1 << 20).await.unwrap();
        let mut changed = whole.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        store
            .put(&name, changed.into(), "image/x-portable-pixmap")
            .await
            .unwrap();
        (store, whole)
    });
    let (code, _, err) = cluster.run(dir, &["results", job, "--download", "changed"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("differ from the receipt's hash"), "{err}");
    let file = Path::new("changed").join(output.trim_start_matches("out/"));
    assert!(!dir.join(file).exists());
    let put = store.put(&name, whole, "image/x-portable-pixmap");
    runtime.block_on(put).unwrap();
    let (code, _, err) = cluster.run(dir, &["results", job, "--download", "changed"]);
    assert_eq!(code, 0, "{err}");
}

fn cancelled(cluster: &Cluster, dir: &Path) {
    long_pictures(dir);
    let submit = ["submit", "many", "-p", "median(radius=12)"];
    let (code, out, err) = cluster.run(dir, &submit);
    assert_eq!(code, 0, "{err}");
    let job = out.trim();
    let status = || lines(&cluster.run(dir, &["status", job, "--json"]).1).remove(0);
    wait("nothing ended", || ended(&status()) > 0);
    assert_eq!(cluster.run(dir, &["cancel", job]).0, 0);
    let (code, _, err) = cluster.run(dir, &["watch", job]);
    assert_eq!(code, 1, "{err}");
    let found = status();
    assert_eq!((&found["state"], ended(&found)), (&"cancelled".into(), 40));
}

/// A gateway with a file of tokens, ended with the value.
struct Gateway {
    child: Child,
    address: String,
}

impl Gateway {
    fn start(cluster: &Cluster, dir: &Path) -> Gateway {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        drop(listener);
        let log = fs::File::create(dir.join("gateway.log")).unwrap();
        let mut command = cluster.command(dir);
        command.args(["gateway", "--tokens", "tokens.toml", "--listen", &at]);
        command.stdout(Stdio::null()).stderr(log);
        Gateway {
            child: command.spawn().unwrap(),
            address: format!("http://{at}/"),
        }
    }

    /// A user's command through it, who has nothing but a token.
    fn run(&self, dir: &Path, token: &str, arguments: &[&str]) -> (i32, String, String) {
        let mut command: Command = program(dir);
        command
            .env("SUNDOG_GATEWAY", &self.address)
            .env("SUNDOG_TOKEN", token);
        told(command.args(arguments))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ada sees through the gateway what she submitted directly; Eve sees nothing of it; a token that is taken away
/// is worth nothing at once.
fn tokens(cluster: &Cluster, dir: &Path, job: &str) {
    let add = |user: &str| {
        let (code, out, err) = run(dir, &["token", "add", user, "--file", "tokens.toml"]);
        assert_eq!(code, 0, "{err}");
        out.trim().to_owned()
    };
    let (ada, eve) = (add("ada"), add("eve"));
    let file = fs::read_to_string(dir.join("tokens.toml")).unwrap();
    assert!(!file.contains(&ada) && !file.contains(&eve), "{file}");
    let gateway = Gateway::start(cluster, dir);
    wait("the gateway does not answer", || {
        gateway.run(dir, &ada, &["list"]).0 == 0
    });

    let (_, out, _) = gateway.run(dir, &ada, &["list", "--json"]);
    assert!(
        lines(&out).iter().any(|found| found["job"] == *job),
        "{out}"
    );
    assert_eq!(
        gateway
            .run(dir, &ada, &["results", job, "--download", "ada"])
            .0,
        0
    );
    assert!(run(dir, &["verify", "ada"]).2.contains("3 of 3"));

    let (code, out, _) = gateway.run(dir, &eve, &["list", "--json"]);
    assert_eq!((code, out.as_str()), (0, ""));
    let path = dir.join("eve").display().to_string();
    for arguments in [
        vec!["status", job],
        vec!["watch", job],
        vec!["results", job],
        vec!["results", job, "--download", &path],
        vec!["cancel", job],
        vec!["retry", job],
    ] {
        let (code, out, err) = gateway.run(dir, &eve, &arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}: {err}");
        assert!(err.contains("there is no job"), "{arguments:?}: {err}");
    }
    assert!(!dir.join("eve").exists());
    // Her answer is that of a job that never was.
    let asked = |token: &str, job: &str| ask(&gateway.address, token, job);
    let [(status, body), (never, nothing)] = [job, "01JNOSUCHJOB"].map(|job| asked(&eve, job));
    assert_eq!((status, never), (404, 404));
    let alike = |body: Value, job: &str| body.to_string().replace(job, "JOB");
    assert_eq!(alike(body, job), alike(nothing, "01JNOSUCHJOB"));

    // Eve's own job works, until her token is gone.
    let (code, own, err) = gateway.run(dir, &eve, &["submit", "photos", "-p", "invert", "--watch"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, _) = gateway.run(dir, &ada, &["status", own.trim()]);
    assert_eq!(code, 1);
    let entries: Vec<&str> = file.split("[[token]]").collect();
    let kept: Vec<&str> = entries
        .into_iter()
        .filter(|entry| !entry.contains("\"eve\""))
        .collect();
    fs::write(dir.join("tokens.toml"), kept.join("[[token]]")).unwrap();
    assert_eq!(asked(&eve, own.trim()).0, 401);
    let (code, _, err) = gateway.run(dir, &eve, &["list"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("SUNDOG_TOKEN") && !err.contains(&eve), "{err}");
    assert_eq!(gateway.run(dir, &ada, &["list"]).0, 0);
    let log = fs::read_to_string(dir.join("gateway.log")).unwrap();
    for secret in [&ada, &eve, S3_SECRET] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// The status and the body of an answer about a job.
fn ask(address: &str, token: &str, job: &str) -> (u16, Value) {
    // For the client below; an error means that another test did.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let ask = client
            .get(format!("{address}v1/jobs/{job}"))
            .bearer_auth(token);
        let answer = ask.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    })
}

fn a_wrong_password(cluster: &Cluster, dir: &Path) {
    let right = Told::by(cluster.command(dir).env("PATH", dir));
    assert_eq!(right.code, 0);
    let wrong = cluster.rabbit.url().replace("guest:guest", "guest:hush");
    let mut command = cluster.command(dir);
    let told = Told::by(command.env("SUNDOG_BROKER", wrong).env("PATH", dir));
    assert_eq!(told.code, 1);
    told.broken(
        "broker",
        &["ACCESS_REFUSED", "refused", "password"],
        "SUNDOG_BROKER",
    );
    told.hides("hush");
}
