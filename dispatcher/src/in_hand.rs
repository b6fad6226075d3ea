//! Tasks that this dispatcher works on: another message of one of them waits until it has ended.
//!
//! A broker takes a message back that was not acknowledged for long, however lively its consumer is, and delivers
//! it again. The work goes on meanwhile, and is not to be done twice.

use cloud::queue::Delivery;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How often a message that waits is looked at, whether it was taken back itself.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A task of a round: job, number, round.
pub(crate) type Key = (String, u64, u32);

/// The tasks.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    tasks: Mutex<BTreeSet<Key>>,
    ended: Notify,
}

impl InHand {
    /// Waits until nobody works on this task. None: the delivery was taken back meanwhile, and is worth nothing.
    pub(crate) async fn take(&self, key: Key, delivery: &Delivery) -> Option<Taken<'_>> {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // From here on no end is missed.
            ended.as_mut().enable();
            if self.tasks().insert(key.clone()) {
                return Some(Taken { all: self, key });
            }
            tracing::debug!("a message came again for what is in hand");
            tokio::select! {
                () = ended => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            if !delivery.is_live() {
                return None;
            }
        }
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that is worked on while this lives.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    all: &'a InHand,
    key: Key,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.all.tasks().remove(&self.key);
        self.all.ended.notify_waiters();
    }
}
