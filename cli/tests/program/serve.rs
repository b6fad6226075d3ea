//! The job commands against a real `sundog serve`.

use crate::server::{Serve, ended, long_job, status, submit, wait};
use crate::{lines, photos, picture, program, receipt, run, sundog};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn from_submit_to_verified_results() {
    let dir = photos();
    let dir = dir.path();
    let serve = Serve::start(dir);
    let pipeline = "equalize | gaussian(sigma=2)";
    let job = submit(dir, &["photos", "-p", pipeline, "--name", "trip"]);
    let (code, out, err) = run(dir, &["watch", &job, "--json"]);
    assert_eq!(code, 0, "{err}");
    let events = lines(&out);
    let numbers = events.iter().map(|e| e["seq"].as_u64().unwrap());
    assert!(numbers.eq(1..=events.len() as u64), "{out}");
    assert_eq!(events.last().unwrap()["event"], "job_finished");
    let (code, _, err) = run(dir, &["watch", &job]);
    assert_eq!(code, 0);
    assert!(err.contains("succeeded: 3 of 3 images"), "{err}");

    // Links work without a token, and not when they are changed.
    let (code, out, err) = run(dir, &["results", &job, "--json", "--expires", "90s"]);
    assert_eq!(code, 0, "{err}");
    let results = lines(&out).remove(0);
    assert_eq!(results["results"].as_array().unwrap().len(), 3);
    assert!(results["results"][0]["expires"].is_string(), "{out}");
    assert!(
        out.contains(&serve.address) && !out.contains("sundog_"),
        "{out}"
    );
    let (_, table, _) = run(dir, &["results", &job]);
    assert!(
        table.contains("a.ppm") && table.contains("until 20"),
        "{table}"
    );

    let (code, _, err) = run(dir, &["results", &job, "--download", "out"]);
    assert_eq!(code, 0, "{err}");
    let (_, _, err) = run(dir, &["results", &job, "--download", "out"]);
    assert!(err.contains("0 files fetched, 3 were there"), "{err}");
    assert!(
        run(dir, &["verify", "out"])
            .2
            .contains("3 of 3 outputs match")
    );
    fs::write(dir.join("out/b.ppm"), "changed").unwrap();
    assert_eq!(run(dir, &["verify", "out"]).0, 1);
    run(dir, &["results", &job, "--download", "out"]);
    assert_eq!(run(dir, &["verify", "out/sundog-receipt.json"]).0, 0);

    assert_eq!(
        run(dir, &["run", "photos", "-o", "here", "-p", pipeline]).0,
        0
    );
    for name in ["a.ppm", "b.ppm", "more/c.ppm"] {
        let read = |out: &str| fs::read(dir.join(out).join(name)).unwrap();
        assert!(read("out") == read("here"), "{name}");
    }
    let (_, list, _) = run(dir, &["list"]);
    assert!(list.contains(&job) && list.contains("trip"), "{list}");
    let (_, list, _) = run(dir, &["list", "--json"]);
    assert_eq!(lines(&list)[0]["counts"]["succeeded"], 3);
    let (_, nodes, _) = run(dir, &["nodes"]);
    assert!(
        nodes.contains("NODE") && nodes.lines().count() == 2,
        "{nodes}"
    );
    let (_, text, _) = run(dir, &["status", &job]);
    assert!(
        text.contains("succeeded") && text.contains("3 of 3"),
        "{text}"
    );
    let (code, _, err) = run(dir, &["dead-letters", "list"]);
    assert_eq!((code, err.trim()), (0, "there are no dead letters"));
    let (_, out, _) = run(dir, &["doctor", "--json"]);
    let gateway = lines(&out).into_iter().find(|c| c["check"] == "gateway");
    assert_eq!(gateway.unwrap()["state"], "ok", "{out}");
}

#[test]
fn a_broken_file_is_told_with_its_reason_and_tried_again() {
    let dir = photos();
    let dir = dir.path();
    let _serve = Serve::start(dir);
    fs::write(dir.join("photos/bad.ppm"), "P6 9 9 255\n").unwrap();
    let arguments = [
        "submit",
        "photos",
        "-p",
        "invert",
        "--watch",
        "--max-attempts",
        "1",
    ];
    let (code, out, err) = run(dir, &arguments);
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("bad.ppm: ") && err.contains("3 of 4 images"),
        "{err}"
    );
    let job = out.trim();
    let (_, out, _) = run(dir, &["results", job, "--json"]);
    let reason = &lines(&out)[0]["failed"][0]["reason"];
    assert!(reason.as_str().is_some_and(|r| !r.is_empty()), "{out}");
    let (code, out, err) = run(dir, &["retry", job, "--json"]);
    assert_eq!((code, &lines(&out)[0]["tasks"]), (0, &1.into()), "{err}");
    let (code, _, err) = run(dir, &["watch", job]);
    assert_eq!(code, 3, "{err}");
    assert_eq!(run(dir, &["results", job, "--download", "out"]).0, 0);
    assert!(run(dir, &["verify", "out"]).2.contains("3 of 3"));
}

#[test]
fn a_job_is_cancelled_once_and_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _serve = Serve::start(dir);
    let job = long_job(dir);
    wait("nothing ended", || ended(&status(dir, &job)) > 0);
    assert_eq!(run(dir, &["cancel", &job]).0, 0);
    let (code, _, err) = run(dir, &["watch", &job]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("cancelled"), "{err}");
    let found = status(dir, &job);
    assert_eq!((&found["state"], ended(&found)), (&"cancelled".into(), 40));
    let (code, _, err) = run(dir, &["cancel", &job]);
    assert_eq!(code, 0);
    assert!(err.contains("has ended"), "{err}");
}

#[test]
fn a_killed_server_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let serve = Serve::start(dir);
    let link = serve.link.clone();
    let job = long_job(dir);
    wait("nothing ended", || ended(&status(dir, &job)) > 1);
    let mut watch = program(dir);
    watch.args(["watch", &job, "--json"]).stdout(Stdio::piped());
    let mut watch = watch.stderr(Stdio::null()).spawn().unwrap();
    let mut events = BufReader::new(watch.stdout.take().unwrap());
    events.read_line(&mut String::new()).unwrap();
    serve.kill();
    let serve = Serve::start(dir);
    // The token is the old one, the port need not be.
    assert_eq!(serve.link.split('#').nth(1), link.split('#').nth(1));
    let events = lines(&std::io::read_to_string(events).unwrap());
    assert_eq!(watch.wait().unwrap().code(), Some(0));
    assert_eq!(events.last().unwrap()["succeeded"], 40);
    let found = status(dir, &job);
    assert_eq!((&found["state"], ended(&found)), (&"succeeded".into(), 40));
    assert_eq!(run(dir, &["results", &job, "--download", "out"]).0, 0);
    assert!(run(dir, &["verify", "out"]).2.contains("40 of 40"));
    let receipt = receipt(dir, "out/sundog-receipt.json");
    let mut tasks: Vec<u64> = receipt["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["task"].as_u64().unwrap())
        .collect();
    tasks.dedup();
    assert_eq!(tasks, (0..40).collect::<Vec<u64>>());
    let arguments = ["run", "many", "-o", "here", "-p", "median(radius=12)"];
    assert_eq!(run(dir, &arguments).0, 0);
    for n in 0..40 {
        let read = |out: &str| fs::read(dir.join(out).join(format!("{n:02}.ppm"))).unwrap();
        assert!(read("out") == read("here"), "{n}");
    }
}

#[test]
fn a_server_that_is_asked_to_end_leaves_nothing_behind() {
    let dir = photos();
    let dir = dir.path();
    let mut serve = Serve::start(dir);
    let job = submit(dir, &["photos", "-p", "invert", "--watch"]);
    assert!(!job.is_empty());
    serve.signal("-TERM");
    assert_eq!(serve.child.wait().unwrap().code(), Some(0));
    let (code, _, err) = run(dir, &["list"]);
    assert_eq!(code, 4);
    assert!(
        err.contains("sundog serve") && err.contains("SUNDOG_GATEWAY"),
        "{err}"
    );
    let home = dir.join(".local/share/sundog");
    let scratch = fs::read_dir(home.join("store/.scratch"));
    assert_eq!(scratch.map_or(0, Iterator::count), 0);
    assert!(!dir.join(".local/state/sundog/serve.json").exists());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home), 0o700);
    for file in fs::read_dir(&home)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        assert!(file.is_dir() || mode(&file) == 0o600, "{}", file.display());
    }
}

#[test]
fn one_server_a_directory_and_an_address() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let serve = Serve::start(dir);
    let (code, _, err) = run(dir, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("another sundog serve") && err.contains("--dir"),
        "{err}"
    );
    let taken = serve
        .address
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let (code, _, err) = run(dir, &["serve", "--dir", "other", "--listen", taken]);
    assert_eq!(code, 1);
    assert!(err.contains(taken) && err.contains("--listen"), "{err}");
}

#[test]
fn a_wrong_token_and_no_server_are_told_apart() {
    let dir = photos();
    let dir = dir.path();
    let serve = Serve::start(dir);
    let with = |token: &str| {
        let mut command = sundog(dir);
        command
            .env("SUNDOG_GATEWAY", &serve.address)
            .env("SUNDOG_TOKEN", token);
        let output = command.arg("list").output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), err)
    };
    let (code, err) = with("sundog_wrong");
    assert_eq!(code, 2);
    assert!(
        err.contains("SUNDOG_TOKEN") && !err.contains("sundog_wrong"),
        "{err}"
    );
    let token = serve.token().to_owned();
    assert_eq!(with(&token).0, 0);
    let address = serve.address.clone();
    serve.kill();
    let (code, _, err) = run(dir, &["submit", "photos", "-p", "invert"]);
    assert_eq!(code, 4);
    assert!(err.contains("sundog serve"), "{err}");
    let output = sundog(dir)
        .env("SUNDOG_GATEWAY", &address)
        .arg("list")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn names_cannot_steer_a_terminal_and_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _serve = Serve::start(dir);
    let odd = [
        "x\n\u{1b}[2J.ppm",
        "a[1]*.ppm",
        "per%20cent#?.ppm",
        "ü & ö.ppm",
        "back\\slash.ppm",
    ];
    for name in odd {
        picture(&dir.join("odd").join(name), 20, 10);
    }
    let bad = dir.join("odd/bad\u{7}.ppm");
    fs::write(&bad, "P6 9 9 255\n").unwrap();
    let name = "evil\n\u{1b}]0;title\u{7}";
    let arguments = [
        "submit",
        "odd",
        "-p",
        "invert",
        "--name",
        name,
        "--watch",
        "--max-attempts",
        "1",
    ];
    let (code, out, err) = run(dir, &arguments);
    assert_eq!(code, 3, "{err}");
    let job = out.trim();
    let mut shown = err;
    for command in [vec!["list"], vec!["status", job], vec!["results", job]] {
        let (_, out, err) = run(dir, &command);
        shown += &(out + &err);
    }
    let steering = |c: char| c.is_control() && c != '\n';
    assert!(!shown.contains(steering), "{shown:?}");
    assert!(shown.contains("evil\\n\\u{1b}"), "{shown}");
    assert_eq!(run(dir, &["results", job, "--download", "out"]).0, 0);
    for name in odd {
        assert!(dir.join("out").join(name).is_file(), "{name:?}");
    }
    assert!(run(dir, &["verify", "out"]).2.contains("5 of 5"));
}

#[test]
fn what_cannot_be_submitted_is_refused_before_anything_is_sent() {
    let dir = photos();
    let dir = dir.path();
    picture(&dir.join("more/a.ppm"), 3, 3);
    let _serve = Serve::start(dir);
    for (arguments, expected) in [
        (vec!["submit", "nothere"], "nothere"),
        (
            vec!["submit", "photos", "-p", "invrt"],
            "did you mean `invert`",
        ),
        (
            vec!["submit", "photos/a.ppm", "more/a.ppm"],
            "would both be `a.ppm` (give --names '{index}-{stem}.{format}'",
        ),
        (
            vec!["submit", "photos", "--names", "{stm}"],
            "did you mean {stem}",
        ),
        (vec!["submit"], "no inputs"),
        (vec!["status", "../x"], "no job's id"),
    ] {
        let (code, _, err) = run(dir, &arguments);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(expected), "{err}");
    }
    let (code, _, err) = run(dir, &["status", "01JNOSUCHJOB"]);
    assert_eq!(code, 1);
    assert!(err.contains("there is no job"), "{err}");
    assert_eq!(run(dir, &["list", "--json"]).1, "");
}

#[test]
fn an_interrupt_leaves_the_job_running() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _serve = Serve::start(dir);
    let job = long_job(dir);
    wait("nothing ended", || ended(&status(dir, &job)) > 0);
    let mut watch = program(dir);
    watch.args(["watch", &job, "--json"]);
    watch.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watch = watch.spawn().unwrap();
    let mut first = String::new();
    let mut events = BufReader::new(watch.stdout.take().unwrap());
    events.read_line(&mut first).unwrap();
    let pid = watch.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let left = watch.wait_with_output().unwrap();
    assert_eq!(left.status.code(), Some(130));
    let err = String::from_utf8(left.stderr).unwrap();
    assert!(err.contains("the work goes on"), "{err}");
    assert_ne!(status(dir, &job)["state"], "cancelled");
}

#[test]
fn a_dry_submission_sends_nothing() {
    let dir = photos();
    let dir = dir.path();
    // Nobody needs to serve.
    let (code, out, err) = run(dir, &["submit", "photos", "--format", "png", "--dry-run"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("a.ppm -> a.png") && out.contains("more/c.ppm -> more/c.png"),
        "{out}"
    );
    assert!(err.contains("nothing was submitted"), "{err}");
    let (_, out, _) = run(
        dir,
        &["submit", "photos", "s3://b/x/", "--dry-run", "--json"],
    );
    let plan = lines(&out).remove(0);
    assert_eq!(plan["files"].as_array().unwrap().len(), 3);
    assert_eq!(plan["files"][0]["output"], "a.ppm");
    assert_eq!(plan["urls"][0], "s3://b/x/");
}

#[test]
fn webhooks_and_tokens_are_seen_to() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", receiver.local_addr().unwrap());
    let answer = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = receiver.accept().unwrap();
        let mut request = Vec::new();
        while !String::from_utf8_lossy(&request).contains("\"ping\"") {
            let mut part = [0; 1024];
            let n = stream.read(&mut part).unwrap();
            assert!(n > 0);
            request.extend_from_slice(&part[..n]);
        }
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).unwrap();
    });
    let _serve = Serve::with(dir, &["--webhook-allow", "127.0.0.1"]);
    let (code, out, err) = run(dir, &["webhook", "add", &url, "--json"]);
    assert_eq!(code, 0, "{err}");
    let made = lines(&out).remove(0);
    let id = made["id"].as_str().unwrap();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let (code, _, err) = run(dir, &["webhook", "test", id]);
    assert!(code == 0 && err.contains("accepted (202)"), "{code} {err}");
    answer.join().unwrap();
    // Nobody listens there any more.
    let (code, _, err) = run(dir, &["webhook", "test", id]);
    assert!(code == 1 && err.contains("not accepted"), "{code} {err}");
    let (_, out, _) = run(dir, &["webhook", "rotate", id, "--json"]);
    assert_ne!(lines(&out)[0]["secret"], made["secret"]);
    let (_, out, _) = run(dir, &["webhook", "list"]);
    assert!(out.contains(id) && out.contains(&url), "{out}");
    assert_eq!(run(dir, &["webhook", "remove", id]).0, 0);
    assert_eq!(run(dir, &["webhook", "remove", id]).0, 1);
    assert_eq!(run(dir, &["webhook", "remove", "../x"]).0, 2);

    // One job that is not there holds up no other.
    let (code, _, err) = run(dir, &["cancel", "01NOSUCHJOB", "01NORTHIS"]);
    assert!(
        code == 1 && err.contains("01NOSUCHJOB") && err.contains("01NORTHIS"),
        "{err}"
    );

    let token = |arguments: &[&str]| {
        let file = ["--file", "tokens.toml"];
        run(dir, &[&["token"], arguments, &file[..]].concat())
    };
    assert_eq!(token(&["add", "ada"]).0, 0);
    assert_eq!(token(&["add", "eve", "--admin"]).0, 0);
    let (_, out, _) = token(&["list"]);
    let hash = out
        .lines()
        .next()
        .unwrap()
        .split("  ")
        .next()
        .unwrap()
        .to_owned();
    assert!(out.contains("ada") && out.contains("eve  admin"), "{out}");
    let (code, _, err) = token(&["revoke", &hash]);
    assert!(code == 0 && err.contains("of ada is revoked"), "{err}");
    let (code, _, err) = token(&["revoke", "ada"]);
    assert!(
        code == 2 && err.contains("no token of `ada`"),
        "{code} {err}"
    );
    let (_, out, _) = token(&["list", "--json"]);
    assert_eq!(lines(&out).len(), 1);
}
