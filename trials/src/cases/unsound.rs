//! Nodes that are not sound beside sound ones: one has another store, one a key that the store does not accept any more.

use super::{Case, Course, THREADS};
use crate::Failure;
use crate::cluster::{S3_SECRET, StoreKind};
use crate::trial::{PATIENCE, Trial};
use crate::work::Work;
use dispatcher::names;
use protocol::job::Priority;
use protocol::state::TaskState;
use std::time::{Duration, Instant};
use worker::batch::new_job_id;

/// They take nothing and say why; the jobs of two users end as if they were not there.
pub const UNSOUND: Case = Case {
    name: "unsound-nodes",
    store: StoreKind::S3,
    needs_ranks: false,
    play: |trial| Box::pin(unsound(trial)),
};

/// Another user.
const OTHER: &str = "other";

async fn unsound(trial: &mut Trial) -> Result<Course, Failure> {
    // Whoever comes first: those that are wrong may believe for a while that they are right.
    let first = trial.dice.bool();
    if first {
        trial.dispatcher(THREADS)?;
    }
    let lost = with(
        trial,
        "SUNDOG_STORE",
        "s3://bucket/elsewhere",
        "s3://bucket/sundog",
    )?;
    let revoked = with(trial, "AWS_SECRET_ACCESS_KEY", "revoked", S3_SECRET)?;
    trial.submit(2).await?;
    let other = submit(trial, OTHER, Priority::Normal).await?;
    trial.dispatcher(THREADS)?;
    if !first {
        trial.dispatcher(THREADS)?;
    }
    trial.ended().await?;
    judge_other(trial, OTHER, &other).await?;
    for (node, why) in [(&lost, "store"), (&revoked, "refuses")] {
        let said = said(trial, node, why).await?;
        trial.note(format!("{node} says: {said}"));
        // One that takes nothing ends in order, too.
        trial.end(node)?;
    }
    Ok(Course::Through)
}

/// A dispatcher that has another value for a variable than the others.
fn with(trial: &mut Trial, name: &str, value: &str, right: &str) -> Result<String, Failure> {
    trial.set(name, value)?;
    let node = trial.dispatcher(THREADS);
    trial.set(name, right)?;
    node
}

/// A job of another user on the same images.
pub(super) async fn submit(
    trial: &mut Trial,
    owner: &str,
    priority: Priority,
) -> Result<String, Failure> {
    let upload = new_job_id();
    for (name, bytes) in &trial.work.images {
        let name = names::upload(owner, &format!("{upload}/{name}"));
        let bytes = bytes.clone().into();
        let store = &trial.jobs.store;
        store.put(&name, bytes, "application/octet-stream").await?;
    }
    let mut job = trial.work.job(&upload, 2);
    job.schedule.priority = priority;
    Ok(trial.jobs.submit(owner, job).await?)
}

/// Each image has its own end at its first attempt.
pub(super) async fn judge_other(trial: &mut Trial, owner: &str, job: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    while !trial.has_receipt(job).await {
        if begun.elapsed() > PATIENCE {
            return Err(format!("the job of {owner} does not end").into());
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let receipt = trial.jobs.receipt(owner, job).await?;
    let receipt = receipt.ok_or("the other user's job has no receipt")?;
    if receipt.tasks.len() != trial.work.images.len() {
        return Err(format!("the other user's job has {} tasks", receipt.tasks.len()).into());
    }
    for task in &receipt.tasks {
        let name = Work::name_of(&task.input);
        let fails = trial.work.damaged.contains(name);
        let right = match fails {
            true => task.state == TaskState::Failed,
            false => task.output_sha256.as_ref() == trial.work.expected.get(name),
        };
        if !right || task.attempt != 1 {
            let (state, attempt, reason) = (task.state, task.attempt, &task.reason);
            return Err(format!("the other's {name}: {state:?}, {attempt}: {reason:?}").into());
        }
    }
    Ok(())
}

/// Why a node says that it is in quarantine.
async fn said(trial: &Trial, node: &str, why: &str) -> Result<String, Failure> {
    let begun = Instant::now();
    loop {
        let nodes = trial.jobs.nodes().await?.nodes;
        let found = nodes.iter().find(|said| said["node"] == node);
        let reason = found.and_then(|said| said["reason"].as_str());
        if let Some(reason) = reason.filter(|reason| reason.contains(why)) {
            return Ok(reason.to_owned());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{node} does not say why it takes nothing: {found:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
