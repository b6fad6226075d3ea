//! Tells now and then that a rank lives, while it has something to do.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How often.
const EVERY: Duration = Duration::from_millis(500);

/// The tasks of a rank, and the thread that tells of them.
#[derive(Default)]
pub struct Pulse {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tasks: BTreeSet<String>,
    ended: bool,
}

impl Pulse {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A task has come.
    pub fn add(&self, id: &str) {
        self.state().tasks.insert(id.to_owned());
        self.changed.notify_one();
    }

    /// A task has gone.
    pub fn remove(&self, id: &str) {
        self.state().tasks.remove(id);
    }

    /// Ends [`Pulse::run`].
    pub fn end(&self) {
        self.state().ended = true;
        self.changed.notify_one();
    }

    /// Calls `beat` with the number of tasks every half second while there are any; sleeps soundly otherwise.
    pub fn run(&self, beat: &dyn Fn(usize)) {
        let mut state = self.state();
        while !state.ended {
            if state.tasks.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
                continue;
            }
            let waited = self
                .changed
                .wait_timeout_while(state, EVERY, |s| !s.ended)
                .unwrap_or_else(|e| e.into_inner());
            state = waited.0;
            if !state.ended && !state.tasks.is_empty() {
                let tasks = state.tasks.len();
                // What is told may block on a slow reader; tasks must not wait for it.
                drop(state);
                beat(tasks);
                state = self.state();
            }
        }
    }
}
