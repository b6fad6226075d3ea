//! Outputs go to their store as they are done, a few at once. An image whose output cannot be stored has failed.

use super::Target;

use crate::exit::{Failure, Result};
use cloud::Error;
use imaging::codec::FormatKind;
use protocol::event::TaskFinished;
use protocol::receipt::Counts;
use protocol::state::{JobState, TaskState};
use protocol::{Event, JobReceipt, name};
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use worker::batch::Outcome;
use worker::elsewhere::Fetched;

/// Outputs on their way at once; the batch waits for the first of them when there are more.
const AT_ONCE: usize = 8;

/// The outputs of a task on their way.
struct Flight {
    event: TaskFinished,
    paths: Vec<PathBuf>,
    sent: JoinHandle<std::result::Result<(), Error>>,
}

/// Sends outputs and tells the end of a task only then.
pub struct Sender<'a> {
    runtime: &'a Runtime,
    target: Option<&'a Target>,
    /// Files that are removed when their task has ended.
    inputs: HashMap<String, PathBuf>,
    flying: VecDeque<Flight>,
    /// Reasons of tasks whose outputs could not be stored.
    failed: HashMap<u64, String>,
    /// The last thing to be told.
    end: Option<Event>,
}

impl<'a> Sender<'a> {
    /// A sender to `target`; without one, it only removes inputs.
    pub fn new(runtime: &'a Runtime, target: Option<&'a Target>, inputs: &[Fetched]) -> Sender<'a> {
        let inputs = inputs.iter();
        let inputs = inputs.map(|input| (input.name.clone(), name::to_path(&input.path)));
        Sender {
            runtime,
            target,
            inputs: inputs.collect(),
            flying: VecDeque::new(),
            failed: HashMap::new(),
            end: None,
        }
    }

    /// Takes what happened in the batch and tells it, now or when an output is stored.
    pub fn event(&mut self, event: Event, emit: &mut dyn FnMut(Event)) {
        match (event, self.target) {
            (Event::TaskFinished(task), target) => {
                if let Some(file) = self.inputs.remove(&task.input) {
                    // The folder goes at the end in any case.
                    let _ = std::fs::remove_file(file);
                }
                let outputs = match (&task.output, task.outputs.is_empty()) {
                    (Some(output), true) => vec![output.clone()],
                    _ => task.outputs.clone(),
                };
                match target.filter(|_| !outputs.is_empty()) {
                    Some(target) => self.begin(target, &outputs, task),
                    None => emit(Event::TaskFinished(task)),
                }
            }
            (event @ Event::JobFinished(_), Some(_)) => self.end = Some(event),
            (event, _) => emit(event),
        }
        while self.flying.len() > AT_ONCE
            || self
                .flying
                .front()
                .is_some_and(|first| first.sent.is_finished())
        {
            self.settle(emit);
        }
    }

    fn begin(&mut self, target: &Target, outputs: &[String], event: TaskFinished) {
        let place = |output: &String| target.staged.path(output).unwrap_or_default();
        let paths: Vec<PathBuf> = outputs.iter().map(place).collect();
        let keys = outputs.iter().map(|output| {
            let key = output.strip_prefix(&target.root).unwrap_or(output);
            let kind = Path::new(output).extension().and_then(|e| e.to_str());
            let kind = kind.and_then(FormatKind::from_extension);
            let media_type = kind.map_or("application/octet-stream", FormatKind::media_type);
            (key.to_owned(), media_type)
        });
        let files: Vec<_> = keys.zip(paths.clone()).collect();
        let store = target.store.clone();
        let sent = async move {
            for ((key, media_type), from) in files {
                store.put_file(&key, &from, media_type).await?;
            }
            Ok(())
        };
        self.flying.push_back(Flight {
            event,
            paths,
            sent: self.runtime.spawn(sent),
        });
    }

    /// Waits for the first output on its way.
    fn settle(&mut self, emit: &mut dyn FnMut(Event)) {
        let Some(Flight {
            mut event,
            paths,
            sent,
        }) = self.flying.pop_front()
        else {
            return;
        };
        let reason = match self.runtime.block_on(sent) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        for path in paths {
            let _ = std::fs::remove_file(path);
        }
        if let Some(reason) = reason {
            let reason = format!("its output could not be stored: {reason}");
            event.state = TaskState::Failed;
            event.output = None;
            event.outputs.clear();
            event.reason = Some(reason.clone());
            self.failed.insert(event.task, reason);
        }
        emit(Event::TaskFinished(event));
    }

    /// Waits for all outputs on their way.
    pub fn settle_all(&mut self, emit: &mut dyn FnMut(Event)) {
        while !self.flying.is_empty() {
            self.settle(emit);
        }
    }

    /// Takes outputs that could not be stored into what the batch came to, and into its receipt.
    pub fn amend(&self, outcome: &mut Outcome) -> Result<()> {
        if self.failed.is_empty() {
            return Ok(());
        }
        let failed = self.failed.len() as u64;
        correct(&mut outcome.counts, &mut outcome.state, failed);
        outcome.refused = false;
        let Some(path) = &outcome.receipt else {
            return Ok(());
        };
        let wrong =
            |error: &dyn std::fmt::Display| Failure::failed(format!("the receipt: {error}"));
        let text = std::fs::read(path).map_err(|error| wrong(&error))?;
        let mut receipt: JobReceipt =
            serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
        for task in &mut receipt.tasks {
            let Some(reason) = self.failed.get(&task.task) else {
                continue;
            };
            task.state = TaskState::Failed;
            task.reason = Some(reason.clone());
            (task.output, task.output_sha256, task.bytes) = (None, None, None);
            task.pages.clear();
        }
        correct(&mut receipt.counts, &mut receipt.state, failed);
        super::receipt::write(&receipt, path)
    }

    /// Stores the receipt and tells the end.
    pub fn finish(
        self,
        target: &Target,
        outcome: &mut Outcome,
        emit: &mut dyn FnMut(Event),
    ) -> Result<()> {
        if let Some(path) = outcome.receipt.take() {
            let text = name::to_text(&path);
            let url = target.staged.name(&text).unwrap_or(text);
            let key = url.strip_prefix(&target.root).unwrap_or(&url);
            let put = target.store.put_file(key, &path, "application/json");
            self.runtime.block_on(put).map_err(|error| {
                let mut failure = crate::from_cloud(&error);
                failure.message = format!("the receipt could not be stored: {}", failure.message);
                failure
            })?;
            outcome.receipt = Some(PathBuf::from(url));
        }
        if let Some(Event::JobFinished(mut end)) = self.end {
            end.state = outcome.state;
            end.succeeded = outcome.counts.succeeded;
            end.failed = outcome.counts.failed;
            emit(Event::JobFinished(end));
        }
        Ok(())
    }
}

/// Counts `failed` tasks as failed that had succeeded.
fn correct(counts: &mut Counts, state: &mut JobState, failed: u64) {
    if failed == 0 {
        return;
    }
    counts.succeeded -= failed.min(counts.succeeded);
    counts.failed += failed;
    *state = match (*state, counts.succeeded) {
        (JobState::Cancelled, _) => JobState::Cancelled,
        (_, 0) => JobState::Failed,
        _ => JobState::Partial,
    };
}
