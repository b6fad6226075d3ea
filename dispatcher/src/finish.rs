//! Commits: the receipt of a task, then of the job by whoever sees the receipts of all its tasks.

use crate::error::{Error, Result};
use crate::jobs::{Jobs, add, count, first_receipts, task_receipts, to_field};
use crate::names;
use crate::observe::{self, Reason};
use crate::progress::{Pending, Progress};
use crate::service::Node;
use protocol::job::OnError;
use protocol::message::{JobPlan, JobRound};
use protocol::receipt::{Build, Counts, JobReceipt, TaskReceipt};
use protocol::state::{JobState, TaskState};
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
    /// Tasks that have ended here and are not told yet.
    pub(crate) pending: Pending,
}

/// The receipt that a job has.
struct Over {
    receipt: JobReceipt,
    /// Whether it was written now.
    new: bool,
}

/// The receipt that a task has.
struct Kept {
    receipt: TaskReceipt,
    /// Whether it was written now.
    new: bool,
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
        Ok(self.remember(stored, plan, false))
    }

    /// Keeps what is known of a job. `fresh`: the plan is new, and one that is remembered means nothing any more.
    pub(crate) fn remember(&self, stored: StoredJob, plan: JobPlan, fresh: bool) -> Arc<Known> {
        let id = stored.id.clone();
        let known = Arc::new(Known {
            spec: Arc::new(stored.spec.clone()),
            stored,
            plan,
            progress: Mutex::default(),
            pending: Pending::default(),
        });
        let mut memory = self.memory();
        if fresh {
            memory.remove(&id);
        }
        if memory.len() >= 64 {
            // Ids sort by time.
            memory.pop_first();
        }
        memory.entry(id).or_insert(known).clone()
    }

    /// Stores a task's receipt if it has none, and tells what its receipt says.
    pub(crate) async fn commit(
        &self,
        id: &str,
        round: u32,
        receipt: TaskReceipt,
        reason: Reason,
    ) -> Result<()> {
        let Some(kept) = self.keep(id, round, receipt, reason).await? else {
            return Ok(());
        };
        self.make_safe(id, Some(&kept), None).await?;
        self.tell_kept(id, round, &kept).await
    }

    /// Stores a task's receipt if it has none, and tells what its receipt says; stores and tells the job's if that was
    /// the last. Returns whether this receipt became the task's.
    pub(crate) async fn conclude(
        &self,
        known: &Known,
        round: u32,
        receipt: TaskReceipt,
        reason: Reason,
    ) -> Result<bool> {
        let (id, task) = (known.stored.id.as_str(), receipt.task);
        let Some(kept) = self.keep(id, round, receipt, reason).await? else {
            return Ok(false);
        };
        if kept.receipt.state != TaskState::Succeeded {
            self.make_safe(id, Some(&kept), None).await?;
            // It may end the round.
            self.tell_kept(id, round, &kept).await?;
            if let Some(over) = self.end(known, round, Some(task)).await? {
                self.close(known, round, &over).await?;
            }
            return Ok(kept.new);
        }
        // Whoever tells the end of the job waits for those of the other tasks.
        let pending = known.pending.enter();
        let over = self.end(known, round, Some(task)).await?;
        let safe = self.make_safe(id, Some(&kept), over.as_ref()).await;
        if safe.is_err() {
            known.progress.lock().await.reopen(task);
        }
        safe?;
        match over {
            None => self.tell_kept(id, round, &kept).await?,
            Some(Over { receipt, .. }) => {
                drop(pending);
                self.tell_end(known, round, &receipt, Some(&kept.receipt))
                    .await?;
                self.jobs.store.delete(&names::open(id)).await?;
            }
        }
        Ok(kept.new)
    }

    /// Waits until receipts, and the output that one tells of, are safe from a loss of power. Where that fails, what is
    /// new goes again. A result that is not a job's last waits for others.
    async fn make_safe(&self, id: &str, kept: Option<&Kept>, over: Option<&Over>) -> Result<()> {
        let store = &self.jobs.store;
        let task = kept.map(|kept| names::task(id, kept.receipt.task));
        let outputs = kept.map(|kept| names::outputs_of(id, &kept.receipt));
        let outputs = outputs.into_iter().flatten().map(|(name, _)| name);
        let job = over.map(|_| names::receipt(id));
        let all: Vec<String> = outputs.chain(task.clone()).chain(job.clone()).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let waits = |kept: &Kept| kept.receipt.state == TaskState::Succeeded;
        let synced = match over.is_none() && kept.is_some_and(waits) {
            true => store.sync_soon(&all).await,
            false => store.sync(&all).await,
        };
        let Err(error) = synced else {
            return Ok(());
        };
        if let (Some(job), true) = (job, over.is_some_and(|over| over.new)) {
            store.delete(&job).await?;
        }
        if let (Some(task), true) = (task, kept.is_some_and(|kept| kept.new)) {
            store.delete(&task).await?;
        }
        Err(error.into())
    }

    /// Stores a task's receipt if it has none; returns its receipt, if that counts.
    async fn keep(
        &self,
        id: &str,
        round: u32,
        receipt: TaskReceipt,
        reason: Reason,
    ) -> Result<Option<Kept>> {
        let name = names::task(id, receipt.task);
        // The late end of an attempt from before a retry is nothing to the new round, unless it is a result.
        let may_be_late = receipt.state != TaskState::Succeeded;
        let is_late = async || match may_be_late {
            true => Ok::<_, Error>(names::current_round(&self.jobs.store, id).await? > round),
            false => Ok(false),
        };
        if is_late().await? {
            return Ok(None);
        }
        let new = names::create_hint(&self.jobs.store, &name, &receipt).await?;
        if new && is_late().await? {
            self.jobs.store.delete(&name).await?;
            return Ok(None);
        }
        let receipt = match new {
            true => receipt,
            false => match names::read(&self.jobs.store, &name).await? {
                Some(receipt) => receipt,
                // Put away by a retry in this moment; that sends its own messages.
                None => return Ok(None),
            },
        };
        if new {
            observe::task_ended(&receipt, reason);
            let (state, reason) = (receipt.state.name(), receipt.reason.as_deref());
            tracing::debug!(
                job = id,
                task = receipt.task,
                state,
                reason,
                "a task has ended"
            );
        }
        Ok(Some(Kept { receipt, new }))
    }

    /// Tells how a task ended, and counts it.
    async fn tell_kept(&self, id: &str, round: u32, kept: &Kept) -> Result<()> {
        let Kept { receipt, new } = kept;
        let told = self.tell_task(id, round, receipt).await;
        let known = self.known(id).await?;
        let mut progress = known.progress.lock().await;
        progress.enter(round, known.plan.tasks.len());
        if let Some(ended) = progress.ended.get_mut(receipt.task as usize) {
            *ended = true;
        }
        if progress.round == round
            && let Some(heard) = progress.told.get_mut(receipt.task as usize)
        {
            *heard |= told;
        }
        let stops = receipt.state == TaskState::Failed && known.spec.on_error == OnError::Stop;
        if stops && !self.is_cancelled(id, round).await? {
            self.jobs.end_round(id, round).await?;
        }
        if *new && progress.round == round {
            add(&mut progress.mine, receipt);
            if !progress.telling {
                progress.telling = true;
                tokio::spawn(tell_counts(
                    self.jobs.clone(),
                    known.clone(),
                    format!("done.{round}.{}", self.boot),
                ));
            }
        }
        Ok(())
    }

    /// Writes and tells the job's receipt if all its tasks have theirs.
    pub(crate) async fn finish(&self, known: &Known, round: u32) -> Result<()> {
        match self.end(known, round, None).await? {
            Some(over) => self.close(known, round, &over).await,
            None => Ok(()),
        }
    }

    /// Writes the job's receipt if all its tasks have theirs; returns the one that there is then. `ended`: a task that
    /// is known to.
    async fn end(&self, known: &Known, round: u32, ended: Option<u64>) -> Result<Option<Over>> {
        let id = known.stored.id.as_str();
        {
            let mut progress = known.progress.lock().await;
            progress.enter(round, known.plan.tasks.len());
            if progress.round != round {
                return Ok(None);
            }
            if let Some(ended) = ended.and_then(|n| progress.ended.get_mut(n as usize)) {
                *ended = true;
            }
            if !self.all_ended(id, &mut progress).await? {
                return Ok(None);
            }
        }
        let tasks = match known.plan.tasks.len() {
            few if few <= LOOKS => first_receipts(&self.jobs, id, few as u64).await?,
            _ => task_receipts(&self.jobs, id).await?,
        };
        if tasks.len() < known.plan.tasks.len() {
            // A retry is putting receipts away.
            return Ok(None);
        }
        let receipt = self.job_receipt(known, round, tasks).await?;
        let (store, name) = (&self.jobs.store, names::receipt(id));
        let mut new = names::create_hint(store, &name, &receipt).await?;
        let mut there: Option<JobReceipt> = None;
        if !new {
            there = names::read(store, &name).await?;
            // One that was cut off is gone now.
            new = there.is_none() && names::create_hint(store, &name, &receipt).await?;
        }
        if new {
            observe::job_ended(receipt.state);
            let (state, ms) = (receipt.state.name(), receipt.ms);
            let Counts {
                tasks, succeeded, ..
            } = receipt.counts;
            tracing::info!(job = id, state, tasks, succeeded, ms, "a job has ended");
        }
        if names::current_round(&self.jobs.store, id).await? > round {
            // A retry began meanwhile and has put away the receipt of this round, whoever wrote it first.
            let there: Option<JobReceipt> = names::read(store, &name).await?;
            if there.is_some_and(|there| there.started == receipt.started) {
                store.delete(&name).await?;
            }
            return Ok(None);
        }
        let receipt = match new {
            true => Some(receipt),
            false => there,
        };
        Ok(receipt.map(|receipt| Over { receipt, new }))
    }

    /// Tells the end of a job that has its receipt.
    async fn close(&self, known: &Known, round: u32, over: &Over) -> Result<()> {
        let id = known.stored.id.as_str();
        self.make_safe(id, None, Some(over)).await?;
        self.tell_end(known, round, &over.receipt, None).await?;
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
            state: state(&counts, known.spec.on_error),
            counts,
            note: (counts.tasks == 0)
                .then(|| "there was nothing to do: no input is an image".into()),
            skipped: known.plan.skipped.clone(),
            tasks,
        })
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

fn state(counts: &Counts, on_error: OnError) -> JobState {
    match counts {
        Counts {
            failed: 1..,
            cancelled: 1..,
            ..
        } if on_error == OnError::Stop => JobState::Failed,
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
