//! Job messages: a job becomes tasks, failed tasks get another round, a cancelled job is brought to its end.
//!
//! Everything here may happen twice or be cut off at any point: what is stored is created only if absent, and the
//! message is acknowledged last.

use crate::error::Result;
use crate::jobs::{count, task_receipts, to_field};
use crate::names;
use crate::observe::Reason;
use crate::service::Node;
use cloud::queue::{Delivery, Message, QueueName};
use cloud::store::Created;
use protocol::event::{Event, JobStarted};
use protocol::message::{JobPlan, JobRound, PlannedTask};
use protocol::receipt::{StageMs, TaskReceipt};
use protocol::state::{JobState, TaskState};
use protocol::{JobMessage, StoredJob, TaskMessage};
use service::telemetry::trace;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use tracing::Span;
use worker::batch::now;

/// What becomes of a job message.
enum Split {
    /// It is done with.
    Done,
    /// It is given up.
    Dead(String),
    /// These follow from it.
    Tasks(Vec<Message>),
}

impl Node {
    /// Handles a job message to its end, or to that of the task that it came to, for which there is room here.
    pub(crate) async fn split(&self, delivery: Delivery) -> Result<Option<Delivery>> {
        match self.patiently(|| self.judge_job(&delivery)).await? {
            Split::Done => delivery.ack().await?,
            Split::Dead(reason) => delivery.reject(&reason).await?,
            Split::Tasks(mut messages) => {
                // A message that came before may have killed who took it.
                let may_stay = delivery.attempt == 1 && self.has_room();
                match messages.pop() {
                    Some(task) if messages.is_empty() && may_stay => {
                        return Ok(Some(delivery.follow(task)));
                    }
                    last => {
                        messages.extend(last);
                        delivery.replace(messages).await?;
                    }
                }
            }
        }
        Ok(None)
    }

    async fn judge_job(&self, delivery: &Delivery) -> Result<Split> {
        let message: JobMessage = match serde_json::from_slice(&delivery.body) {
            Ok(message) => message,
            Err(error) => return Ok(Split::Dead(format!("not a job message: {error}"))),
        };
        let (id, store) = (message.job.as_str(), &self.jobs.store);
        Span::current().record("job", id);
        Span::current().record("round", message.round);
        let spec = names::spec(id);
        let (stored, round) = tokio::join!(
            names::read::<StoredJob>(store, &spec),
            names::current_round(store, id)
        );
        let Some(stored) = stored? else {
            return Ok(Split::Dead("the job's spec is gone".into()));
        };
        if message.round < round? {
            return Ok(Split::Done);
        }
        if message.round > 1 {
            self.put_away(id, message.round).await?;
        }
        let (plan, fresh) = self.plan(&stored).await?;
        // This dispatcher most likely works on it, too.
        let known = self.remember(stored, plan, fresh);
        let plan = &known.plan;
        // Nothing can have ended of what was planned just now.
        let (ended, over) = match fresh {
            true => (Vec::new(), false),
            false => (
                task_receipts(&self.jobs, id).await?,
                names::exists(store, &names::receipt(id)).await?,
            ),
        };
        if over {
            // By a dispatcher that died before it said so, or an order that came twice.
            self.tell_start(id, message.round, plan).await;
            self.tell_ended(&known, message.round).await?;
            return Ok(Split::Done);
        }
        let tasks = plan.tasks.len();
        match fresh {
            true => tracing::info!(tasks, "a job begins"),
            false => tracing::info!(tasks, ended = ended.len(), "a job goes on"),
        }
        let kept = to_field(&count(&ended));
        let told = async {
            let fields = [
                ("state", JobState::Running.name()),
                ("tasks", &plan.tasks.len().to_string()),
                ("round", &message.round.to_string()),
                (&format!("done.{}.kept", message.round), &kept),
            ];
            self.jobs.tell(id, &fields).await;
        };
        let cancelled = names::cancelled(id, message.round);
        let ((), (), cancelled) = tokio::join!(
            self.tell_start(id, message.round, plan),
            told,
            names::exists(store, &cancelled)
        );
        let cancelled = cancelled?;
        if !fresh && names::exists(store, &names::receipt(id)).await? {
            // It ended in between, and must not be said to run.
            self.tell_ended(&known, message.round).await?;
            return Ok(Split::Done);
        }
        let ended: BTreeSet<u64> = ended.iter().map(|receipt| receipt.task).collect();
        let trace = trace::current();
        let mut messages = Vec::new();
        for (number, task) in (0..).zip(&plan.tasks) {
            if ended.contains(&number) {
                continue;
            }
            let verdict = match (&task.reason, cancelled) {
                (_, true) => Some((TaskState::Cancelled, "stopped before it was done")),
                (Some(reason), false) => Some((TaskState::Failed, reason.as_str())),
                (None, false) => None,
            };
            match verdict {
                Some((state, reason)) => {
                    let receipt = self.verdict(number, task, 1, state, reason);
                    let class = match state {
                        TaskState::Cancelled => Reason::Cancelled,
                        _ => Reason::Unsuitable,
                    };
                    self.commit(id, message.round, receipt, class).await?;
                }
                None => {
                    let message = names::to_json(&TaskMessage::new(id, message.round, number));
                    let message = Message {
                        trace: trace.clone(),
                        ..Message::new(QueueName::Tasks, message)
                    };
                    messages.push((task.bytes, message));
                }
            }
        }
        // The largest first, so that none is left alone at the end.
        messages.sort_by_key(|(bytes, _)| Reverse(*bytes));
        let messages: Vec<Message> = messages.into_iter().map(|(_, message)| message).collect();
        if messages.is_empty() {
            self.finish(&known, message.round).await?;
            return Ok(Split::Done);
        }
        Ok(Split::Tasks(messages))
    }

    async fn tell_start(&self, id: &str, round: u32, plan: &JobPlan) {
        let event = JobStarted {
            version: protocol::VERSION,
            seq: None,
            job: id.to_owned(),
            tasks: plan.tasks.len() as u64,
            cost: None,
            time: plan.started.clone(),
        };
        let key = format!("job-started-{round}");
        self.append(id, &key, Event::JobStarted(event)).await;
    }

    /// The plan as it was first stored, and whether that was now.
    async fn plan(&self, stored: &StoredJob) -> Result<(JobPlan, bool)> {
        let name = names::plan(&stored.id);
        loop {
            if let Some(plan) = names::read(&self.jobs.store, &name).await? {
                return Ok((plan, false));
            }
            let found = self.sources.expand(&stored.owner, &stored.spec).await?;
            let plan = JobPlan {
                version: protocol::VERSION,
                job: stored.id.clone(),
                started: now(),
                skipped: found.skipped,
                tasks: found.tasks,
            };
            if names::create_hint(&self.jobs.store, &name, &plan).await? {
                return Ok((plan, true));
            }
        }
    }

    /// Moves receipts that a retry supersedes out of the way: first those of its tasks, then the job's.
    async fn put_away(&self, id: &str, round: u32) -> Result<()> {
        let store = &self.jobs.store;
        let next: Option<JobRound> = names::read(store, &names::round(id, round)).await?;
        let tasks = next.map(|next| next.tasks).unwrap_or_default();
        let receipts = tasks.iter().map(|task| format!("tasks/{task}.json"));
        for name in receipts.chain(["receipt.json".into()]) {
            let from = format!("jobs/{id}/{name}");
            let to = names::archived(id, round - 1, &name);
            let found = match store.get(&from, names::MAX_JSON).await {
                Err(cloud::Error::NotFound(_)) => continue,
                found => found?,
            };
            let json = "application/json";
            let kept = match store.create(&to, found.clone(), json).await? {
                Created::New => found.clone(),
                Created::Exists => store.get(&to, names::MAX_JSON).await?,
            };
            // One that differs is this round's already.
            if kept == found {
                store.delete(&from).await?;
            }
        }
        Ok(())
    }

    /// The receipt of a task that ends without a run.
    pub(crate) fn verdict(
        &self,
        number: u64,
        task: &PlannedTask,
        attempt: u32,
        state: TaskState,
        reason: &str,
    ) -> TaskReceipt {
        TaskReceipt {
            version: protocol::VERSION,
            task: number,
            input: task.input.clone(),
            input_sha256: None,
            output: None,
            object: None,
            output_sha256: None,
            bytes: None,
            width: None,
            height: None,
            page: None,
            pages: Vec::new(),
            mode: None,
            mode_reason: String::new(),
            ranks: None,
            ms: StageMs::default(),
            attempt,
            node: self.config.node.clone(),
            state,
            skipped: false,
            reason: Some(reason.to_owned()),
            warnings: Vec::new(),
            device: String::new(),
            device_reason: String::new(),
        }
    }
}
