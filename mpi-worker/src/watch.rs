//! Ends images that take longer than their time limit.

use imaging::executor::Stop;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A thread that sets the stop flags of images whose time is up.
pub struct Watch {
    shared: Option<Arc<Shared>>,
    timeout: Duration,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    images: Vec<(u64, Instant, Stop)>,
    next: u64,
    ended: bool,
}

/// An image being watched; dropped when the image ends.
pub struct Watched<'w> {
    watch: &'w Watch,
    number: u64,
}

impl Watch {
    /// Starts the thread; without a time limit there is none and nothing is watched.
    pub fn start(timeout: Option<Duration>) -> Watch {
        let Some(timeout) = timeout else {
            return Watch {
                shared: None,
                timeout: Duration::ZERO,
            };
        };
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let watched = shared.clone();
        std::thread::spawn(move || watched.run());
        Watch {
            shared: Some(shared),
            timeout,
        }
    }

    /// Watches an image from now on.
    pub fn add(&self, stop: &Stop) -> Watched<'_> {
        let mut number = 0;
        if let Some(shared) = &self.shared {
            let mut state = shared.state.lock().unwrap_or_else(|e| e.into_inner());
            number = state.next;
            state.next += 1;
            state
                .images
                .push((number, Instant::now() + self.timeout, stop.clone()));
            shared.changed.notify_one();
        }
        Watched {
            watch: self,
            number,
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        while !state.ended {
            let now = Instant::now();
            state
                .images
                .iter()
                .filter(|(_, end, _)| *end <= now)
                .for_each(|(_, _, stop)| stop.set());
            state.images.retain(|(_, end, _)| *end > now);
            let next = state.images.iter().map(|(_, end, _)| *end).min();
            let wait = next.map_or(Duration::from_secs(3600), |end| {
                end.saturating_duration_since(now)
            });
            state = match self.changed.wait_timeout(state, wait) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.state.lock().unwrap_or_else(|e| e.into_inner()).ended = true;
            shared.changed.notify_one();
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some(shared) = &self.watch.shared {
            let mut state = shared.state.lock().unwrap_or_else(|e| e.into_inner());
            state.images.retain(|(number, _, _)| *number != self.number);
        }
    }
}
