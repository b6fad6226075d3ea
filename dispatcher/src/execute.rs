//! Task messages: run, commit, tell, acknowledge.

use crate::attempt::Outcome;
use crate::error::{Error, Result};
use crate::finish::Known;
use crate::names;
use crate::observe::{self, Reason};
use crate::service::{Node, Room};
use cloud::queue::Delivery;
use protocol::TaskMessage;
use protocol::event::{Event, TaskStarted};
use protocol::message::PlannedTask;
use protocol::receipt::TaskReceipt;
use protocol::state::TaskState;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::{Instrument as _, Span};

/// Deliveries of one message whose end nobody heard of, after which the task is held to be what kills its
/// dispatchers. Below the broker's own limit, which knows of no receipts.
const MAX_REDELIVERIES: u32 = cloud::queue::DELIVERY_LIMIT / 2;

/// Tasks that take no longer are told of by their end alone.
const BRIEF: Duration = Duration::from_millis(50);

/// What becomes of a message.
enum Verdict {
    /// It is done with.
    Done,
    /// It is given up.
    Dead(String),
    /// It comes again as the next attempt.
    Retry,
    /// It comes again as the same attempt.
    Back,
}

impl Verdict {
    fn name(&self) -> &'static str {
        match self {
            Verdict::Done => "done",
            Verdict::Dead(_) => "dead",
            Verdict::Retry => "retry",
            Verdict::Back => "back",
        }
    }
}

impl Node {
    /// Handles a task message to its end.
    pub(crate) async fn execute(&self, delivery: Delivery) -> Result<()> {
        let given_up = AtomicBool::new(false);
        let begun = Instant::now();
        let message = match serde_json::from_slice::<TaskMessage>(&delivery.body) {
            Ok(message) => message,
            Err(error) => {
                let reason = format!("not a task message: {error}");
                return self.settle(delivery, Verdict::Dead(reason)).await;
            }
        };
        let key = (message.job.clone(), message.task, message.round);
        let _taken = match message.copy_of {
            // It is to run beside the task itself, on another node.
            Some(_) => None,
            None => match self.in_hand.take(key, &delivery).await {
                None => return Ok(()),
                taken => taken,
            },
        };
        let judge = || self.judge(&delivery, &message, &given_up);
        let verdict = self.patiently(judge).await?;
        let ack = tracing::debug_span!("ack", verdict = verdict.name());
        let settled = self.settle(delivery, verdict).instrument(ack).await;
        observe::handled(begun.elapsed());
        settled
    }

    /// Settles a message.
    async fn settle(&self, delivery: Delivery, verdict: Verdict) -> Result<()> {
        match verdict {
            Verdict::Done => delivery.ack().await?,
            Verdict::Dead(reason) => delivery.reject(&reason).await?,
            Verdict::Retry => {
                let queue = delivery.queue.clone();
                delivery.retry(queue).await?;
            }
            Verdict::Back => {
                let same = delivery.message(delivery.queue.clone());
                delivery.replace(vec![same]).await?;
            }
        }
        Ok(())
    }

    /// `given_up`: whether this delivery wrote the receipt of a task that is given up.
    async fn judge(
        &self,
        delivery: &Delivery,
        message: &TaskMessage,
        given_up: &AtomicBool,
    ) -> Result<Verdict> {
        let (id, number, store) = (message.job.as_str(), message.task, &self.jobs.store);
        let span = Span::current();
        span.record("job", id).record("task", number);
        span.record("round", message.round);
        let Some(room) = self.room().await else {
            return Ok(Verdict::Back);
        };
        let known = match self.known(id).await {
            Err(Error::NoSuchJob(_)) if names::exists(store, &names::spec(id)).await? => {
                // Its plan was lost with the machine's power: the job is split again.
                self.jobs.publish(id, message.round).await?;
                return Ok(Verdict::Done);
            }
            Err(Error::NoSuchJob(_)) => {
                return Ok(Verdict::Dead("the job's spec is gone".into()));
            }
            other => other?,
        };
        let Some(task) = known.plan.tasks.get(number as usize) else {
            return Ok(Verdict::Dead("the job has no such task".into()));
        };
        let name = names::task(id, number);
        let (done, cancelled) = tokio::join!(
            names::read::<TaskReceipt>(store, &name),
            self.is_cancelled(id, message.round)
        );
        if let Some(receipt) = done? {
            // A duplicate, or its dispatcher died after the commit: told again, which changes nothing.
            let again = receipt.clone();
            let verdict = self.committed(&known, message, again, Reason::Other);
            let verdict = verdict.await?;
            let faults = delivery.attempt.saturating_sub(delivery.redeliveries);
            let by_a_dead_one =
                delivery.redeliveries > 0 && faults >= known.spec.schedule.max_attempts;
            // It is still to become a dead letter; rather twice than not at all.
            return Ok(match receipt.state == TaskState::Failed {
                true if by_a_dead_one || given_up.load(Ordering::Relaxed) => {
                    Verdict::Dead(receipt.reason.unwrap_or_default())
                }
                _ => verdict,
            });
        }
        let attempt = delivery.attempt;
        if let Some(node) = &message.copy_of {
            return match cancelled? {
                true => Ok(Verdict::Done),
                false if *node == self.config.node => {
                    drop(room);
                    Ok(self.not_for_me().await)
                }
                false => self.copy(&known, message, task, attempt, room).await,
            };
        }
        if cancelled? {
            if message.round == names::current_round(store, id).await? {
                let reason = "stopped before it was begun";
                let receipt = self.verdict(number, task, attempt, TaskState::Cancelled, reason);
                return self
                    .committed(&known, message, receipt, Reason::Cancelled)
                    .await;
            }
            return Ok(Verdict::Done);
        }
        if delivery.redeliveries > MAX_REDELIVERIES {
            let reason = format!(
                "given up after {attempt} attempts of which nobody heard the end: their nodes died"
            );
            let receipt = self.verdict(number, task, attempt, TaskState::Failed, &reason);
            return self
                .give_up(&known, message, receipt, Reason::NodeLost, given_up)
                .await;
        }
        let event = TaskStarted {
            version: protocol::VERSION,
            seq: None,
            job: id.to_owned(),
            task: number,
            input: task.input.clone(),
            node: Some(self.config.node.clone()),
            cost: None,
            attempt,
        };
        let key = format!("task-{number}-started-{}-{attempt}", message.round);
        let mut outcome = pin!(self.attempt(&known, message, task, attempt, room));
        let outcome = tokio::select! {
            outcome = &mut outcome => outcome,
            () = tokio::time::sleep(BRIEF) => {
                let started = self.append(id, &key, Event::TaskStarted(event));
                // The event is told before that of the end, and nobody waits for it.
                tokio::join!(started, outcome).1
            }
        };
        let faults = attempt - delivery.redeliveries;
        observe::attempted(match &outcome {
            Ok(Outcome::Final(..)) => "final",
            Ok(Outcome::Again(..)) => "again",
            Ok(Outcome::Back(_)) => "back",
            Err(_) => "error",
        });
        match outcome? {
            Outcome::Again(receipt, _) if faults < known.spec.schedule.max_attempts => {
                let reason = receipt.reason.as_deref().unwrap_or_default();
                tracing::info!(job = id, task = number, reason, "an attempt failed");
                Ok(Verdict::Retry)
            }
            Outcome::Again(receipt, class) => {
                self.give_up(&known, message, *receipt, class, given_up)
                    .await
            }
            Outcome::Final(receipt, class) => {
                self.committed(&known, message, *receipt, class).await
            }
            Outcome::Back(reason) => {
                tracing::info!(job = id, task = number, reason, "a task is handed back");
                if !self.hand_back.is_cancelled() {
                    tokio::time::sleep(self.config.pause).await;
                }
                Ok(Verdict::Back)
            }
        }
    }

    /// Runs a copy of a task that another node finds slow. Only a result counts: whatever else happens is left to
    /// the node that has the task itself.
    async fn copy(
        &self,
        known: &Known,
        message: &TaskMessage,
        task: &PlannedTask,
        attempt: u32,
        room: Room<'_>,
    ) -> Result<Verdict> {
        match self.attempt(known, message, task, attempt, room).await? {
            Outcome::Final(receipt, class) if receipt.state == TaskState::Succeeded => {
                self.committed(known, message, *receipt, class).await
            }
            _ => Ok(Verdict::Done),
        }
    }

    /// Hands a message back that another node is to have.
    async fn not_for_me(&self) -> Verdict {
        tokio::time::sleep(self.config.pause).await;
        Verdict::Back
    }

    /// Commits a receipt, or tells of the one that is there.
    async fn committed(
        &self,
        known: &Known,
        message: &TaskMessage,
        receipt: TaskReceipt,
        class: Reason,
    ) -> Result<Verdict> {
        let commit = self.conclude(known, message.round, receipt, class);
        commit.instrument(tracing::debug_span!("commit")).await?;
        Ok(Verdict::Done)
    }

    async fn give_up(
        &self,
        known: &Known,
        message: &TaskMessage,
        receipt: TaskReceipt,
        class: Reason,
        given_up: &AtomicBool,
    ) -> Result<Verdict> {
        let reason = receipt.reason.clone().unwrap_or_default();
        // Where the commit fails here, nobody knows whether the receipt was written; it then tells by itself.
        given_up.store(true, Ordering::Relaxed);
        let commit = self.conclude(known, message.round, receipt, class);
        let new = commit.instrument(tracing::debug_span!("commit")).await?;
        Ok(match new {
            true => Verdict::Dead(reason),
            false => Verdict::Done,
        })
    }

    /// Whether a user wished that this round of a job ends.
    pub(crate) async fn is_cancelled(&self, id: &str, round: u32) -> Result<bool> {
        names::exists(&self.jobs.store, &names::cancelled(id, round)).await
    }
}
