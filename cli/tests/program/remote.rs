//! Inputs and outputs behind URLs, against servers that check every signature.

use super::{lines, photos, picture, program};
use cloud::config::{Config, Location};
use cloud::store::Store;
use cloud::testing::Weather;
use cloud::testing::objects::{Account, Fault, ObjectServer};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Made for tests; it opens nothing.
const GCS_KEY: &str = include_str!("../../../cloud/tests/gcs-test-key.pem");
const EMAIL: &str = "tests@example.iam.gserviceaccount.com";

/// A server with a bucket, and what its clients need to know.
struct Bucket {
    server: ObjectServer,
    variables: Vec<(String, String)>,
    store: Store,
    runtime: tokio::runtime::Runtime,
    dir: TempDir,
}

impl Bucket {
    fn new(server: ObjectServer, variables: &[(&str, &str)], address: &str) -> Bucket {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<_> = variables.iter().map(owned).collect();
        let config = Config::from_vars(variables.clone()).unwrap();
        let store = config.open(&Location::parse(address).unwrap()).unwrap();
        let dir = photos();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        Bucket {
            server,
            variables,
            store,
            runtime: tokio::runtime::Runtime::new().unwrap(),
            dir,
        }
    }

    fn s3() -> Bucket {
        let server = ObjectServer::start(Account::Aws {
            key_id: "test-key".into(),
            secret: "test-secret".into(),
        });
        let server = server.unwrap();
        let url = server.url();
        let variables = [
            ("SUNDOG_S3_ENDPOINT", url.as_str()),
            ("AWS_ACCESS_KEY_ID", "test-key"),
            ("AWS_SECRET_ACCESS_KEY", "test-secret"),
            ("AWS_REGION", "eu-test-1"),
        ];
        Bucket::new(server, &variables, "s3://bucket")
    }

    fn gcs() -> Bucket {
        let server = ObjectServer::start(Account::google(EMAIL, GCS_KEY).unwrap()).unwrap();
        let account = serde_json::json!({
            "type": "service_account",
            "private_key": GCS_KEY,
            "private_key_id": "1",
            "client_email": EMAIL,
            "gcs_base_url": server.url(),
        });
        let account = account.to_string();
        let variables = [
            ("GOOGLE_SERVICE_ACCOUNT_KEY", account.as_str()),
            ("GOOGLE_ALLOW_HTTP", "true"),
        ];
        Bucket::new(server, &variables, "gs://bucket")
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Exit code, stdout, stderr. Nothing may be left in the temporary folder, and no signature be wrong.
    fn sundog(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = program(self.path());
        command.args(arguments);
        command.envs(self.variables.iter().map(|(n, v)| (n, v)));
        command.env("TMPDIR", self.path().join("tmp"));
        let output = command.output().unwrap();
        let left = fs::read_dir(self.path().join("tmp")).unwrap().count();
        assert_eq!(left, 0, "temporary files are left");
        assert!(self.server.refusals().is_empty());
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    fn put(&self, name: &str, bytes: Vec<u8>) {
        let put = self
            .store
            .put(name, bytes.into(), "image/x-portable-anymap");
        self.runtime.block_on(put).unwrap();
    }

    /// The pictures under `raw/`.
    fn fill(&self) {
        for name in ["a.ppm", "b.ppm", "more/c.ppm"] {
            let bytes = fs::read(self.path().join("photos").join(name)).unwrap();
            self.put(&format!("raw/{name}"), bytes);
        }
    }

    fn get(&self, name: &str) -> Vec<u8> {
        let got = self.runtime.block_on(self.store.get(name, 1 << 30));
        got.unwrap().to_vec()
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let found = self.runtime.block_on(self.store.list(prefix)).unwrap();
        found.into_iter().map(|meta| meta.name).collect()
    }

    fn receipt(&self, name: &str) -> Value {
        let bytes = self.get(name);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(!text.contains("sundog-scratch"), "{text}");
        serde_json::from_slice(&bytes).unwrap()
    }
}

const PIPELINE: [&str; 4] = ["-p", "gaussian(sigma=2)", "--format", "png"];

#[test]
fn objects_become_objects_with_the_pixels_of_files() {
    let bucket = Bucket::s3();
    bucket.fill();
    bucket.put("raw/damaged.ppm", b"P6 9 9 255\nshort".to_vec());
    bucket.put("raw/notes.txt", b"no image".to_vec());
    let local = [&["run", "photos", "-o", "local"][..], &PIPELINE].concat();
    assert_eq!(bucket.sundog(&local).0, 0);
    let urls = ["run", "s3://bucket/raw", "-o", "s3://bucket/done"];
    let mut worlds = vec![vec!["--threads", "2"], vec!["--thread-ranks", "3"]];
    let worker = assert_cmd::cargo::cargo_bin!("sundog").with_file_name("sundog-worker");
    if worker.is_file() && cloud::testing::find_program("mpirun").is_some() {
        worlds.push(vec!["--ranks", "2"]);
    }
    for (n, ranks) in worlds.iter().enumerate() {
        let all = [&urls[..], &PIPELINE, ranks, &["--json"]].concat();
        let (code, out, err) = bucket.sundog(&all);
        assert_eq!(code, 3, "{err}");
        for name in ["a.png", "b.png", "more/c.png"] {
            let expected = fs::read(bucket.path().join("local").join(name)).unwrap();
            assert!(bucket.get(&format!("done/{name}")) == expected, "{name}");
        }
        let events = lines(&out);
        let finished = events.iter().filter(|e| e["event"] == "task_finished");
        let mut told: Vec<(&str, &str, Option<&str>)> = finished
            .map(|e| {
                let text = |key: &str| e[key].as_str();
                (
                    text("input").unwrap(),
                    text("state").unwrap(),
                    text("output"),
                )
            })
            .collect();
        told.sort();
        let (raw, done) = ("s3://bucket/raw", "s3://bucket/done");
        assert_eq!(
            told,
            [
                (
                    &*format!("{raw}/a.ppm"),
                    "succeeded",
                    Some(&*format!("{done}/a.png"))
                ),
                (
                    &*format!("{raw}/b.ppm"),
                    "succeeded",
                    Some(&*format!("{done}/b.png"))
                ),
                (&*format!("{raw}/damaged.ppm"), "failed", None),
                (
                    &*format!("{raw}/more/c.ppm"),
                    "succeeded",
                    Some(&*format!("{done}/more/c.png"))
                ),
            ],
            "run {n}"
        );
        assert_eq!(events.last().unwrap()["event"], "job_finished");
    }
    let names = bucket.names("done");
    let expected = ["a.png", "b.png", "more/c.png", "sundog-receipt.json"];
    assert_eq!(names, expected.map(|name| format!("done/{name}")));
    let receipt = bucket.receipt("done/sundog-receipt.json");
    assert_eq!(receipt["spec"]["inputs"][0], "s3://bucket/raw");
    assert_eq!(receipt["spec"]["output"], "s3://bucket/done");
    assert_eq!(receipt["counts"]["failed"], 1);
    assert_eq!(
        bucket.server.content_type("bucket/done/a.png").unwrap(),
        "image/png"
    );
}

#[test]
fn receipts_of_objects_are_retried_verified_and_reproduced() {
    let bucket = Bucket::s3();
    bucket.fill();
    let whole = bucket.get("raw/a.ppm");
    bucket.put("raw/a.ppm", whole[..100].to_vec());
    let urls = ["run", "s3://bucket/raw", "-o", "s3://bucket/done/"];
    let all = [&urls[..], &PIPELINE].concat();
    assert_eq!(bucket.sundog(&all).0, 3);
    bucket.put("raw/a.ppm", whole);
    let receipt = "s3://bucket/done/sundog-receipt.json";
    let (code, _, err) = bucket.sundog(&["run", "--retry-failed", receipt]);
    assert_eq!(code, 0, "{err}");
    let told = bucket.receipt("done/sundog-receipt.json");
    assert_eq!(told["tasks"].as_array().unwrap().len(), 3);
    assert_eq!(told["counts"]["succeeded"], 3);
    let (code, _, err) = bucket.sundog(&["verify", "s3://bucket/done"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = bucket.sundog(&["reproduce", receipt]);
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = bucket.sundog(&[&all[..], &["--skip-existing", "--json"]].concat());
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains("task_finished"), "{out}");
    bucket.put("done/b.png", b"other bytes".to_vec());
    assert_eq!(bucket.sundog(&["verify", receipt]).0, 1);
}

#[test]
fn one_object_of_google_cloud_becomes_one_file_and_the_other_way_round() {
    let bucket = Bucket::gcs();
    bucket.fill();
    let (code, _, err) = bucket.sundog(&[
        "run",
        "gs://bucket/raw/m*/?.ppm",
        "-o",
        "out",
        "-p",
        "invert",
    ]);
    assert_eq!(code, 0, "{err}");
    let inverted = fs::read(bucket.path().join("out/more/c.ppm")).unwrap();
    let plain = bucket.get("raw/more/c.ppm");
    assert_eq!(inverted.last().unwrap() ^ plain.last().unwrap(), 255);
    let job =
        "inputs = [\"photos/a.ppm\"]\noutput = \"gs://bucket/one/x.png\"\npipeline = \"invert\"\n";
    fs::write(bucket.path().join("job.toml"), job).unwrap();
    let (code, _, err) = bucket.sundog(&["run", "--spec", "job.toml"]);
    assert_eq!(code, 0, "{err}");
    let names = bucket.names("one");
    assert_eq!(names, ["one/x.png", "one/x.png.sundog-receipt.json"]);
    let receipt = bucket.receipt("one/x.png.sundog-receipt.json");
    assert_eq!(receipt["tasks"][0]["output"], "gs://bucket/one/x.png");
    let url = "gs://bucket/one/x.png.sundog-receipt.json";
    assert_eq!(bucket.sundog(&["verify", url]).0, 0);
}

#[test]
fn objects_are_reduced_as_files_are() {
    let bucket = Bucket::s3();
    let whole = fs::read(bucket.path().join("photos/a.ppm")).unwrap();
    let mut darker = whole.clone();
    let last = darker.len() - 1;
    darker[last] ^= 8;
    for (name, bytes) in [("1.ppm", &whole), ("2.ppm", &darker)] {
        bucket.put(&format!("stack/{name}"), bytes.clone());
        fs::write(bucket.path().join(name), bytes).unwrap();
    }
    let (code, _, err) = bucket.sundog(&["reduce", "max", "1.ppm", "2.ppm", "-o", "files.png"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = bucket.sundog(&["reduce", "max", "s3://bucket/stack/", "-o", "urls.png"]);
    assert_eq!(code, 0, "{err}");
    let read = |name: &str| fs::read(bucket.path().join(name)).unwrap();
    assert_eq!(read("files.png"), read("urls.png"));
}

#[test]
fn an_output_that_the_store_does_not_take_is_a_failed_image() {
    let bucket = Bucket::s3();
    // A request and all times that it is tried again.
    bucket.server.fail(&[Fault::FailBefore; 6]);
    let (code, _, err) = bucket.sundog(&[
        "run",
        "photos/a.ppm",
        "-o",
        "s3://bucket/done/",
        "-p",
        "invert",
    ]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("its output could not be stored"), "{err}");
    let receipt = bucket.receipt("done/sundog-receipt.json");
    assert_eq!(receipt["state"], "failed");
    assert_eq!(receipt["tasks"][0]["state"], "failed");
    assert_eq!(receipt["tasks"][0]["output"], Value::Null);
}

#[test]
fn what_cannot_be_fetched_is_named_and_bounded() {
    let bucket = Bucket::s3();
    bucket.fill();
    let url = "s3://bucket/none.jpg";
    let (code, _, err) = bucket.sundog(&["run", url, "photos/a.ppm", "-o", "out", "-p", "invert"]);
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("s3://bucket/none.jpg: no such object"),
        "{err}"
    );
    let limited = ["run", "s3://bucket/raw", "-o", "out", "--max-bytes", "1KiB"];
    let (code, _, err) = bucket.sundog(&limited);
    assert!(code == 3 || code == 5, "{err}");
    assert!(err.contains("raise it with --max-bytes"), "{err}");
}

/// A small disk where the temporary folder was, unmounted when dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// None, and why, where that cannot be made.
    fn mount(at: &Path, size: &str) -> Option<SmallDisk> {
        let size = format!("size={size}");
        let mount = ["-t", "tmpfs", "-o", &size, "tmpfs"];
        let mounted = Command::new("mount").args(mount).arg(at).output();
        let why = match mounted {
            Ok(done) if done.status.success() => return Some(SmallDisk(at.to_owned())),
            Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        eprintln!("SKIPPED: no small disk can be mounted here (that takes root): {why}");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn what_does_not_fit_on_the_disk_is_refused_before_it_is_fetched() {
    let bucket = Bucket::s3();
    let Some(_disk) = SmallDisk::mount(&bucket.path().join("tmp"), "1m") else {
        return;
    };
    let large = bucket.path().join("large.ppm");
    picture(&large, 500, 450);
    for name in ["raw/a.ppm", "raw/b.ppm"] {
        bucket.put(name, fs::read(&large).unwrap());
    }
    let one = "s3://bucket/raw/a.ppm";
    let both = ["s3://bucket/raw", one];
    let named = [one, "s3://bucket/raw/b.ppm"];
    for inputs in [&both[..1], &named[..]] {
        let arguments = [&["run"], inputs, &["-o", "out", "-p", "invert"]].concat();
        let (code, _, err) = bucket.sundog(&arguments);
        assert_eq!(code, 5, "{err}");
        for part in ["the inputs are 1.29 MiB", "has room for 1", "TMPDIR"] {
            assert!(err.contains(part), "{part}: {err}");
        }
        assert!(!bucket.path().join("out").exists());
    }
    // One of them fits; its output beside it does not.
    let fits = ["run", one, "-o", "out", "-p", "invert"];
    let (code, _, err) = bucket.sundog(&fits);
    assert_eq!(code, 0, "{err}");
    let sent = ["run", one, "-o", "s3://bucket/done", "-p", "invert"];
    let (code, _, err) = bucket.sundog(&sent);
    assert_eq!(code, 1, "{err}");
    for part in ["s3://bucket/done/a.ppm: No space left", "TMPDIR"] {
        assert!(err.contains(part), "{part}: {err}");
    }
}

#[test]
fn a_store_that_does_not_answer_is_exit_code_4_before_any_work() {
    let mut bucket = Bucket::s3();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for (name, value) in &mut bucket.variables {
        if name == "SUNDOG_S3_ENDPOINT" {
            value.clone_from(&closed);
        }
    }
    for (input, output) in [("s3://bucket/raw", "out"), ("photos", "s3://bucket/done")] {
        let (code, _, err) = bucket.sundog(&["run", input, "-o", output, "-p", "invert"]);
        assert_eq!(code, 4, "{err}");
        assert!(!err.contains("test-secret"), "{err}");
    }
    assert!(!bucket.path().join("out").exists());
    assert!(!bucket.path().join("s3:").exists());
}

/// A batch on objects that a median takes a while for, when it has begun on the first.
fn begun(bucket: &Bucket, rows: usize) -> (Child, BufReader<ChildStdout>) {
    picture(&bucket.path().join("large.ppm"), 3000, rows);
    for n in 0..4 {
        bucket.put(
            &format!("raw/{n}.ppm"),
            fs::read(bucket.path().join("large.ppm")).unwrap(),
        );
    }
    let mut command = program(bucket.path());
    command.args(["run", "s3://bucket/raw", "-o", "s3://bucket/done"]);
    command.args(["-p", "median(radius=20)", "--threads", "1", "--json"]);
    command.envs(bucket.variables.iter().map(|(n, v)| (n, v)));
    command.env("TMPDIR", bucket.path().join("tmp"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("task_started") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0);
    }
    (child, out)
}

fn interrupt(child: &Child) {
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let bucket = Bucket::s3();
    let (mut child, mut out) = begun(&bucket, 2000);
    interrupt(&child);
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(bucket.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_second_interrupt_waits_for_no_store() {
    let bucket = Bucket::s3();
    let (mut child, mut out) = begun(&bucket, 300);
    // What is sent from here on gets no answer.
    let silent = Weather {
        silent: true,
        ..Weather::default()
    };
    bucket.server.set_weather(silent, 1);
    // The second image: the first is on its way.
    let mut line = String::new();
    while !line.contains("task_started") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0);
    }
    interrupt(&child);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    while !line.contains("once more") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0);
    }
    // It would wait for the store.
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(child.try_wait().unwrap(), None);
    let asked = Instant::now();
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    println!("ended after {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(fs::read_dir(bucket.path().join("tmp")).unwrap().count(), 0);
    assert!(bucket.server.refusals().is_empty());
}

#[test]
fn made_inputs_go_to_a_bucket() {
    for bucket in [Bucket::s3(), Bucket::gcs()] {
        let address = bucket.store.address().trim_end_matches('/').to_owned();
        let to = format!("{address}/made");
        let make = |seed: &str| {
            let wanted = ["--files", "3", "--count", "500", "--seed", seed];
            bucket.sundog(&[&["generate", "numbers", "-o", &to], &wanted[..]].concat())
        };
        for _ in 0..2 {
            let (code, _, err) = make("1");
            assert_eq!(code, 0, "{err}");
        }
        let listed = bucket.store.list("made");
        let listed = bucket.runtime.block_on(listed).unwrap();
        assert_eq!(listed.len(), 3, "{listed:?}");
        assert!(
            listed
                .iter()
                .any(|meta| meta.name == "made/numbers-0003.txt")
        );
    }
}
