//! How many workers there are: those of a serve, and those of a cluster.

use crate::server::{Serve, ended, long_pictures, status, submit, wait};
use crate::{lines, run, sundog};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The nodes by what they say of themselves.
fn nodes(dir: &Path) -> Vec<Value> {
    let (code, out, err) = run(dir, &["nodes", "--json"]);
    assert_eq!(code, 0, "{err}");
    lines(&out)
}

fn working(dir: &Path) -> usize {
    let nodes = nodes(dir);
    nodes.iter().filter(|n| n["state"] == "working").count()
}

#[test]
fn workers_of_a_serve_come_and_go_while_a_job_runs() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut serve = Serve::with(dir, &["--slots", "2"]);
    wait("no worker", || working(dir) == 1);
    let (code, out, err) = run(dir, &["scale", "3", "--json"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.trim(), r#"{"before":1,"workers":3}"#);
    wait("not three workers", || working(dir) == 3);
    // Long enough for several beats of each.
    long_pictures(dir);
    let slow = "bilateral(radius=15)";
    let job = submit(dir, &["many", "-p", slow]);
    // Before the last of the work all have some of it.
    let mut seen = BTreeSet::new();
    wait("not all work", || {
        let busy = nodes(dir)
            .into_iter()
            .filter(|n| n["in_hand"].as_u64() > Some(0));
        seen.extend(busy.map(|n| n["node"].as_str().unwrap().to_owned()));
        seen.len() == 3 || ended(&status(dir, &job)) > 30
    });
    assert_eq!(seen.len(), 3, "{seen:?}");
    let before = ended(&status(dir, &job));
    assert!(before < 40, "the job is over already");
    let (code, _, err) = run(dir, &["scale", "1"]);
    assert_eq!(
        (code, err.trim()),
        (0, "1 worker (3 before) (hint: sundog nodes)")
    );
    let (code, _, err) = run(dir, &["watch", &job]);
    assert_eq!(code, 0, "{err}");
    let found = status(dir, &job);
    assert_eq!(found["counts"]["succeeded"], 40, "{found}");
    wait("more than one worker", || nodes(dir).len() == 1);
    let (_, out, _) = run(dir, &["results", &job, "--download", "out"]);
    assert!(!out.contains("failed"), "{out}");
    let receipt = crate::receipt(dir, "out/sundog-receipt.json");
    let tasks = receipt["tasks"].as_array().unwrap();
    assert!(tasks.iter().all(|task| task["attempt"] == 1));
    let by: BTreeSet<&str> = tasks.iter().map(|t| t["node"].as_str().unwrap()).collect();
    assert!(by.len() > 1, "{by:?}");

    // Each says of itself what it does, and did.
    let node = &nodes(dir)[0];
    for key in ["slots", "busy", "load", "ranks", "in_hand"] {
        assert!(node[key].is_number(), "{key}: {node}");
    }
    assert!(node["time"].is_string() && !node["series"].as_array().unwrap().is_empty());
    let (_, table, _) = run(dir, &["nodes"]);
    assert!(
        table.contains("STATE") && table.contains("working"),
        "{table}"
    );

    // There is always one, and no thousands.
    for (workers, reason) in [("0", "ask for 1 at least"), ("65", "limit of 64")] {
        let (code, _, err) = run(dir, &["scale", workers]);
        assert!(code != 0 && err.contains(reason), "{code}: {err}");
    }
    assert_eq!(working(dir), 1);
    serve.signal("-TERM");
    assert_eq!(serve.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_cluster_is_scaled_by_the_program_of_the_users_configuration_and_of_no_project() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (script, told) = (dir.join("scale"), dir.join("told"));
    fs::write(&script, "#!/bin/sh\necho \"$@$SUNDOG_BROKER\" >>told\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let cluster = |variables: &[(&str, &str)]| {
        let output = sundog(dir)
            .args(["scale", "4"])
            .env("SUNDOG_BROKER", "amqp://127.0.0.1:1/%2f")
            .env("SUNDOG_REDIS", "redis://127.0.0.1:1")
            .env("SUNDOG_STORE", format!("file://{}/store", dir.display()))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), err)
    };
    let (code, err) = cluster(&[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("SUNDOG_SCALE_COMMAND"), "{err}");
    let line = format!("{} --replicas={{workers}} 'a b'", script.display());
    let (code, err) = cluster(&[("SUNDOG_SCALE_COMMAND", &line)]);
    assert_eq!(code, Some(0), "{err}");
    // It is told no password.
    assert_eq!(fs::read_to_string(&told).unwrap(), "--replicas=4 a b\n");

    let setting = format!("scale_command = \"{line}\"\n");
    fs::create_dir_all(dir.join(".config/sundog")).unwrap();
    fs::write(dir.join(".config/sundog/config.toml"), &setting).unwrap();
    assert_eq!(cluster(&[]).0, Some(0));
    assert_eq!(fs::read_to_string(&told).unwrap().lines().count(), 2);
    // The folder that a command runs in may come from anybody.
    fs::write(dir.join("sundog.toml"), &setting).unwrap();
    let (code, err) = cluster(&[]);
    assert_eq!(code, Some(2));
    assert!(
        err.contains("`scale_command` cannot be set by the folder"),
        "{err}"
    );
    assert_eq!(fs::read_to_string(&told).unwrap().lines().count(), 2);
}

#[test]
fn settings_that_a_submitted_job_does_not_take_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _serve = Serve::start(dir);
    fs::write(dir.join("a.pgm"), b"P5 1 1 255\n7").unwrap();
    let (code, _, err) = run(dir, &["submit", "a.pgm", "-p", "invert"]);
    assert!(code == 0 && !err.contains("threads"), "{err}");
    fs::write(dir.join("sundog.toml"), "threads = 2\n").unwrap();
    let (code, _, err) = run(dir, &["submit", "a.pgm", "-p", "invert"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("`threads` of sundog.toml:1 is for runs on this machine"),
        "{err}"
    );
}

/// Stands in for a program of Slurm's; writes how it was called.
fn stand_in(dir: &Path, name: &str, text: &str) {
    let path = dir.join("bin").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"{name} $*\" >>{}/calls\n{text}\n",
        dir.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn slurm_gets_the_dispatchers_that_are_missing_and_loses_the_youngest() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    stand_in(dir, "squeue", "printf '11\\n12\\n13_2\\n'");
    stand_in(dir, "sbatch", "");
    stand_in(dir, "scancel", "");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/slurm/scale");
    let scaled = |workers: &str| {
        let _ = fs::remove_file(dir.join("calls"));
        let path = format!("{}/bin:/usr/bin:/bin", dir.display());
        let mut command = std::process::Command::new(script);
        let status = command.arg(workers).env("PATH", path).status().unwrap();
        assert!(status.success());
        let calls = fs::read_to_string(dir.join("calls")).unwrap();
        let mut calls: Vec<String> = calls.lines().map(str::to_owned).collect();
        assert!(calls.remove(0).starts_with("squeue --me "), "{calls:?}");
        calls
    };
    assert!(scaled("3").is_empty());
    assert_eq!(scaled("1"), ["scancel 12 13_2"]);
    let more = scaled("5");
    assert_eq!(more.len(), 2, "{more:?}");
    assert!(
        more.iter()
            .all(|call| call.contains("/deploy/slurm/dispatchers.sbatch"))
    );
}
