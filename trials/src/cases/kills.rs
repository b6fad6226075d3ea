//! Dispatchers, ranks and `mpirun` that are killed, stopped, or asked to end.

use super::{Case, Course, THREADS};
use crate::Failure;
use crate::cluster::StoreKind;
use crate::trial::Trial;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// kill -9 of a dispatcher: another goes on, and a new one joins.
pub const DISPATCHER_KILLED: Case = Case {
    name: "dispatcher-killed",
    store: StoreKind::Directory,
    needs_ranks: false,
    play: |trial| Box::pin(dispatcher_killed(trial)),
};

/// SIGTERM to a dispatcher in the middle of its work.
pub const DISPATCHER_ENDED: Case = Case {
    name: "dispatcher-ended",
    store: StoreKind::S3,
    needs_ranks: false,
    play: |trial| Box::pin(dispatcher_ended(trial)),
};

/// kill -9 of a rank.
pub const RANK_KILLED: Case = Case {
    name: "rank-killed",
    store: StoreKind::Directory,
    needs_ranks: true,
    play: |trial| Box::pin(ranks(trial, "sundog-worker", Signal::KILL)),
};

/// SIGSTOP of a rank.
pub const RANK_STOPPED: Case = Case {
    name: "rank-stopped",
    store: StoreKind::Directory,
    needs_ranks: true,
    play: |trial| Box::pin(ranks(trial, "sundog-worker", Signal::STOP)),
};

/// kill -9 of `mpirun`.
pub const MPIRUN_KILLED: Case = Case {
    name: "mpirun-killed",
    store: StoreKind::S3,
    needs_ranks: true,
    play: |trial| Box::pin(ranks(trial, "mpirun", Signal::KILL)),
};

/// Ranks under `mpirun`.
const RANKS: &[&str] = &["--ranks", "2", "--stall", "3"];

/// Ranks or threads, by chance; threads where there are no ranks.
fn either(trial: &mut Trial) -> &'static [&'static str] {
    match crate::find("sundog-worker").is_ok() && trial.dice.bool() {
        true => RANKS,
        false => THREADS,
    }
}

async fn dispatcher_killed(trial: &mut Trial) -> Result<Course, Failure> {
    trial.submit(1).await?;
    let flags = either(trial);
    let doomed = trial.dispatcher(flags)?;
    trial.dispatcher(THREADS)?;
    trial.midst().await?;
    trial.kill(&doomed)?;
    let wait = Duration::from_millis(trial.dice.u64(0..1000));
    trial.pause(wait).await;
    trial.dispatcher(THREADS)?;
    trial.ended().await?;
    Ok(Course::Through)
}

async fn dispatcher_ended(trial: &mut Trial) -> Result<Course, Failure> {
    trial.submit(1).await?;
    let flags = either(trial);
    let leaving = trial.dispatcher(flags)?;
    trial.midst().await?;
    trial.end(&leaving)?;
    // Nobody is there for a while.
    let wait = Duration::from_millis(trial.dice.u64(0..500));
    trial.pause(wait).await;
    trial.dispatcher(THREADS)?;
    trial.ended().await?;
    Ok(Course::Through)
}

/// A signal to a rank or `mpirun` of the only dispatcher.
async fn ranks(trial: &mut Trial, name: &str, signal: Signal) -> Result<Course, Failure> {
    trial.submit(3).await?;
    let node = trial.dispatcher(RANKS)?;
    trial.midst().await?;
    let found = trial.below(&node, name).await?;
    let Some(victim) = trial.dice.choice(found) else {
        return Err(format!("{node} has no {name}").into());
    };
    let id = i32::try_from(victim.id).ok().and_then(Pid::from_raw);
    kill_process(id.ok_or("no process id")?, signal)?;
    trial.note(format!("{signal:?} went to {victim:?}"));
    trial.ended().await?;
    Ok(Course::Through)
}
