//! The ranks that a command runs on: this process, threads of it, or processes under `mpirun`.

use client::exit::{Failure, Result};
use imaging::comm::{Comm as _, serial::Serial, threads};
use imaging::executor::Stop;
use protocol::{Event, Job};
use std::sync::Mutex;
use worker::batch::{self, Outcome, Request};

/// Cores that this process may use; control groups and affinity are taken into account.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// Threads of each of `ranks` ranks on this machine: as asked for, or the cores shared out.
pub fn threads_each(asked: Option<usize>, ranks: usize) -> usize {
    asked.unwrap_or_else(|| (cores() / ranks.max(1)).max(1))
}

/// The git commit of this build.
pub fn commit() -> Option<String> {
    option_env!("SUNDOG_COMMIT").map(str::to_owned)
}

/// A request for a whole job.
pub fn request(job: Job) -> Request {
    Request {
        job_id: batch::new_job_id(),
        job,
        only: None,
        dry_run: false,
        elsewhere: None,
        commit: commit(),
    }
}

/// Runs a job in this process, on thread ranks where it asks for them.
pub fn run_here(
    request: &Request,
    stop: &Stop,
    emit: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome> {
    let ranks = request.job.thread_ranks.unwrap_or(1);
    let threads = threads_each(request.job.threads, ranks);
    if ranks == 1 {
        let comm = Serial::default();
        return Ok(batch::run(
            &comm,
            Some(request),
            threads,
            false,
            stop,
            &mut |e| emit(e),
        )?);
    }
    let emit = Mutex::new(emit);
    let outcomes = threads::run(ranks, |comm| {
        let first = comm.rank() == 0;
        batch::run(
            comm,
            first.then_some(request),
            threads,
            false,
            stop,
            &mut |event| {
                if first {
                    emit.lock().unwrap_or_else(|e| e.into_inner())(event);
                }
            },
        )
    });
    match outcomes.into_iter().next() {
        Some(outcome) => Ok(outcome?),
        None => Err(Failure::failed("a world of no ranks")),
    }
}
