//! Tasks that ran out of attempts: looked at, and tried again.

use super::Jobs;
use crate::dead::Letter;
use crate::error::{Error, Result};
use crate::names;
use cloud::queue::QueueName;
use protocol::StoredJob;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long to wait for a letter that the queue says is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Letters that are looked at for those of one user.
pub const LOOK: u16 = 1000;

/// A task that was given up, or a message that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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

/// The last letter of a page of them.
struct Place {
    /// The object that it is in.
    page: String,
    task: u64,
}

impl Place {
    fn text(&self) -> String {
        let text = format!("{}\n{}", self.page, self.task);
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(text: &str) -> Result<Place> {
        let read = || {
            let pairs = text.as_bytes().chunks(2).map(|pair| {
                let pair = std::str::from_utf8(pair).ok()?;
                u8::from_str_radix(pair, 16).ok()
            });
            let text = String::from_utf8(pairs.collect::<Option<_>>()?).ok()?;
            let (page, task) = text.split_once('\n')?;
            Some(Place {
                page: page.to_owned(),
                task: task.parse().ok()?,
            })
        };
        let wrong = || Error::invalid("after", "expected `next` of a page before");
        read().ok_or_else(wrong)
    }
}

impl Jobs {
    /// Dead letters of all users, and messages that are none of ours, at most `limit`; they stay where they are.
    pub async fn dead_letters(&self, limit: u16) -> Result<Vec<DeadLetter>> {
        let mut letters = self.letters(names::LETTERS, limit.into()).await?;
        letters.extend(self.strange(limit).await?);
        letters.truncate(limit.into());
        Ok(letters)
    }

    /// Dead letters of a user's jobs, at most `limit`.
    pub async fn dead_letters_of(&self, owner: &str, limit: u16) -> Result<Vec<DeadLetter>> {
        super::check_owner(owner)?;
        let below = format!("{}/{owner}", names::LETTERS);
        self.letters(&below, limit.into()).await
    }

    /// Dead letters of a user, or of all users and messages that are none of ours: at most `limit`, those behind `after`, and
    /// where the next ones begin, if there may be any.
    pub async fn some_dead_letters(
        &self,
        owner: Option<&str>,
        limit: u16,
        after: Option<&str>,
    ) -> Result<(Vec<DeadLetter>, Option<String>)> {
        let below = match owner {
            Some(owner) => {
                super::check_owner(owner)?;
                format!("{}/{owner}", names::LETTERS)
            }
            None => names::LETTERS.to_owned(),
        };
        let after = after.map(Place::read).transpose()?;
        let most = usize::from(limit);
        let found = self.letters_after(&below, most, after.as_ref()).await?;
        let (mut letters, next) = found;
        if owner.is_none() && next.is_none() {
            // They have no place in the store, so they come last.
            letters.extend(self.strange(limit).await?);
            letters.truncate(most);
        }
        Ok((letters, next.map(|next| next.text())))
    }

    /// Tries the work of dead letters again, at most `limit` of them; returns how many letters were taken.
    pub async fn replay(&self, limit: u16) -> Result<usize> {
        let letters = self.letters(names::LETTERS, limit.into()).await?;
        self.take(letters).await
    }

    /// Like [`Jobs::replay`], for a user's jobs alone.
    pub async fn replay_of(&self, owner: &str, limit: u16) -> Result<usize> {
        let letters = self.dead_letters_of(owner, limit).await?;
        self.take(letters).await
    }

    async fn take(&self, letters: Vec<DeadLetter>) -> Result<usize> {
        let (mut seen, mut taken) = (BTreeMap::new(), 0);
        for job in letters.iter().filter_map(|letter| letter.job.as_deref()) {
            if !seen.contains_key(job) {
                let retried = match self.retry_any(job).await {
                    // Not ended: its other tasks are still at work. Tried again when it has.
                    Err(Error::State(_)) => false,
                    other => other? > 0,
                };
                seen.insert(job, retried);
            }
            taken += usize::from(seen[job]);
        }
        Ok(taken)
    }

    /// Forgets what failed of a job, since it is tried again.
    pub(super) async fn forget_letters(&self, id: &str) -> Result<()> {
        let stored: Option<StoredJob> = names::read(&self.store, &names::spec(id)).await?;
        let Some(stored) = stored else {
            return Ok(());
        };
        for meta in self
            .store
            .list(&names::letters_of(&stored.owner, id))
            .await?
        {
            self.store.delete(&meta.name).await?;
        }
        Ok(())
    }

    async fn letters(&self, below: &str, limit: usize) -> Result<Vec<DeadLetter>> {
        Ok(self.letters_after(below, limit, None).await?.0)
    }

    /// Letters behind a place, and where they end if there may be more.
    async fn letters_after(
        &self,
        below: &str,
        limit: usize,
        after: Option<&Place>,
    ) -> Result<(Vec<DeadLetter>, Option<Place>)> {
        let mut letters = Vec::new();
        for meta in self.store.list(below).await? {
            if after.is_some_and(|after| meta.name < after.page) {
                continue;
            }
            let job = meta.name.split('/').nth(2).map(str::to_owned);
            let found: Option<Vec<Letter>> = names::read(&self.store, &meta.name).await?;
            for letter in found.into_iter().flatten() {
                if after.is_some_and(|a| a.page == meta.name && letter.task <= a.task) {
                    continue;
                }
                let task = letter.task;
                letters.push(DeadLetter {
                    job: job.clone(),
                    task: Some(task),
                    queue: Some(QueueName::Tasks.to_string()),
                    reason: letter.reason,
                    attempts: letter.attempts,
                });
                if letters.len() >= limit {
                    let page = meta.name;
                    return Ok((letters, Some(Place { page, task })));
                }
            }
        }
        Ok((letters, None))
    }

    /// Messages on the broker that were none of ours.
    async fn strange(&self, limit: u16) -> Result<Vec<DeadLetter>> {
        let ready = self.queue.stats(&QueueName::DeadLetters).await?.ready;
        let n = ready.min(limit.into()) as usize;
        if n == 0 {
            return Ok(Vec::new());
        }
        let mut letters = self
            .queue
            .consume(&QueueName::DeadLetters, limit.max(1))
            .await?;
        let mut held = Vec::new();
        while held.len() < n {
            match tokio::time::timeout(PATIENCE, letters.next()).await {
                Ok(Some(delivery)) => held.push(delivery),
                Ok(None) | Err(_) => break,
            }
        }
        let strange = held.iter().map(|delivery| {
            let death = delivery.death.as_ref();
            DeadLetter {
                job: None,
                task: None,
                queue: death.and_then(|d| d.queue.as_ref()).map(|q| q.to_string()),
                reason: death.map(|d| d.reason.clone()).unwrap_or_default(),
                attempts: delivery.attempt,
            }
        });
        Ok(strange.collect())
    }
}
