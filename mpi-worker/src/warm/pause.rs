//! Pauses between two looks into the mailbox, so that an idle rank does not spin.

use std::time::{Duration, Instant};

/// Pauses that grow with the time since something last happened: 100 µs at first, 1 ms after half a
/// second, 5 ms after two and a half.
pub struct Pause {
    last: Instant,
}

impl Pause {
    const LEAST: Duration = Duration::from_micros(100);
    const MOST: Duration = Duration::from_millis(5);

    /// Something happens now.
    pub fn new() -> Pause {
        Pause {
            last: Instant::now(),
        }
    }

    /// Something happened.
    pub fn reset(&mut self) {
        self.last = Instant::now();
    }

    /// How long to wait now.
    pub fn next(&self) -> Duration {
        (self.last.elapsed() / 500).clamp(Pause::LEAST, Pause::MOST)
    }
}
