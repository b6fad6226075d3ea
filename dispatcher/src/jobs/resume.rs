//! Jobs that were accepted but wait in no queue: found by their marks and queued again.

use super::Jobs;
use crate::error::Result;
use crate::names;
use std::time::{Duration, SystemTime};

/// A job that was marked so recently may be on its way to the queue.
const FRESH: Duration = Duration::from_secs(60);

impl Jobs {
    /// Queues all jobs that have not ended, as after a queue in memory was lost; returns how many. What they
    /// have done so far is kept.
    pub async fn resume(&self) -> Result<usize> {
        self.requeue(false).await
    }

    /// Queues jobs that were accepted a while ago and never split, as when their submitter died before it
    /// could queue them; returns how many.
    pub async fn sweep(&self) -> Result<usize> {
        self.requeue(true).await
    }

    async fn requeue(&self, forgotten: bool) -> Result<usize> {
        let mut queued = 0;
        for mark in self.store.list(names::OPEN).await? {
            let Some(id) = mark.name.rsplit('/').next().map(str::to_owned) else {
                continue;
            };
            if !names::exists(&self.store, &names::spec(&id)).await? {
                continue;
            }
            let round = names::current_round(&self.store, &id).await?;
            if round == 1 && names::exists(&self.store, &names::receipt(&id)).await? {
                // Its dispatcher died between the receipt and this.
                self.store.delete(&mark.name).await?;
                continue;
            }
            let age = SystemTime::now().duration_since(mark.modified);
            let fresh = age.unwrap_or_default() < FRESH;
            let split = names::exists(&self.store, &names::plan(&id)).await?;
            if forgotten && (fresh || split) {
                continue;
            }
            self.publish(&id, round).await?;
            queued += 1;
        }
        Ok(queued)
    }
}
