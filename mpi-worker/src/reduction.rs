//! A job that combines all its inputs into one output: events, receipt and exit like any other batch.

use crate::atomic::{self, Digested, Pending};
use crate::batch::{self, Outcome, Request};
use crate::inputs::Skipped;
use crate::planner::World;
use crate::reduce;
use crate::settings::Settings;
use imaging::comm::{Comm, agree};
use imaging::executor::Stop;
use imaging::{Error, Limit, Result};
use protocol::event::{
    Event, JobFinished, JobPlanned, JobStarted, TaskFinished, TaskPlanned, TaskStarted,
};
use protocol::name;
use protocol::receipt::{Counts, JobReceipt, StageMs, TaskReceipt};
use protocol::state::{JobState, TaskState};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

/// Runs a job that has a `reduce` section. All ranks call this together; events come on rank 0.
pub(crate) fn run(
    comm: &dyn Comm,
    request: &Request,
    settings: &Settings,
    world: World,
    stop: &Stop,
    emit: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let first = comm.rank() == 0;
    let (order, skipped) = agree(comm, order(request, settings, world))?;
    let mut told = Told {
        request,
        skipped,
        what: counted(order.files.len(), "file"),
        emit,
    };
    if request.dry_run {
        if first {
            told.planned(&order, settings, world);
        }
        return Ok(outcome(JobState::Succeeded, false, None, told.skipped));
    }
    let (began, started) = (Instant::now(), batch::now());
    if first {
        told.started(&started);
    }
    let result = reduce::run(comm, world.threads, &order, stop, &|_, _| ());
    if let Err(error @ Error::Pipeline(_)) = result {
        return Err(error);
    }
    let refused = matches!(result, Err(Error::Limit { .. }));
    let state = match &result {
        Ok(_) => TaskState::Succeeded,
        Err(Error::Stopped(_)) => TaskState::Cancelled,
        Err(_) => TaskState::Failed,
    };
    let ms = began.elapsed().as_millis() as u64;
    if let Ok(report) = &result
        && report.files != order.files.len()
    {
        told.what = format!("{} in {}", counted(report.files, "page"), told.what);
    }
    let written = match first {
        true => {
            let digest = result
                .as_ref()
                .ok()
                .and_then(|report| report.output.clone());
            let reason = result.as_ref().err().map(|error| match error {
                Error::Full(text) => format!("{text} ({})", Error::NO_ROOM),
                error => error.to_string(),
            });
            let task = told.task(state, reason, digest, &settings.node, comm.size(), ms);
            told.receipt(task, &started, ms).map(Some)
        }
        false => Ok(None),
    };
    let receipt = agree(comm, written)?;
    Ok(outcome(job_state(state), refused, receipt, told.skipped))
}

fn counted(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

fn job_state(task: TaskState) -> JobState {
    match task {
        TaskState::Succeeded => JobState::Succeeded,
        TaskState::Cancelled => JobState::Cancelled,
        _ => JobState::Failed,
    }
}

fn counts(state: JobState) -> Counts {
    Counts {
        tasks: 1,
        succeeded: u64::from(state == JobState::Succeeded),
        failed: u64::from(state == JobState::Failed),
        cancelled: u64::from(state == JobState::Cancelled),
        ..Counts::default()
    }
}

fn outcome(
    state: JobState,
    refused: bool,
    receipt: Option<PathBuf>,
    passed_over: Skipped,
) -> Outcome {
    Outcome {
        state,
        counts: counts(state),
        refused,
        receipt,
        halo_bytes: 0,
        passed_over,
    }
}

/// What the engine is asked for. Inputs are files or patterns; a directory stands for its images.
fn order(
    request: &Request,
    settings: &Settings,
    world: World,
) -> Result<(reduce::Request, Skipped)> {
    let job = &request.job;
    let Some(wanted) = &job.reduce else {
        return Err(Error::Pipeline("the job has no `reduce` section".into()));
    };
    if wanted.keep_partials {
        return Err(Error::Pipeline(
            "`reduce.keep_partials`: here nothing of the tree is stored (leave it out; hint: sundog submit)".into(),
        ));
    }
    if job.output.is_empty() {
        return Err(Error::Pipeline("no output is named (give -o FILE)".into()));
    }
    let found = request.find(None)?;
    if let Some((path, reason)) = found.failures.first() {
        return Err(Error::Io(format!("{}: {reason}", path.display())));
    }
    if let Some((path, reason)) = found.refused.first() {
        return Err(Limit::Count.exceeded(format!("{}: {reason}", path.display())));
    }
    let skipped = found.skipped;
    let files = found.inputs.into_iter().map(|input| input.path).collect();
    let named = request.output();
    let output = name::to_path(named.strip_prefix("file://").unwrap_or(named));
    let mut request = reduce::Request::new(wanted.op, files, output);
    request.fan_in = wanted.fan_in;
    request.max_open_files = wanted.max_open_files;
    request.bits = wanted.bits;
    request.target = job
        .format
        .as_deref()
        .map(reduce::Target::parse)
        .transpose()?;
    request.limits = settings.limits.clone();
    if let Some(cap) = settings.memory {
        // Half of what is left for partial results, half for rows being read and sorted.
        let left = cap.saturating_sub(world.base_bytes()) / world.ranks as u64 / 2;
        request.memory = request.memory.min(left as usize);
    }
    Ok((request, skipped))
}

/// What happened, as events and a receipt.
struct Told<'a> {
    request: &'a Request,
    skipped: Skipped,
    what: String,
    emit: &'a mut dyn FnMut(Event),
}

impl Told<'_> {
    fn planned(&mut self, order: &reduce::Request, settings: &Settings, world: World) {
        (self.emit)(Event::TaskPlanned(TaskPlanned {
            version: protocol::VERSION,
            task: 0,
            input: self.what.clone(),
            output: Some(self.request.job.output.clone()),
            outputs: Vec::new(),
            width: None,
            height: None,
            pages: None,
            mode: None,
            mode_reason: String::new(),
            ranks: Some(world.ranks),
            memory_bytes: None,
            reason: None,
            warnings: Vec::new(),
            device: String::new(),
            device_reason: String::new(),
        }));
        (self.emit)(Event::JobPlanned(JobPlanned {
            version: protocol::VERSION,
            tasks: 1,
            ranks: world.ranks,
            threads: world.threads,
            in_flight: 1,
            memory_bytes: (order.memory * world.ranks) as u64 + world.base_bytes(),
            memory_limit: settings.memory,
            skipped: self.skipped.clone(),
        }));
    }

    fn started(&mut self, time: &str) {
        let job = self.request.job_id.clone();
        (self.emit)(Event::JobStarted(JobStarted {
            version: protocol::VERSION,
            seq: None,
            job: job.clone(),
            tasks: 1,
            cost: None,
            time: time.to_owned(),
        }));
        (self.emit)(Event::TaskStarted(TaskStarted {
            version: protocol::VERSION,
            seq: None,
            job,
            task: 0,
            input: self.what.clone(),
            node: None,
            cost: None,
            attempt: 1,
        }));
    }

    fn task(
        &mut self,
        state: TaskState,
        reason: Option<String>,
        digest: Option<Digested>,
        node: &str,
        ranks: usize,
        ms: u64,
    ) -> TaskReceipt {
        let output = digest.is_some().then(|| self.request.job.output.clone());
        (self.emit)(Event::TaskFinished(TaskFinished {
            version: protocol::VERSION,
            seq: None,
            job: self.request.job_id.clone(),
            task: 0,
            input: self.what.clone(),
            output: output.clone(),
            outputs: Vec::new(),
            state,
            reason: reason.clone(),
            ms: Some(ms),
            node: Some(node.to_owned()),
            mode: None,
            attempt: 1,
            warnings: Vec::new(),
        }));
        TaskReceipt {
            version: protocol::VERSION,
            task: 0,
            input: self.what.clone(),
            input_sha256: None,
            output,
            object: None,
            bytes: digest.as_ref().map(|d| d.bytes),
            output_sha256: digest.map(|d| d.sha256),
            width: None,
            height: None,
            page: None,
            pages: Vec::new(),
            mode: None,
            mode_reason: String::new(),
            ranks: Some(ranks),
            ms: StageMs {
                compute: ms as f64,
                ..StageMs::default()
            },
            attempt: 1,
            rejections: 0,
            node: node.to_owned(),
            state,
            skipped: false,
            reason,
            warnings: Vec::new(),
            device: String::new(),
            device_reason: String::new(),
        }
    }

    /// Writes the receipt beside the output, then tells the end.
    fn receipt(&mut self, task: TaskReceipt, started: &str, ms: u64) -> Result<PathBuf> {
        let job = &self.request.job;
        let state = job_state(task.state);
        let spec = serde_json::to_vec(job).map_err(|e| Error::Io(e.to_string()))?;
        let receipt = JobReceipt {
            version: protocol::VERSION,
            job: self.request.job_id.clone(),
            name: job.name.clone(),
            spec: job.clone(),
            spec_sha256: atomic::sha256(&spec),
            build: batch::build(self.request.commit.clone()),
            started: started.to_owned(),
            finished: batch::now(),
            ms,
            state,
            counts: counts(state),
            note: None,
            skipped: self.skipped.clone(),
            tasks: vec![task],
        };
        let named = self.request.output();
        let output = name::to_path(named.strip_prefix("file://").unwrap_or(named));
        let mut file = output.file_name().unwrap_or_default().to_owned();
        file.push(".sundog-receipt.json");
        let path = output.with_file_name(file);
        let text = serde_json::to_vec_pretty(&receipt).map_err(|e| Error::Io(e.to_string()))?;
        let written = Pending::create(&path).and_then(|pending| {
            pending.writer().write_all(&text)?;
            pending.writer().write_all(b"\n")?;
            pending.commit()
        });
        written.map_err(|error| Error::from(error).of_part("the receipt"))?;
        let counts = receipt.counts;
        (self.emit)(Event::JobFinished(JobFinished {
            version: protocol::VERSION,
            seq: None,
            job: receipt.job,
            state,
            succeeded: counts.succeeded,
            failed: counts.failed,
            rejected: 0,
            cancelled: counts.cancelled,
            warnings: 0,
            ms,
            note: None,
            skipped: receipt.skipped,
        }));
        Ok(path)
    }
}
