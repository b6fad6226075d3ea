//! Task messages: fetch, process, store, commit, tell, acknowledge.

use crate::error::{Error, Result};
use crate::expand::{Place, output_path};
use crate::finish::Known;
use crate::names;
use crate::service::Node;
use crate::world::{Lost, Task};
use cloud::queue::{Delivery, QueueName};
use cloud::store::Created;
use imaging::codec::{Format, FormatKind};
use protocol::TaskMessage;
use protocol::event::{Event, TaskStarted};
use protocol::message::PlannedTask;
use protocol::receipt::TaskReceipt;
use protocol::state::TaskState;
use std::sync::atomic::Ordering;
use std::time::Instant;
use worker::atomic::sha256;
use worker::single::ms;
use worker::task::Finished;

/// Largest input where the job names no limit.
const MAX_INPUT: u64 = 4 << 30;

/// How an attempt ended.
enum Outcome {
    /// With a receipt that is final.
    Final(Box<TaskReceipt>),
    /// With a reason why it may go better another time.
    Again(Box<TaskReceipt>),
    /// Not at all, through no fault of the task: somebody else may try, at no cost.
    Back(String),
}

impl Node {
    /// Handles a task message to its end.
    pub(crate) async fn execute(&self, delivery: Delivery) -> Result<()> {
        let message: TaskMessage = match serde_json::from_slice(&delivery.body) {
            Ok(message) => message,
            Err(error) => {
                let reason = format!("not a task message: {error}");
                return Ok(delivery.reject(&reason).await?);
            }
        };
        let (id, number, store) = (message.job.as_str(), message.task, &self.jobs.store);
        let known = match self.known(id).await {
            Err(Error::NoSuchJob(_)) => {
                return Ok(delivery.reject("the job's spec or plan is gone").await?);
            }
            other => other?,
        };
        let Some(task) = known.plan.tasks.get(number as usize) else {
            return Ok(delivery.reject("the job has no such task").await?);
        };
        let done: Option<TaskReceipt> = names::read(store, &names::task(id, number)).await?;
        if let Some(receipt) = done {
            // A duplicate, or its dispatcher died after the commit: told again, which changes nothing.
            self.commit(id, message.round, receipt).await?;
            self.finish(&known, message.round, Some(number)).await?;
            return Ok(delivery.ack().await?);
        }
        if self.is_cancelled(id, message.round).await? {
            if message.round == names::current_round(store, id).await? {
                let reason = "stopped before it was begun";
                let attempt = delivery.attempt;
                let receipt = self.verdict(number, task, attempt, TaskState::Cancelled, reason);
                self.commit(id, message.round, receipt).await?;
                self.finish(&known, message.round, Some(number)).await?;
            }
            return Ok(delivery.ack().await?);
        }
        let most = known.spec.schedule.max_attempts;
        if delivery.attempt > most {
            let reason =
                format!("given up after {most} attempts that never ended: their nodes died");
            let receipt = self.verdict(number, task, most, TaskState::Failed, &reason);
            return self.give_up(&known, &message, delivery, receipt).await;
        }
        let event = TaskStarted {
            version: protocol::VERSION,
            seq: None,
            job: id.to_owned(),
            task: number,
            input: task.input.clone(),
            node: Some(self.config.node.clone()),
            attempt: delivery.attempt,
        };
        let key = format!(
            "task-{number}-started-{}-{}",
            message.round, delivery.attempt
        );
        self.append(id, &key, Event::TaskStarted(event)).await;
        match self
            .attempt(&known, &message, task, delivery.attempt)
            .await?
        {
            Outcome::Again(receipt) if delivery.attempt < most => {
                let reason = receipt.reason.as_deref().unwrap_or_default();
                tracing::info!(job = id, task = number, reason, "an attempt failed");
                Ok(delivery.retry(QueueName::Tasks).await?)
            }
            Outcome::Back(reason) => {
                tracing::info!(job = id, task = number, reason, "a task is handed back");
                if !self.hand_back.is_cancelled() {
                    tokio::time::sleep(self.config.pause).await;
                }
                let same = delivery.message(QueueName::Tasks);
                Ok(delivery.replace(vec![same]).await?)
            }
            Outcome::Again(receipt) => self.give_up(&known, &message, delivery, *receipt).await,
            Outcome::Final(receipt) => {
                self.commit(id, message.round, *receipt).await?;
                self.finish(&known, message.round, Some(number)).await?;
                Ok(delivery.ack().await?)
            }
        }
    }

    async fn give_up(
        &self,
        known: &Known,
        message: &TaskMessage,
        delivery: Delivery,
        receipt: TaskReceipt,
    ) -> Result<()> {
        let reason = receipt.reason.clone().unwrap_or_default();
        let new = self.commit(&message.job, message.round, receipt).await?;
        self.finish(known, message.round, Some(message.task))
            .await?;
        match new {
            true => Ok(delivery.reject(&reason).await?),
            false => Ok(delivery.ack().await?),
        }
    }

    async fn is_cancelled(&self, id: &str, round: u32) -> Result<bool> {
        names::exists(&self.jobs.store, &names::cancelled(id, round)).await
    }

    /// One attempt. What is wrong with the image is in the receipt; an error is a service's.
    async fn attempt(
        &self,
        known: &Known,
        message: &TaskMessage,
        task: &PlannedTask,
        attempt: u32,
    ) -> Result<Outcome> {
        let (id, number) = (message.job.as_str(), message.task);
        let failed =
            |reason: &str| Box::new(self.verdict(number, task, attempt, TaskState::Failed, reason));
        let fetching = Instant::now();
        let scratch = tempfile::Builder::new()
            .prefix("sundog-")
            .tempdir_in(&self.config.scratch)
            .map_err(|error| local("making a temporary directory", &error))?;
        let input = match self.sources.locate(&known.stored.owner, &task.input) {
            Ok(Place::File(path)) => path,
            Ok(Place::Object(store, key)) => {
                let most = known.spec.limits.max_bytes.map_or(MAX_INPUT, |size| size.0);
                let bytes = match store.get(&key, most).await {
                    Ok(bytes) => bytes,
                    Err(error) => return Ok(Outcome::Again(failed(&error.to_string()))),
                };
                let path = scratch.path().join("input");
                let written = tokio::fs::write(&path, &bytes).await;
                written.map_err(|error| local("writing a temporary file", &error))?;
                path
            }
            Err(error) => return Ok(Outcome::Final(failed(&error.to_string()))),
        };
        let fetched = fetching.elapsed();
        let start = match start_of(&input).await {
            Ok(start) => start,
            Err(error) => return Ok(Outcome::Again(failed(&error.to_string()))),
        };
        let kind = FormatKind::detect(&start).unwrap_or(FormatKind::Png);
        let format = known.spec.format.as_deref();
        let format = format.and_then(|format| Format::parse(format).ok());
        let path = output_path(&task.relative, format.as_ref(), kind);
        let output = scratch.path().join("output");
        let job = &known.spec;
        let flight = self.flights.fetch_add(1, Ordering::Relaxed);
        let task_in_world = Task {
            id: format!("{id}.{number}.{flight}"),
            task: number,
            attempt,
            pipeline: job.pipeline.clone(),
            format: job.format.clone(),
            limits: job.limits.clone(),
            keep_metadata: job.keep_metadata,
            input: protocol::name::to_text(&input),
            output: protocol::name::to_text(&output),
            mode: job.mode,
            // After a failure alone, so that a further one is nobody else's.
            alone: attempt > 1,
        };
        let finished = match self.watched(id, message.round, task_in_world).await {
            Ok(finished) => finished,
            Err(Lost::Fault { reason, .. }) => return Ok(Outcome::Again(failed(&reason))),
            Err(lost) => return Ok(Outcome::Back(lost.to_string())),
        };
        let mut receipt = finished.receipt;
        receipt.task = number;
        receipt.attempt = attempt;
        receipt.node = self.config.node.clone();
        receipt.input = task.input.clone();
        receipt.ms.fetch += ms(fetched);
        // The name of a temporary file is nobody's concern.
        let scratch_name = protocol::name::to_text(scratch.path());
        receipt.reason = receipt
            .reason
            .map(|reason| reason.replace(&scratch_name, "scratch"));
        match receipt.state {
            TaskState::Succeeded => {}
            TaskState::Failed if !finished.refused => return Ok(Outcome::Again(Box::new(receipt))),
            _ => return Ok(Outcome::Final(Box::new(receipt))),
        }
        let storing = Instant::now();
        let bytes = tokio::fs::read(&output).await;
        let bytes = bytes.map_err(|error| local("reading the output", &error))?;
        let hash = receipt.output_sha256.clone().unwrap_or_default();
        let kind = format.map_or(kind, |format| format.kind());
        let name = names::output(id, &path);
        let store = &self.jobs.store;
        if store
            .create(&name, bytes.clone().into(), media_type(kind))
            .await?
            == Created::Exists
        {
            // By an attempt whose commit is not there (yet): the same bytes, unless another build made them.
            let there = store.get(&name, u64::MAX).await?;
            if sha256(&there) != hash {
                store.put(&name, bytes.into(), media_type(kind)).await?;
            }
        }
        receipt.output = Some(path);
        receipt.ms.store += ms(storing.elapsed());
        Ok(Outcome::Final(Box::new(receipt)))
    }

    /// Runs a task and stops it when its job is cancelled or this dispatcher gives it back.
    async fn watched(
        &self,
        id: &str,
        round: u32,
        task: Task,
    ) -> std::result::Result<Finished, Lost> {
        let flight = task.id.clone();
        let run = self.world.submit(task);
        tokio::pin!(run);
        loop {
            tokio::select! {
                finished = &mut run => return finished,
                () = self.hand_back.cancelled() => return Err(Lost::Shutdown),
                () = tokio::time::sleep(self.config.cancel_check) => {
                    match self.is_cancelled(id, round).await {
                        Ok(true) => self.world.cancel(&flight),
                        Ok(false) => {}
                        Err(error) => tracing::warn!(%error, job = id, "looking for a cancel"),
                    }
                }
            }
        }
    }
}

async fn start_of(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt as _;
    let mut start = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(32).read_to_end(&mut start).await?;
    Ok(start)
}

fn local(what: &str, error: &std::io::Error) -> Error {
    Error::State(format!("{what}: {error} (hint: is the disk full?)"))
}

fn media_type(kind: FormatKind) -> &'static str {
    match kind.name() {
        "jpeg" => "image/jpeg",
        "png" => "image/png",
        "tiff" => "image/tiff",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        "gif" => "image/gif",
        _ => "image/x-portable-anymap",
    }
}
