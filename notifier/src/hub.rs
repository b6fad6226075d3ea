//! One look at the events for all who watch: a feed per watched job, and one of all jobs for each user.

use crate::entry::{Entry, ends};
use crate::everyone::Everyone;
use crate::feed::{Budget, Feed, Head, KEEP, Pace};
use crate::places::{Place, Places};
use crate::watch::{After, Subject, Watch};
use cloud::events::{Cursor, Subscription, Switchboard, Update};
use dispatcher::jobs::{JobStatus, Jobs};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a feed stays after its last watcher has gone, who may come back.
const LINGER: Duration = Duration::from_secs(10);
/// Wait after the source failed.
const AGAIN: Duration = Duration::from_secs(1);
/// Tries to find out where a job is after its events were lost.
const TRIES: u32 = 5;

/// All feeds of a process.
#[derive(Debug)]
pub struct Hub {
    jobs: Jobs,
    board: Arc<Switchboard>,
    budget: Arc<Budget>,
    feeds: Arc<Mutex<HashMap<String, Arc<Feed>>>>,
    everyone: Arc<Everyone>,
}

impl Hub {
    /// Nothing is followed before somebody watches. `bytes`: what all feeds may keep.
    pub fn new(jobs: Jobs, bytes: usize) -> Hub {
        let budget = Budget::new(bytes);
        Hub {
            board: Arc::new(Switchboard::new(jobs.events.clone())),
            everyone: Everyone::new(jobs.clone(), budget.clone()),
            feeds: Arc::default(),
            budget,
            jobs,
        }
    }

    /// Watches one job, which must be this user's. Returns at once, also while the events cannot be reached.
    pub fn job(&self, owner: &str, job: &str, after: Cursor) -> Watch {
        let (feed, head) = self.feed(owner, job);
        let subject = Subject {
            jobs: self.jobs.clone(),
            owner: owner.to_owned(),
            only: Some(job.to_owned()),
        };
        Watch::new(subject, feed, head, After::Cursor(after))
    }

    /// Watches all jobs of a user.
    pub async fn user(&self, owner: &str, after: After) -> cloud::Result<Watch> {
        let (feed, head) = self.everyone.feed(owner).await?;
        let subject = Subject {
            jobs: self.jobs.clone(),
            owner: owner.to_owned(),
            only: None,
        };
        Ok(Watch::new(subject, feed, head, after))
    }

    fn feed(&self, owner: &str, job: &str) -> (Arc<Feed>, watch::Receiver<Head>) {
        let mut feeds = lock(&self.feeds);
        if let Some(feed) = feeds.get(job) {
            return (feed.clone(), feed.listen());
        }
        let feed = Feed::new(self.budget.clone());
        let head = feed.listen();
        feeds.insert(job.to_owned(), feed.clone());
        let pump = Pump {
            jobs: self.jobs.clone(),
            board: self.board.clone(),
            owner: owner.to_owned(),
            job: job.to_owned(),
            feed: feed.clone(),
        };
        let feeds = self.feeds.clone();
        tokio::spawn(async move { pump.run(&feeds).await });
        (feed, head)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fills the feed of one job.
struct Pump {
    jobs: Jobs,
    board: Arc<Switchboard>,
    owner: String,
    job: String,
    feed: Arc<Feed>,
}

impl Pump {
    /// Until nobody has watched for a while.
    async fn run(self, feeds: &Mutex<HashMap<String, Arc<Feed>>>) {
        let mut updates = loop {
            match self.start().await {
                Ok(updates) => break updates,
                Err(error) => tracing::warn!(%error, job = self.job, "events cannot be read yet"),
            }
            tokio::time::sleep(AGAIN).await;
            if self.left(feeds) {
                return;
            }
        };
        let mut pace = Pace::default();
        loop {
            tokio::select! {
                update = updates.next() => match update {
                    Some(update) => {
                        self.push(update).await;
                        pace.added();
                    }
                    None => break,
                },
                () = pace.due() => {
                    self.feed.tell();
                    pace.told();
                }
                () = self.feed.idle() => {
                    tokio::time::sleep(LINGER).await;
                    if self.left(feeds) {
                        return;
                    }
                }
            }
        }
        // The source is gone for good, which is at the end of the process.
        lock(feeds).remove(&self.job);
        self.feed.close();
    }

    /// Whether nobody watches any more; then the feed is forgotten.
    fn left(&self, feeds: &Mutex<HashMap<String, Arc<Feed>>>) -> bool {
        let mut feeds = lock(feeds);
        let left = self.feed.is_idle();
        if left {
            feeds.remove(&self.job);
        }
        left
    }

    /// Begins so early that most who come find their place in the log.
    async fn start(&self) -> cloud::Result<Subscription> {
        let page = self.jobs.events.read(&self.job, 0, 1).await?;
        let first = page.first.saturating_sub(1);
        let start = Cursor {
            seq: first.max(page.last.saturating_sub(KEEP as u64)),
            history: page.history,
        };
        let updates = self.board.subscribe(&self.job, start).await?;
        let mut places = Places::default();
        places.set(&self.job, at(start, false));
        let id = match start.seq {
            // The same for those who know of a history and those who do not.
            0 => "0".into(),
            _ => start.to_string(),
        };
        self.feed.begin(places, id);
        Ok(updates)
    }

    async fn push(&self, update: Update) {
        match update {
            Update::Event { cursor, record, .. } => self.feed.push(|places| {
                places.set(&self.job, at(cursor, ends(&record.event)));
                Entry::event(&self.job, cursor, &record, &cursor.to_string())
            }),
            Update::Reset { .. } => {
                let status = status(&self.jobs, &self.owner, &self.job).await;
                self.feed.push(|places| {
                    let was = places.remove(&self.job);
                    places.set(&self.job, at(Cursor::default(), false));
                    let was_ended = was.is_some_and(|place| place.ended);
                    Entry::reset(&self.job, was_ended, status.as_slice(), false, "0")
                });
            }
        }
    }
}

fn at(cursor: Cursor, ended: bool) -> Place {
    Place {
        cursor,
        submitted: String::new(),
        ended,
    }
}

/// Where a job is, as far as that can be found out soon.
pub async fn status(jobs: &Jobs, owner: &str, job: &str) -> Option<JobStatus> {
    let mut wait = Duration::from_millis(100);
    for _ in 0..TRIES {
        match jobs.status(owner, job).await {
            Ok(status) => return Some(status),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, job, "where a job is cannot be read yet");
            }
            Err(error) => {
                tracing::warn!(%error, job, "where a job is cannot be read");
                return None;
            }
        }
        tokio::time::sleep(wait).await;
        wait *= 3;
    }
    None
}
