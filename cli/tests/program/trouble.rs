//! Places that cannot be written, programs that are not there, names that would paint the terminal.

use crate::{photos, picture, run, sundog};
use std::fs;

#[test]
fn flags_for_ranks_without_ranks_are_refused() {
    let dir = photos();
    for flag in ["--mpirun", "--hostfile"] {
        let (code, _, err) = run(dir.path(), &["run", "photos", "-o", "out", flag, "x"]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(flag) && err.contains("add --ranks N"), "{err}");
    }
    assert!(!dir.path().join("out").exists());
}

#[test]
fn an_mpirun_that_is_not_there_is_named() {
    let dir = photos();
    let ranks = ["run", "photos", "-o", "out", "--ranks", "2"];
    let (code, _, err) = run(
        dir.path(),
        &[&ranks[..], &["--mpirun", "no/mpirun"]].concat(),
    );
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("--mpirun no/mpirun: there is no such program"),
        "{err}"
    );
}

#[test]
fn doctor_tells_a_missing_mpirun_and_its_fix() {
    let dir = tempfile::tempdir().unwrap();
    let output = sundog(dir.path())
        .arg("doctor")
        .env("PATH", dir.path())
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        out.contains("missing  mpirun: it is not on the PATH"),
        "{out}"
    );
    assert!(out.contains("fix: install Open MPI"), "{out}");
    assert!(!out.contains("sundog-worker: mpirun"), "{out}");
}

#[test]
fn an_output_that_is_some_other_file_is_wrong_usage() {
    let dir = photos();
    fs::write(dir.path().join("notes.txt"), "precious").unwrap();
    let (code, _, err) = run(dir.path(), &["run", "photos/a.ppm", "-o", "notes.txt"]);
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("-o notes.txt is there and is no directory"),
        "{err}"
    );
}

#[test]
fn what_cannot_be_written_is_named_with_its_cause() {
    let dir = photos();
    fs::create_dir(dir.path().join("out")).unwrap();
    fs::write(
        dir.path().join("out/more"),
        "a file where a folder is needed",
    )
    .unwrap();
    let (code, _, err) = run(dir.path(), &["run", "photos", "-o", "out"]);
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("photos/more/c.ppm: cannot write out/more/c.ppm: ")
            && err.contains("a part of its path is a file"),
        "{err}"
    );
    assert!(dir.path().join("out/a.ppm").is_file());
}

#[cfg(unix)]
#[test]
fn beyond_the_limit_on_file_size_an_image_fails_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("in/large.ppm"), 400, 400);
    picture(&dir.path().join("in/small.ppm"), 9, 9);
    // Blocks of 512 or 1024 bytes, as the shell has it; the large picture has 480,000 bytes.
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 100; exec \"$0\" run in -o out"])
        .arg(assert_cmd::cargo::cargo_bin("sundog"))
        .current_dir(dir.path())
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(
        err.contains("cannot write out/large.ppm: ") && err.contains("ulimit -f"),
        "{err}"
    );
    let mut left: Vec<_> = fs::read_dir(dir.path().join("out"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["small.ppm", "sundog-receipt.json"]);
}

#[cfg(unix)]
#[test]
fn control_characters_of_names_are_shown_and_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("in/two\nlines\x1b[2J.ppm"), 4, 4);
    fs::write(dir.path().join("in/\x1b[31m.png"), "no image").unwrap();
    let (code, out, err) = run(dir.path(), &["run", "in", "-o", "out", "--dry-run"]);
    assert_eq!(code, 3, "{err}");
    assert!(out.contains("two\\nlines\\u{1b}[2J.ppm"), "{out}");
    let (code, _, err) = run(dir.path(), &["run", "in", "-o", "out"]);
    assert_eq!(code, 3, "{err}");
    assert!(
        !err.contains('\x1b') && err.contains("\\u{1b}[31m"),
        "{err}"
    );
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_ends_at_once_and_leaves_no_half_file() {
    use std::io::{BufRead as _, BufReader};
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("big.ppm"), 3000, 3000);
    let slow = ["gaussian(sigma=90)"; 8].join(" | ");
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("sundog"))
        .args(["run", "big.ppm", "-o", "out/", "-p", &slow])
        .current_dir(dir.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while fs::read_dir(dir.path().join("out")).map_or(0, Iterator::count) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "ended early");
        std::thread::yield_now();
    }
    let id = child.id().to_string();
    let interrupt = || {
        let sent = std::process::Command::new("kill")
            .args(["-INT", &id])
            .status();
        assert!(sent.unwrap().success());
    };
    interrupt();
    let mut told = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut told)
        .unwrap();
    assert!(told.starts_with("stopping"), "{told}");
    interrupt();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let half = fs::read_dir(dir.path().join("out"))
        .unwrap()
        .filter(|e| {
            e.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "tmp")
        })
        .count();
    assert_eq!(half, 0);
}
