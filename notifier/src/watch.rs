//! One watcher: what it missed, read from the history up to where its feed stood when it came, then the feed.

use crate::entry::Entry;
use crate::feed::{Feed, Head, Taken};
use crate::places::{Marks, Places};
use crate::replay::{Replay, Span};
use cloud::events::Cursor;
use dispatcher::jobs::Jobs;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Bytes that a watcher takes at once.
const TAKE: usize = 16 << 10;
/// Wait after a service failed.
const AGAIN: Duration = Duration::from_secs(1);

/// Where a watcher begins.
#[derive(Clone, Debug)]
pub enum After {
    /// With what is new.
    Now,
    /// With the first event that is kept.
    Start,
    /// After the last event that it has of the one job that it watches.
    Cursor(Cursor),
    /// After the event of that id in the stream of all jobs.
    Marks(Box<Marks>),
    /// Where it stands in each of all jobs.
    Places(Box<Places>),
}

/// What is watched, and for whom.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Where to read.
    pub jobs: Jobs,
    /// Who watches.
    pub owner: String,
    /// The one job; all of the owner's where there is none.
    pub only: Option<String>,
}

/// A watcher. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    subject: Subject,
    feed: Arc<Feed>,
    head: watch::Receiver<Head>,
    stage: Stage,
    begin: Option<(Places, String)>,
    /// Where it began.
    after: After,
    last: Option<Arc<Entry>>,
}

#[derive(Debug)]
enum Stage {
    Joining(After),
    Replaying(Box<Replay>),
    Following {
        /// Number of the entry that comes next.
        at: u64,
        /// Jobs of which the watcher has more than the feed had when it came.
        ahead: BTreeMap<String, Cursor>,
    },
}

impl Watch {
    /// Begins as soon as the feed does.
    pub fn new(
        subject: Subject,
        feed: Arc<Feed>,
        head: watch::Receiver<Head>,
        after: After,
    ) -> Watch {
        let mut watch = Watch {
            subject,
            feed,
            head,
            after: after.clone(),
            stage: Stage::Joining(after),
            begin: None,
            last: None,
        };
        if watch.head.borrow().ready {
            watch.join();
        }
        watch
    }

    /// Where one that wants only what is new begins, and the id of that.
    pub fn begin(&self) -> Option<&(Places, String)> {
        self.begin.as_ref()
    }

    /// What comes next, at least one. None: the watcher was cut off and may come back from where it stands.
    /// Nothing is lost when this is dropped before it returns.
    pub async fn next(&mut self) -> Option<Vec<Arc<Entry>>> {
        let entries = self.read().await?;
        self.last = entries.last().cloned();
        Some(entries)
    }

    async fn read(&mut self) -> Option<Vec<Arc<Entry>>> {
        loop {
            match &mut self.stage {
                Stage::Joining(_) => {
                    let head = self.head.wait_for(|head| head.ready || head.closed).await;
                    if head.ok()?.closed {
                        return None;
                    }
                    self.join();
                }
                Stage::Replaying(replay) => match replay.next(&self.subject).await {
                    Ok(Some(entries)) if entries.is_empty() => {}
                    Ok(Some(entries)) => return Some(entries),
                    Ok(None) => {
                        let (at, ahead) = (replay.at, std::mem::take(&mut replay.ahead));
                        self.stage = Stage::Following { at, ahead };
                    }
                    Err(error) => {
                        tracing::warn!(%error, "what a watcher missed cannot be read yet");
                        tokio::time::sleep(AGAIN).await;
                    }
                },
                Stage::Following { at, ahead } => {
                    let closed = self.head.borrow_and_update().closed;
                    match self.feed.take(*at, TAKE) {
                        Taken::Behind => {
                            metrics::counter!("sundog_watchers_behind_total").increment(1);
                            self.stage = Stage::Joining(self.again()?);
                        }
                        Taken::Entries(entries, next) if next > *at => {
                            *at = next;
                            let entries = without(entries, ahead);
                            if !entries.is_empty() {
                                return Some(entries);
                            }
                        }
                        Taken::Entries(..) if closed => return None,
                        Taken::Entries(..) => self.head.changed().await.ok()?,
                    }
                }
            }
        }
    }

    /// Where one goes on that the log has moved past: in the history, as if it had gone and come back.
    fn again(&self) -> Option<After> {
        let Some(last) = &self.last else {
            return match (&self.after, &self.begin) {
                (After::Now, Some((_, id))) => marks(id),
                (After::Places(_), _) => None,
                (after, _) => Some(after.clone()),
            };
        };
        match (&self.after, &self.subject.only) {
            // Whoever keeps places itself knows them better than an id does.
            (After::Places(_), _) => None,
            (_, Some(_)) => last.id().parse().ok().map(After::Cursor),
            (_, None) => marks(last.id()),
        }
    }

    /// Finds the place in a feed that is ready.
    fn join(&mut self) {
        let Stage::Joining(after) = &self.stage else {
            return;
        };
        let found = match after {
            After::Cursor(cursor) => {
                let id = self.feed.after_id(&cursor.to_string());
                id.or_else(|| self.feed.after_seq(*cursor))
            }
            After::Marks(marks) => self.feed.after_id(&marks.to_string()),
            _ => None,
        };
        if let Some(at) = found {
            self.stage = follow(at);
            return;
        }
        let (at, places, id) = self.feed.stand();
        let replay = match after {
            After::Now => {
                self.begin = Some((places, id));
                self.stage = follow(at);
                return;
            }
            After::Cursor(cursor) => one(self.subject.only.as_deref(), at, *cursor, &places),
            After::Start => {
                let spans = places.iter().map(|(job, _)| Span::new(job, &places, None));
                Replay::new(at, Some(Places::default()), spans.collect())
            }
            After::Marks(marks) => marked(marks, at, &places, id),
            After::Places(known) => placed(known, at, &places),
        };
        self.stage = Stage::Replaying(Box::new(replay));
    }
}

fn marks(id: &str) -> Option<After> {
    let marks = id.parse().ok()?;
    Some(After::Marks(Box::new(marks)))
}

fn follow(at: u64) -> Stage {
    Stage::Following {
        at,
        ahead: BTreeMap::new(),
    }
}

fn one(only: Option<&str>, at: u64, cursor: Cursor, places: &Places) -> Replay {
    let job = only.unwrap_or_default();
    let known = (cursor.seq > 0).then_some((cursor, false));
    Replay::new(at, None, vec![Span::new(job, places, known)])
}

fn marked(marks: &Marks, at: u64, places: &Places, id: String) -> Replay {
    if !places.agree(marks) {
        return Replay::everything(at, id);
    }
    let mut known = places.until(&marks.newest);
    let mut spans = Vec::new();
    for (job, cursor) in &marks.listed {
        spans.push(Span::new(job, places, Some((*cursor, false))));
        match places.get(job).cloned() {
            Some(place) => {
                let (cursor, ended) = (*cursor, false);
                let place = crate::places::Place {
                    cursor,
                    ended,
                    ..place
                };
                known.set(job, place);
            }
            None => {
                known.remove(job);
            }
        }
    }
    for (job, _) in places.iter().filter(|(job, _)| known.get(job).is_none()) {
        if !marks.listed.contains_key(job) {
            spans.push(Span::new(job, places, None));
        }
    }
    Replay::new(at, Some(known), spans)
}

fn placed(known: &Places, at: u64, places: &Places) -> Replay {
    let mut spans = Vec::new();
    for (job, place) in known.iter() {
        let there = places.get(job).map(|place| place.cursor);
        // A job that has ended and whose events have expired is no loss.
        if there != Some(place.cursor) && (there.is_some() || !place.ended) {
            spans.push(Span::new(job, places, Some((place.cursor, place.ended))));
        }
    }
    for (job, _) in places.iter().filter(|(job, _)| known.get(job).is_none()) {
        spans.push(Span::new(job, places, None));
    }
    Replay::new(at, Some(known.clone()), spans)
}

/// Without what the watcher has already.
fn without(entries: Vec<Arc<Entry>>, ahead: &mut BTreeMap<String, Cursor>) -> Vec<Arc<Entry>> {
    if ahead.is_empty() {
        return entries;
    }
    let new = entries.into_iter().filter(|entry| {
        let Some(cursor) = ahead.get(&entry.job) else {
            return true;
        };
        let same = [0, entry.cursor.history].contains(&cursor.history);
        if same && entry.cursor.seq > 0 && entry.cursor.seq <= cursor.seq {
            return false;
        }
        ahead.remove(&entry.job);
        true
    });
    new.collect()
}
