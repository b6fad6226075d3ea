//! Carries out one thing that was asked of the job system.

use super::{Answer, Ask, inspect, say, transfers, watch};
use crate::state::jobs::Listed;
use crate::text::harmless;
use crate::work::{News, Post};
use client::Client;
use std::sync::Arc;

/// Does it and tells what came of it; `number` is that of its transfer.
pub(super) async fn work(client: Arc<Client>, ask: Ask, number: u64, post: Post) {
    // What is to be looked at again, and whether it is gone then.
    let changed = match &ask {
        Ask::Cancel(job) | Ask::Pause(job) | Ask::Resume(job) | Ask::Retry(job) => {
            Some((job.clone(), false))
        }
        Ask::Purge(job) => Some((job.clone(), true)),
        _ => None,
    };
    let done = match ask {
        Ask::Submit(job, mean) => transfers::submit(&client, *job, mean, number, &post).await,
        Ask::Cancel(job) => client.cancel(&job).await.map(drop),
        Ask::Pause(job) => client.pause(&job).await.map(drop),
        Ask::Resume(job) => client.resume(&job).await.map(drop),
        Ask::Retry(job) => client.retry(&job).await.map(drop),
        Ask::Purge(job) => client.purge(&job).await,
        Ask::Edit(job) => client.receipt(&job).await.map(|receipt| {
            match receipt {
                Some(receipt) => say(&post, Answer::Spec(Box::new(receipt.spec))),
                None => post.send(News::Told(true, "the job has no receipt yet".into())),
            };
        }),
        Ask::Links(job, after) => transfers::links(&client, &job, after, &post).await,
        Ask::Verify(job) => transfers::verify(&client, &job, number, &post).await,
        Ask::Inspect(serial, subject) => {
            inspect::fetch(&client, serial, *subject, &post).await;
            Ok(())
        }
        Ask::Older(job) => watch::older(&client, &job, &post).await,
        Ask::Scale(workers) => client.scale(workers).await.map(|before| {
            let before = before.map_or(String::new(), |n| format!(" ({n} before)"));
            let s = if workers == 1 { "" } else { "s" };
            let told = format!("{workers} worker{s} asked for{before}");
            post.send(News::Told(false, told));
        }),
        Ask::Download(job, folder, only) => {
            transfers::download(&client, &job, folder, only, number, &post).await
        }
        Ask::Turn(..) | Ask::Look | Ask::Nodes(_) | Ask::Sight(..) | Ask::Follow(_) => Ok(()),
    };
    say(&post, Answer::Transfer(number, None));
    if let Err(failure) = done {
        post.send(News::Told(true, harmless(&failure.message).into_owned()));
    }
    let Some((job, purged)) = changed else { return };
    match client.status(&job).await {
        Ok(status) => drop(say(
            &post,
            Answer::List(Listed::Some(vec![status], Vec::new())),
        )),
        Err(_) if purged => drop(say(
            &post,
            Answer::List(Listed::Some(Vec::new(), vec![job])),
        )),
        // It was told above what failed.
        Err(_) => {}
    }
}
