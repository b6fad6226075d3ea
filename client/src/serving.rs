//! Where the user's own `sundog serve` is: a file that only the user can read, written by it and read by the
//! other commands.

use crate::exit::{Exit, Failure, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A running `sundog serve`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Serving {
    /// Version of this format: 1.
    pub version: u32,
    /// `http://127.0.0.1:7878`.
    pub address: String,
    /// Lets in.
    pub token: String,
    /// Its process.
    pub pid: u32,
}

/// Places of the file, the best first: a runtime directory ends with the session and is this machine's own.
fn places() -> Vec<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    let runtime = set("XDG_RUNTIME_DIR").map(PathBuf::from);
    let state = set("XDG_STATE_HOME").map(PathBuf::from);
    let home = set("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let runtime = runtime.filter(|dir| dir.is_dir());
    let dirs = runtime.into_iter().chain(state.or(home));
    dirs.map(|dir| dir.join("sundog/serve.json")).collect()
}

/// The user's directory for data of programs.
pub fn data_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    let data = set("XDG_DATA_HOME").map(PathBuf::from);
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    data.or_else(home).map(|dir| dir.join("sundog"))
}

/// Creates a directory and those above it; a new one is the user's alone.
pub fn private_dir(dir: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

/// Writes a file that the user alone can read, whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

/// Tells where a serve is, until the value is dropped.
#[derive(Debug)]
pub struct Announcement {
    path: PathBuf,
}

impl Announcement {
    /// Writes the file.
    pub fn new(serving: &Serving) -> std::io::Result<Announcement> {
        let path = places().into_iter().next();
        let path =
            path.ok_or_else(|| std::io::Error::other("neither XDG_RUNTIME_DIR nor HOME is set"))?;
        if let Some(dir) = path.parent() {
            private_dir(dir)?;
        }
        write_private(&path, &serde_json::to_vec(serving)?)?;
        Ok(Announcement { path })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Another serve of the user may have taken its place.
        if read(&self.path).is_ok_and(|found| found.is_some_and(|s| s.pid == std::process::id())) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The user's serve, if there is one.
pub fn find() -> Result<Option<Serving>> {
    for path in places() {
        if let Some(found) = read(&path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<Serving>> {
    let shown = path.display();
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(_) => return Ok(None),
    };
    if meta.uid() != nix::unistd::getuid().as_raw() || meta.mode() & 0o077 != 0 {
        return Err(Failure::usage(format!(
            "{shown} is not the user's own alone, so the address in it is not trusted (remove it and start sundog serve again)"
        )));
    }
    let bytes = fs::read(path).map_err(|error| Failure {
        exit: Exit::Unreachable,
        message: format!("cannot read {shown}: {error}"),
    })?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|_| Failure {
            exit: Exit::Unreachable,
            message: format!("{shown} is damaged (remove it and start sundog serve again)"),
        })
}
