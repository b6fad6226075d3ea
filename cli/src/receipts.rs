//! Reads receipts and finds the files they speak of.

use client::exit::{Failure, Result};
use client::remote;
use protocol::state::{JobState, TaskState};
use protocol::{JobReceipt, TaskReceipt, name};
use std::path::{Path, PathBuf};
use worker::elsewhere::is_url;
use worker::jobfile::io_cause;

/// Reads a receipt; a directory or a prefix of objects stands for the `sundog-receipt.json` in it.
pub fn read(path: &Path) -> Result<JobReceipt> {
    let path = match path.is_dir() {
        true => path.join("sundog-receipt.json"),
        false => path.to_owned(),
    };
    let shown = path.display();
    let bytes = match path.to_str().filter(|text| is_url(text)) {
        Some(url) => remote::read(url)?,
        None => std::fs::read(&path).map_err(|error| {
            Failure::usage(format!(
                "cannot read the receipt {shown}: {}",
                io_cause(&error)
            ))
        })?,
    };
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

/// Where an output lies now: below the receipt's directory when it moved there with the
/// receipt, else where it was written.
pub fn output_of(receipt: &JobReceipt, at: &Path, output: &str) -> PathBuf {
    let written = local(output);
    let directory = match at.is_dir() {
        true => at,
        false => at.parent().unwrap_or(Path::new("")),
    };
    let named = local(&receipt.spec.output);
    // Outputs of submitted jobs lie below `out` of their job, whatever their spec says.
    let relative = match named.as_os_str().is_empty() {
        true => written.strip_prefix("out").ok(),
        false => written.strip_prefix(&named).ok(),
    };
    let relative = relative.or_else(|| written.strip_prefix("out").ok());
    let moved = match relative.filter(|r| !r.as_os_str().is_empty()) {
        Some(relative) => Some(directory.join(relative)),
        None => written.file_name().map(|file| directory.join(file)),
    };
    moved.filter(|p| p.is_file()).unwrap_or(written)
}

/// Takes what an earlier receipt says of images that the run of `path` left alone into the receipt
/// at `path`, so that it speaks of the whole job again. `retried`: the later run was of the failed ones.
pub fn carry_over(earlier: &JobReceipt, path: &Path, retried: bool) -> Result<()> {
    let mut receipt = read(path)?;
    let (a, b) = (&earlier.spec, &receipt.spec);
    if (&a.output, &a.pipeline, &a.format) != (&b.output, &b.pipeline, &b.format) {
        return Ok(());
    }
    let mut added = 0;
    for task in &earlier.tasks {
        match receipt.tasks.iter_mut().find(|t| t.input == task.input) {
            Some(again) if retried => again.attempt += task.attempt,
            Some(_) => {}
            None if task.state == TaskState::Succeeded => {
                added += 1;
                receipt.tasks.push(task.clone());
            }
            None => {}
        }
    }
    let order = |task: &TaskReceipt| {
        let known = earlier.tasks.iter().find(|t| t.input == task.input);
        known.map_or(u64::MAX, |t| t.task)
    };
    receipt.tasks.sort_by_key(order);
    for (number, task) in (0..).zip(&mut receipt.tasks) {
        task.task = number;
    }
    if retried {
        receipt.counts.tasks += added;
        receipt.counts.succeeded += added;
        if receipt.state == JobState::Failed && receipt.counts.succeeded > 0 {
            receipt.state = JobState::Partial;
        }
    }
    remote::write(&receipt, path)
}
