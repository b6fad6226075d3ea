//! Files that go to the job system and come back.

use super::{Answer, LIFE, say};
use crate::state::jobs::{Chosen, Links, PAGE, Transfer};
use crate::work::Post;
use client::exit::{Failure, Result};
use client::{Client, Output, upload};
use protocol::Job;
use std::path::PathBuf;
use std::time::Duration;

/// Tells how far a transfer is until `work` is over.
async fn watched<T>(
    what: &str,
    number: u64,
    post: &Post,
    bar: &indicatif::ProgressBar,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    let mut clock = tokio::time::interval(Duration::from_millis(250));
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = clock.tick() => {
                let transfer = Transfer {
                    what: what.to_owned(),
                    bytes: (bar.position(), bar.length().unwrap_or(0)),
                };
                say(post, Answer::Transfer(number, Some(transfer)));
            }
        }
    }
}

/// Uploads the files of a job and submits it.
pub(super) async fn submit(
    client: &Client,
    mut job: Job,
    mean: Option<f64>,
    number: u64,
    post: &Post,
) -> Result<()> {
    let given = job.clone();
    let found = tokio::task::spawn_blocking(move || upload::find(&given)).await;
    let (files, urls) = found.map_err(|error| Failure::failed(error.to_string()))??;
    if files.is_empty() && urls.is_empty() {
        return Err(Failure::usage(
            "there is nothing to do: no file in the inputs is an image",
        ));
    }
    let bar = indicatif::ProgressBar::hidden();
    let mut inputs = match files.is_empty() {
        true => Vec::new(),
        false => {
            watched(
                "Uploading",
                number,
                post,
                &bar,
                upload::send(client, &files, job.reduce.is_some(), &bar),
            )
            .await?
        }
    };
    inputs.extend(urls);
    job.inputs = inputs;
    // Where a job runs is the job system's matter, and so is where outputs of this computer's folders go.
    (job.ranks, job.thread_ranks, job.threads) = (None, None, None);
    if !job.output.contains("://") {
        job.output.clear();
    }
    let id = client.submit(&job, &worker::batch::new_job_id()).await?;
    say(post, Answer::Accepted(id, mean));
    Ok(())
}

/// Fetches a job's outputs into a folder: all with the receipt, or some.
pub(super) async fn download(
    client: &Client,
    job: &str,
    folder: PathBuf,
    only: Option<Chosen>,
    number: u64,
    post: &Post,
) -> Result<()> {
    let results = client.results(job, LIFE).await?;
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
    let bar = indicatif::ProgressBar::hidden();
    let wanted = |output: &Output| match &only {
        Some(only) => only.contains(&(output.task, output.page)),
        None => true,
    };
    let some = client::download::some(client, &results, &wanted, &folder, LIFE, &bar);
    let outcome = watched("Downloading", number, post, &bar, some).await?;
    // A receipt beside some of its outputs would miss the others.
    if only.is_none()
        && let Some(receipt) = client.receipt(job).await?
    {
        client::download::write_receipt(&receipt, &results, &folder)?;
    }
    let mut told = crate::text::count(outcome.fetched, "file");
    if outcome.present > 0 {
        told += &format!(", {} there already", outcome.present);
    }
    if let Some((name, why)) = outcome.failed.first() {
        return Err(Failure::failed(format!(
            "{name}: {why}{} (what is there already is not fetched again)",
            if outcome.failed.len() > 1 {
                format!("; and {} more", outcome.failed.len() - 1)
            } else {
                String::new()
            }
        )));
    }
    say(post, Answer::Downloaded(folder, told));
    Ok(())
}

/// Tells a page of links to a job's outputs.
pub(super) async fn links(
    client: &Client,
    job: &str,
    after: Option<u64>,
    post: &Post,
) -> Result<()> {
    let results = client.some_results(job, LIFE, PAGE, after).await?;
    say(post, Answer::Links(Box::new(Links::page(results, after))));
    Ok(())
}

/// Fetches a job's outputs, some at a time, and compares them with the hashes of its receipts.
pub(super) async fn verify(client: &Client, job: &str, number: u64, post: &Post) -> Result<()> {
    let scratch = tempfile::Builder::new().prefix("sundog-verify-").tempdir();
    let scratch = scratch.map_err(|error| {
        let text = format!("a temporary folder cannot be made: {error} (hint: set TMPDIR)");
        Failure::failed(text)
    })?;
    let (mut after, mut sound) = (None, 0);
    let mut wrong: Vec<(String, String)> = Vec::new();
    loop {
        let results = client.some_results(job, LIFE, PAGE, after).await?;
        let page = scratch.path().join("page");
        let bar = indicatif::ProgressBar::hidden();
        let all = client::download::all(client, &results, &page, LIFE, &bar);
        let outcome = watched("Verifying", number, post, &bar, all).await?;
        sound += outcome.fetched + outcome.present;
        wrong.extend(outcome.failed);
        // What was compared makes room.
        drop(std::fs::remove_dir_all(&page));
        let next = Links::page(results, after).next;
        if next.is_none() {
            break;
        }
        after = next;
    }
    let told = match wrong.first() {
        None => Ok(format!(
            "{} match their receipts",
            crate::text::count(sound, "output")
        )),
        Some((name, why)) => {
            let more = match wrong.len() {
                1 => String::new(),
                n => format!("; and {} more", n - 1),
            };
            Err(format!("{name}: {why}{more}"))
        }
    };
    say(post, Answer::Verified(job.to_owned(), told));
    Ok(())
}
