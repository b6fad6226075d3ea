//! The memory that a plan announces is what a run then takes.

use super::{lines, picture, program, run};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Most resident bytes of a run; sampled, and the system keeps the highest value meanwhile.
fn taken(dir: &Path, arguments: &[&str]) -> f64 {
    let mut command = program(dir);
    command.args(arguments).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut most, mut mapped) = (0.0f64, 0.0f64);
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let kib = |name: &str| -> Option<f64> {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        most = most.max(kib("VmHWM:").unwrap_or(0.0));
        mapped = mapped.max(kib("RssFile:").unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(child.wait().unwrap().success());
    // How much of the program's file is mapped depends on how it was built: this much of it is announced.
    (most - (mapped - 14.0 * 1024.0).max(0.0)) * 1024.0
}

#[test]
fn what_is_announced_is_what_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("in.ppm"), 5000, 3000);
    for (pipeline, format) in [
        ("invert", "png"),
        ("clahe", "png"),
        ("hough_lines(threshold=3000)", "png"),
        ("canny", "png"),
        ("equalize", "png"),
        ("gaussian(sigma=2) | equalize | sharpen", "jpeg"),
    ] {
        let run_it = [
            "run",
            "in.ppm",
            "-o",
            "out",
            "--threads",
            "2",
            "-p",
            pipeline,
            "--format",
            format,
        ];
        let (code, out, err) = run(
            dir.path(),
            &[&run_it[..], &["--dry-run", "--json"]].concat(),
        );
        assert_eq!(code, 0, "{err}");
        let planned = lines(&out);
        let announced = planned.last().unwrap()["memory_bytes"].as_f64().unwrap();
        let taken = taken(dir.path(), &run_it);
        let share = announced / taken;
        assert!(
            (0.8..=1.25).contains(&share),
            "{pipeline}: {:.1} MiB announced, {:.1} taken",
            announced / 1048576.0,
            taken / 1048576.0
        );
    }
}
