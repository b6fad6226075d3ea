//! The job system at its services themselves, for those who have their credentials.

use super::check_id;
use super::follow::{Follow, Update};
use super::problem::{from_cloud, from_jobs};
use super::types::{
    Announced, Failed, Input, Inputs, Letter, Node, Output, Results, Slot, Status, Target, Upload,
};
use crate::exit::{Failure, Result};
use cloud::config::{Config, Location};
use cloud::events::{self, Cursor, Topic};
use dispatcher::jobs::{JobStatus, Jobs, Rules};
use dispatcher::names;
use dispatcher::scale::{Command, Scale as _};
use protocol::state::{JobState, TaskState};
use protocol::{Job, JobReceipt, TaskReceipt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use worker::batch::new_job_id;

/// Dead letters looked at or tried again by one command.
const LETTERS: u16 = 1000;
/// How long an upload's links live.
const UPLOAD_LIFE: Duration = Duration::from_secs(3600);

/// Broker, Redis and store.
#[derive(Debug)]
pub struct Direct {
    pub(super) jobs: Jobs,
    owner: String,
    /// The store's directory, where it is one: its files need no links.
    directory: Option<PathBuf>,
    /// Starts and ends workers.
    scale: Option<Command>,
}

impl Direct {
    /// Connects as `owner`; `scale`: the program that starts and ends workers. Needs a Tokio runtime.
    pub fn new(config: &Config, owner: String, scale: Option<&str>) -> Result<Direct> {
        let location = config.store.clone().unwrap_or(Location::Memory);
        let directory = match &location {
            Location::Directory(dir) => Some(std::path::absolute(dir).unwrap_or(dir.clone())),
            _ => None,
        };
        Ok(Direct {
            jobs: Jobs::cluster(config, Rules::default())?,
            owner,
            directory,
            scale: scale.map(Command::parse).transpose().map_err(from_jobs)?,
        })
    }

    pub(super) async fn announce(&self, files: &[Announced]) -> Result<Upload> {
        let upload = new_job_id();
        let mut slots = Vec::with_capacity(files.len());
        for file in files {
            let object = names::upload(&self.owner, &format!("{upload}/{}", file.name));
            let target = match self.directory {
                Some(_) => Target::Object(object),
                None => {
                    let link = self
                        .jobs
                        .store
                        .link_put(&object, None, file.bytes, UPLOAD_LIFE)
                        .await;
                    let link = link.map_err(|error| from_cloud(&error))?;
                    Target::Link {
                        method: link.method,
                        url: link.url,
                        headers: link.headers,
                    }
                }
            };
            let input = format!("uploads/{upload}/{}", file.name);
            slots.push(Slot { input, target });
        }
        Ok(Upload {
            inputs: vec![format!("uploads/{upload}/")],
            slots,
        })
    }

    pub(super) async fn put_object(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let put = self
            .jobs
            .store
            .put(name, bytes.into(), "application/octet-stream");
        put.await.map_err(|error| from_cloud(&error))
    }

    pub(super) async fn submit(&self, job: &Job, key: &str) -> Result<String> {
        // The key is an id drawn by this program.
        let submitted = self.jobs.submit_as(&self.owner, key, job.clone());
        submitted.await.map_err(from_jobs)?;
        Ok(key.to_owned())
    }

    pub(super) async fn status(&self, job: &str) -> Result<Status> {
        check_id(job)?;
        let status = self.jobs.status(&self.owner, job).await;
        read_status(&status.map_err(from_jobs)?)
    }

    pub(super) async fn list(&self) -> Result<Vec<Status>> {
        let list = self.jobs.list(&self.owner).await.map_err(from_jobs)?;
        list.iter().map(read_status).collect()
    }

    pub(super) async fn some(
        &self,
        limit: usize,
        state: Option<JobState>,
        after: Option<&str>,
    ) -> Result<Vec<Status>> {
        let some = self.jobs.some(&self.owner, limit, state, after).await;
        some.map_err(from_jobs)?.iter().map(read_status).collect()
    }

    pub(super) async fn some_results(
        &self,
        job: &str,
        life: Duration,
        limit: usize,
        after: Option<u64>,
    ) -> Result<Results> {
        check_id(job)?;
        let some = self.jobs.some_tasks(&self.owner, job, limit, after).await;
        self.results_of(job, life, some.map_err(from_jobs)?).await
    }

    pub(super) async fn results(&self, job: &str, life: Duration) -> Result<Results> {
        check_id(job)?;
        let all = self.task_receipts(job).await?;
        self.results_of(job, life, all).await
    }

    async fn results_of(
        &self,
        job: &str,
        life: Duration,
        receipts: Vec<TaskReceipt>,
    ) -> Result<Results> {
        let state = self.status(job).await?.state;
        let (mut results, mut failed) = (Vec::new(), Vec::new());
        for receipt in receipts {
            let outputs = names::outputs_of(job, &receipt);
            match receipt.state {
                TaskState::Succeeded if !outputs.is_empty() => {
                    for (name, output) in outputs {
                        let (url, expires) = self.link(&name, life).await?;
                        results.push(Output {
                            task: receipt.task,
                            page: output.page,
                            input: receipt.input.clone(),
                            output: output.output.to_owned(),
                            url,
                            expires,
                            bytes: output.bytes,
                            sha256: output.sha256.map(str::to_owned),
                            width: output.size.map(|size| size.0),
                            height: output.size.map(|size| size.1),
                        });
                    }
                }
                _ => failed.push(Failed {
                    task: receipt.task,
                    input: receipt.input,
                    state: Some(receipt.state),
                    reason: receipt.reason,
                }),
            }
        }
        Ok(Results {
            job: job.to_owned(),
            state,
            results,
            failed,
        })
    }

    pub(super) async fn inputs(
        &self,
        job: &str,
        life: Duration,
        limit: usize,
        after: Option<u64>,
    ) -> Result<Inputs> {
        check_id(job)?;
        let found = self.jobs.inputs(&self.owner, job, limit, after).await;
        let mut inputs = Vec::new();
        for (number, task) in found.map_err(from_jobs)? {
            let url = match dispatcher::jobs::object_of(&self.owner, &task) {
                Some(name) => Some(self.link(&name, life).await?.0),
                None => None,
            };
            inputs.push(Input {
                number,
                input: task.input,
                url,
                bytes: task.bytes,
            });
        }
        Ok(Inputs { inputs })
    }

    /// An address of an output and its end.
    async fn link(&self, name: &str, life: Duration) -> Result<(String, Option<String>)> {
        if let Some(directory) = &self.directory {
            let file = directory.join(name);
            let url = reqwest::Url::from_file_path(&file)
                .map_err(|()| Failure::failed(format!("{} is no path", file.display())))?;
            return Ok((url.into(), None));
        }
        let link = self.jobs.store.link_get(name, life).await;
        let link = link.map_err(|error| from_cloud(&error))?;
        let expires = link.expires_text();
        Ok((link.url.into(), Some(expires)))
    }

    async fn task_receipts(&self, job: &str) -> Result<Vec<TaskReceipt>> {
        if let Some(receipt) = self.receipt(job).await? {
            return Ok(receipt.tasks);
        }
        self.jobs.tasks(&self.owner, job).await.map_err(from_jobs)
    }

    pub(super) async fn receipt(&self, job: &str) -> Result<Option<JobReceipt>> {
        check_id(job)?;
        self.jobs.receipt(&self.owner, job).await.map_err(from_jobs)
    }

    pub(super) async fn cancel(&self, job: &str) -> Result<Status> {
        check_id(job)?;
        let status = self.jobs.cancel(&self.owner, job).await;
        read_status(&status.map_err(from_jobs)?)
    }

    pub(super) async fn pause(&self, job: &str) -> Result<Status> {
        check_id(job)?;
        let status = self.jobs.pause(&self.owner, job).await;
        read_status(&status.map_err(from_jobs)?)
    }

    pub(super) async fn resume(&self, job: &str) -> Result<Status> {
        check_id(job)?;
        let status = self.jobs.resume(&self.owner, job).await;
        read_status(&status.map_err(from_jobs)?)
    }

    pub(super) async fn purge(&self, job: &str) -> Result<()> {
        check_id(job)?;
        self.jobs.purge(&self.owner, job).await.map_err(from_jobs)
    }

    pub(super) async fn retry(&self, job: &str) -> Result<u64> {
        check_id(job)?;
        let retried = self.jobs.retry(&self.owner, job).await;
        Ok(retried.map_err(from_jobs)? as u64)
    }

    pub(super) async fn nodes(&self) -> Result<Vec<Node>> {
        let nodes = self.jobs.nodes().await.map_err(from_jobs)?.nodes;
        Ok(nodes.into_iter().map(Node::Object).collect())
    }

    pub(super) async fn scale(&self, workers: usize) -> Result<Option<u64>> {
        let Some(scale) = &self.scale else {
            return Err(Failure::usage(
                "no program is set that starts workers (set SUNDOG_SCALE_COMMAND, or scale_command in ~/.config/sundog/config.toml; docs/deploy.md has some)",
            ));
        };
        let scaled = scale.scale(workers).await.map_err(from_jobs)?;
        Ok(scaled.before.map(|before| before as u64))
    }

    pub(super) async fn dead_letters(&self) -> Result<Vec<Letter>> {
        let letters = self.jobs.dead_letters(LETTERS).await.map_err(from_jobs)?;
        let value = serde_json::to_value(letters).unwrap_or_default();
        serde_json::from_value(value).map_err(|error| Failure::failed(error.to_string()))
    }

    pub(super) async fn replay(&self) -> Result<u64> {
        Ok(self.jobs.replay(LETTERS).await.map_err(from_jobs)? as u64)
    }

    pub(super) async fn follow(&self, job: &str) -> Result<Follow> {
        check_id(job)?;
        // Refuses somebody else's job.
        self.jobs.load(&self.owner, job).await.map_err(from_jobs)?;
        let topic = Topic::Job {
            job: job.to_owned(),
            after: Cursor::default(),
        };
        let subscribed = events::subscribe(Arc::clone(&self.jobs.events), topic).await;
        let mut updates = subscribed.map_err(|error| from_cloud(&error))?;
        Ok(Follow::spawn(|sender| async move {
            while let Some(update) = updates.next().await {
                let update = match update {
                    events::Update::Event { record, .. } => Update::Event(Box::new(record.event)),
                    events::Update::Reset { .. } => Update::Reset,
                };
                if sender.send(update).await.is_err() {
                    return;
                }
            }
        }))
    }
}

/// Through its JSON, which is what both ways have in common.
fn read_status(status: &JobStatus) -> Result<Status> {
    let value = serde_json::to_value(status).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| Failure::failed(error.to_string()))
}
