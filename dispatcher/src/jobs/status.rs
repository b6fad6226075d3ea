//! Where jobs are and what came out of them: from the fields of their events, or else from receipts.

use super::Jobs;
use crate::error::Result;
use crate::names;
use cloud::links::Link;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::message::JobPlan;
use protocol::receipt::Counts;
use protocol::state::{JobState, TaskState};
use protocol::{JobReceipt, StoredJob, TaskReceipt};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Receipts read at once.
const AT_ONCE: usize = 16;

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobStatus {
    /// Its id.
    pub job: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// What is being done, in words.
    pub stage: String,
    /// When it was submitted, RFC 3339 in UTC.
    pub submitted: String,
    /// Tasks that have ended, by how; `tasks` is 0 until the job was split.
    pub counts: Counts,
    /// Warnings of the tasks that have ended.
    pub warnings: u64,
}

/// An output of a job and a link to it.
#[derive(Clone, Debug)]
pub struct Output {
    /// What the task's receipt says.
    pub receipt: TaskReceipt,
    /// The page that it is of its input, where it is one of several.
    pub page: Option<u32>,
    /// Where to get it, and until when.
    pub link: Link,
}

impl Jobs {
    /// Where a job is.
    pub async fn status(&self, owner: &str, id: &str) -> Result<JobStatus> {
        let stored = self.load(owner, id).await?;
        let fields = self.events.fields(id).await.unwrap_or_default();
        let (state, counts) = match from_fields(&fields) {
            Some(found) => found,
            None => self.receipts_say(id).await?,
        };
        Ok(status(stored, state, counts))
    }

    /// All jobs of a user, the newest first.
    pub async fn list(&self, owner: &str) -> Result<Vec<JobStatus>> {
        super::check_owner(owner)?;
        let marks = self.store.list(&names::owner(owner)).await?;
        let ids = marks.iter().filter_map(|m| m.name.rsplit('/').next());
        let ids: Vec<String> = ids.rev().map(str::to_owned).collect();
        stream::iter(ids)
            .map(|id| async move {
                match self.status(owner, &id).await {
                    // A mark whose submitter died before it stored the job.
                    Err(crate::Error::NoSuchJob(_)) => Ok(None),
                    other => other.map(Some),
                }
            })
            .buffered(AT_ONCE)
            .try_filter_map(|status| async move { Ok(status) })
            .try_collect()
            .await
    }

    /// Links to the outputs that there are so far.
    pub async fn results(&self, owner: &str, id: &str, life: Duration) -> Result<Vec<Output>> {
        self.load(owner, id).await?;
        let mut outputs = Vec::new();
        for receipt in task_receipts(self, id).await? {
            if receipt.state != TaskState::Succeeded {
                continue;
            }
            for (name, output) in names::outputs_of(id, &receipt) {
                let link = self.store.link_get(&name, life).await?;
                let page = output.page;
                outputs.push(Output {
                    receipt: receipt.clone(),
                    page,
                    link,
                });
            }
        }
        Ok(outputs)
    }

    /// The receipt of a job that has ended.
    pub async fn receipt(&self, owner: &str, id: &str) -> Result<Option<JobReceipt>> {
        self.load(owner, id).await?;
        names::read(&self.store, &names::receipt(id)).await
    }

    /// The receipts of tasks that have ended so far, by number.
    pub async fn tasks(&self, owner: &str, id: &str) -> Result<Vec<TaskReceipt>> {
        self.load(owner, id).await?;
        task_receipts(self, id).await
    }

    /// Which share of a job's tasks has ended, as far as that was told.
    pub(crate) async fn share_ended(&self, id: &str) -> Result<Option<f64>> {
        let fields = self.events.fields(id).await?;
        Ok(from_fields(&fields).map(|(_, counts)| {
            let ended = counts.succeeded + counts.failed + counts.rejected + counts.cancelled;
            ended as f64 / counts.tasks.max(1) as f64
        }))
    }

    async fn receipts_say(&self, id: &str) -> Result<(JobState, Counts)> {
        let round = names::current_round(&self.store, id).await?;
        // Until a dispatcher has put it away, the last round's receipt still lies there.
        let begun = match round {
            1 => true,
            n => {
                let earlier = names::archived(id, n - 1, "receipt.json");
                names::exists(&self.store, &earlier).await?
            }
        };
        let receipt: Option<JobReceipt> = names::read(&self.store, &names::receipt(id)).await?;
        match receipt {
            Some(receipt) if begun => return Ok((receipt.state, receipt.counts)),
            Some(receipt) => return Ok((JobState::Queued, receipt.counts)),
            None => {}
        }
        let plan: Option<JobPlan> = names::read(&self.store, &names::plan(id)).await?;
        let Some(plan) = plan else {
            return Ok((JobState::Queued, Counts::default()));
        };
        let mut counts = count(&task_receipts(self, id).await?);
        counts.tasks = plan.tasks.len() as u64;
        Ok((JobState::Running, counts))
    }
}

fn status(stored: StoredJob, state: JobState, counts: Counts) -> JobStatus {
    let stage = match state {
        JobState::Queued => "waiting for a dispatcher",
        JobState::Running if counts.tasks == 0 => "looking for inputs",
        JobState::Running => "processing",
        _ => "done",
    };
    JobStatus {
        job: stored.id,
        name: stored.spec.name,
        state,
        stage: stage.into(),
        submitted: stored.submitted,
        warnings: counts.warnings,
        counts,
    }
}

/// The receipts of tasks that have ended, by number.
pub(crate) async fn task_receipts(jobs: &Jobs, id: &str) -> Result<Vec<TaskReceipt>> {
    let found = jobs.store.list(&names::tasks(id)).await?;
    read_receipts(jobs, found.into_iter().map(|meta| meta.name)).await
}

/// The receipts of the first `tasks` tasks, as far as they are there, by number; quicker for few.
pub(crate) async fn first_receipts(jobs: &Jobs, id: &str, tasks: u64) -> Result<Vec<TaskReceipt>> {
    read_receipts(jobs, (0..tasks).map(|task| names::task(id, task))).await
}

async fn read_receipts(
    jobs: &Jobs,
    names: impl Iterator<Item = String>,
) -> Result<Vec<TaskReceipt>> {
    let reads = stream::iter(names.map(|name| async move {
        let receipt: Option<TaskReceipt> = names::read(&jobs.store, &name).await?;
        Ok::<_, crate::Error>(receipt)
    }));
    let mut receipts: Vec<TaskReceipt> = reads
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|receipt| async move { Ok(receipt) })
        .try_collect()
        .await?;
    receipts.sort_by_key(|receipt| receipt.task);
    Ok(receipts)
}

/// How the tasks ended that have.
pub(crate) fn count(receipts: &[TaskReceipt]) -> Counts {
    let mut counts = Counts {
        tasks: receipts.len() as u64,
        ..Counts::default()
    };
    for receipt in receipts {
        add(&mut counts, receipt);
    }
    counts
}

/// Counts one task that has ended.
pub(crate) fn add(counts: &mut Counts, receipt: &TaskReceipt) {
    counts.warnings += receipt.warnings.len() as u64;
    match receipt.state {
        TaskState::Succeeded => counts.succeeded += 1,
        TaskState::Rejected => counts.rejected += 1,
        TaskState::Cancelled => counts.cancelled += 1,
        _ => counts.failed += 1,
    }
}

/// Fields begin with `state` and `tasks`, set together when a job is split; then each dispatcher counts for
/// itself in `done.<round>.<its name>`.
fn from_fields(fields: &BTreeMap<String, String>) -> Option<(JobState, Counts)> {
    let state = serde_json::from_value(fields.get("state")?.as_str().into()).ok()?;
    let round = fields.get("round")?;
    let mut counts = Counts {
        tasks: fields.get("tasks")?.parse().ok()?,
        ..Counts::default()
    };
    let ended: &str = match state {
        JobState::Queued | JobState::Running => &format!("done.{round}."),
        _ => "ended",
    };
    for (_, text) in fields.iter().filter(|(key, _)| key.starts_with(ended)) {
        let parts: Vec<u64> = text.split(' ').filter_map(|n| n.parse().ok()).collect();
        let (succeeded, failed, rejected, cancelled, warnings) = match parts[..] {
            [succeeded, failed, rejected, cancelled, warnings] => {
                (succeeded, failed, rejected, cancelled, warnings)
            }
            // As a dispatcher of an earlier version tells it.
            [succeeded, failed, rejected, cancelled] => (succeeded, failed, rejected, cancelled, 0),
            _ => return None,
        };
        counts.succeeded += succeeded;
        counts.failed += failed;
        counts.rejected += rejected;
        counts.cancelled += cancelled;
        counts.warnings += warnings;
    }
    Some((state, counts))
}

/// Counts as a field's text.
pub(crate) fn to_field(counts: &Counts) -> String {
    let Counts {
        succeeded,
        failed,
        rejected,
        cancelled,
        warnings,
        ..
    } = counts;
    format!("{succeeded} {failed} {rejected} {cancelled} {warnings}")
}
