//! Reads a result and its input to be seen beside each other, and what a receipt says of it.

use super::objects::{self, Services};
use super::{News, Post, preview, read, spawn};
use crate::picture::Picture;
use crate::state::inspect::Side;
use crate::state::record::{Record, record};
use crate::state::view::Seen;
use imaging::executor::{Stop, guarded};
use protocol::{JobReceipt, name};
use std::path::{Path, PathBuf};

/// The longer side of what is shown.
const SIDE: usize = 1600;

/// Reads both; the answers come one by one.
pub fn pair(
    post: &Post,
    serial: u64,
    before: PathBuf,
    after: Option<PathBuf>,
    services: &Services,
) {
    let services = services.clone();
    spawn(post, "pair", move |post| {
        // The result is what one waits for.
        if let Some(after) = after {
            let seen = guarded(|| fetched(&services, &after));
            let seen = seen.map_err(|error| error.to_string());
            post.send(News::Side(serial, true, Side::of(seen)));
        }
        let seen = guarded(|| fetched(&services, &before));
        let seen = seen.map_err(|error| error.to_string());
        post.send(News::Side(serial, false, Side::of(seen)));
    });
}

fn fetched(services: &Services, path: &Path) -> imaging::Result<Seen> {
    let local = objects::local(services, path, &Stop::default())?;
    seen(&local.path)
}

/// A picture no larger than is worth showing, upright.
pub fn seen(path: &Path) -> imaging::Result<Seen> {
    let header = read::header(path)?;
    let told = read::told(&header);
    let rows = read::reduced(path, &header, SIDE, &Stop::default())?;
    let rows = read::upright(rows, header.orientation)?;
    let size = (told.width as usize, told.height as usize);
    Ok(preview::seen(Picture::of(&rows), size))
}

/// Finds what a receipt says of an input's output.
pub fn receipt(post: &Post, serial: u64, receipt: PathBuf, input: String, output: Option<PathBuf>) {
    spawn(post, "receipt", move |post| {
        let found = find(&receipt, &input, output.as_deref());
        post.send(News::Record(serial, found.map(Box::new)));
    });
}

fn find(path: &Path, input: &str, output: Option<&Path>) -> Result<Record, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = super::run::read_receipt(path)?;
    let receipt: JobReceipt = serde_json::from_slice(&text).map_err(|error| told(&error))?;
    let task = receipt.tasks.iter().find(|task| task.input == input);
    let task = task.ok_or(
        "the receipt of the latest run does not name it: its output is of a run before that",
    )?;
    let output = output.map(name::to_text);
    let outputs = task.outputs();
    let page = outputs
        .iter()
        .find(|o| Some(o.output) == output.as_deref())
        .and_then(|o| o.page);
    Ok(record(&receipt, task, page))
}

/// Compares a file with the hash that its receipt has.
pub fn check(post: &Post, serial: u64, file: PathBuf, sha256: String) {
    spawn(post, "check", move |post| {
        let checked = match super::run::digest(&file) {
            Ok(found) if found == sha256 => Ok("It has the hash of its receipt".into()),
            Ok(_) => Err("It was changed since the run".into()),
            Err(error) => Err(error),
        };
        post.send(News::Checked(serial, checked));
    });
}
