//! What a dispatcher knows of how far a round of a job has come.

use protocol::receipt::Counts;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Which tasks are known to have ended in a round, and what this dispatcher did of it.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) round: u32,
    pub(crate) ended: Vec<bool>,
    /// Tasks whose end this dispatcher told, and was heard.
    pub(crate) told: Vec<bool>,
    /// No task before this one is open.
    pub(crate) lowest: usize,
    pub(crate) listed: bool,
    pub(crate) mine: Counts,
    /// Runs that gave a result here, and how long they took together.
    pub(crate) runs: (u32, Duration),
    /// Whether these counts are about to be told.
    pub(crate) telling: bool,
}

impl Progress {
    pub(crate) fn enter(&mut self, round: u32, tasks: usize) {
        if self.round < round {
            *self = Progress {
                round,
                ended: vec![false; tasks],
                told: vec![false; tasks],
                ..Progress::default()
            };
        }
    }

    /// Remembers how long a run took that gave a result.
    pub(crate) fn ran(&mut self, round: u32, tasks: usize, time: Duration) {
        // Many may have run before the first is committed.
        self.enter(round, tasks);
        if self.round == round {
            self.runs.0 += 1;
            self.runs.1 += time;
        }
    }

    /// How long such runs took on average, where there are any.
    pub(crate) fn mean(&self, round: u32) -> Option<Duration> {
        let (runs, time) = self.runs;
        (self.round == round && runs > 0).then(|| time / runs)
    }

    /// Whether this dispatcher told of all tasks but perhaps that one.
    pub(crate) fn all_told(&self, but: Option<u64>) -> bool {
        let told = |(n, &told)| told || but == Some(n);
        !self.told.is_empty() && (0..).zip(&self.told).all(told)
    }

    /// A task that seemed to have ended has not.
    pub(crate) fn reopen(&mut self, task: u64) {
        if let Some(ended) = self.ended.get_mut(task as usize) {
            *ended = false;
            self.lowest = self.lowest.min(task as usize);
        }
    }
}

/// Counts what is under way.
#[derive(Default)]
pub(crate) struct Pending(AtomicUsize, Notify);

/// Something under way, until this is dropped.
pub(crate) struct Under<'a>(&'a Pending);

impl Pending {
    pub(crate) fn enter(&self) -> Under<'_> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Under(self)
    }

    /// Waits until nothing is under way any more.
    pub(crate) async fn none(&self) {
        loop {
            let changed = self.1.notified();
            if self.0.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
        self.0.1.notify_waiters();
    }
}
