//! What happens in a batch: told as events while it runs, kept for the receipt that ends it.

use crate::atomic::{self, Pending};
use crate::batch::{Outcome, Request, build, now, receipt_path, to_json};
use crate::elsewhere::Names;
use crate::inputs::Skipped;
use crate::planner::{Batch, World};
use crate::settings::Settings;
use crate::task::{Fault, Finished, Order};
use imaging::{Error, Result};
use protocol::event::{
    Event, JobFinished, JobPlanned, JobStarted, TaskFinished, TaskPlanned, TaskStarted, Warned,
};
use protocol::job::OnError;
use protocol::receipt::{Counts, JobReceipt, TaskReceipt};
use protocol::state::{JobState, TaskState};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// What happened, told as events and kept for the receipt. Silent on ranks other than 0.
pub(crate) struct Log<'a> {
    request: &'a Request,
    emit: &'a mut dyn FnMut(Event),
    started: String,
    tasks: Vec<Finished>,
    counts: Counts,
    passed_over: Skipped,
    names: Names,
    /// Tasks of which some parts have ended, and how many.
    parts: HashMap<u64, (u32, Finished)>,
    /// Predicted seconds of one core for each task.
    costs: BTreeMap<u64, f64>,
    /// Tasks of several parts that were told to have begun.
    begun: HashSet<u64>,
}

impl<'a> Log<'a> {
    pub(crate) fn new(request: &'a Request, emit: &'a mut dyn FnMut(Event)) -> Log<'a> {
        Log {
            request,
            emit,
            started: now(),
            tasks: Vec::new(),
            counts: Counts::default(),
            passed_over: Skipped::new(),
            names: Names::new(request.elsewhere.as_ref()),
            parts: HashMap::new(),
            costs: BTreeMap::new(),
            begun: HashSet::new(),
        }
    }

    pub(crate) fn planned(&mut self, batch: &Batch, settings: &Settings, world: World) {
        let wholes = batch.orders.iter().filter(|order| order.part == 0);
        let tasks = (wholes.count() + batch.failures.len()) as u64;
        self.counts.tasks = tasks + batch.skipped;
        self.counts.skipped = batch.skipped;
        self.counts.succeeded = batch.skipped;
        self.passed_over.clone_from(&batch.passed_over);
        for order in &batch.orders {
            *self.costs.entry(order.task).or_default() += order.cost / 1e9;
        }
        if !self.request.dry_run {
            let job = self.request.job_id.clone();
            let started = JobStarted {
                version: protocol::VERSION,
                seq: None,
                job,
                tasks,
                cost: Some(self.costs.values().sum()),
                time: self.started.clone(),
            };
            return (self.emit)(Event::JobStarted(started));
        }
        // What would be done counts as done for the exit code.
        self.counts.succeeded += tasks - batch.failures.len() as u64;
        let mut plans = tasks_planned(&batch.orders);
        plans.extend(batch.failures.iter().map(|failure| TaskPlanned {
            version: protocol::VERSION,
            task: failure.receipt.task,
            input: failure.receipt.input.clone(),
            output: None,
            outputs: Vec::new(),
            width: None,
            height: None,
            pages: None,
            mode: None,
            mode_reason: String::new(),
            ranks: None,
            memory_bytes: None,
            reason: failure.receipt.reason.clone(),
            warnings: Vec::new(),
            device: String::new(),
            device_reason: String::new(),
        }));
        for plan in &mut plans {
            self.names.input(&mut plan.input, &mut plan.reason);
            let outputs = plan.output.iter_mut().chain(&mut plan.outputs);
            outputs.for_each(|o| self.names.output(o));
        }
        plans.sort_by_key(|plan| plan.task);
        plans
            .into_iter()
            .for_each(|plan| (self.emit)(Event::TaskPlanned(plan)));
        self.counts.failed = batch.failures.len() as u64;
        self.tasks.extend(batch.failures.iter().cloned());
        (self.emit)(Event::JobPlanned(JobPlanned {
            version: protocol::VERSION,
            tasks,
            ranks: world.ranks,
            threads: world.threads,
            in_flight: batch.in_flight,
            memory_bytes: batch.memory,
            memory_limit: settings.memory,
            skipped: self.passed_over.clone(),
        }));
    }

    pub(crate) fn started(&mut self, order: &Order) {
        if order.parts > 1 && !self.begun.insert(order.task) {
            return;
        }
        let mut input = order.input.clone();
        self.names.input(&mut input, &mut None);
        (self.emit)(Event::TaskStarted(TaskStarted {
            version: protocol::VERSION,
            seq: None,
            job: self.request.job_id.clone(),
            task: order.task,
            input,
            node: None,
            cost: self.costs.get(&order.task).copied(),
            attempt: 1,
        }));
    }

    pub(crate) fn failures(&mut self, failures: Vec<Finished>) {
        for failure in failures {
            self.finished(failure);
        }
    }

    pub(crate) fn failed(&self) -> bool {
        self.counts.failed > 0
    }

    pub(crate) fn cancelled(&mut self, order: &Order, node: &str) {
        let stopped = Err(Error::Stopped("stopped before it was begun".into()));
        self.finished(Finished::new(order, node, None, 0, stopped));
    }

    /// Whether the task, or the part of it, succeeded.
    pub(crate) fn finished(&mut self, finished: Finished) -> bool {
        if finished.parts < 2 {
            return self.ended(finished);
        }
        let (task, parts) = (finished.receipt.task, finished.parts);
        let succeeded = finished.receipt.state == TaskState::Succeeded;
        let (count, whole) = match self.parts.remove(&task) {
            None => (1, finished),
            Some((count, mut whole)) => {
                whole.merge(finished);
                (count + 1, whole)
            }
        };
        match count == parts {
            true => self.ended(whole),
            false => {
                self.parts.insert(task, (count, whole));
                succeeded
            }
        }
    }

    fn ended(&mut self, mut finished: Finished) -> bool {
        let receipt = &mut finished.receipt;
        if let (Some(Fault::Full), Some(reason)) = (finished.fault, &mut receipt.reason) {
            *reason += &format!(" ({})", self.names.no_room());
        }
        self.names.input(&mut receipt.input, &mut receipt.reason);
        receipt.output.iter_mut().for_each(|o| self.names.output(o));
        for page in &mut receipt.pages {
            page.output.iter_mut().for_each(|o| self.names.output(o));
        }
        let receipt = &finished.receipt;
        self.counts.warnings += receipt.warnings.len() as u64;
        Warned::all(&self.request.job_id, receipt)
            .into_iter()
            .for_each(&mut self.emit);
        match receipt.state {
            TaskState::Succeeded => self.counts.succeeded += 1,
            TaskState::Cancelled => self.counts.cancelled += 1,
            TaskState::Rejected => self.counts.rejected += 1,
            _ => self.counts.failed += 1,
        }
        (self.emit)(Event::TaskFinished(TaskFinished {
            version: protocol::VERSION,
            seq: None,
            job: self.request.job_id.clone(),
            task: receipt.task,
            input: receipt.input.clone(),
            output: receipt.output.clone(),
            outputs: several(receipt),
            state: receipt.state,
            reason: receipt.reason.clone(),
            ms: Some(finished.ms),
            node: Some(receipt.node.clone()).filter(|node| !node.is_empty()),
            mode: receipt.mode,
            attempt: receipt.attempt,
            warnings: receipt.warnings.clone(),
        }));
        let succeeded = receipt.state == TaskState::Succeeded;
        self.tasks.push(finished);
        succeeded
    }

    fn state(&self) -> JobState {
        match self.counts {
            Counts {
                cancelled: 1..,
                failed: 0,
                ..
            } => JobState::Cancelled,
            Counts {
                failed: 0,
                rejected: 0,
                ..
            } => JobState::Succeeded,
            Counts { cancelled: 1.., .. } if self.request.job.on_error == OnError::Stop => {
                JobState::Failed
            }
            Counts { cancelled: 1.., .. } => JobState::Cancelled,
            Counts { succeeded: 1.., .. } => JobState::Partial,
            // Pages of an image that has failed as a whole.
            _ if self.tasks.iter().any(|t| !t.receipt.outputs().is_empty()) => JobState::Partial,
            _ => JobState::Failed,
        }
    }

    fn note(&self) -> Option<String> {
        let skipped = self.counts.skipped;
        match (self.counts.tasks, skipped) {
            (0, _) => Some("there was nothing to do: no input is an image".into()),
            (_, 0) => None,
            _ => Some(format!(
                "{skipped} outputs existed already and were left alone"
            )),
        }
    }

    /// Writes the receipt, then tells the end.
    pub(crate) fn finish(&mut self, started: Instant, stopped: bool) -> Result<Option<PathBuf>> {
        let state = if stopped {
            JobState::Cancelled
        } else {
            self.state()
        };
        let ms = started.elapsed().as_millis() as u64;
        self.tasks.sort_by_key(|task| task.receipt.task);
        let job = &self.request.job;
        let receipt = JobReceipt {
            version: protocol::VERSION,
            job: self.request.job_id.clone(),
            name: job.name.clone(),
            spec: job.clone(),
            spec_sha256: atomic::sha256(&to_json(job)),
            build: build(self.request.commit.clone()),
            started: self.started.clone(),
            finished: now(),
            ms,
            state,
            counts: self.counts,
            note: self.note(),
            skipped: self.passed_over.clone(),
            tasks: self.tasks.iter().map(|task| task.receipt.clone()).collect(),
        };
        let path = receipt_path(self.request.output());
        let text = serde_json::to_vec_pretty(&receipt).map_err(|e| Error::Io(e.to_string()))?;
        let written = Pending::create(&path).and_then(|pending| {
            pending.writer().write_all(&text)?;
            pending.writer().write_all(b"\n")?;
            pending.commit()
        });
        written.map_err(|error| match Error::from(error).of_part("the receipt") {
            Error::Full(text) => Error::Full(format!("{text} ({})", self.names.no_room())),
            error => error,
        })?;
        let note = self.note();
        (self.emit)(Event::JobFinished(JobFinished {
            version: protocol::VERSION,
            seq: None,
            job: self.request.job_id.clone(),
            state,
            succeeded: self.counts.succeeded,
            failed: self.counts.failed,
            rejected: self.counts.rejected,
            cancelled: self.counts.cancelled,
            warnings: self.counts.warnings,
            ms,
            note,
            skipped: self.passed_over.clone(),
        }));
        Ok(Some(path))
    }

    pub(crate) fn outcome(&self, receipt: Option<PathBuf>) -> Outcome {
        let failures = || {
            self.tasks
                .iter()
                .filter(|t| t.receipt.state == TaskState::Failed)
        };
        Outcome {
            state: self.state(),
            counts: self.counts,
            refused: failures().count() > 0 && failures().all(|t| t.refused),
            receipt,
            halo_bytes: self.tasks.iter().map(|t| t.halo_bytes).sum(),
            passed_over: self.passed_over.clone(),
        }
    }
}

/// The outputs of a task, if they are several.
fn several(receipt: &TaskReceipt) -> Vec<String> {
    let outputs = receipt.outputs();
    match outputs.len() {
        0 | 1 => Vec::new(),
        _ => outputs.iter().map(|o| o.output.to_owned()).collect(),
    }
}

/// One plan a task, whatever parts it has.
fn tasks_planned(orders: &[Order]) -> Vec<TaskPlanned> {
    let mut plans: BTreeMap<u64, Vec<&Order>> = BTreeMap::new();
    for order in orders {
        plans.entry(order.task).or_default().push(order);
    }
    let plan = |mut parts: Vec<&Order>| {
        parts.sort_by_key(|order| order.part);
        let first = parts[0];
        let files = || parts.iter().flat_map(|order| &order.files);
        let outputs: Vec<String> = files().map(|file| file.output.clone()).collect();
        let pages = files().map(|file| file.pages.len() as u32).sum();
        TaskPlanned {
            version: protocol::VERSION,
            task: first.task,
            input: first.input.clone(),
            output: Some(first.output().to_owned()),
            outputs: if outputs.len() > 1 {
                outputs
            } else {
                Vec::new()
            },
            width: Some(first.size.0 as u64),
            height: Some(first.size.1 as u64),
            pages: (first.pages > 1).then_some(pages),
            mode: Some(first.mode),
            mode_reason: first.reason.clone(),
            ranks: Some(first.ranks),
            memory_bytes: parts.iter().map(|order| order.memory).max(),
            reason: None,
            warnings: first.warnings.clone(),
            device: first.device_name().to_owned(),
            device_reason: first.device_reason.clone(),
        }
    };
    plans.into_values().map(plan).collect()
}
