//! Outputs of a job into a directory: checked, whole or not at all, and only where they are missing.

use crate::exit::{Exit, Failure, Result};
use crate::text;
use crate::{Client, Fetched, Output, Results, Transfer};
use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;
use protocol::{JobReceipt, name};
use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;
use worker::atomic::{self, Pending};
use worker::names;

/// Files fetched at once.
const AT_ONCE: usize = 8;
/// The receipt beside the outputs, where `sundog verify` looks for it.
pub const RECEIPT: &str = "sundog-receipt.json";

/// What a download came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Files fetched.
    pub fetched: usize,
    /// Files that were there already.
    pub present: usize,
    /// Outputs that could not be fetched, with the reason.
    pub failed: Vec<(String, String)>,
}

/// Links that are asked for again when they have expired.
struct Links<'a> {
    client: &'a Client,
    job: &'a str,
    life: Duration,
    /// By task and page, and how often they were asked for.
    known: Mutex<(u32, HashMap<(u64, Option<u32>), String>)>,
}

impl Links<'_> {
    async fn of(&self, output: &Output) -> (u32, Option<String>) {
        let known = self.known.lock().await;
        (known.0, known.1.get(&(output.task, output.page)).cloned())
    }

    /// New links, unless somebody else has got some since `age`.
    async fn renew(&self, age: u32) -> Result<()> {
        let mut known = self.known.lock().await;
        if known.0 == age {
            let results = self.client.results(self.job, self.life).await?;
            let links = (results.results.into_iter()).map(|o| ((o.task, o.page), o.url));
            *known = (age + 1, links.collect());
        }
        Ok(())
    }
}

/// Fetches all outputs of `results` into `dir`, counting bytes on `bar` (a hidden one counts as well).
pub async fn all(
    client: &Client,
    results: &Results,
    dir: &Path,
    life: Duration,
    bar: &ProgressBar,
) -> Result<Outcome> {
    some(client, results, &|_| true, dir, life, bar).await
}

/// Fetches those of the outputs of `results` that are `wanted`, by the names that they have beside the others.
pub async fn some(
    client: &Client,
    results: &Results,
    wanted: &(dyn Fn(&Output) -> bool + Sync),
    dir: &Path,
    life: Duration,
    bar: &ProgressBar,
) -> Result<Outcome> {
    let transfer = Transfer::new()?;
    let mut outcome = Outcome::default();
    let mut taken = Vec::new();
    for (output, name) in local_names(&results.results) {
        match name {
            _ if !wanted(output) => {}
            Some(name) => taken.push((output, dir.join(name))),
            None => outcome.fail(output, "its name leads out of the directory"),
        }
    }
    let total = taken.iter().filter_map(|(output, _)| output.bytes).sum();
    bar.set_length(total);
    let first = (results.results.iter()).map(|o| ((o.task, o.page), o.url.clone()));
    let links = Links {
        client,
        job: &results.job,
        life,
        known: Mutex::new((0, first.collect())),
    };
    let mut fetches = stream::iter(taken)
        .map(|(output, target)| {
            let (links, transfer) = (&links, &transfer);
            async move { (output, one(links, transfer, output, target, bar).await) }
        })
        .buffer_unordered(AT_ONCE);
    while let Some((output, fetched)) = fetches.next().await {
        match fetched {
            Ok(true) => outcome.fetched += 1,
            Ok(false) => outcome.present += 1,
            // The job system itself is gone: the others would say the same.
            Err(failure) if failure.exit == Exit::Unreachable => {
                return Err(failure);
            }
            Err(failure) => outcome.fail(output, &failure.message),
        }
    }
    Ok(outcome)
}

impl Outcome {
    fn fail(&mut self, output: &Output, reason: &str) {
        let name = text::harmless(&output.output).into_owned();
        self.failed.push((name, reason.to_owned()));
    }
}

/// Fetches one output; false if it was there.
async fn one(
    links: &Links<'_>,
    transfer: &Transfer,
    output: &Output,
    target: PathBuf,
    bar: &ProgressBar,
) -> Result<bool> {
    if is_there(output, &target).await {
        bar.inc(output.bytes.unwrap_or(0));
        return Ok(false);
    }
    let expected = (output.bytes, output.sha256.as_deref());
    let mut last = String::new();
    for _ in 0..3 {
        let (age, url) = links.of(output).await;
        let url = url.and_then(|url| url.parse().ok());
        let url = url.ok_or_else(|| Failure::failed("its link is no address"))?;
        match transfer.get(&url, &target, expected, bar).await? {
            Fetched::Done => return Ok(true),
            Fetched::Stale(reason) => last = reason,
        }
        links.renew(age).await?;
    }
    Err(Failure::failed(last))
}

/// Whether a file has the output's bytes already.
async fn is_there(output: &Output, target: &Path) -> bool {
    let Some(expected) = output.sha256.clone() else {
        return false;
    };
    let (target, bytes) = (target.to_owned(), output.bytes);
    let same = tokio::task::spawn_blocking(move || {
        let length = std::fs::metadata(&target)
            .ok()
            .filter(|m| m.is_file())?
            .len();
        if bytes.is_some_and(|bytes| bytes != length) {
            return None;
        }
        let found = atomic::digest_file(&target).ok()?;
        Some(found.sha256 == expected)
    });
    matches!(same.await, Ok(Some(true)))
}

/// The paths of outputs below the directory of a download. Where names came out alike, by what only their pixels told,
/// later ones get the numbers of their tasks.
fn local_names(outputs: &[Output]) -> Vec<(&Output, Option<PathBuf>)> {
    let mut taken = HashSet::new();
    let names = outputs.iter().map(|output| {
        let local = local_name(&output.output);
        let number = u32::try_from(output.task).unwrap_or(u32::MAX);
        let other = || local_name(&names::numbered(&output.output, number));
        let local = local.and_then(|name| match taken.insert(name.clone()) {
            true => Some(name),
            false => other().filter(|name| taken.insert(name.clone())),
        });
        (output, local)
    });
    names.collect()
}

/// The path of an output below the directory of a download; None if it would lie elsewhere.
pub fn local_name(output: &str) -> Option<PathBuf> {
    let path = name::to_path(output.strip_prefix("out/").unwrap_or(output));
    let mut local = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) if !part.as_encoded_bytes().contains(&0) => local.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    let own = local == Path::new(RECEIPT);
    (!local.as_os_str().is_empty() && !own).then_some(local)
}

/// Writes the job's receipt beside its outputs.
pub fn write_receipt(receipt: &JobReceipt, results: &Results, dir: &Path) -> Result<()> {
    let mut receipt = receipt.clone();
    let local = local_names(&results.results).into_iter();
    let local: HashMap<(u64, Option<u32>), String> = local
        .filter_map(|(output, path)| {
            let path = format!("out/{}", name::to_text(&path?));
            Some(((output.task, output.page), path))
        })
        .collect();
    for task in &mut receipt.tasks {
        let number = task.task;
        for page in &mut task.pages {
            if let (Some(output), Some(path)) =
                (&mut page.output, local.get(&(number, Some(page.page))))
            {
                output.clone_from(path);
            }
        }
        let first = task.pages.iter().find_map(|page| page.output.clone());
        let path = first.or_else(|| local.get(&(number, task.page)).cloned());
        if let (Some(output), Some(path)) = (&mut task.output, path) {
            *output = path;
        }
    }
    let receipt = &receipt;
    let written = || -> std::io::Result<()> {
        let pending = Pending::create(&dir.join(RECEIPT))?;
        serde_json::to_writer_pretty(pending.writer(), receipt)?;
        pending.writer().write_all(b"\n")?;
        pending.commit().map(drop)
    };
    written().map_err(|error| Failure::failed(format!("the receipt: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_directory() {
        let good = [
            ("out/a.jpg", "a.jpg"),
            ("out/more/b.png", "more/b.png"),
            ("out/./c.png", "c.png"),
            ("a.jpg", "a.jpg"),
            ("out/..a", "..a"),
        ];
        for (output, expected) in good {
            assert_eq!(local_name(output).as_deref(), Some(Path::new(expected)));
        }
        for bad in [
            "",
            "out/",
            "/etc/passwd",
            "out//etc/passwd",
            "../a",
            "out/../a",
            "out/a/../../b",
            "out/\\x2e\\x2e/a",
            "out/a\\x2f..\\x2f..\\x2fb",
            "out/\\x2fetc",
            "out/a\\x00b",
            "out/sundog-receipt.json",
        ] {
            assert_eq!(local_name(bad), None, "{bad}");
        }
    }
}
