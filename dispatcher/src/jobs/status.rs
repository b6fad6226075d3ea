//! Where jobs are and what came out of them: from the fields of their events, or else from receipts.

use super::Jobs;
use crate::error::Result;
use crate::names;
use crate::records;
use ::jobs::Span;
use cloud::links::Link;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use protocol::job::{Priority, ReduceOp};
use protocol::receipt::Counts;
use protocol::state::{JobState, TaskState};
use protocol::{JobReceipt, StoredJob, TaskReceipt};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
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
    /// When work on it began, RFC 3339 in UTC; in the last round, where it was tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// Milliseconds between the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// How urgent it is.
    pub priority: Priority,
    /// Of a reduction: what is computed. Its tasks are the nodes of a tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduce: Option<ReduceOp>,
    /// Tasks that have ended, by how; `tasks` is 0 until the job was split.
    pub counts: Counts,
    /// Warnings of the tasks that have ended.
    pub warnings: u64,
    /// Of a job that runs: the share of its work that is done, 0 to 1, as predicted from the sizes of its images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
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
        let state = match state {
            JobState::Queued | JobState::Running
                if names::exists(&self.store, &names::paused(id)).await? =>
            {
                JobState::Paused
            }
            state => state,
        };
        let mut status = status(stored, state, counts);
        if state.is_final() {
            let round = names::current_round(&self.store, id).await?;
            let end: Option<JobReceipt> = names::read(&self.store, &names::end(id, round)).await?;
            if let Some(end) = end {
                status.started = Some(end.started);
                status.finished = Some(end.finished);
                status.ms = Some(end.ms);
            }
        } else if let Some(plan) = records::plan(&self.store, id).await? {
            status.started = Some(plan.started);
            status.progress = progress(&fields);
        }
        Ok(status)
    }

    /// Links to the outputs that there are so far.
    pub async fn results(&self, owner: &str, id: &str, life: Duration) -> Result<Vec<Output>> {
        self.load(owner, id).await?;
        let mut outputs = Vec::new();
        for receipt in self.records(id).await? {
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

    /// The end of a job's last round, where that has ended: its number, and the job's receipt without the tasks.
    pub async fn end(&self, owner: &str, id: &str) -> Result<Option<(u32, JobReceipt)>> {
        self.load(owner, id).await?;
        let round = names::current_round(&self.store, id).await?;
        let end = names::read(&self.store, &names::end(id, round)).await?;
        Ok(end.map(|end| (round, end)))
    }

    /// The receipt of a job that has ended, as a whole: of a million tasks it is some hundred megabytes.
    pub async fn receipt(&self, owner: &str, id: &str) -> Result<Option<JobReceipt>> {
        let Some((_, end)) = self.end(owner, id).await? else {
            return Ok(None);
        };
        if records::pages(end.counts.tasks) > 1 {
            let tasks = self.records(id).await?;
            return Ok(Some(JobReceipt { tasks, ..end }));
        }
        let receipt: Option<JobReceipt> = names::read(&self.store, &names::receipt(id)).await?;
        // Until it is replaced, that of the round before lies there.
        Ok(receipt.filter(|receipt| receipt.started == end.started))
    }

    /// The same as JSON in pieces, so that it never lies in memory as a whole.
    pub async fn receipt_parts(
        &self,
        owner: &str,
        id: &str,
    ) -> Result<Option<BoxStream<'static, Result<Vec<u8>>>>> {
        let stored = self.load(owner, id).await?;
        let Some((round, end)) = self.end(owner, id).await? else {
            return Ok(None);
        };
        let pages = records::pages(end.counts.tasks);
        if pages <= 1 {
            let whole = self.receipt(owner, id).await?;
            let part = |whole| stream::iter([Ok(names::to_json(&whole))]).boxed();
            return Ok(whole.map(part));
        }
        let mut front = names::to_json(&end);
        // Its tasks come last, and there are none in it.
        front.truncate(front.len() - 2);
        let (store, stored) = (self.store.clone(), Arc::new(stored));
        let pages = stream::iter(0..pages).then(move |page| {
            let (store, stored) = (store.clone(), stored.clone());
            async move {
                let receipts = records::ended_page(&store, &stored, round, page).await?;
                let mut text = names::to_json(&receipts);
                text.pop();
                match text.first_mut() {
                    Some(first) if page > 0 => *first = b',',
                    _ => drop(text.remove(0)),
                }
                Ok(text)
            }
        });
        let front = stream::iter([Ok(front)]);
        let back = stream::iter([Ok(b"]}".to_vec())]);
        Ok(Some(front.chain(pages).chain(back).boxed()))
    }

    /// The receipts of tasks that have ended so far, by number.
    pub async fn tasks(&self, owner: &str, id: &str) -> Result<Vec<TaskReceipt>> {
        self.load(owner, id).await?;
        self.records(id).await
    }

    /// The receipts of some tasks that have ended so far: at most `limit`, those with numbers above `after`. Of a large job
    /// only the pages that hold them are read.
    pub async fn some_tasks(
        &self,
        owner: &str,
        id: &str,
        limit: usize,
        after: Option<u64>,
    ) -> Result<Vec<TaskReceipt>> {
        let stored = self.load(owner, id).await?;
        let fits = |receipt: &TaskReceipt| after.is_none_or(|after| receipt.task > after);
        let plan = records::plan(&self.store, id).await?;
        let tasks = plan.map_or(0, |plan| plan.tasks);
        let mut found = Vec::new();
        if records::pages(tasks) <= 1 {
            found = self.records(id).await?;
            found.retain(fits);
        } else {
            let round = names::current_round(&self.store, id).await?;
            let over = names::exists(&self.store, &names::end(id, round)).await?;
            let first = after.map_or(0, |after| Span::place(after + 1).0);
            for page in first..records::pages(tasks) {
                let some = self.ends(&stored, round, over, page).await?;
                found.extend(some.into_iter().filter(fits));
                if found.len() >= limit {
                    break;
                }
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// How the inputs of a page ended that have, by number; `over`: all of them have.
    async fn ends(
        &self,
        stored: &StoredJob,
        round: u32,
        over: bool,
        page: u32,
    ) -> Result<Vec<TaskReceipt>> {
        if over {
            return records::ended_page(&self.store, stored, round, page).await;
        }
        let rounds = records::rounds(&stored.spec, round);
        let attempts = stored.spec.schedule.max_attempts;
        let ends = records::ends(&self.store, &stored.id, rounds, page, attempts).await?;
        Ok(ends.entries.into_values().collect())
    }

    /// How the tasks of a job ended that have, by number.
    async fn records(&self, id: &str) -> Result<Vec<TaskReceipt>> {
        let mut all = Vec::new();
        self.each_page(id, |page| all.extend(page)).await?;
        Ok(all)
    }

    /// The same page by page.
    async fn each_page(&self, id: &str, mut take: impl FnMut(Vec<TaskReceipt>)) -> Result<()> {
        let round = names::current_round(&self.store, id).await?;
        let end: Option<JobReceipt> = names::read(&self.store, &names::end(id, round)).await?;
        if let Some(end) = &end
            && records::pages(end.counts.tasks) <= 1
        {
            let receipt: Option<JobReceipt> = names::read(&self.store, &names::receipt(id)).await?;
            // Until it is replaced, that of the round before lies there.
            if let Some(receipt) = receipt.filter(|receipt| receipt.started == end.started) {
                take(receipt.tasks);
                return Ok(());
            }
        }
        let Some(plan) = records::plan(&self.store, id).await? else {
            return Ok(());
        };
        let stored: Option<StoredJob> = names::read(&self.store, &names::spec(id)).await?;
        let Some(stored) = stored else {
            return Ok(());
        };
        for page in 0..records::pages(plan.tasks) {
            take(self.ends(&stored, round, end.is_some(), page).await?);
        }
        Ok(())
    }

    async fn receipts_say(&self, id: &str) -> Result<(JobState, Counts)> {
        let round = names::current_round(&self.store, id).await?;
        let end: Option<JobReceipt> = names::read(&self.store, &names::end(id, round)).await?;
        if let Some(end) = end {
            return Ok((end.state, end.counts));
        }
        let Some(plan) = records::plan(&self.store, id).await? else {
            return Ok((JobState::Queued, Counts::default()));
        };
        let mut counts = Counts::default();
        let add_all = |page: Vec<TaskReceipt>| page.iter().for_each(|one| add(&mut counts, one));
        self.each_page(id, add_all).await?;
        counts.tasks = plan.tasks;
        Ok((JobState::Running, counts))
    }
}

fn status(stored: StoredJob, state: JobState, counts: Counts) -> JobStatus {
    let stage = match state {
        JobState::Queued => "waiting for a dispatcher",
        JobState::Running if counts.tasks == 0 => "looking for inputs",
        JobState::Running => "processing",
        JobState::Paused => "paused (hint: sundog resume)",
        _ => "done",
    };
    JobStatus {
        job: stored.id,
        name: stored.spec.name,
        state,
        stage: stage.into(),
        submitted: stored.submitted,
        started: None,
        finished: None,
        ms: None,
        priority: stored.spec.schedule.priority,
        reduce: stored.spec.reduce.map(|reduce| reduce.op),
        warnings: counts.warnings,
        counts,
        progress: None,
    }
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
fn add(counts: &mut Counts, receipt: &TaskReceipt) {
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
        JobState::Queued | JobState::Running | JobState::Paused => &format!("done.{round}."),
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

/// The share of the work that is done; its field is `work.<round>`.
fn progress(fields: &BTreeMap<String, String>) -> Option<f64> {
    let (worked, work) = fields
        .get(&format!("work.{}", fields.get("round")?))?
        .split_once(' ')?;
    let (worked, work): (f64, f64) = (worked.parse().ok()?, work.parse().ok()?);
    (work > 0.0).then(|| (worked / work).clamp(0.0, 1.0))
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
