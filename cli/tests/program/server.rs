//! A real `sundog serve`, and what tests ask of it.

use crate::{lines, picture, program, run};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server, killed with the value.
pub struct Serve {
    pub child: Child,
    pub address: String,
    pub link: String,
    log: PathBuf,
}

impl Serve {
    pub fn start(dir: &Path) -> Serve {
        Serve::with(dir, &[])
    }

    pub fn with(dir: &Path, more: &[&str]) -> Serve {
        Serve::set(dir, more, &[])
    }

    /// With these arguments and variables.
    pub fn set(dir: &Path, more: &[&str], variables: &[(&str, &str)]) -> Serve {
        let log = dir.join("serve.log");
        let mut command = program(dir);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--json",
            "--threads",
            "2",
        ]);
        command
            .args(more)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Serve {
            child,
            address: said["address"].as_str().unwrap().to_owned(),
            link: said["link"].as_str().unwrap().to_owned(),
            log,
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// The token in its link.
    pub fn token(&self) -> &str {
        self.link.split_once("#token=").unwrap().1
    }

    /// What it wrote to its standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// As by `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn submit(dir: &Path, more: &[&str]) -> String {
    let mut arguments = vec!["submit"];
    arguments.extend(more);
    let (code, out, err) = run(dir, &arguments);
    assert_eq!(code, 0, "{err}");
    out.trim().to_owned()
}

pub fn status(dir: &Path, job: &str) -> Value {
    let (code, out, err) = run(dir, &["status", job, "--json"]);
    assert_eq!(code, 0, "{err}");
    lines(&out).remove(0)
}

/// Waits until `done` says so.
pub fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// A job that takes a while: many tasks, each of some length.
pub fn long_job(dir: &Path) -> String {
    long_pictures(dir);
    submit(dir, &["many", "-p", "median(radius=12)"])
}

/// Its pictures.
pub fn long_pictures(dir: &Path) -> Vec<PathBuf> {
    let files = (0..40).map(|n| dir.join(format!("many/{n:02}.ppm")));
    let files: Vec<PathBuf> = files.collect();
    for file in &files {
        picture(file, 700, 700);
    }
    files
}

pub fn ended(status: &Value) -> u64 {
    let counts = &status["counts"];
    ["succeeded", "failed", "rejected", "cancelled"]
        .iter()
        .map(|key| counts[key].as_u64().unwrap_or(0))
        .sum()
}
