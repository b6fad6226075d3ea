//! Places for connections. When all are taken, one that asks for nothing goes, the longest silent first; when all are at
//! work, a reserve is left for questions about health.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Connections beyond the usual ones, which only learn whether the service lives.
pub(crate) const RESERVE: usize = 16;

/// All places.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    open: BTreeMap<u64, Holder>,
}

/// Who holds a place.
#[derive(Debug)]
struct Holder {
    /// Requests that are being answered.
    busy: usize,
    /// Whether it ever sent one.
    asked: bool,
    /// Since when it is silent.
    since: Instant,
    reserved: bool,
    /// Ends the connection.
    end: CancellationToken,
}

/// A connection's place; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    /// It may only ask whether the service lives.
    pub(crate) reserved: bool,
    /// Somebody else needs the place more.
    pub(crate) end: CancellationToken,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Busy {
    places: Arc<Places>,
    number: u64,
}

impl Places {
    /// So many usual ones.
    pub(crate) fn new(most: usize) -> Arc<Places> {
        Arc::new(Places {
            most: most.max(1),
            held: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// A place, in turn; waits only where even the reserve is at work.
    pub(crate) async fn take(self: &Arc<Self>) -> Place {
        loop {
            // Before the look, so that no place that gets free meanwhile is missed.
            let freed = self.freed.notified();
            if let Some(place) = self.try_take() {
                return place;
            }
            freed.await;
        }
    }

    fn try_take(self: &Arc<Self>) -> Option<Place> {
        let mut held = self.held();
        let usual = held.open.values().filter(|h| !h.reserved).count();
        let reserved = if usual < self.most || held.end_silent(false) {
            false
        } else if held.open.len() - usual < RESERVE || held.end_silent(true) {
            true
        } else {
            return None;
        };
        let (number, end) = (held.next, CancellationToken::new());
        held.next += 1;
        let holder = Holder {
            busy: 0,
            asked: false,
            since: Instant::now(),
            reserved,
            end: end.clone(),
        };
        held.open.insert(number, holder);
        Some(Place {
            places: self.clone(),
            number,
            reserved,
            end,
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Ends a connection that asks for nothing: one that never did, or else the longest silent.
    fn end_silent(&mut self, reserved: bool) -> bool {
        let silent = self
            .open
            .iter()
            .filter(|(_, holder)| holder.reserved == reserved && holder.busy == 0);
        let longest = silent.min_by_key(|(_, holder)| (holder.asked, holder.since));
        let Some(number) = longest.map(|(number, _)| *number) else {
            return false;
        };
        if let Some(holder) = self.open.remove(&number) {
            holder.end.cancel();
        }
        true
    }
}

impl Place {
    /// Whether it sent a request, ever.
    pub(crate) fn asked(&self) -> bool {
        let held = self.places.held();
        held.open.get(&self.number).is_none_or(|h| h.asked)
    }

    /// A request begins.
    pub(crate) fn busy(&self) -> Busy {
        if let Some(holder) = self.places.held().open.get_mut(&self.number) {
            holder.busy += 1;
            holder.asked = true;
        }
        Busy {
            places: self.places.clone(),
            number: self.number,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.held().open.remove(&self.number);
        self.places.freed.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(holder) = self.places.held().open.get_mut(&self.number) {
            holder.busy -= 1;
            holder.since = Instant::now();
        }
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_silent_makes_room_and_whoever_works_does_not() {
        let places = Places::new(2);
        let silent = places.try_take().unwrap();
        let asked = places.try_take().unwrap();
        drop(asked.busy());
        // The one that never asked, though it came first.
        let third = places.try_take().unwrap();
        assert!(silent.end.is_cancelled() && !asked.end.is_cancelled());
        let _at_work = third.busy();
        let fourth = places.try_take().unwrap();
        assert!(asked.end.is_cancelled() && !third.end.is_cancelled());
        assert!(!fourth.reserved);
        let _too = fourth.busy();
        // All work: the reserve, of which the silent make room as well.
        let first = places.try_take().unwrap();
        let rest: Vec<Place> = (1..RESERVE).map(|_| places.try_take().unwrap()).collect();
        assert!(first.reserved && rest.iter().all(|place| place.reserved));
        let last = places.try_take().unwrap();
        assert!(last.reserved && first.end.is_cancelled());
        let busy: Vec<Busy> = rest.iter().chain([&last]).map(Place::busy).collect();
        assert!(places.try_take().is_none());
        drop(busy);
        assert!(places.try_take().is_some());
        drop(fourth);
        assert!(!places.try_take().unwrap().reserved);
    }
}
