//! Events in the memory of one process.

use super::{Change, Cursor, Events, Heartbeat, MOMENTS, Moment, Page, Record, Retention};
use super::{SERIES, Sample, check_id, with_number};
use crate::error::Result;
use async_trait::async_trait;
use protocol::Event;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::broadcast;

/// Events in memory. Clones share them.
#[derive(Clone, Debug)]
pub struct MemoryEvents {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    retention: Retention,
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<String, History>,
    nodes: BTreeMap<String, (String, Instant)>,
    leases: BTreeMap<String, (String, Instant)>,
    moments: VecDeque<(Instant, Moment)>,
}

#[derive(Debug)]
struct History {
    id: u64,
    last: u64,
    records: VecDeque<Record>,
    keys: HashMap<String, u64>,
    fields: BTreeMap<String, String>,
    expires: Instant,
}

impl Default for MemoryEvents {
    fn default() -> MemoryEvents {
        MemoryEvents::new(Retention::default())
    }
}

impl MemoryEvents {
    /// No events yet.
    pub fn new(retention: Retention) -> MemoryEvents {
        let (changes, _) = broadcast::channel(1024);
        MemoryEvents {
            shared: Arc::new(Shared {
                retention,
                state: Mutex::default(),
                changes,
            }),
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.state() = State::default();
        let _ = self.shared.changes.send(Change::Anything);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is complete before anything could panic.
        let mut state = self
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.jobs.retain(|_, job| job.expires > now);
        state.nodes.retain(|_, (_, expires)| *expires > now);
        state.leases.retain(|_, (_, expires)| *expires > now);
        let old = |(at, _): &(Instant, Moment)| at.elapsed() > SERIES;
        while state.moments.front().is_some_and(old) || state.moments.len() > MOMENTS {
            state.moments.pop_front();
        }
        state
    }

    fn history<'a>(&self, state: &'a mut State, job: &str) -> &'a mut History {
        let expires = Instant::now() + self.shared.retention.job;
        let history = state.jobs.entry(job.to_owned()).or_insert_with(|| History {
            // Never 0, which stands for no history.
            id: u64::from_le_bytes(crate::random::bytes()).max(1),
            last: 0,
            records: VecDeque::new(),
            keys: HashMap::new(),
            fields: BTreeMap::new(),
            expires,
        });
        history.expires = expires;
        history
    }
}

impl History {
    /// Adds an event if there is none with its key; returns its number.
    fn add(&mut self, key: &str, event: &Event, most: usize) -> u64 {
        if let Some(seq) = self.keys.get(key) {
            return *seq;
        }
        self.last += 1;
        let seq = self.last;
        self.keys.insert(key.to_owned(), seq);
        self.records.push_back(Record {
            seq,
            key: key.to_owned(),
            event: with_number(event.clone(), Some(seq)),
        });
        while self.records.len() > most {
            if let Some(old) = self.records.pop_front() {
                self.keys.remove(&old.key);
            }
        }
        seq
    }
}

#[async_trait]
impl Events for MemoryEvents {
    async fn append_all(&self, job: &str, events: &[(String, Event)]) -> Result<Vec<u64>> {
        check_id("job", job)?;
        let mut seqs = Vec::with_capacity(events.len());
        {
            let mut state = self.state();
            let history = self.history(&mut state, job);
            for (key, event) in events {
                seqs.push(history.add(key, event, self.shared.retention.events));
            }
        }
        // Nobody listens: nobody has to be told.
        let _ = self.shared.changes.send(Change::Job(job.to_owned()));
        Ok(seqs)
    }

    async fn read(&self, job: &str, after: u64, limit: usize) -> Result<Page> {
        check_id("job", job)?;
        let state = self.state();
        let Some(history) = state.jobs.get(job) else {
            return Ok(Page::default());
        };
        Ok(Page {
            records: history
                .records
                .iter()
                .skip_while(|record| record.seq <= after)
                .take(limit)
                .cloned()
                .collect(),
            first: history.records.front().map_or(0, |record| record.seq),
            last: history.last,
            history: history.id,
        })
    }

    async fn positions(&self) -> Result<BTreeMap<String, Cursor>> {
        let state = self.state();
        let with_events = state.jobs.iter().filter(|(_, history)| history.last > 0);
        Ok(with_events
            .map(|(job, history)| {
                let cursor = Cursor {
                    seq: history.last,
                    history: history.id,
                };
                (job.clone(), cursor)
            })
            .collect())
    }

    async fn set_fields(&self, job: &str, fields: &[(&str, &str)]) -> Result<()> {
        check_id("job", job)?;
        let mut state = self.state();
        let history = self.history(&mut state, job);
        for (name, value) in fields {
            history
                .fields
                .insert((*name).to_owned(), (*value).to_owned());
        }
        Ok(())
    }

    async fn fields(&self, job: &str) -> Result<BTreeMap<String, String>> {
        check_id("job", job)?;
        let state = self.state();
        let history = state.jobs.get(job);
        Ok(history
            .map(|history| history.fields.clone())
            .unwrap_or_default())
    }

    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Result<()> {
        check_id("node", &heartbeat.node)?;
        let entry = (heartbeat.body.clone(), Instant::now() + ttl);
        self.state().nodes.insert(heartbeat.node.clone(), entry);
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<Heartbeat>> {
        let state = self.state();
        let nodes = state.nodes.iter().map(|(node, (body, _))| Heartbeat {
            node: node.clone(),
            body: body.clone(),
        });
        Ok(nodes.collect())
    }

    async fn sample(&self, sample: &Sample) -> Result<()> {
        check_id("node", &sample.node)?;
        let moment = Moment {
            time: SystemTime::now(),
            sample: sample.clone(),
        };
        self.state().moments.push_back((Instant::now(), moment));
        Ok(())
    }

    async fn samples(&self) -> Result<Vec<Moment>> {
        let state = self.state();
        Ok(state.moments.iter().map(|(_, m)| m.clone()).collect())
    }

    async fn clock(&self) -> Result<SystemTime> {
        Ok(SystemTime::now())
    }

    async fn lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<bool> {
        check_id("lease", name)?;
        let mut state = self.state();
        if state.leases.get(name).is_some_and(|(h, _)| h != holder) {
            return Ok(false);
        }
        let lease = (holder.to_owned(), Instant::now() + ttl);
        state.leases.insert(name.to_owned(), lease);
        Ok(true)
    }

    async fn release(&self, name: &str, holder: &str) -> Result<()> {
        check_id("lease", name)?;
        let mut state = self.state();
        if state.leases.get(name).is_some_and(|(h, _)| h == holder) {
            state.leases.remove(name);
        }
        Ok(())
    }

    async fn changes(&self) -> Result<broadcast::Receiver<Change>> {
        Ok(self.shared.changes.subscribe())
    }
}
