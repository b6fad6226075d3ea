//! The list of jobs, which is brought up to date by parts, and how fast jobs go on.

use super::{Jobs, Link, push};
use client::{Status, ended};
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// How fast a job goes on, smoothed so that what is told does not jump.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    at: Instant,
    ended: u64,
    /// Tasks a second.
    rate: f64,
    /// Of its work.
    course: client::Pace,
}

/// Newest jobs of which every look tells.
pub const NEWEST: usize = 20;

/// What the job system told of its jobs.
#[derive(Debug)]
pub enum Listed {
    /// The newest, in order; whether there are others.
    Newest(Vec<Status>, bool),
    /// Those behind the last of the list; whether there are others.
    Older(Vec<Status>, bool),
    /// Those behind one of the list; whether there are others.
    Part(String, Vec<Status>, bool),
    /// Some that were asked for by their names, and those that are gone.
    Some(Vec<Status>, Vec<String>),
}

impl Jobs {
    /// Takes in what was told of jobs; returns those submitted here that have ended since the last time.
    pub fn listed(&mut self, listed: Listed) -> Vec<Status> {
        let now = Instant::now();
        self.link = Link::Up;
        self.merge(listed);
        for status in &self.list {
            let done = ended(&status.counts);
            let fresh = Pace {
                at: now,
                ended: done,
                rate: 0.0,
                course: client::Pace::default(),
            };
            let pace = self.pace.entry(status.job.clone()).or_insert(fresh);
            if status.state.is_final() && pace.ended == done {
                continue;
            }
            pace.course.saw(status, now);
            let secs = now.duration_since(pace.at).as_secs_f64();
            if secs > 0.5 {
                let rate = done.saturating_sub(pace.ended) as f64 / secs;
                // Half of what was known fades in about ten seconds.
                let keep = if pace.rate == 0.0 {
                    0.0
                } else {
                    0.5_f64.powf(secs / 10.0)
                };
                *pace = Pace {
                    rate: pace.rate * keep + rate * (1.0 - keep),
                    at: now,
                    ended: done,
                    ..*pace
                };
            }
        }
        let total: u64 = self.list.iter().map(|s| ended(&s.counts)).sum();
        if let Some((at, before)) = self.all {
            let secs = now.duration_since(at).as_secs_f32();
            if secs > 0.5 {
                push(
                    &mut self.rate,
                    (now, total.saturating_sub(before) as f32 / secs),
                );
                self.all = Some((now, total));
            }
        } else {
            self.all = Some((now, total));
        }
        let over = |s: &&Status| s.state.is_final() && self.own.contains(&s.job);
        let over: Vec<Status> = self.list.iter().filter(over).cloned().collect();
        self.own.retain(|own| over.iter().all(|s| s.job != *own));
        over
    }

    fn merge(&mut self, listed: Listed) {
        match listed {
            Listed::Newest(newest, others) => {
                let told: HashSet<&str> = newest.iter().map(|s| s.job.as_str()).collect();
                // What was before the last of them and is not among them is gone. Where none of them is known, nothing
                // is known of what lies between.
                let behind = match others {
                    false => None,
                    true => self
                        .list
                        .iter()
                        .rposition(|s| told.contains(s.job.as_str())),
                };
                let mut kept = match behind {
                    Some(at) => self.list.split_off(at + 1),
                    None => Vec::new(),
                };
                kept.retain(|s| !told.contains(s.job.as_str()));
                self.older = others && (behind.is_none() || kept.is_empty() || self.older);
                drop(told);
                self.list = newest;
                self.list.append(&mut kept);
            }
            Listed::Older(older, others) => {
                let known: HashSet<&str> = self.list.iter().map(|s| s.job.as_str()).collect();
                let fresh = older
                    .into_iter()
                    .filter(|s| !known.contains(s.job.as_str()));
                let mut fresh: Vec<Status> = fresh.collect();
                self.list.append(&mut fresh);
                self.older = others;
            }
            Listed::Part(before, part, others) => {
                let first = self.list.iter().position(|s| s.job == before);
                let Some(first) = first.map(|at| at + 1) else {
                    return;
                };
                // What lies between and was not told of is gone.
                let last = match (others, part.last()) {
                    (false, _) => Some(self.list.len()),
                    (true, None) => None,
                    (true, Some(last)) => {
                        let at = self.list.iter().rposition(|s| s.job == last.job);
                        at.map(|at| at + 1).filter(|at| *at >= first)
                    }
                };
                if let Some(last) = last {
                    self.list.splice(first..last, part);
                }
            }
            Listed::Some(some, gone) => {
                let some = some.into_iter().map(|s| (s.job.clone(), s));
                let mut some: HashMap<String, Status> = some.collect();
                for status in &mut self.list {
                    if let Some(now) = some.remove(&status.job) {
                        *status = now;
                    }
                }
                self.list.retain(|s| !gone.contains(&s.job));
            }
        }
        let here: HashSet<&str> = self.list.iter().map(|s| s.job.as_str()).collect();
        self.pace.retain(|job, _| here.contains(job.as_str()));
    }

    /// Seconds that a job still takes, once its pace is known.
    pub fn left(&self, status: &Status) -> Option<f64> {
        let course = self.pace.get(&status.job)?.course;
        Some(course.left(Instant::now())?.as_secs_f64())
    }

    /// Images of a job that end a second.
    pub fn pace(&self, job: &str) -> f64 {
        self.pace.get(job).map_or(0.0, |pace| pace.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::receipt::Counts;
    use protocol::state::JobState;

    fn status(job: &str, state: JobState, done: u64) -> Status {
        let json = serde_json::json!({"job": job, "state": state});
        let mut status: Status = serde_json::from_value(json).unwrap();
        status.counts = Counts {
            tasks: 100,
            succeeded: done,
            ..Counts::default()
        };
        status.progress = Some(done as f64 / 100.0);
        status
    }

    #[test]
    fn the_end_of_an_own_job_is_told_once() {
        let mut jobs = Jobs {
            own: vec!["a".into()],
            ..Jobs::default()
        };
        let list = || {
            vec![
                status("a", JobState::Succeeded, 100),
                status("b", JobState::Succeeded, 100),
            ]
        };
        let over = jobs.listed(Listed::Newest(list(), false));
        assert_eq!(over.len(), 1);
        assert!(jobs.listed(Listed::Newest(list(), false)).is_empty());
    }

    #[test]
    fn what_is_left_is_known_from_the_pace_alone() {
        let mut jobs = Jobs::default();
        jobs.listed(Listed::Newest(
            vec![status("a", JobState::Running, 10)],
            false,
        ));
        assert_eq!(jobs.left(&jobs.list[0]), None);
        std::thread::sleep(std::time::Duration::from_millis(100));
        jobs.listed(Listed::Some(
            vec![status("a", JobState::Running, 30)],
            Vec::new(),
        ));
        let left = jobs.left(&jobs.list[0]).unwrap();
        // Twenty of a hundred took a tenth of a second, or more on a busy machine.
        assert!((0.3..30.0).contains(&left), "{left}");
    }

    fn names(jobs: &Jobs) -> Vec<&str> {
        jobs.list.iter().map(|s| s.job.as_str()).collect()
    }

    fn some(names: &str) -> Vec<Status> {
        let each = names.chars().map(|c| c.to_string());
        each.map(|job| status(&job, JobState::Succeeded, 100))
            .collect()
    }

    #[test]
    fn jobs_that_are_gone_are_noticed_among_those_in_sight() {
        let mut jobs = Jobs::default();
        jobs.listed(Listed::Newest(some("hgfedcba"), false));
        jobs.listed(Listed::Part("f".into(), some("dc"), true));
        assert_eq!(names(&jobs), ["h", "g", "f", "d", "c", "b", "a"]);
        jobs.listed(Listed::Part("c".into(), some("a"), false));
        assert_eq!(names(&jobs), ["h", "g", "f", "d", "c", "a"]);
        // Of a place that is not known nothing is told.
        jobs.listed(Listed::Part("x".into(), some("a"), false));
        jobs.listed(Listed::Part("h".into(), some("yx"), true));
        assert_eq!(names(&jobs), ["h", "g", "f", "d", "c", "a"]);
    }

    #[test]
    fn a_part_of_the_list_brings_the_whole_up_to_date() {
        let mut jobs = Jobs::default();
        jobs.listed(Listed::Newest(some("edc"), true));
        assert!(jobs.older);
        jobs.listed(Listed::Older(some("cba"), false));
        assert_eq!(names(&jobs), ["e", "d", "c", "b", "a"]);
        assert!(!jobs.older);
        // Two new ones, and one of the old ones is gone.
        jobs.listed(Listed::Newest(some("gfec"), true));
        assert_eq!(names(&jobs), ["g", "f", "e", "c", "b", "a"]);
        assert!(!jobs.older);
        jobs.listed(Listed::Some(
            vec![status("b", JobState::Running, 7)],
            vec!["a".into()],
        ));
        assert_eq!(names(&jobs), ["g", "f", "e", "c", "b"]);
        assert_eq!(jobs.list[4].counts.succeeded, 7);
        // More new ones than were told: what lies between is not known, so older ones are to be asked for.
        jobs.listed(Listed::Newest(some("zyx"), true));
        assert_eq!(names(&jobs), ["z", "y", "x"]);
        assert!(jobs.older);
        jobs.listed(Listed::Newest(some("z"), false));
        assert_eq!(names(&jobs), ["z"]);
        assert!(!jobs.older);
    }
}
