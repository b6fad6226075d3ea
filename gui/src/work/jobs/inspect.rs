//! An output of a job and its input, fetched to be looked at, and what its receipt says.

use super::LIFE;
use crate::state::inspect::{Side, Subject};
use crate::state::record::record;
use crate::state::view::Seen;
use crate::text::harmless;
use crate::work::{News, Post, inspect};
use client::exit::{Failure, Result};
use client::{Client, Fetched, Output, Transfer};
use imaging::executor::guarded;
use std::path::{Path, PathBuf};

/// Bytes of a file that is fetched to be looked at.
const MOST: u64 = 256 << 20;

/// Fetches both and the receipt; the answers come one by one.
pub(super) async fn fetch(client: &Client, serial: u64, subject: Subject, post: &Post) {
    let Subject::Output { job, output } = subject else {
        return;
    };
    let scratch = tempfile::Builder::new().prefix("sundog-look-").tempdir();
    let scratch = match scratch {
        Ok(scratch) => scratch,
        Err(error) => {
            let why = format!("a temporary folder cannot be made: {error} (hint: set TMPDIR)");
            post.send(News::Side(serial, true, Side::Failed(why)));
            return;
        }
    };
    let told = |failure: Failure| harmless(&failure.message).into_owned();
    let after = after(client, &job, &output, scratch.path()).await;
    if after.is_ok() && output.sha256.is_some() {
        let checked = "What was fetched has the hash of its receipt".to_owned();
        post.send(News::Checked(serial, Ok(checked)));
    }
    let seen = shown(after.map_err(told)).await;
    post.send(News::Side(serial, true, Side::of(seen)));
    let before = before(client, &job, &output, scratch.path()).await;
    let seen = shown(before.map_err(told)).await;
    post.send(News::Side(serial, false, Side::of(seen)));
    let record = told_by(client, &job, &output).await;
    post.send(News::Record(serial, record.map_err(told)));
}

async fn shown(path: std::result::Result<PathBuf, String>) -> std::result::Result<Seen, String> {
    let path = path?;
    let read = tokio::task::spawn_blocking(move || guarded(|| inspect::seen(&path)));
    let read = read.await.map_err(|error| error.to_string())?;
    read.map_err(|error| error.to_string())
}

/// Fetches a file of a link into a folder.
async fn get(url: &str, to: PathBuf, expected: (Option<u64>, Option<&str>)) -> Result<PathBuf> {
    if expected.0.is_some_and(|bytes| bytes > MOST) {
        return Err(Failure::failed(
            "it is too large to be fetched just to be looked at",
        ));
    }
    let url = url.parse();
    let url = url.map_err(|_| Failure::failed("its link is no address"))?;
    let bar = indicatif::ProgressBar::hidden();
    match Transfer::new()?.get(&url, &to, expected, &bar).await? {
        Fetched::Done => Ok(to),
        Fetched::Stale(why) => Err(Failure::failed(format!(
            "its link is not accepted any more: {why} (renew the links)"
        ))),
    }
}

async fn after(client: &Client, job: &str, output: &Output, folder: &Path) -> Result<PathBuf> {
    // The link of the list may have ended by now.
    let fresh = client.some_results(job, LIFE, 1, before_it(output)).await?;
    let same = |o: &&Output| o.task == output.task && o.page == output.page;
    let fresh = fresh.results.iter().find(same).unwrap_or(output);
    let expected = (fresh.bytes, fresh.sha256.as_deref());
    get(&fresh.url, folder.join("after"), expected).await
}

fn before_it(output: &Output) -> Option<u64> {
    output.task.checked_sub(1)
}

async fn before(client: &Client, job: &str, output: &Output, folder: &Path) -> Result<PathBuf> {
    let inputs = client.inputs(job, LIFE, 1, before_it(output)).await?;
    let input = inputs
        .inputs
        .iter()
        .find(|input| input.number == output.task);
    let input = input.ok_or_else(|| Failure::failed("the job system does not name its input"))?;
    let url = input.url.as_deref();
    let url =
        url.ok_or_else(|| Failure::failed("its input is no upload, so there is no link to it"))?;
    get(url, folder.join("before"), (input.bytes, None)).await
}

async fn told_by(
    client: &Client,
    job: &str,
    output: &Output,
) -> Result<Box<crate::state::record::Record>> {
    let receipt = client.receipt(job).await?;
    let receipt = receipt.ok_or_else(|| {
        Failure::failed("the job has not ended; its receipt is written at its end")
    })?;
    let task = receipt.tasks.iter().find(|task| task.task == output.task);
    let task = task.ok_or_else(|| Failure::failed("the job's receipt does not name it"))?;
    Ok(Box::new(record(&receipt, task, output.page)))
}
