//! The job system as its users' programs see it: through a gateway over HTTP, or directly at broker, Redis and store.
//!
//! What the command line and the window share lies here: settings and which job system they lead to ([`connect`]),
//! uploads and downloads, the stream of a job's events, batches over objects behind URLs, and how failures are told. Nothing here prints.

mod account;
mod direct;
pub mod download;
pub mod exit;
mod find;
mod follow;
mod http;
mod lists;
mod pace;
pub mod problem;
mod ready;
pub mod remote;
pub mod serving;
pub mod settings;
mod sse;
mod stream;
pub mod text;
mod transfer;
mod types;
pub mod upload;
mod webhooks;

pub use account::Erased;
pub use cloud::config::Config;
pub use direct::Direct;
pub use dispatcher::jobs::Silent;
pub use find::{connect, services, user};
pub use follow::{Follow, Update};
pub use http::Gateway;
pub use pace::Pace;
pub use problem::{cause, from_cloud, from_jobs};
pub use transfer::{Fetched, Transfer, is_loopback, plain_http};
pub use types::{
    Announced, Input, Inputs, Letter, Node, Output, Results, Slot, Status, Target, Tested, Upload,
    Webhook, ended,
};

use crate::exit::{Failure, Result};
use protocol::{Job, JobReceipt, JobState};
use std::time::Duration;

/// A way to the job system.
#[derive(Debug)]
pub enum Client {
    /// Through a gateway.
    Gateway(Box<Gateway>),
    /// At the services themselves.
    Direct(Box<Direct>),
}

impl Client {
    /// Asks for places for files.
    pub async fn announce(&self, files: &[Announced]) -> Result<Upload> {
        match self {
            Client::Gateway(gateway) => gateway.announce(files).await,
            Client::Direct(direct) => direct.announce(files).await,
        }
    }

    /// Submits a job and returns its id. The same `key` again is the same job.
    pub async fn submit(&self, job: &Job, key: &str) -> Result<String> {
        match self {
            Client::Gateway(gateway) => gateway.submit(job, key).await,
            Client::Direct(direct) => direct.submit(job, key).await,
        }
    }

    /// The services behind that do not answer, as far as that can be told.
    pub async fn silent(&self) -> Result<Silent> {
        match self {
            Client::Gateway(gateway) => gateway.silent().await,
            Client::Direct(direct) => Ok(direct.jobs.silent().await),
        }
    }

    /// Where a job is.
    pub async fn status(&self, job: &str) -> Result<Status> {
        match self {
            Client::Gateway(gateway) => gateway.status(job).await,
            Client::Direct(direct) => direct.status(job).await,
        }
    }

    /// The user's jobs, the newest first.
    pub async fn list(&self) -> Result<Vec<Status>> {
        match self {
            Client::Gateway(gateway) => gateway.list().await,
            Client::Direct(direct) => direct.list().await,
        }
    }

    /// Some of them: at most `limit`, in that state alone, those after a job.
    pub async fn some(
        &self,
        limit: usize,
        state: Option<JobState>,
        after: Option<&str>,
    ) -> Result<Vec<Status>> {
        match self {
            Client::Gateway(gateway) => gateway.some(limit, state, after).await,
            Client::Direct(direct) => direct.some(limit, state, after).await,
        }
    }

    /// What came out of a job, with links that live for so long.
    pub async fn results(&self, job: &str, life: Duration) -> Result<Results> {
        match self {
            Client::Gateway(gateway) => gateway.results(job, life).await,
            Client::Direct(direct) => direct.results(job, life).await,
        }
    }

    /// What came out of at most `limit` of a job's tasks, those with numbers above `after`.
    pub async fn some_results(
        &self,
        job: &str,
        life: Duration,
        limit: usize,
        after: Option<u64>,
    ) -> Result<Results> {
        match self {
            Client::Gateway(gateway) => gateway.some_results(job, life, limit, after).await,
            Client::Direct(direct) => direct.some_results(job, life, limit, after).await,
        }
    }

    /// At most `limit` of a job's inputs, those with numbers above `after`, with links that live for so long.
    pub async fn inputs(
        &self,
        job: &str,
        life: Duration,
        limit: usize,
        after: Option<u64>,
    ) -> Result<Inputs> {
        match self {
            Client::Gateway(gateway) => gateway.inputs(job, life, limit, after).await,
            Client::Direct(direct) => direct.inputs(job, life, limit, after).await,
        }
    }

    /// The receipt of a job that has ended.
    pub async fn receipt(&self, job: &str) -> Result<Option<JobReceipt>> {
        match self {
            Client::Gateway(gateway) => gateway.receipt(job).await,
            Client::Direct(direct) => direct.receipt(job).await,
        }
    }

    /// Ends a job.
    pub async fn cancel(&self, job: &str) -> Result<Status> {
        match self {
            Client::Gateway(gateway) => gateway.cancel(job).await,
            Client::Direct(direct) => direct.cancel(job).await,
        }
    }

    /// Begins nothing more of a job until it is resumed.
    pub async fn pause(&self, job: &str) -> Result<Status> {
        match self {
            Client::Gateway(gateway) => gateway.on(job, "pause").await,
            Client::Direct(direct) => direct.pause(job).await,
        }
    }

    /// Goes on with a job that was paused.
    pub async fn resume(&self, job: &str) -> Result<Status> {
        match self {
            Client::Gateway(gateway) => gateway.on(job, "resume").await,
            Client::Direct(direct) => direct.resume(job).await,
        }
    }

    /// Removes everything of a job; its uploads stay.
    pub async fn purge(&self, job: &str) -> Result<()> {
        match self {
            Client::Gateway(gateway) => gateway.purge(job).await,
            Client::Direct(direct) => direct.purge(job).await,
        }
    }

    /// Runs what did not succeed again; returns how many tasks.
    pub async fn retry(&self, job: &str) -> Result<u64> {
        match self {
            Client::Gateway(gateway) => gateway.retry(job).await,
            Client::Direct(direct) => direct.retry(job).await,
        }
    }

    /// Nodes that live.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        match self {
            Client::Gateway(gateway) => gateway.nodes().await,
            Client::Direct(direct) => direct.nodes().await,
        }
    }

    /// Asks for so many workers; returns how many there were to be before, where that is known.
    pub async fn scale(&self, workers: usize) -> Result<Option<u64>> {
        match self {
            Client::Gateway(gateway) => gateway.scale(workers).await,
            Client::Direct(direct) => direct.scale(workers).await,
        }
    }

    /// Messages that were given up.
    pub async fn dead_letters(&self) -> Result<Vec<Letter>> {
        match self {
            Client::Gateway(gateway) => gateway.dead_letters().await,
            Client::Direct(direct) => direct.dead_letters().await,
        }
    }

    /// Tries those again; returns how many.
    pub async fn replay(&self) -> Result<u64> {
        match self {
            Client::Gateway(gateway) => gateway.replay().await,
            Client::Direct(direct) => direct.replay().await,
        }
    }

    /// A job's events from the first that is kept. The source being away only delays them.
    pub async fn follow(&self, job: &str) -> Result<Follow> {
        match self {
            Client::Gateway(gateway) => gateway.follow(job),
            Client::Direct(direct) => direct.follow(job).await,
        }
    }

    /// Puts a file's bytes where no link leads.
    pub async fn put_object(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        match self {
            Client::Gateway(_) => Err(Failure::failed("a gateway takes files by links alone")),
            Client::Direct(direct) => direct.put_object(name, bytes).await,
        }
    }
}

/// Refuses what cannot be a job's id before it gets into an address.
fn check_id(job: &str) -> Result<()> {
    let fits = (1..=64).contains(&job.len()) && job.bytes().all(|b| b.is_ascii_alphanumeric());
    match fits {
        true => Ok(()),
        false => Err(Failure::usage(format!(
            "`{}` is no job's id, which is letters and digits (hint: sundog list)",
            text::harmless(&job.chars().take(100).collect::<String>())
        ))),
    }
}
