//! A batch in this process: on its threads, or on ranks that are threads where the job asks for them.

use crate::batch::{self, Outcome, Request};
use imaging::comm::{Comm as _, serial::Serial, threads};
use imaging::executor::Stop;
use imaging::{Error, Result};
use protocol::{Event, Job};
use std::sync::Mutex;

/// Cores that this process may use; control groups and affinity are taken into account.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// Threads of each of `ranks` ranks on this machine: as asked for, or the cores shared out.
pub fn threads_each(asked: Option<usize>, ranks: usize) -> usize {
    asked.unwrap_or_else(|| (cores() / ranks.max(1)).max(1))
}

/// A request for a whole job; `commit` is that of the build.
pub fn request(job: Job, commit: Option<&str>) -> Request {
    Request {
        job_id: batch::new_job_id(),
        job,
        only: None,
        dry_run: false,
        elsewhere: None,
        commit: commit.map(str::to_owned),
    }
}

/// Runs a job in this process, on thread ranks where it asks for them.
pub fn run(
    request: &Request,
    stop: &Stop,
    emit: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome> {
    let ranks = request.job.thread_ranks.unwrap_or(1);
    let each = threads_each(request.job.threads, ranks);
    if ranks == 1 {
        let comm = Serial::default();
        return batch::run(&comm, Some(request), each, false, stop, &mut |e| emit(e));
    }
    let emit = Mutex::new(emit);
    let outcomes = threads::run(ranks, |comm| {
        let first = comm.rank() == 0;
        let request = first.then_some(request);
        batch::run(comm, request, each, false, stop, &mut |event| {
            if first {
                emit.lock().unwrap_or_else(|e| e.into_inner())(event);
            }
        })
    });
    let none = || Error::Io("a world of no ranks".into());
    outcomes.into_iter().next().ok_or_else(none)?
}
