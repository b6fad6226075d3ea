//! When a job will be done, from the predicted costs of its images: the largest come first, so that their number says
//! little.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Images that tell how fast work goes now.
const RECENT: usize = 16;

/// What is known of a job's course. Times are since its start.
#[derive(Debug, Default)]
pub struct Eta {
    /// Predicted cost of all tasks, in any unit.
    total: f64,
    /// Of those that have ended.
    done: f64,
    /// Begun and not ended: since when, and their costs.
    flying: BTreeMap<u64, (Duration, f64)>,
    /// Costs and seconds of the last that ended.
    recent: VecDeque<(f64, f64)>,
}

impl Eta {
    /// Nothing has begun yet.
    pub fn new(total: f64) -> Eta {
        Eta {
            total,
            ..Eta::default()
        }
    }

    /// A task has begun.
    pub fn started(&mut self, task: u64, cost: f64, now: Duration) {
        self.flying.insert(task, (now, cost));
    }

    /// A task has ended; whether its work was done.
    pub fn ended(&mut self, task: u64, worked: bool, now: Duration) {
        let Some((begun, cost)) = self.flying.remove(&task) else {
            return;
        };
        self.done += cost;
        if worked {
            let secs = now.saturating_sub(begun).as_secs_f64();
            self.recent.push_back((cost, secs));
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
        }
    }

    /// The time left, once there is something to judge by.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        let sum = |of: fn(&(f64, f64)) -> f64| self.recent.iter().map(of).sum::<f64>();
        let (cost, secs) = (sum(|r| r.0), sum(|r| r.1));
        if cost <= 0.0 || secs <= 0.0 {
            return None;
        }
        // Of one image, while others go on beside it.
        let rate = cost / secs;
        let mut progress = 0.0;
        let mut longest: f64 = 0.0;
        for (begun, cost) in self.flying.values() {
            let made = (rate * now.saturating_sub(*begun).as_secs_f64()).min(0.95 * cost);
            progress += made;
            longest = longest.max((cost - made) / rate);
        }
        let made = self.done + progress;
        let left = now.as_secs_f64() * (self.total - made).max(0.0) / made;
        Duration::try_from_secs_f64(left.max(longest)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a batch: costs in the order of handing out, `slots` at once, each a second for each unit of cost but for
    /// errors of prediction. Returns moments with the predicted time left, and the true end.
    fn play(costs: &[f64], slots: usize, errors: impl Fn(usize) -> f64) -> (Vec<(f64, f64)>, f64) {
        let mut eta = Eta::new(costs.iter().sum());
        let at = Duration::from_secs_f64;
        let mut flying: Vec<(f64, usize)> = Vec::new();
        let (mut next, mut now, mut told) = (0, 0.0, Vec::new());
        loop {
            while flying.len() < slots && next < costs.len() {
                eta.started(next as u64, costs[next], at(now));
                flying.push((now + costs[next] * errors(next), next));
                next += 1;
            }
            let Some(first) =
                (0..flying.len()).min_by(|&a, &b| flying[a].0.total_cmp(&flying[b].0))
            else {
                return (told, now);
            };
            let (end, task) = flying.swap_remove(first);
            // Looked at between two ends, as the bar does.
            for step in 1..4 {
                let moment = now + (end - now) * f64::from(step) / 4.0;
                if let Some(left) = eta.left(at(moment)) {
                    told.push((moment, left.as_secs_f64()));
                }
            }
            now = end;
            eta.ended(task as u64, true, at(now));
        }
    }

    #[test]
    fn from_a_tenth_on_the_end_is_known_within_a_third() {
        let mut costs: Vec<f64> = (0..200)
            .map(|n| 1.0 + 30.0 / (1.0 + f64::from(n)))
            .collect();
        costs.extend([0.05; 300]);
        let errors = |n: usize| 0.8 + 0.4 * ((n * 37 % 11) as f64 / 10.0);
        for slots in [1, 2, 4, 8] {
            let (told, end) = play(&costs, slots, errors);
            let late = told.iter().filter(|(moment, _)| *moment > 0.1 * end);
            let mut count = 0;
            for (moment, left) in late {
                let off = ((moment + left) - end).abs() / end;
                assert!(
                    off < 0.3,
                    "{slots} slots: at {moment} of {end}: {left} left"
                );
                count += 1;
            }
            assert!(count > 100);
            // A bar that counts images is far off.
            let (moment, _) = told[told.len() / 20];
            let ended = costs.len() as f64 / 20.0;
            let by_number = moment * costs.len() as f64 / ended;
            assert!(by_number > 2.0 * end, "{by_number} {end}");
        }
    }

    #[test]
    fn one_long_image_at_the_end_is_waited_for() {
        let mut eta = Eta::new(20.0);
        let at = Duration::from_secs;
        eta.started(0, 10.0, at(0));
        for task in 1..=5 {
            eta.started(task, 2.0, at(2 * task - 2));
            eta.ended(task, true, at(2 * task));
        }
        let left = eta.left(at(5)).unwrap();
        assert!((4..=6).contains(&left.as_secs()), "{left:?}");
        assert!(Eta::new(1.0).left(at(1)).is_none());
    }
}
