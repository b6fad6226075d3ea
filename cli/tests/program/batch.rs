//! `sundog run`: files, events, exit codes.

use crate::{lines, photos, picture, receipt, run};
use serde_json::Value;
use std::fs;

#[test]
fn the_bytes_are_the_same_on_threads_and_thread_ranks() {
    let dir = photos();
    let pipeline = "gaussian(sigma=2)";
    for (out, more) in [
        ("one", ["--threads", "1"]),
        ("many", ["--thread-ranks", "3"]),
    ] {
        let mut arguments = vec!["run", "photos", "-o", out, "-p", pipeline, "--mode", "rows"];
        arguments.extend(more);
        assert_eq!(run(dir.path(), &arguments).0, 0);
    }
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert!(read("one/a.ppm") == read("many/a.ppm"));
}

#[test]
fn events_are_one_object_a_line() {
    let dir = photos();
    fs::write(dir.path().join("photos/bad.png"), "no image").unwrap();
    let (code, out, err) = run(dir.path(), &["run", "photos", "-o", "out", "--json"]);
    assert_eq!((code, err.as_str()), (3, ""));
    let events = lines(&out);
    assert!(
        events
            .iter()
            .all(|e| e["version"] == 1 && e["job"].is_string())
    );
    let numbers = events.iter().map(|e| e["seq"].as_u64().unwrap());
    assert!(numbers.eq(1..=events.len() as u64), "{out}");
    assert_eq!(events[0]["event"], "job_started");
    assert_eq!(events[0]["tasks"], 4);
    let finished: Vec<&Value> = events
        .iter()
        .filter(|e| e["event"] == "task_finished")
        .collect();
    assert_eq!(finished.len(), 4);
    let bad = finished.iter().find(|e| e["state"] == "failed").unwrap();
    assert_eq!(bad["input"], "photos/bad.png");
    assert!(bad["reason"].is_string());
    let last = events.last().unwrap();
    assert_eq!(last["event"], "job_finished");
    assert_eq!(
        (&last["state"], &last["succeeded"]),
        (&"partial".into(), &3.into())
    );
}

#[test]
fn limits_refuse_with_their_own_exit_code() {
    let dir = photos();
    let limit = ["run", "photos/a.ppm", "-o", "out", "--max-pixels", "100"];
    let (code, _, err) = run(dir.path(), &limit);
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("40x30 is 1200 pixels"), "{err}");
    let (code, _, err) = run(
        dir.path(),
        &["run", "photos", "-o", "out2", "--max-pixels", "400"],
    );
    assert_eq!(code, 3, "{err}");
}

#[test]
fn a_dry_run_tells_the_plan_and_writes_nothing() {
    let dir = photos();
    let (code, out, _) = run(dir.path(), &["run", "photos", "-o", "out", "--dry-run"]);
    assert_eq!(code, 0);
    assert!(out.contains("photos/a.ppm -> out/a.ppm  40x30"), "{out}");
    assert!(out.contains("nothing was written"), "{out}");
    let (_, out, _) = run(
        dir.path(),
        &["run", "photos", "-o", "out", "--dry-run", "--json"],
    );
    let events = lines(&out);
    assert_eq!(events[0]["event"], "task_planned");
    assert!(events[0]["mode_reason"].is_string());
    assert_eq!(events.last().unwrap()["event"], "job_planned");
    assert!(!dir.path().join("out").exists());
}

#[test]
fn no_images_is_a_success_with_a_note() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let (code, _, err) = run(dir.path(), &["run", "empty", "-o", "out"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("nothing to do"), "{err}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_job_with_130_and_leaves_no_half_file() {
    use std::io::{BufRead as _, BufReader};
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("big.ppm"), 3000, 3000);
    let slow = ["gaussian(sigma=90)"; 8].join(" | ");
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("sundog"))
        .args(["run", "big.ppm", "-o", "out/", "--json", "-p", &slow])
        .current_dir(dir.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(events.next().unwrap().unwrap().contains("job_started"));
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let rest: Vec<String> = events.map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let last: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert_eq!(last["state"], "cancelled");
    let left: Vec<_> = fs::read_dir(dir.path().join("out"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["sundog-receipt.json"]);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_come_through() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"in/odd\xff.ppm");
    picture(&dir.path().join(name), 4, 4);
    assert_eq!(run(dir.path(), &["run", "in", "-o", "out"]).0, 0);
    let receipt = receipt(dir.path(), "out/sundog-receipt.json");
    assert_eq!(receipt["tasks"][0]["input"], "in/odd\\xff.ppm");
    assert_eq!(run(dir.path(), &["verify", "out"]).0, 0);
}

#[test]
fn files_of_numbers_are_reduced_with_a_receipt() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.csv", "1,2,3\n"),
        ("b.csv", "3,4,8\n"),
        ("short.csv", "1,2\n"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    for (more, out) in [
        (vec![], "mean.txt"),
        (vec!["--thread-ranks", "2"], "mean2.txt"),
    ] {
        let arguments = [&["reduce", "mean", "a.csv", "b.csv", "-o", out][..], &more].concat();
        let (code, _, err) = run(dir.path(), &arguments);
        assert_eq!(code, 0, "{err}");
        assert!(err.contains("mean of 2 files"), "{err}");
        let text = fs::read_to_string(dir.path().join(out)).unwrap();
        let numbers: Vec<f64> = text
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect();
        assert_eq!(numbers, [2.0, 3.0, 5.5]);
        let receipt = format!("{out}.sundog-receipt.json");
        assert_eq!(run(dir.path(), &["verify", &receipt]).0, 0);
        assert_eq!(run(dir.path(), &["reproduce", &receipt]).0, 0);
    }
    let (code, _, err) = run(
        dir.path(),
        &["reduce", "sum", "a.csv", "short.csv", "-o", "x.txt"],
    );
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("short.csv"), "{err}");
    let (code, out, _) = run(
        dir.path(),
        &["reduce", "max", "a.csv", "-o", "m.csv", "--json"],
    );
    assert_eq!(code, 0);
    assert_eq!(lines(&out).last().unwrap()["state"], "succeeded");
    assert_eq!(
        run(dir.path(), &["reduce", "maen", "a.csv", "-o", "m.csv"]).0,
        2
    );
    let spec = "inputs = [\"*.csv\"]\noutput = \"j.txt\"\n[reduce]\nop = \"min\"\n";
    fs::remove_file(dir.path().join("short.csv")).unwrap();
    fs::write(dir.path().join("job.toml"), spec).unwrap();
    assert_eq!(run(dir.path(), &["run", "--spec", "job.toml"]).0, 0);
}
