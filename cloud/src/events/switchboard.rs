//! Many subscriptions to single jobs that share one look at the source.
//!
//! A [`subscribe`](super::subscribe) of its own for each of a thousand jobs would hear every notice and poll a
//! thousand times. Here one listener hears them and wakes whom they concern, and one look at all positions finds
//! what no notice told.

use super::subscription::{POLL, follow};
use super::{Change, Cursor, Events, Subscription, Topic};
use crate::error::Result;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// How often a subscription looks for itself, in case that even the common look failed.
const OWN_POLL: Duration = Duration::from_secs(60);
/// Notices that wait for one subscription; more are told as [`Change::Anything`], which is as good.
const WAITING: usize = 4;

/// Spreads the notices of one source over subscriptions to single jobs.
#[derive(Debug)]
pub struct Switchboard {
    events: Arc<dyn Events>,
    lines: Arc<Lines>,
    operator: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Lines(Mutex<BTreeMap<String, Line>>);

#[derive(Debug)]
struct Line {
    notices: broadcast::Sender<Change>,
    /// Where the history ended at the last look; None before the first.
    seen: Option<Option<Cursor>>,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Switchboard {
    /// Nobody listens before the first subscription.
    pub fn new(events: Arc<dyn Events>) -> Switchboard {
        Switchboard {
            events,
            lines: Arc::default(),
            operator: tokio::sync::Mutex::default(),
        }
    }

    /// Follows one job. Fails only when the source cannot be reached now; later losses are bridged.
    pub async fn subscribe(&self, job: &str, after: Cursor) -> Result<Subscription> {
        self.listen().await?;
        let notices = {
            let mut lines = self.lines.lock();
            let line = lines.entry(job.to_owned()).or_insert_with(|| Line {
                notices: broadcast::channel(WAITING).0,
                seen: None,
            });
            line.notices.subscribe()
        };
        let job = job.to_owned();
        let topic = Topic::Job { job, after };
        follow(self.events.clone(), topic, notices, OWN_POLL)
    }

    /// Sees to it that somebody listens.
    async fn listen(&self) -> Result<()> {
        let mut operator = self.operator.lock().await;
        if operator.as_ref().is_none_or(JoinHandle::is_finished) {
            let changes = self.events.changes().await?;
            let (events, lines) = (self.events.clone(), self.lines.clone());
            *operator = Some(tokio::spawn(operate(events, lines, changes)));
        }
        Ok(())
    }
}

impl Drop for Switchboard {
    fn drop(&mut self) {
        if let Some(operator) = self.operator.get_mut().take() {
            operator.abort();
        }
    }
}

async fn operate(
    events: Arc<dyn Events>,
    lines: Arc<Lines>,
    mut changes: broadcast::Receiver<Change>,
) {
    let mut look = tokio::time::interval_at(Instant::now() + POLL, POLL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Ok(Change::Job(job)) => {
                    if let Some(line) = lines.lock().get(&job) {
                        // Whoever was listening may have gone.
                        let _ = line.notices.send(Change::Job(job));
                    }
                }
                Ok(Change::Anything) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    for line in lines.lock().values() {
                        let _ = line.notices.send(Change::Anything);
                    }
                }
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = look.tick() => {
                let idle = {
                    let mut lines = lines.lock();
                    lines.retain(|_, line| line.notices.receiver_count() > 0);
                    lines.is_empty()
                };
                if idle {
                    continue;
                }
                match events.positions().await {
                    Ok(positions) => compare(&mut lines.lock(), &positions),
                    Err(error) => tracing::warn!(%error, "positions cannot be read yet"),
                }
            }
        }
    }
}

/// Wakes those whose histories are not what they were.
fn compare(lines: &mut BTreeMap<String, Line>, positions: &BTreeMap<String, Cursor>) {
    for (job, line) in lines {
        let now = positions.get(job).copied();
        let change = match (line.seen.replace(now), now) {
            (Some(then), _) if then == now => continue,
            (Some(Some(then)), Some(now)) if then.history == now.history && then.seq < now.seq => {
                Change::Job(job.clone())
            }
            // Lost, begun anew, or never compared before.
            _ => Change::Anything,
        };
        let _ = line.notices.send(change);
    }
}
