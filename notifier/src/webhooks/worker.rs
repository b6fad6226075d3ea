//! One webhook at work: it watches its owner's jobs, delivers what is asked for, and stores how far it is.
//!
//! What is stored never runs ahead of what was delivered, so that after a crash some events are delivered again,
//! under the same id, and none is left out.

use super::delivery::{Courier, Item, Report};
use super::position::Position;
use super::{Config, Hook, state};
use crate::Notifier;
use crate::entry::{Entry, RESET};
use crate::places::{Place, Places};
use crate::watch::{After, Watch};
use dispatcher::{Result, names};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt as _, StreamExt as _};
use protocol::Event;
use protocol::event::JobFinished;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Deliveries of one webhook under way at once.
const WINDOW: usize = 8;
/// Entries that wait for their turn; most are not asked for and pass at once.
const WAITING: usize = 256;
/// Wait after a service failed.
const AGAIN: Duration = Duration::from_secs(1);

/// A webhook and what it needs.
pub struct Worker {
    /// The webhook.
    pub hook: Arc<Hook>,
    /// Where it watches.
    pub notifier: Notifier,
    /// Who delivers.
    pub courier: Courier,
    /// How.
    pub config: Arc<Config>,
}

/// An entry whose turn is over, and what came of it.
struct Done {
    entry: Arc<Entry>,
    report: Option<Report>,
}

/// Where the worker stands.
struct Progress {
    places: Places,
    position: Mutex<Position>,
    dirty: bool,
}

impl Worker {
    /// Works until `stop`, and then stores where it is.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let id = self.hook.id.clone();
        let Some(mut progress) = stop.run_until_cancelled(self.begin()).await else {
            return;
        };
        while !stop.is_cancelled() {
            let places = Box::new(progress.places.clone());
            let after = After::Places(places);
            let watch = self.notifier.hub().user(&self.hook.owner, after).await;
            match watch {
                Ok(watch) => self.follow(watch, &mut progress, &stop).await,
                Err(error) => {
                    tracing::warn!(%error, hook = id, "a webhook cannot watch yet");
                    stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
                }
            }
        }
        self.save(&mut progress).await;
    }

    /// Reads where the webhook stands, as often as it takes.
    async fn begin(&self) -> Progress {
        let name = state(&self.hook.owner, &self.hook.id);
        let store = &self.notifier.jobs().store;
        let position = loop {
            match names::read::<Position>(store, &name).await {
                Ok(position) => break position.unwrap_or_default(),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "a webhook's position cannot be read yet");
                }
                Err(error) => {
                    tracing::error!(%error, "a webhook begins anew");
                    break Position::default();
                }
            }
            tokio::time::sleep(AGAIN).await;
        };
        Progress {
            places: position.places(),
            position: Mutex::new(position),
            dirty: false,
        }
    }

    /// Until `stop`, or until the watch was cut off and everything it told is done.
    async fn follow(
        self: &Arc<Self>,
        mut watch: Watch,
        progress: &mut Progress,
        stop: &CancellationToken,
    ) {
        let mut waiting: VecDeque<Arc<Entry>> = VecDeque::new();
        let mut under_way: FuturesOrdered<BoxFuture<'static, Done>> = FuturesOrdered::new();
        let (failed_send, mut failed) = tokio::sync::mpsc::unbounded_channel::<Report>();
        let mut save = tokio::time::interval(self.config.save);
        save.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ended = false;
        loop {
            while under_way.len() < WINDOW {
                let Some(entry) = waiting.pop_front() else {
                    break;
                };
                let failed = failed_send.clone();
                let told = move |report| {
                    // Only this loop receives, and it outlives the deliveries.
                    let _ = failed.send(report);
                };
                let settled = self.is_settled(&entry, &progress.position);
                let worker = self.clone();
                let handled = async move { worker.handle(entry, settled, told).await };
                under_way.push_back(handled.boxed());
            }
            if ended && under_way.is_empty() && waiting.is_empty() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                entries = watch.next(), if !ended && waiting.len() < WAITING => match entries {
                    Some(entries) => waiting.extend(entries),
                    None => ended = true,
                },
                Some(done) = under_way.next() => progress.advance(done),
                Some(report) = failed.recv() => {
                    progress.position().note(report);
                    progress.dirty = true;
                }
                _ = save.tick(), if progress.dirty => self.save(progress).await,
            }
        }
    }

    fn is_settled(&self, entry: &Entry, position: &Mutex<Position>) -> bool {
        let id = super::sign::delivery_id(&self.hook.id, &entry.job, &entry.key);
        let position = position.lock().unwrap_or_else(PoisonError::into_inner);
        position.is_settled(&id)
    }

    async fn handle(
        &self,
        entry: Arc<Entry>,
        settled: bool,
        told: impl Fn(Report) + Send + Sync,
    ) -> Done {
        let report = match self.item(&entry).await {
            Some(item) if !settled => Some(self.courier.deliver(&self.hook, &item, told).await),
            _ => None,
        };
        Done { entry, report }
    }

    /// What is to be delivered of an entry, if anything.
    async fn item(&self, entry: &Entry) -> Option<Item> {
        let hook = &self.hook;
        if entry.kind != RESET {
            let wanted = hook.wants(entry.kind, &entry.job);
            let item = || Item::new(hook, entry.kind, &entry.job, &entry.key, entry.data());
            return wanted.then(item);
        }
        // Its end may be among the events that were lost; its receipt tells.
        if entry.ended || !hook.wants("job_finished", &entry.job) {
            return None;
        }
        loop {
            match self.end(&entry.job).await {
                Ok(item) => return item,
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "a receipt cannot be read yet");
                }
                Err(error) => {
                    tracing::warn!(%error, "a receipt cannot be read");
                    return None;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The end of a job after its receipt, as its event told it.
    async fn end(&self, job: &str) -> Result<Option<Item>> {
        let jobs = self.notifier.jobs();
        let Some((round, receipt)) = jobs.end(&self.hook.owner, job).await? else {
            return Ok(None);
        };
        // As the dispatcher names the event: with the same name it is the same delivery.
        let event = Event::JobFinished(JobFinished::of(job, &receipt));
        let key = format!("job-finished-{round}");
        let body = names::to_json(&event).into();
        let item = Item::new(&self.hook, "job_finished", job, &key, body);
        Ok(Some(item))
    }

    async fn save(&self, progress: &mut Progress) {
        if !progress.dirty {
            return;
        }
        let deliveries = progress.position().deliveries.clone();
        let position = Position::new(&progress.places, deliveries);
        let name = state(&self.hook.owner, &self.hook.id);
        let store = &self.notifier.jobs().store;
        let bytes = names::to_json(&position).into();
        match store.put(&name, bytes, "application/json").await {
            Ok(()) => progress.dirty = false,
            Err(error) => tracing::warn!(%error, "a webhook's position is not stored yet"),
        }
    }
}

impl Progress {
    fn position(&mut self) -> &mut Position {
        let position = self.position.get_mut();
        position.unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&mut self, done: Done) {
        let Done { entry, report } = done;
        match entry.kind {
            RESET => {
                self.places.remove(&entry.job);
            }
            _ => {
                let place = Place {
                    cursor: entry.cursor,
                    submitted: entry.submitted.clone(),
                    ended: entry.ended,
                };
                self.places.set(&entry.job, place);
            }
        }
        if let Some(report) = report {
            self.position().note(report);
        }
        self.dirty = true;
    }
}
