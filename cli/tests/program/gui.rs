//! `sundog gui`: another program, found beside the command or in PATH.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The command in a folder where nothing else is.
fn alone(dir: &Path) -> PathBuf {
    let program = dir.join("sundog");
    fs::copy(assert_cmd::cargo::cargo_bin!("sundog"), &program).unwrap();
    program
}

#[test]
fn without_the_program_it_says_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(alone(dir.path()))
        .args(["gui", "a.png"])
        .env("PATH", dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("sundog-gui was not found")
            && told.contains("cargo build --release -p sundog-gui"),
        "{told}"
    );
}

#[test]
fn it_becomes_the_program_with_all_arguments() {
    let dir = tempfile::tempdir().unwrap();
    let program = alone(dir.path());
    let window = dir.path().join("sundog-gui");
    fs::write(&window, "#!/bin/sh\necho \"$@\"\nexit 7\n").unwrap();
    fs::set_permissions(&window, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(program)
        .args(["gui", "a b.png", "--target", "serve", "--after", "2"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "a b.png --target serve --after 2\n"
    );
}
