//! When a job will be done, from the share of its work that is.

use crate::Status;
use protocol::state::JobState;
use std::time::{Duration, Instant};

/// How a job's share of work done has grown since it was seen first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    first: Option<(Instant, f64)>,
    last: Option<(Instant, f64)>,
}

impl Pace {
    /// Takes over what a status says. While a job does not run, nothing of its pace is learned.
    pub fn saw(&mut self, status: &Status, now: Instant) {
        if status.state != JobState::Running {
            *self = Pace::default();
            return;
        }
        let Some(share) = status.progress else { return };
        if self.last.is_some_and(|(_, before)| share < before) {
            // Another round, or another leader's count.
            self.first = None;
        }
        self.first.get_or_insert((now, share));
        self.last = Some((now, share));
    }

    /// The time left, once there is something to judge by.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let ((since, from), (until, share)) = (self.first?, self.last?);
        let grown = share - from;
        if grown <= 0.0 {
            return None;
        }
        let secs = (until - since).as_secs_f64() * (1.0 - share) / grown;
        let left = Duration::try_from_secs_f64(secs).ok()?;
        Some(left.saturating_sub(now.saturating_duration_since(until)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: &str, progress: Option<f64>) -> Status {
        let text = serde_json::json!({"job": "j", "state": state, "progress": progress});
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn what_is_left_follows_the_work_and_not_the_number_of_images() {
        let begin = Instant::now();
        let at = |secs| begin + Duration::from_secs(secs);
        let mut pace = Pace::default();
        pace.saw(&status("running", None), at(0));
        assert_eq!(pace.left(at(0)), None);
        pace.saw(&status("running", Some(0.1)), at(1));
        assert_eq!(pace.left(at(1)), None);
        pace.saw(&status("running", Some(0.3)), at(11));
        assert_eq!(pace.left(at(11)).map(|left| left.as_secs()), Some(35));
        assert_eq!(pace.left(at(16)).map(|left| left.as_secs()), Some(30));
        // A pause is no measure of it, and neither is a round before.
        pace.saw(&status("paused", Some(0.3)), at(20));
        assert_eq!(pace.left(at(20)), None);
        pace.saw(&status("running", Some(0.4)), at(100));
        pace.saw(&status("running", Some(0.2)), at(101));
        assert_eq!(pace.left(at(101)), None);
    }
}
