//! Messages that ran out of attempts: looked at, and tried again.

use super::Jobs;
use crate::error::{Error, Result};
use cloud::queue::{Delivery, Message, QueueName};
use protocol::TaskMessage;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long to wait for a letter that the queue says is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at the queue.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Letters that are looked at for those of one user.
pub const LOOK: u16 = 1000;

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Its job, where it can be read.
    pub job: Option<String>,
    /// Its task, where it is one.
    pub task: Option<u64>,
    /// The queue it was taken from.
    pub queue: Option<String>,
    /// Why.
    pub reason: String,
    /// Attempts that were made.
    pub attempts: u32,
}

impl Jobs {
    /// Dead letters, at most `limit`; they stay where they are.
    pub async fn dead_letters(&self, limit: u16) -> Result<Vec<DeadLetter>> {
        let held = self.hold(limit).await?;
        self.put_back(held).await
    }

    /// Dead letters of a user's jobs, at most `limit` of those among the first [`LOOK`].
    pub async fn dead_letters_of(&self, owner: &str, limit: u16) -> Result<Vec<DeadLetter>> {
        let held = self.hold_of(owner, limit).await?;
        self.put_back(held).await
    }

    /// Tries the work of dead letters again, at most `limit` of them; returns how many letters were taken.
    pub async fn replay(&self, limit: u16) -> Result<usize> {
        let held = self.hold(limit).await?;
        self.take(held).await
    }

    /// Like [`Jobs::replay`], for a user's jobs alone.
    pub async fn replay_of(&self, owner: &str, limit: u16) -> Result<usize> {
        let held = self.hold_of(owner, limit).await?;
        self.take(held).await
    }

    async fn take(&self, held: Vec<Delivery>) -> Result<usize> {
        let mut retried = BTreeSet::new();
        let mut taken = 0;
        for delivery in held {
            let letter = letter(&delivery);
            if let (Some(job), Some(_)) = (letter.job, letter.task) {
                if !retried.contains(&job) {
                    match self.retry_any(&job).await {
                        // Not ended: its other tasks are still at work. Tried again when it has.
                        Err(Error::State(_)) => continue,
                        other => other?,
                    };
                    retried.insert(job);
                }
                delivery.ack().await?;
            } else {
                let to = match delivery.death.as_ref().and_then(|d| d.queue.clone()) {
                    Some(queue) if queue != QueueName::DeadLetters => queue,
                    _ => QueueName::Jobs,
                };
                let again = Message::new(to, delivery.body.clone());
                delivery.replace(vec![again]).await?;
            }
            taken += 1;
        }
        Ok(taken)
    }

    /// Lets go of letters, and waits a moment until they are there again for whoever comes next.
    async fn put_back(&self, held: Vec<Delivery>) -> Result<Vec<DeadLetter>> {
        let letters: Vec<DeadLetter> = held.iter().map(letter).collect();
        drop(held);
        let begun = Instant::now();
        let there = async || Ok::<_, Error>(self.queue.stats(&QueueName::DeadLetters).await?.ready);
        while there().await? < letters.len() as u64 && begun.elapsed() < PATIENCE {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(letters)
    }

    async fn hold_of(&self, owner: &str, limit: u16) -> Result<Vec<Delivery>> {
        let mut own = Vec::new();
        for delivery in self.hold(LOOK).await? {
            let Some(job) = letter(&delivery).job.filter(|_| own.len() < limit.into()) else {
                continue;
            };
            match self.load(owner, &job).await {
                Ok(_) => own.push(delivery),
                Err(Error::NoSuchJob(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(own)
    }

    async fn hold(&self, limit: u16) -> Result<Vec<Delivery>> {
        let ready = self.queue.stats(&QueueName::DeadLetters).await?.ready;
        let n = ready.min(limit.into()) as usize;
        let mut held = Vec::new();
        if n == 0 {
            return Ok(held);
        }
        let mut letters = self
            .queue
            .consume(&QueueName::DeadLetters, limit.max(1))
            .await?;
        while held.len() < n {
            match tokio::time::timeout(PATIENCE, letters.next()).await {
                Ok(Some(delivery)) => held.push(delivery),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(held)
    }
}

fn letter(delivery: &Delivery) -> DeadLetter {
    let task: Option<TaskMessage> = serde_json::from_slice(&delivery.body).ok();
    let job: Option<protocol::JobMessage> = serde_json::from_slice(&delivery.body).ok();
    let death = delivery.death.as_ref();
    DeadLetter {
        job: job.map(|m| m.job),
        task: task.map(|m| m.task),
        queue: death.and_then(|d| d.queue.as_ref()).map(|q| q.to_string()),
        reason: death.map(|d| d.reason.clone()).unwrap_or_default(),
        attempts: delivery.attempt,
    }
}
