//! The list of trials: one small file per group, one function per trial.

mod disk;
mod front;
mod kills;
mod poison;
mod services;
mod store;
mod unsound;
mod users;

use crate::Failure;
use crate::cluster::{Cluster, StoreKind};
use crate::trial::Trial;
use crate::verdict::{Problems, judge};
use crate::work::Work;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// A dispatcher with one thread of its own, so that the work lasts.
const THREADS: &[&str] = &["--ranks", "0", "--threads", "1"];

/// How a trial went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// To its end, which is to be judged.
    Through,
    /// Not at all on this machine, for this reason.
    Skipped(String),
}

/// What a trial does until its job has ended.
pub type Play =
    for<'a> fn(&'a mut Trial) -> Pin<Box<dyn Future<Output = Result<Course, Failure>> + 'a>>;

/// A kind of trial.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name at the command line.
    pub name: &'static str,
    /// The store it is for.
    pub store: StoreKind,
    /// Whether it needs ranks under `mpirun`.
    pub needs_ranks: bool,
    /// What it does.
    pub play: Play,
}

/// All trials.
pub const CASES: &[Case] = &[
    kills::DISPATCHER_KILLED,
    kills::DISPATCHER_ENDED,
    kills::RANK_KILLED,
    kills::RANK_STOPPED,
    kills::MPIRUN_KILLED,
    services::BROKER_PAUSED_5,
    services::BROKER_PAUSED_30,
    services::BROKER_KILLED,
    services::REDIS_PAUSED,
    services::REDIS_WIPED,
    store::ERRORS,
    store::CUT,
    store::LOST_REPLIES,
    store::SILENT,
    disk::FULL,
    poison::POISON,
    unsound::UNSOUND,
    users::USERS,
    users::USERS_S3,
    front::NOTIFIER_KILLED,
    front::GATEWAY_KILLED,
];

/// How a trial ended.
#[derive(Debug)]
pub enum Verdict {
    /// All held.
    Passed,
    /// It cannot be carried out on this machine, for this reason.
    Skipped(String),
    /// What did not hold.
    Failed(Problems),
}

/// Carries out one trial. The cluster comes back where it can be used again; what is needed to understand a
/// failure goes to `keep`.
pub async fn carry_out(
    case: &Case,
    mut cluster: Cluster,
    work: &Arc<Work>,
    seed: u64,
    keep: &Path,
) -> (Verdict, Option<Cluster>) {
    if let Err(error) = cluster.switch(case.store) {
        return (Verdict::Failed(vec![error.to_string()]), None);
    }
    let mut trial = match Trial::new(cluster, work.clone(), seed) {
        Ok(trial) => trial,
        Err(error) => return (Verdict::Failed(vec![error.to_string()]), None),
    };
    let problems = match (case.play)(&mut trial).await {
        Ok(Course::Skipped(reason)) => {
            return (Verdict::Skipped(reason), Some(trial.into_cluster()));
        }
        Ok(Course::Through) => match judge(&mut trial).await {
            Ok(problems) => problems,
            Err(error) => vec![error.to_string()],
        },
        Err(error) => vec![error.to_string()],
    };
    if problems.is_empty() {
        return (Verdict::Passed, Some(trial.into_cluster()));
    }
    if let Err(error) = preserve(&trial, &problems, keep).await {
        trial.note(format!("the logs cannot be kept: {error}"));
    }
    // A cluster on which something went wrong is not used again.
    if let Err(error) = trial.kill_all() {
        trial.note(format!("programs may be left: {error}"));
    }
    (Verdict::Failed(problems), None)
}

/// Copies logs, and writes what was done and found and told.
async fn preserve(trial: &Trial, problems: &Problems, keep: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(keep)?;
    for entry in std::fs::read_dir(trial.dir())?.flatten() {
        if entry.path().extension().is_some_and(|e| e == "log") {
            std::fs::copy(entry.path(), keep.join(entry.file_name()))?;
        }
    }
    let mut text = trial.story.join("\n");
    text.push_str("\n\nWhat is wrong:\n");
    text.push_str(&problems.join("\n"));
    std::fs::write(keep.join("story.txt"), text)?;
    let receipt = trial.jobs.receipt(crate::work::OWNER, &trial.job).await;
    std::fs::write(keep.join("receipt.txt"), format!("{receipt:#?}"))?;
    let page = trial.jobs.events.read(&trial.job, 0, 100_000).await;
    Ok(std::fs::write(
        keep.join("events.txt"),
        format!("{page:#?}"),
    )?)
}
