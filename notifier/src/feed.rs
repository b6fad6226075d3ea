//! What was told lately, kept once for all who watch, and where the telling stands.
//!
//! Watchers pull: each has a number in the log and takes what comes after it when its client has room. One that
//! does not costs its number and nothing else; when the log has moved past it, it goes on in the history.

use crate::entry::{Entry, RESET};
use crate::places::Places;
use cloud::events::Cursor;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Events of one feed that are kept at most.
pub const KEEP: usize = 4096;
/// Bytes of one feed that may always be kept.
const LEAST: usize = 64 << 10;
/// What an entry takes beside its text.
const ENTRY: usize = 256;
/// Watchers are woken at most this often: at a high rate of events, each wakes for many.
const PAUSE: Duration = Duration::from_millis(20);

/// How many bytes all feeds of a process may keep, and how many feeds share them.
#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    feeds: AtomicUsize,
}

impl Budget {
    /// For all feeds together.
    pub fn new(bytes: usize) -> Arc<Budget> {
        Arc::new(Budget {
            bytes,
            feeds: AtomicUsize::new(0),
        })
    }

    fn share(&self) -> usize {
        (self.bytes / self.feeds.load(Ordering::Relaxed).max(1)).max(LEAST)
    }
}

/// The log of one job, or of all jobs of a user.
#[derive(Debug)]
pub struct Feed {
    log: Mutex<Log>,
    head: watch::Sender<Head>,
    budget: Arc<Budget>,
}

/// How far a feed is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Whether it stands anywhere yet.
    pub ready: bool,
    /// Number of the entry that comes next.
    pub next: u64,
    /// Nothing comes any more.
    pub closed: bool,
}

#[derive(Debug)]
struct Log {
    /// Number of the first entry that is kept.
    first: u64,
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// Id of a reader that has nothing of what is kept.
    base: String,
    places: Places,
}

/// What a watcher takes at once.
pub enum Taken {
    /// These, and the number that comes next.
    Entries(Vec<Arc<Entry>>, u64),
    /// The log has moved past the watcher.
    Behind,
}

impl Feed {
    /// A feed that is not ready.
    pub fn new(budget: Arc<Budget>) -> Arc<Feed> {
        budget.feeds.fetch_add(1, Ordering::Relaxed);
        Arc::new(Feed {
            log: Mutex::new(Log {
                first: 0,
                entries: VecDeque::new(),
                bytes: 0,
                base: String::new(),
                places: Places::default(),
            }),
            head: watch::channel(Head::default()).0,
            budget,
        })
    }

    /// The feed begins at these places.
    pub fn begin(&self, places: Places, id: String) {
        let mut log = self.log();
        log.base = id;
        log.places = places;
        drop(log);
        self.head.send_modify(|head| head.ready = true);
    }

    /// Nothing comes any more: whoever watches has to come back.
    pub fn close(&self) {
        self.head.send_modify(|head| head.closed = true);
    }

    /// Adds what `render` makes of the places, which it brings up to date. Nobody is woken yet.
    pub fn push(&self, render: impl FnOnce(&mut Places) -> Entry) {
        let most = self.budget.share();
        let mut log = self.log();
        let entry = render(&mut log.places);
        log.bytes += entry.frame.len() + ENTRY;
        log.entries.push_back(Arc::new(entry));
        while log.entries.len() > KEEP || log.bytes > most && log.entries.len() > 1 {
            if let Some(old) = log.entries.pop_front() {
                log.first += 1;
                log.bytes -= old.frame.len() + ENTRY;
                log.base = old.id().to_owned();
            }
        }
    }

    /// Wakes those who wait for what was added.
    pub fn tell(&self) {
        let next = self.log().next();
        self.head.send_if_modified(|head| {
            let news = head.next != next;
            head.next = next;
            news
        });
    }

    /// Somebody who is woken by news. The feed is kept while there is one.
    pub fn listen(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// Whether nobody listens.
    pub fn is_idle(&self) -> bool {
        self.head.receiver_count() == 0
    }

    /// Returns when nobody listens.
    pub async fn idle(&self) {
        self.head.closed().await;
    }

    /// Where the feed stands now: the number that comes next, its places and the id of someone who has all.
    pub fn stand(&self) -> (u64, Places, String) {
        let log = self.log();
        let id = log.entries.back().map_or(log.base.as_str(), |e| e.id());
        (log.next(), log.places.clone(), id.to_owned())
    }

    /// The number that comes next for a reader who was told everything up to this id, if that is still kept.
    pub fn after_id(&self, id: &str) -> Option<u64> {
        let log = self.log();
        let found = log.entries.iter().rposition(|entry| entry.has_id(id));
        match found {
            Some(at) => Some(log.first + at as u64 + 1),
            None => (log.base == id).then_some(log.first),
        }
    }

    /// The same for a reader of one job's feed who only knows a number.
    pub fn after_seq(&self, cursor: Cursor) -> Option<u64> {
        let log = self.log();
        let same = |entry: &Arc<Entry>, seq: u64| {
            let history = [0, entry.cursor.history].contains(&cursor.history);
            entry.kind != RESET && entry.cursor.seq == seq && history
        };
        let found = match cursor.seq {
            0 => log.entries.iter().rposition(|entry| same(entry, 1)),
            seq => log
                .entries
                .iter()
                .rposition(|entry| same(entry, seq))
                .map(|at| at + 1),
        };
        found.map(|at| log.first + at as u64)
    }

    /// Entries from number `at` on, about `bytes` of them.
    pub fn take(&self, at: u64, bytes: usize) -> Taken {
        let log = self.log();
        let Some(skip) = at.checked_sub(log.first) else {
            return Taken::Behind;
        };
        let mut sum = 0;
        let entries: Vec<_> = log
            .entries
            .iter()
            .skip(skip as usize)
            .take_while(|entry| {
                let more = sum < bytes;
                sum += entry.frame.len();
                more
            })
            .cloned()
            .collect();
        let next = at + entries.len() as u64;
        Taken::Entries(entries, next)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.budget.feeds.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Log {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

/// When to wake watchers: at once after silence, and else after a pause that collects.
#[derive(Debug, Default)]
pub struct Pace {
    last: Option<Instant>,
    pending: bool,
}

impl Pace {
    /// Something was added.
    pub fn added(&mut self) {
        self.pending = true;
    }

    /// Returns when watchers are to be woken; never if there is nothing to tell.
    pub async fn due(&self) {
        match (self.pending, self.last) {
            (false, _) => std::future::pending().await,
            (true, None) => {}
            (true, Some(last)) => tokio::time::sleep_until(last + PAUSE).await,
        }
    }

    /// They were woken.
    pub fn told(&mut self) {
        self.pending = false;
        self.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(feed: &Feed, seq: u64) {
        feed.push(|_| {
            let mut entry = Entry::reset("j", false, &[], false, &seq.to_string());
            entry.kind = "task_started";
            entry.cursor = Cursor { seq, history: 1 };
            entry
        });
    }

    #[test]
    fn the_log_is_bounded_and_whoever_is_behind_is_told() {
        let budget = Budget::new(0);
        let feed = Feed::new(budget.clone());
        feed.begin(Places::default(), "0".into());
        assert_eq!(feed.after_id("0"), Some(0));
        for seq in 1..=10_000 {
            push(&feed, seq);
        }
        let (next, _, id) = feed.stand();
        assert_eq!((next, id.as_str()), (10_000, "10000"));
        assert!(feed.log().bytes <= LEAST);
        assert!(matches!(feed.take(0, 1), Taken::Behind));
        assert_eq!(feed.after_id("0"), None);
        assert_eq!(feed.after_id("9999"), Some(9999));
        let cursor = Cursor {
            seq: 9990,
            history: 0,
        };
        assert_eq!(feed.after_seq(cursor), Some(9990));
        let other = Cursor {
            history: 2,
            ..cursor
        };
        assert_eq!(feed.after_seq(other), None);
        // Who has the last one that was dropped lacks nothing.
        let first = feed.log().first;
        assert_eq!(feed.after_id(&first.to_string()), Some(first));
        let Taken::Entries(taken, next) = feed.take(9990, 1 << 20) else {
            panic!("behind");
        };
        assert_eq!((taken.len(), next), (10, 10_000));
        assert_eq!(budget.feeds.load(Ordering::Relaxed), 1);
        drop(feed);
        assert_eq!(budget.feeds.load(Ordering::Relaxed), 0);
    }
}
