//! Shares all webhooks among the notifiers: each works on those whose lease it holds.

use super::client::{Client, Error};
use super::delivery::Courier;
use super::worker::Worker;
use super::{Config, Hook, PREFIX, is_id, state};
use crate::Notifier;
use crate::random;
use dispatcher::names;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Webhooks that are taken at once, so that others get their share.
const CLAIM: usize = 16;
/// Pause before more of them are taken.
const NEXT_CLAIM: Duration = Duration::from_millis(250);
/// Time to store where webhooks are at the end.
const LAST_SAVE: Duration = Duration::from_secs(5);

/// Owner and id.
type Name = (String, String);

/// Delivers webhooks until the notifier's shutdown.
pub async fn run(notifier: &Notifier) -> Result<(), Error> {
    let config = Arc::new(notifier.config().webhooks.clone());
    let client = Client::new(&config)?;
    let mut manager = Manager {
        holder: ulid::Ulid::generate().to_string(),
        courier: Courier::new(client, config.clone()),
        notifier: notifier.clone(),
        config,
        at_work: BTreeMap::new(),
    };
    manager.run(notifier.shutdown()).await;
    Ok(())
}

struct Manager {
    holder: String,
    courier: Courier,
    notifier: Notifier,
    config: Arc<Config>,
    at_work: BTreeMap<Name, AtWork>,
}

struct AtWork {
    stop: CancellationToken,
    task: JoinHandle<()>,
    renew: Instant,
    /// When the webhook was written; later writing gave it another secret.
    written: SystemTime,
}

impl Manager {
    async fn run(&mut self, shutdown: CancellationToken) {
        loop {
            self.renew().await;
            let more = match self.look().await {
                Ok(more) => more,
                Err(error) => {
                    tracing::warn!(%error, "webhooks cannot be listed yet");
                    false
                }
            };
            let pause = match more {
                true => NEXT_CLAIM,
                // Not all notifiers at the same moment; leases are renewed in time, too.
                false => self
                    .config
                    .scan
                    .min(self.config.lease / 3)
                    .mul_f64(0.75 + 0.25 * random::fraction()),
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
                () = self.notifier.hooks().changed.notified() => {}
            }
        }
        self.end().await;
    }

    /// Keeps the leases of what is at work; what was lost is dropped, since another one goes on with it.
    async fn renew(&mut self) {
        let due = Instant::now();
        let names = self.at_work.iter().filter(|(_, work)| work.renew <= due);
        let names: Vec<Name> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            match self.lease(&name).await {
                Ok(true) => {
                    if let Some(work) = self.at_work.get_mut(&name) {
                        work.renew = due + self.config.lease / 3;
                    }
                }
                Ok(false) => {
                    if let Some(work) = self.at_work.remove(&name) {
                        // Without storing where it is: that is the other's now.
                        work.task.abort();
                    }
                }
                Err(error) => {
                    // Nor will the others be; nobody else can take them, either.
                    tracing::warn!(%error, "leases are not renewed yet");
                    return;
                }
            }
        }
    }

    async fn lease(&self, name: &Name) -> cloud::Result<bool> {
        let events = &self.notifier.jobs().events;
        events
            .lease(&lease_name(name), &self.holder, self.config.lease)
            .await
    }

    /// Begins and ends work after what is stored. Returns whether there may be more to take.
    async fn look(&mut self) -> cloud::Result<bool> {
        let store = &self.notifier.jobs().store;
        let listed = store.list(PREFIX).await?;
        let there = listed
            .iter()
            .filter_map(|meta| Some((name(&meta.name)?, meta.modified)));
        let there: BTreeMap<Name, SystemTime> = there.collect();
        let at_work = std::mem::take(&mut self.at_work);
        for (name, work) in at_work {
            let written = there.get(&name).copied();
            if written == Some(work.written) && !work.task.is_finished() {
                self.at_work.insert(name, work);
                continue;
            }
            if let Some(written) = written.filter(|_| !work.task.is_finished()) {
                // It goes on where it is, with what was written.
                work.stop.cancel();
                let _ = tokio::time::timeout(LAST_SAVE, work.task).await;
                self.begin(name, written).await;
                continue;
            }
            work.task.abort();
            let _ = work.task.await;
            self.release(&name).await;
            if written.is_none() {
                // It may have stored where it is after it was dropped.
                let state = state(&name.0, &name.1);
                if let Err(error) = self.notifier.jobs().store.delete(&state).await {
                    tracing::warn!(%error, "what is left of a webhook stays");
                }
            }
        }
        let mut free: Vec<(Name, SystemTime)> = there
            .into_iter()
            .filter(|(name, _)| !self.at_work.contains_key(name))
            .collect();
        // Notifiers that begin together do not all want the same.
        if !free.is_empty() {
            let turn = (random::fraction() * free.len() as f64) as usize;
            let turn = turn.min(free.len());
            free.rotate_left(turn);
        }
        let mut taken = 0;
        for (name, written) in free {
            if taken == CLAIM {
                return Ok(true);
            }
            if self.lease(&name).await? {
                taken += 1;
                self.begin(name, written).await;
            }
        }
        Ok(false)
    }

    async fn begin(&mut self, name: Name, written: SystemTime) {
        let object = super::hook(&name.0, &name.1);
        let hook = match names::read::<Hook>(&self.notifier.jobs().store, &object).await {
            Ok(Some(hook)) if (&hook.owner, &hook.id) == (&name.0, &name.1) => hook,
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "a webhook cannot be read");
                return;
            }
        };
        let worker = Arc::new(Worker {
            hook: Arc::new(hook),
            notifier: self.notifier.clone(),
            courier: self.courier.clone(),
            config: self.config.clone(),
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(worker.run(stop.clone()));
        let renew = Instant::now() + self.config.lease / 3;
        let work = AtWork {
            stop,
            task,
            renew,
            written,
        };
        self.at_work.insert(name, work);
    }

    async fn release(&self, name: &Name) {
        let events = &self.notifier.jobs().events;
        let released = events.release(&lease_name(name), &self.holder).await;
        if let Err(error) = released {
            tracing::warn!(%error, "a lease runs out by itself");
        }
    }

    async fn end(&mut self) {
        let at_work = std::mem::take(&mut self.at_work);
        for work in at_work.values() {
            work.stop.cancel();
        }
        let last = Instant::now() + LAST_SAVE;
        for (name, work) in at_work {
            let abort = work.task.abort_handle();
            if tokio::time::timeout_at(last, work.task).await.is_err() {
                abort.abort();
            }
            if Instant::now() < last {
                self.release(&name).await;
            }
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        for work in self.at_work.values() {
            work.task.abort();
        }
    }
}

fn lease_name((_, id): &Name) -> String {
    format!("webhook-{id}")
}

/// Owner and id of `webhooks/<owner>/<id>.json`.
fn name(object: &str) -> Option<Name> {
    let mut parts = object.split('/');
    let (Some(PREFIX), Some(owner), Some(file), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let id = file.strip_suffix(".json").filter(|id| is_id(id))?;
    Some((owner.to_owned(), id.to_owned()))
}
