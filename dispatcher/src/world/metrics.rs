//! What a world tells about itself.

use protocol::job::Mode;
use std::sync::atomic::{AtomicU64, Ordering};
use worker::task::Finished;

/// Counts of a world since its start; those of time never fall.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Ranks that can work now.
    pub ranks_alive: usize,
    /// How often the world died and was started afresh.
    pub restarts: u64,
    /// Milliseconds for which images were worked on, each counted once.
    pub busy_ms: u64,
    /// Milliseconds of these for images whose rows were shared by all ranks.
    pub shared_ms: u64,
    /// Milliseconds of these that rank 0 waited for rows of its neighbours.
    pub halo_wait_ms: u64,
}

impl Metrics {
    /// The share of the time of images in rows that went into waiting for neighbours, from 0 to 1.
    pub fn halo_wait_share(&self) -> f64 {
        match self.shared_ms {
            0 => 0.0,
            shared => (self.halo_wait_ms as f64 / shared as f64).min(1.0),
        }
    }
}

/// Sums over the tasks that have ended, in microseconds.
#[derive(Default)]
pub(super) struct Times {
    busy: AtomicU64,
    shared: AtomicU64,
    halo: AtomicU64,
}

impl Times {
    /// Counts a task.
    pub fn add(&self, finished: &Finished) {
        let receipt = &finished.receipt;
        let ms = &receipt.ms;
        let whole = ms.fetch + ms.decode + ms.compute + ms.halo + ms.encode + ms.store;
        let add = |sum: &AtomicU64, ms: f64| sum.fetch_add((ms * 1e3) as u64, Ordering::Relaxed);
        add(&self.busy, whole);
        if receipt.mode == Some(Mode::Rows) && receipt.ranks > Some(1) {
            add(&self.shared, whole);
            add(&self.halo, ms.halo);
        }
    }

    /// The sums; what is no sum is left at zero.
    pub fn metrics(&self) -> Metrics {
        let ms = |sum: &AtomicU64| sum.load(Ordering::Relaxed) / 1000;
        Metrics {
            busy_ms: ms(&self.busy),
            shared_ms: ms(&self.shared),
            halo_wait_ms: ms(&self.halo),
            ..Metrics::default()
        }
    }
}
