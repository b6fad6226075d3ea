//! Following one job or all: what was missed first, then what happens, from one source.
//!
//! A subscription always reads the history from where it stands; notices of change only tell it when. So
//! there is no seam between catching up and following, a slow reader costs no memory, and a lost notice costs
//! a delay of at most [`POLL`].

use super::{Change, Cursor, Events, Page, Record};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;

/// How often a subscription looks for itself.
pub(super) const POLL: Duration = Duration::from_secs(2);
/// Updates that wait for a slow reader.
const WAITING: usize = 64;
/// Events read at once.
const PAGE: usize = 256;

/// What to follow.
#[derive(Clone, Debug)]
pub enum Topic {
    /// One job, from where the reader stands.
    Job {
        /// The job.
        job: String,
        /// The last event that the reader has.
        after: Cursor,
    },
    /// All jobs. Those not in `after` are told from their first event that is kept; a reader that wants
    /// only what is new passes [`Events::positions`].
    All {
        /// The last event that the reader has, by job.
        after: BTreeMap<String, Cursor>,
    },
}

/// What a subscription tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The next event of a job.
    Event {
        /// The job.
        job: String,
        /// Where a reader that has this event stands.
        cursor: Cursor,
        /// The event.
        record: Box<Record>,
    },
    /// Events of this job were lost: forget what you know of it and read its receipts. What is still kept
    /// follows from its beginning.
    Reset {
        /// The job.
        job: String,
    },
}

/// A stream of updates. It ends when it is dropped, and else never.
#[derive(Debug)]
pub struct Subscription {
    updates: mpsc::Receiver<Update>,
}

impl Subscription {
    /// The next update. The source being away only delays it.
    pub async fn next(&mut self) -> Option<Update> {
        self.updates.recv().await
    }
}

impl futures_core::Stream for Subscription {
    type Item = Update;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Update>> {
        self.updates.poll_recv(cx)
    }
}

/// Follows a topic. Fails only when the source cannot be reached now; later losses are bridged.
pub async fn subscribe(events: Arc<dyn Events>, topic: Topic) -> Result<Subscription> {
    // Before anything is read, so that nothing falls between.
    let changes = events.changes().await?;
    follow(events, topic, changes, POLL)
}

/// Follows a topic by notices from anywhere, and looks for itself every `poll`.
pub(super) fn follow(
    events: Arc<dyn Events>,
    topic: Topic,
    changes: broadcast::Receiver<Change>,
    poll: Duration,
) -> Result<Subscription> {
    let (send, updates) = mpsc::channel(WAITING);
    let mut follower = Follower {
        events,
        send,
        only: None,
        places: BTreeMap::new(),
        poll,
    };
    match topic {
        Topic::Job { job, after } => {
            super::check_id("job", &job)?;
            follower.places.insert(job.clone(), Place::at(after));
            follower.only = Some(job);
        }
        Topic::All { after } => {
            for (job, cursor) in after {
                super::check_id("job", &job)?;
                follower.places.insert(job, Place::at(cursor));
            }
        }
    }
    tokio::spawn(follower.run(changes));
    Ok(Subscription { updates })
}

/// Where the subscription stands in one job.
#[derive(Clone, Debug, Default)]
struct Place {
    cursor: Cursor,
    /// Key of the event at the cursor: a history that was cut back and grew again has another one there.
    key: Option<String>,
}

impl Place {
    fn at(cursor: Cursor) -> Place {
        Place { cursor, key: None }
    }

    /// Whether a page that was asked for from this place goes on where it ends.
    fn continues(&self, page: &Page, asked: u64) -> bool {
        let Cursor { seq, history } = self.cursor;
        if history != 0 && history != page.history {
            return false;
        }
        if seq == 0 {
            // A reader that knows nothing can only miss what was dropped at the beginning.
            return page.first <= 1;
        }
        if page.last < seq || page.first > seq + 1 {
            return false;
        }
        match (&self.key, page.records.first()) {
            (Some(key), Some(record)) if asked < seq && record.seq == seq => record.key == *key,
            _ => true,
        }
    }
}

struct Follower {
    events: Arc<dyn Events>,
    send: mpsc::Sender<Update>,
    only: Option<String>,
    places: BTreeMap<String, Place>,
    poll: Duration,
}

/// The reader has gone.
struct Gone;

impl Follower {
    async fn run(mut self, mut changes: broadcast::Receiver<Change>) {
        let mut all = true;
        let mut changed = BTreeSet::new();
        let mut checked = Instant::now();
        loop {
            if checked.elapsed() >= self.poll {
                all = true;
            }
            if all {
                checked = Instant::now();
                match self.jobs().await {
                    Ok(jobs) => changed.extend(jobs),
                    Err(error) => tracing::warn!(%error, "events cannot be read yet"),
                }
            }
            for job in std::mem::take(&mut changed) {
                match self.catch_up(&job, all).await {
                    Ok(Ok(())) => {}
                    Ok(Err(Gone)) => return,
                    Err(error) => tracing::warn!(%error, job, "events cannot be read yet"),
                }
            }
            all = false;
            let change = tokio::select! {
                _ = self.send.closed() => return,
                change = tokio::time::timeout_at(checked + self.poll, changes.recv()) => change,
            };
            let mut next = change;
            // Whatever else has arrived is handled in the same round.
            loop {
                match next {
                    Ok(Ok(Change::Job(job))) => {
                        if self.only.as_ref().is_none_or(|only| *only == job) {
                            changed.insert(job);
                        }
                    }
                    Err(_) => break,
                    Ok(Ok(Change::Anything) | Err(broadcast::error::RecvError::Lagged(_))) => {
                        all = true
                    }
                    Ok(Err(broadcast::error::RecvError::Closed)) => return,
                }
                next = match changes.try_recv() {
                    Ok(change) => Ok(Ok(change)),
                    Err(broadcast::error::TryRecvError::Lagged(_)) => Ok(Ok(Change::Anything)),
                    Err(_) => break,
                };
            }
        }
    }

    /// Jobs that have to be looked at when anything may have changed.
    async fn jobs(&mut self) -> Result<BTreeSet<String>> {
        if let Some(only) = &self.only {
            return Ok([only.clone()].into());
        }
        let positions = self.events.positions().await?;
        let moved = |job: &String, end: &Cursor| {
            self.places
                .get(job)
                .is_none_or(|place| place.cursor != *end)
        };
        let mut jobs: BTreeSet<String> = positions
            .iter()
            .filter(|(job, end)| moved(job, end))
            .map(|(job, _)| job.clone())
            .collect();
        // Jobs that are gone: expired after their time, or lost.
        let gone = self
            .places
            .iter()
            .filter(|(job, place)| place.cursor.seq > 0 && !positions.contains_key(*job));
        jobs.extend(gone.map(|(job, _)| job.clone()));
        Ok(jobs)
    }

    /// Tells everything of a job that the reader does not have. With `verify` the place itself is compared, too.
    async fn catch_up(&mut self, job: &str, verify: bool) -> Result<std::result::Result<(), Gone>> {
        let mut verify = verify;
        loop {
            let place = self.places.entry(job.to_owned()).or_default().clone();
            let seq = place.cursor.seq;
            let asked = seq - u64::from(verify && seq > 0);
            let page = self.events.read(job, asked, PAGE).await?;
            verify = false;
            if !place.continues(&page, asked) {
                // What is kept is told from its beginning, which may be late in the history.
                let start = Cursor {
                    seq: page.first.saturating_sub(1),
                    history: page.history,
                };
                self.places.insert(job.to_owned(), Place::at(start));
                if page.last == 0 && self.only.is_none() {
                    self.places.remove(job);
                }
                let job = job.to_owned();
                if self.send.send(Update::Reset { job }).await.is_err() {
                    return Ok(Err(Gone));
                }
                if page.last == 0 {
                    return Ok(Ok(()));
                }
                continue;
            }
            let history = page.history;
            let mut told = false;
            for record in page.records {
                if record.seq <= seq {
                    continue;
                }
                told = true;
                let cursor = Cursor {
                    seq: record.seq,
                    history,
                };
                let key = Some(record.key.clone());
                let update = Update::Event {
                    job: job.to_owned(),
                    cursor,
                    record: Box::new(record),
                };
                if self.send.send(update).await.is_err() {
                    return Ok(Err(Gone));
                }
                self.places.insert(job.to_owned(), Place { cursor, key });
            }
            if !told {
                return Ok(Ok(()));
            }
        }
    }
}
