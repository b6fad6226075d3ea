//! Reads receipts and finds the files they speak of.

use crate::exit::{Failure, Result};
use protocol::{JobReceipt, TaskReceipt, name};
use sha2::{Digest as _, Sha256};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use worker::jobfile::io_cause;

/// Reads a receipt; a directory stands for the `sundog-receipt.json` in it.
pub fn read(path: &Path) -> Result<JobReceipt> {
    let path = match path.is_dir() {
        true => path.join("sundog-receipt.json"),
        false => path.to_owned(),
    };
    let shown = path.display();
    let bytes = std::fs::read(&path).map_err(|error| {
        Failure::usage(format!(
            "cannot read the receipt {shown}: {}",
            io_cause(&error)
        ))
    })?;
    let receipt: JobReceipt = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::usage(format!("{shown} is no receipt: {error}")))?;
    match receipt.version {
        protocol::VERSION => Ok(receipt),
        v => Err(Failure::usage(format!(
            "{shown} is a receipt of version {v}; this program reads version {}",
            protocol::VERSION
        ))),
    }
}

/// A `file://` URL or a path, as text without loss.
fn local(text: &str) -> PathBuf {
    name::to_path(text.strip_prefix("file://").unwrap_or(text))
}

/// Where a task's output lies now: below the receipt's directory when it moved there with the
/// receipt, else where it was written.
pub fn output_of(receipt: &JobReceipt, at: &Path, task: &TaskReceipt) -> Option<PathBuf> {
    let written = local(task.output.as_deref()?);
    let directory = match at.is_dir() {
        true => at,
        false => at.parent().unwrap_or(Path::new("")),
    };
    let relative = written.strip_prefix(local(&receipt.spec.output)).ok();
    let moved = match relative.filter(|r| !r.as_os_str().is_empty()) {
        Some(relative) => Some(directory.join(relative)),
        None => written.file_name().map(|file| directory.join(file)),
    };
    Some(moved.filter(|p| p.is_file()).unwrap_or(written))
}

/// SHA-256 of a file in hexadecimal digits.
pub fn sha256_of_file(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// SHA-256 of bytes in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
