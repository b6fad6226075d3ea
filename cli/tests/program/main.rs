//! The whole program: messages, exit codes, files.
#![allow(clippy::unwrap_used)]

mod batch;
mod browser;
mod cluster;
mod colours;
mod crash;
mod crowd;
mod demo;
mod devices;
mod doctor;
mod elastic;
mod front;
mod gui;
mod letters;
mod memory;
mod monitor;
mod names;
mod oidc;
mod operators;
mod page;
mod pages;
mod preview;
mod processes;
mod ranks;
mod reach;
mod receipts;
mod reductions;
mod remote;
mod results;
mod serve;
mod server;
mod services;
mod session;
mod settings;
mod told;
mod tools;
mod trouble;
mod uploads;
mod usage;
mod wasm;
mod wire;

use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A program that sees none of the developer's own settings.
fn program(dir: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("sundog"));
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("SUNDOG_")) {
        command.env_remove(name);
    }
    for name in ["CONFIG_HOME", "DATA_HOME", "RUNTIME_DIR", "STATE_HOME"] {
        command.env_remove(format!("XDG_{name}"));
    }
    command.current_dir(dir).env("HOME", dir);
    command
}

/// The same, ended when it takes too long.
fn sundog(dir: &Path) -> Command {
    let mut command = Command::from_std(program(dir));
    command.timeout(std::time::Duration::from_secs(120));
    command
}

/// What a run left: exit code, stdout, stderr.
fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = sundog(dir).args(arguments).output().unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// A PPM with slopes.
fn picture(path: &Path, width: usize, height: usize) {
    let mut bytes = format!("P6 {width} {height} 255\n").into_bytes();
    for y in 0..height {
        for x in 0..width {
            bytes.extend([(x * 7 + y) as u8, (y * 5) as u8, (x ^ y) as u8]);
        }
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Three pictures, one of them in a folder below.
fn photos() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("photos/a.ppm"), 40, 30);
    picture(&dir.path().join("photos/b.ppm"), 31, 17);
    picture(&dir.path().join("photos/more/c.ppm"), 5, 60);
    dir
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn receipt(dir: &Path, path: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.join(path)).unwrap()).unwrap()
}
