//! Events: what happened, numbered gap-free per job, for whoever looks on.
//!
//! Events are a hint and a history, never the record: receipts are. All of it may be lost; subscribers are then
//! told so ([`Update::Reset`]) and rebuild what they know from receipts.

pub mod memory;
pub mod redis;
mod subscription;
mod switchboard;

use crate::error::{Error, Result};
use async_trait::async_trait;
use protocol::Event;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};
use tokio::sync::broadcast;

pub use subscription::{Subscription, Topic, Update, subscribe};
pub use switchboard::Switchboard;

/// How long things are kept and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events and fields of a job, counted from its last event (7 days).
    pub job: Duration,
    /// Events of one job; older ones go first (200 000).
    pub events: usize,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            job: Duration::from_secs(7 * 24 * 3600),
            events: 200_000,
        }
    }
}

/// How far a reader of one job has come. As text `12.5f3a…`, or `12` from one who knows no history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Number of the last event read, 0 for none.
    pub seq: u64,
    /// Which history the number belongs to; a job whose events were lost begins another. 0: any.
    pub history: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.history {
            0 => write!(f, "{}", self.seq),
            history => write!(f, "{}.{history:x}", self.seq),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Cursor> {
        let (seq, history) = text.split_once('.').unwrap_or((text, "0"));
        match (seq.parse(), u64::from_str_radix(history, 16)) {
            (Ok(seq), Ok(history)) => Ok(Cursor { seq, history }),
            _ => Err(Error::invalid(
                "the last event's id",
                "expected the id of an event, such as 12 or 12.5f3a",
            )),
        }
    }
}

/// One event and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Gap-free number in its job, from 1. The event carries it, too.
    pub seq: u64,
    /// The writer's name for the event.
    pub key: String,
    /// What happened.
    pub event: Event,
}

/// Part of a job's history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Events after the number that was asked for, without gaps between them.
    pub records: Vec<Record>,
    /// Number of the first event that is still kept, 0 if there is none.
    pub first: u64,
    /// Number of the last event, 0 if there is none.
    pub last: u64,
    /// Which history this is; 0 if there is none.
    pub history: u64,
}

/// What a node says of itself while it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The node.
    pub node: String,
    /// JSON: load, ranks, version, ….
    pub body: String,
}

/// How long it is kept what nodes did.
pub const SERIES: Duration = Duration::from_secs(15 * 60);
/// Moments of all nodes that are kept at most.
pub const MOMENTS: usize = 100_000;

/// What a node does at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The node.
    pub node: String,
    /// Slots that work.
    pub busy: u32,
    /// Slots that it has; 0 where it takes nothing.
    pub slots: u32,
}

/// A sample and when it was taken, by the clock of whoever keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub time: SystemTime,
    /// What.
    pub sample: Sample,
}

/// Events, a few fields per job, and heartbeats, in memory or on Redis.
///
/// Job ids are 1 to 100 letters, digits, `-`, `_` and `.`; anything else is [`Error::Invalid`].
#[async_trait]
pub trait Events: Send + Sync + fmt::Debug {
    /// Adds an event to a job's history and returns its number. `key` names the event within its job: adding
    /// it again, as after a lost reply, changes nothing and returns the first number.
    async fn append(&self, job: &str, key: &str, event: &Event) -> Result<u64> {
        let seqs = self
            .append_all(job, &[(key.to_owned(), event.clone())])
            .await?;
        Ok(seqs.first().copied().unwrap_or_default())
    }

    /// Adds several events in this order, each as [`append`](Events::append) does; returns their numbers.
    async fn append_all(&self, job: &str, events: &[(String, Event)]) -> Result<Vec<u64>>;

    /// At most `limit` events after number `after`. A job that nobody knows is an empty page.
    async fn read(&self, job: &str, after: u64, limit: usize) -> Result<Page>;

    /// Jobs that have events, with where each history ends.
    async fn positions(&self) -> Result<BTreeMap<String, Cursor>>;

    /// Sets fields of a job (state, counts, owner, …) beside those that are there.
    async fn set_fields(&self, job: &str, fields: &[(&str, &str)]) -> Result<()>;

    /// The fields of a job; empty if nobody knows it.
    async fn fields(&self, job: &str) -> Result<BTreeMap<String, String>>;

    /// Says that a node lives, for `ttl`.
    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Result<()>;

    /// Nodes that live, in order of their names.
    async fn nodes(&self) -> Result<Vec<Heartbeat>>;

    /// Adds a moment to the series of what nodes did.
    async fn sample(&self, sample: &Sample) -> Result<()>;

    /// What nodes did in the last [`SERIES`], in order of time.
    async fn samples(&self) -> Result<Vec<Moment>>;

    /// What time it is there.
    async fn clock(&self) -> Result<SystemTime>;

    /// Takes a lease, or keeps one: true if `holder` has it for `ttl` from now. Others get it when it has run
    /// out or was given back. What was lost by the service is free, so that work under a lease has to bear
    /// being done twice.
    async fn lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<bool>;

    /// Gives a lease back; one that `holder` does not have is left alone.
    async fn release(&self, name: &str, holder: &str) -> Result<()>;

    /// Notices of change from now on. They may be lost, doubled or late; what counts is what `read` returns.
    async fn changes(&self) -> Result<broadcast::Receiver<Change>>;
}

/// A notice that something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A job has new events.
    Job(String),
    /// Anything may have changed: notices were lost, or the service was away.
    Anything,
}

/// Refuses what would make one job's keys another's.
fn check_id(what: &str, id: &str) -> Result<()> {
    crate::queue::NodeId::new(id).map(|_| ()).map_err(|_| {
        Error::invalid(
            format!("{what} `{id}`"),
            "expected 1 to 100 letters, digits, `-`, `_` and `.`",
        )
    })
}

/// The event with another number in it, where it has a place for one.
fn with_number(mut event: Event, number: Option<u64>) -> Event {
    match &mut event {
        Event::JobStarted(event) => event.seq = number,
        Event::TaskStarted(event) => event.seq = number,
        Event::Warning(event) => event.seq = number,
        Event::TaskFinished(event) => event.seq = number,
        Event::JobFinished(event) => event.seq = number,
        Event::TaskPlanned(_) | Event::JobPlanned(_) => {}
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_from_their_text() {
        for (seq, history) in [(0, 0), (12, 0), (12, 0x5f3a), (u64::MAX, u64::MAX)] {
            let cursor = Cursor { seq, history };
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for text in ["", "x", "1.", "1.zz", "-1", "1.2.3"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn ids_cannot_reach_into_other_keys() {
        assert!(check_id("job", "01JABC-x_y.z").is_ok());
        for id in ["", "a:b", "a b", "ä", "*", &"x".repeat(101)] {
            assert!(check_id("job", id).is_err(), "{id}");
        }
    }
}
