//! Commits: the receipt of a task, then of the job by whoever sees the receipts of all its tasks, and the events
//! that tell of them.

use crate::error::{Error, Result};
use crate::jobs::{Jobs, add, count, task_receipts, to_field};
use crate::names;
use crate::service::Node;
use protocol::event::{Event, JobFinished, TaskFinished};
use protocol::message::{JobPlan, JobRound};
use protocol::receipt::{Build, Counts, JobReceipt, TaskReceipt};
use protocol::state::JobState;
use protocol::{Job, StoredJob};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use worker::atomic::sha256;
use worker::batch::now;

/// How often counts are told at most.
const COUNTS: Duration = Duration::from_millis(100);

/// Receipts that are looked at one by one before all are listed.
const LOOKS: usize = 32;

/// What this dispatcher knows of a job that it works on.
pub(crate) struct Known {
    pub(crate) stored: StoredJob,
    pub(crate) spec: Arc<Job>,
    pub(crate) plan: JobPlan,
    pub(crate) progress: Mutex<Progress>,
}

/// Which tasks are known to have ended in a round, and what this dispatcher did of it.
#[derive(Default)]
pub(crate) struct Progress {
    round: u32,
    ended: Vec<bool>,
    /// No task before this one is open.
    lowest: usize,
    listed: bool,
    mine: Counts,
    /// Whether these counts are about to be told.
    telling: bool,
}

impl Progress {
    fn enter(&mut self, round: u32, tasks: usize) {
        if self.round < round {
            *self = Progress {
                round,
                ended: vec![false; tasks],
                ..Progress::default()
            };
        }
    }
}

impl Node {
    /// What is known of a job, read once.
    pub(crate) async fn known(&self, id: &str) -> Result<Arc<Known>> {
        if let Some(known) = self.memory().get(id) {
            return Ok(known.clone());
        }
        let store = &self.jobs.store;
        let stored: Option<StoredJob> = names::read(store, &names::spec(id)).await?;
        let plan: Option<JobPlan> = names::read(store, &names::plan(id)).await?;
        let (Some(stored), Some(plan)) = (stored, plan) else {
            return Err(Error::NoSuchJob(id.to_owned()));
        };
        let known = Arc::new(Known {
            spec: Arc::new(stored.spec.clone()),
            stored,
            plan,
            progress: Mutex::default(),
        });
        let mut memory = self.memory();
        if memory.len() >= 64 {
            // Ids sort by time.
            memory.pop_first();
        }
        Ok(memory.entry(id.to_owned()).or_insert(known).clone())
    }

    /// Stores a task's receipt if it has none, and tells what its receipt says. Returns whether this one became it.
    pub(crate) async fn commit(&self, id: &str, round: u32, receipt: TaskReceipt) -> Result<bool> {
        let name = names::task(id, receipt.task);
        let new = names::create(&self.jobs.store, &name, &receipt).await?;
        let receipt = match new {
            true => receipt,
            false => match names::read(&self.jobs.store, &name).await? {
                Some(receipt) => receipt,
                // Put away by a retry in this moment; that sends its own messages.
                None => return Ok(false),
            },
        };
        self.tell_task(id, round, &receipt).await;
        let known = self.known(id).await?;
        let mut progress = known.progress.lock().await;
        progress.enter(round, known.plan.tasks.len());
        if let Some(ended) = progress.ended.get_mut(receipt.task as usize) {
            *ended = true;
        }
        if new && progress.round == round {
            add(&mut progress.mine, receipt.state);
            if !progress.telling {
                progress.telling = true;
                tokio::spawn(tell_counts(
                    self.jobs.clone(),
                    known.clone(),
                    format!("done.{round}.{}", self.boot),
                ));
            }
        }
        Ok(new)
    }

    async fn tell_task(&self, id: &str, round: u32, receipt: &TaskReceipt) {
        // The same for everyone who tells of this task, and another one after a retry.
        let key = format!("task-{}-{round}", receipt.task);
        let ms = receipt.ms;
        let total = ms.fetch + ms.decode + ms.compute + ms.halo + ms.encode + ms.store;
        let event = TaskFinished {
            version: protocol::VERSION,
            seq: None,
            job: id.to_owned(),
            task: receipt.task,
            input: receipt.input.clone(),
            output: receipt.output.clone(),
            state: receipt.state,
            reason: receipt.reason.clone(),
            ms: Some(total.round() as u64),
            node: Some(receipt.node.clone()).filter(|node| !node.is_empty()),
            mode: receipt.mode,
            attempt: receipt.attempt,
            warnings: receipt.warnings.clone(),
        };
        self.append(id, &key, Event::TaskFinished(event)).await;
    }

    /// Adds an event; those are a hint, so that their loss is only logged.
    pub(crate) async fn append(&self, id: &str, key: &str, event: Event) {
        if let Err(error) = self.jobs.events.append(id, key, &event).await {
            tracing::warn!(%error, job = id, key, "an event was not told");
        }
    }

    /// Writes the job's receipt if all its tasks have theirs. `ended`: a task that is known to.
    pub(crate) async fn finish(&self, known: &Known, round: u32, ended: Option<u64>) -> Result<()> {
        let id = known.stored.id.as_str();
        {
            let mut progress = known.progress.lock().await;
            progress.enter(round, known.plan.tasks.len());
            if progress.round != round {
                return Ok(());
            }
            if let Some(ended) = ended.and_then(|n| progress.ended.get_mut(n as usize)) {
                *ended = true;
            }
            if !self.all_ended(id, &mut progress).await? {
                return Ok(());
            }
        }
        let tasks = task_receipts(&self.jobs, id).await?;
        if tasks.len() < known.plan.tasks.len() {
            // A retry is putting receipts away.
            return Ok(());
        }
        let receipt = self.job_receipt(known, round, tasks).await?;
        names::create(&self.jobs.store, &names::receipt(id), &receipt).await?;
        self.tell_end(id, round).await?;
        Ok(self.jobs.store.delete(&names::open(id)).await?)
    }

    /// Each receipt is asked for once when it is there, and the first that is missing ends the search: the
    /// dispatcher that commits last finds all of them.
    async fn all_ended(&self, id: &str, progress: &mut Progress) -> Result<bool> {
        let store = &self.jobs.store;
        let mut looks = 0;
        while progress.lowest < progress.ended.len() {
            let lowest = progress.lowest;
            if progress.ended[lowest] {
                progress.lowest += 1;
            } else if !progress.listed || looks >= LOOKS {
                progress.listed = true;
                looks = 0;
                for meta in store.list(&names::tasks(id)).await? {
                    let number = names::number(&meta.name).map(|n| n as usize);
                    if let Some(ended) = number.and_then(|n| progress.ended.get_mut(n)) {
                        *ended = true;
                    }
                }
                if !progress.ended[lowest] {
                    return Ok(false);
                }
            } else if names::exists(store, &names::task(id, lowest as u64)).await? {
                progress.ended[lowest] = true;
                looks += 1;
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn job_receipt(
        &self,
        known: &Known,
        round: u32,
        tasks: Vec<TaskReceipt>,
    ) -> Result<JobReceipt> {
        let id = &known.stored.id;
        let begun = match round {
            1 => known.plan.started.clone(),
            n => {
                let name = names::round(id, n);
                let round: Option<JobRound> = names::read(&self.jobs.store, &name).await?;
                round.map_or(known.plan.started.clone(), |round| round.time)
            }
        };
        let finished = now();
        let counts = count(&tasks);
        Ok(JobReceipt {
            version: protocol::VERSION,
            job: id.clone(),
            name: known.spec.name.clone(),
            spec: known.stored.spec.clone(),
            spec_sha256: sha256(&names::to_json(&known.stored.spec)),
            build: Build {
                version: env!("CARGO_PKG_VERSION").into(),
                commit: option_env!("SUNDOG_COMMIT").map(str::to_owned),
                target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            },
            ms: milliseconds(&begun, &finished),
            started: begun,
            finished,
            state: state(&counts),
            counts,
            note: (counts.tasks == 0)
                .then(|| "there was nothing to do: no input is an image".into()),
            tasks,
        })
    }

    /// Tells what the job's receipt says.
    pub(crate) async fn tell_end(&self, id: &str, round: u32) -> Result<()> {
        let name = names::receipt(id);
        let receipt: Option<JobReceipt> = names::read(&self.jobs.store, &name).await?;
        let Some(receipt) = receipt else {
            return Ok(());
        };
        let key = format!("job-finished-{round}");
        let event = JobFinished {
            version: protocol::VERSION,
            seq: None,
            job: id.to_owned(),
            state: receipt.state,
            succeeded: receipt.counts.succeeded,
            failed: receipt.counts.failed,
            rejected: receipt.counts.rejected,
            cancelled: receipt.counts.cancelled,
            ms: receipt.ms,
            note: receipt.note.clone(),
        };
        self.append(id, &key, Event::JobFinished(event)).await;
        let fields = [
            ("state", receipt.state.name()),
            ("tasks", &receipt.counts.tasks.to_string()),
            ("round", &round.to_string()),
            ("ended", &to_field(&receipt.counts)),
        ];
        self.jobs.tell(id, &fields).await;
        Ok(())
    }
}

/// Tells how many tasks of a job this dispatcher has ended, after a moment in which more may end.
async fn tell_counts(jobs: Jobs, known: Arc<Known>, key: String) {
    tokio::time::sleep(COUNTS).await;
    let counts = {
        let mut progress = known.progress.lock().await;
        progress.telling = false;
        to_field(&progress.mine)
    };
    jobs.tell(&known.stored.id, &[(&key, &counts)]).await;
}

fn state(counts: &Counts) -> JobState {
    match counts {
        Counts { cancelled: 1.., .. } => JobState::Cancelled,
        Counts {
            failed: 0,
            rejected: 0,
            ..
        } => JobState::Succeeded,
        Counts { succeeded: 1.., .. } => JobState::Partial,
        _ => JobState::Failed,
    }
}

fn milliseconds(from: &str, to: &str) -> u64 {
    let (from, to) = (from.parse(), to.parse());
    let (Ok(from), Ok(to)) = (from, to) else {
        return 0;
    };
    let (from, to): (jiff::Timestamp, jiff::Timestamp) = (from, to);
    to.duration_since(from).as_millis().max(0) as u64
}
