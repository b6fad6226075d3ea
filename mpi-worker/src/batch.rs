//! A batch from its job file to its receipt, on whatever world of ranks it is given.

use crate::dispense::{self, Work};
use crate::elsewhere::{Elsewhere, is_url};
use crate::inputs::{self, Found, Skipped};
use crate::log::Log;
use crate::planner::{self, Batch, Target, World};
use crate::settings::Settings;
use crate::shared;
use crate::single;
use crate::task::Order;
use crate::watch::Watch;
use imaging::comm::{Comm, Reduce, agree};
use imaging::executor::Stop;
use imaging::{Error, Result};
use protocol::event::Event;
use protocol::job::{Job, Mode, OnError};
use protocol::name;
use protocol::receipt::{Build, Counts};
use protocol::state::JobState;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// A job and how it is run this time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Number of the job, unique for ever.
    pub job_id: String,
    /// The job.
    pub job: Job,
    /// Only these inputs (as text without loss), for a retry.
    pub only: Option<Vec<String>>,
    /// Plan and tell, but write nothing.
    pub dry_run: bool,
    /// What stands for inputs and an output that are not files of this machine.
    #[serde(default)]
    pub elsewhere: Option<Elsewhere>,
    /// Git commit of the build, for the receipt.
    pub commit: Option<String>,
}

impl Request {
    /// The job's output on this machine.
    pub fn output(&self) -> &str {
        let staged = self.elsewhere.as_ref().and_then(|e| e.output.as_ref());
        staged.map_or(&self.job.output, |staged| &staged.output)
    }

    /// Inputs as found on this machine.
    pub(crate) fn find(&self, output: Option<&Path>) -> Result<Found> {
        let urls = self.job.inputs.iter().filter(|text| is_url(text));
        let output_url = Some(self.output()).filter(|text| is_url(text));
        let unread = match self.elsewhere {
            Some(_) => output_url,
            None => urls.map(String::as_str).next().or(output_url),
        };
        if let Some(text) = unread {
            return Err(Error::Pipeline(format!(
                "`{text}`: this program reads and writes files of this machine and file:// URLs (hint: sundog run)"
            )));
        }
        let local = self.job.inputs.iter().filter(|text| !is_url(text));
        let named: Vec<PathBuf> = local.map(|text| name::to_path(text)).collect();
        let mut found = match self.job.reduce {
            Some(_) => inputs::expand_any(&named, output),
            None => inputs::expand(&named, output),
        };
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.add_to(&mut found);
        }
        Ok(found)
    }
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The job's last state.
    pub state: JobState,
    /// How many tasks came to what.
    pub counts: Counts,
    /// Whether every failure was a refusal by a limit.
    pub refused: bool,
    /// Where the receipt lies.
    pub receipt: Option<PathBuf>,
    /// Bytes sent as halos.
    pub halo_bytes: u64,
    /// Files of directories that were passed over, by what they are.
    #[serde(default)]
    pub passed_over: Skipped,
}

impl Outcome {
    /// The exit code of a command that ran this batch.
    pub fn exit_code(&self) -> u8 {
        match self.state {
            JobState::Succeeded => 0,
            JobState::Partial => 3,
            JobState::Cancelled => 130,
            _ if self.refused => 5,
            _ => 1,
        }
    }
}

/// Runs a batch. All ranks call this together; rank 0 brings the request and gets the events.
/// `threads` is the number of threads of each rank; `processes` says whether ranks are processes.
pub fn run(
    comm: &dyn Comm,
    request: Option<&Request>,
    threads: usize,
    processes: bool,
    stop: &Stop,
    emit: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let mut bytes = request
        .filter(|_| comm.rank() == 0)
        .map(to_json)
        .unwrap_or_default();
    comm.broadcast(0, &mut bytes);
    let request: Request = from_json(&bytes)?;
    let world = World {
        ranks: comm.size(),
        threads,
        processes,
    };
    let settings = agree(comm, Settings::of(&request.job))?;
    if request.job.reduce.is_some() {
        return crate::reduction::run(comm, &request, &settings, world, stop, emit);
    }
    let started = Instant::now();
    let mut log = Log::new(&request, emit);
    let planned = match comm.rank() {
        0 => prepare(&request, &settings, world),
        _ => Ok(Batch::default()),
    };
    let batch = agree(comm, planned)?;
    if comm.rank() == 0 {
        log.planned(&batch, &settings, world);
    }
    if request.dry_run {
        return Ok(log.outcome(None));
    }
    run_orders(comm, batch, &settings, world, stop, &mut log, &request)?;
    let written = match comm.rank() {
        0 => log.finish(started, stop.is_set()),
        _ => Ok(None),
    };
    let receipt = agree(comm, written)?;
    Ok(log.outcome(receipt))
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    match serde_json::to_vec(value) {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("plain data: {error}"),
    }
}

fn from_json<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Io(format!("a message between ranks: {error}")))
}

/// Where a job's outputs go: a file when its name has an image's extension and there is one input file.
/// `named` is its output on this machine.
fn target(job: &Job, named: &str, found: &Found) -> Result<Target> {
    if named.is_empty() {
        return Err(Error::Pipeline(
            "no output is named (give -o DIRECTORY or -o FILE)".into(),
        ));
    }
    let output = local(named);
    if output.is_dir() || named.ends_with('/') {
        return Ok(Target::Directory(output));
    }
    if kind_of(&output).is_none() && output.exists() {
        return Err(Error::Pipeline(format!(
            "-o {} is there and is no directory (give a directory, or a file name such as out.png)",
            job.output
        )));
    }
    let lone = job.inputs.len() == 1 && found.inputs.len() + found.failures.len() <= 1;
    let from_file = lone && !name::to_path(&job.inputs[0]).is_dir();
    match kind_of(&output) {
        Some(_) if from_file => Ok(Target::File(output)),
        Some(_) => Err(Error::Pipeline(format!(
            "-o {} names a file, but there is not just one input file (give a directory)",
            job.output
        ))),
        None => Ok(Target::Directory(output)),
    }
}

/// Finds, probes and plans, on rank 0.
fn prepare(request: &Request, settings: &Settings, world: World) -> Result<Batch> {
    let job = &request.job;
    let found = request.find(Some(&local(request.output())))?;
    let skipped = request.elsewhere.as_ref().map_or(0, |e| e.skipped);
    let only: Option<HashSet<PathBuf>> = request
        .only
        .as_ref()
        .map(|only| only.iter().map(|text| name::to_path(text)).collect());
    let target = target(job, request.output(), &found)?;
    let mut settings = settings.clone();
    if let (Target::File(path), None) = (&target, &settings.format) {
        settings.format = kind_of(path).map(imaging::codec::Format::of);
    }
    let mut batch = planner::plan(found, &target, &settings, world, job, only.as_ref())?;
    batch.skipped += skipped;
    Ok(batch)
}

fn run_orders(
    comm: &dyn Comm,
    batch: Batch,
    settings: &Settings,
    world: World,
    stop: &Stop,
    log: &mut Log<'_>,
    request: &Request,
) -> Result<()> {
    let stop_on_error = request.job.on_error == OnError::Stop;
    let budget = settings.memory.map(|cap| cap.saturating_sub(batch.base));
    log.failures(batch.failures);
    let mut going = !(stop_on_error && log.failed());
    let (rows, images): (Vec<Order>, Vec<Order>) =
        batch.orders.into_iter().partition(|o| o.mode == Mode::Rows);
    let mut bytes = to_json(&rows);
    comm.broadcast(0, &mut bytes);
    let rows: Vec<Order> = from_json(&bytes)?;
    let settings = &with_format(comm, settings, request)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(world.threads)
        .build()
        .map_err(|error| Error::Io(format!("cannot start threads: {error}")))?;
    let spare = Arc::default();
    for order in rows {
        let mut halt = [i64::from(stop.is_set() || !going)];
        comm.all_reduce(&mut halt, Reduce::Max);
        if halt[0] != 0 {
            log.cancelled(&order, &settings.node);
            continue;
        }
        log.started(&order);
        let watch = Watch::start(settings.timeout);
        let stop = stop.child();
        let guard = watch.add(&stop);
        let finished = match comm.size() {
            1 => Some(single::run(
                &order,
                settings,
                Some(&pool),
                stop.clone(),
                &spare,
            )),
            _ => shared::run(comm, &order, settings, &pool, stop.clone()),
        };
        drop(guard);
        if let Some(finished) = finished {
            going &= log.finished(finished) || !stop_on_error;
        }
    }
    drop(pool);
    let mut anything = [images.len() as i64 * i64::from(going)];
    comm.all_reduce(&mut anything, Reduce::Max);
    let left = if anything[0] == 0 {
        images
    } else if comm.rank() == 0 {
        let log = std::cell::RefCell::new(&mut *log);
        let work = Work {
            orders: images,
            budget,
            started: &mut |order| log.borrow_mut().started(order),
            finished: &mut |finished| log.borrow_mut().finished(finished) || !stop_on_error,
        };
        dispense::run(comm, settings, world.threads, stop, Some(work))
    } else {
        dispense::run(comm, settings, world.threads, stop, None)
    };
    for order in &left {
        log.cancelled(order, &settings.node);
    }
    Ok(())
}

/// The output's format may come from the output file's name, which only rank 0 has looked at.
fn with_format(comm: &dyn Comm, settings: &Settings, request: &Request) -> Result<Settings> {
    let mut settings = settings.clone();
    if settings.format.is_none() {
        let output = local(request.output());
        let single =
            request.job.inputs.len() == 1 && !output.is_dir() && !request.output().ends_with('/');
        let kind = kind_of(&output).filter(|_| single);
        settings.format = kind.map(imaging::codec::Format::of);
    }
    comm.barrier();
    Ok(settings)
}

/// The format that a file's extension names.
fn kind_of(path: &Path) -> Option<imaging::codec::FormatKind> {
    imaging::codec::FormatKind::from_extension(path.extension()?.to_str()?)
}

/// A `file://` URL or a path, as text without loss.
fn local(text: &str) -> PathBuf {
    name::to_path(text.strip_prefix("file://").unwrap_or(text))
}

/// Where the receipt of a job with that output goes: into its output directory, or beside its only output file.
pub fn receipt_path(named: &str) -> PathBuf {
    let output = local(named);
    let is_file = !output.is_dir() && !named.ends_with('/') && kind_of(&output).is_some();
    match output.file_name() {
        Some(file) if is_file || output.is_file() => {
            let mut name = file.to_owned();
            name.push(".sundog-receipt.json");
            output.with_file_name(name)
        }
        _ => output.join("sundog-receipt.json"),
    }
}

pub(crate) fn build(commit: Option<String>) -> Build {
    Build {
        version: env!("CARGO_PKG_VERSION").into(),
        commit,
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
    }
}

/// The time in UTC with milliseconds.
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}

/// A new job number, sortable by time.
pub fn new_job_id() -> String {
    ulid::Ulid::generate().to_string()
}
