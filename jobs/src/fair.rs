//! Who is next: owners take turns by what their work costs, and so do the jobs of each.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): each owner has a virtual time that advances by the cost of
//! what was fed, over the owner's weight; the one that is furthest behind is next. Whoever comes anew begins where the others
//! are, so that nobody saves up turns.

use crate::JobId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Turns among names.
#[derive(Clone, Debug, Default)]
struct Turns<K: Ord + Clone> {
    order: BTreeSet<(u64, K)>,
    at: BTreeMap<K, u64>,
    now: u64,
}

impl<K: Ord + Clone> Turns<K> {
    fn enter(&mut self, key: &K) {
        if !self.at.contains_key(key) {
            self.at.insert(key.clone(), self.now);
            self.order.insert((self.now, key.clone()));
        }
    }

    fn leave(&mut self, key: &K) {
        if let Some(at) = self.at.remove(key) {
            self.order.remove(&(at, key.clone()));
        }
    }

    fn next(&self) -> Option<&K> {
        self.order.first().map(|(_, key)| key)
    }

    fn charge(&mut self, key: &K, cost: u64) {
        if let Some(at) = self.at.get_mut(key) {
            self.order.remove(&(*at, key.clone()));
            self.now = self.now.max(*at);
            *at += cost;
            self.order.insert((*at, key.clone()));
        }
    }

    fn is_empty(&self) -> bool {
        self.at.is_empty()
    }
}

/// The jobs that have something to feed.
#[derive(Clone, Debug, Default)]
pub struct Fair {
    /// By priority, the most urgent first.
    classes: BTreeMap<u8, Class>,
}

#[derive(Clone, Debug, Default)]
struct Class {
    owners: Turns<Arc<str>>,
    jobs: BTreeMap<Arc<str>, Turns<JobId>>,
}

impl Fair {
    /// A job has something to feed.
    pub fn enter(&mut self, class: u8, owner: &Arc<str>, job: &JobId) {
        let class = self.classes.entry(class).or_default();
        class.owners.enter(owner);
        class.jobs.entry(owner.clone()).or_default().enter(job);
    }

    /// A job has nothing to feed.
    pub fn leave(&mut self, class: u8, owner: &Arc<str>, job: &JobId) {
        let Some(found) = self.classes.get_mut(&class) else {
            return;
        };
        if let Some(jobs) = found.jobs.get_mut(owner) {
            jobs.leave(job);
            if jobs.is_empty() {
                found.jobs.remove(owner);
                found.owners.leave(owner);
            }
        }
    }

    /// The job whose turn it is.
    pub fn next(&self) -> Option<JobId> {
        let mut classes = self.classes.values();
        classes.find_map(|class| {
            let owner = class.owners.next()?;
            class.jobs.get(owner)?.next().cloned()
        })
    }

    /// The next jobs of the owners whose turn it is soon, of all priorities.
    pub fn soon(&self, owners: usize) -> impl Iterator<Item = &JobId> {
        let all = self.classes.values().flat_map(|class| {
            let order = class.owners.order.iter();
            order.filter_map(|(_, owner)| class.jobs.get(owner)?.next())
        });
        all.take(owners)
    }

    /// Something of a job was fed that costs so many microseconds.
    pub fn charge(&mut self, class: u8, owner: &Arc<str>, job: &JobId, cost: u64) {
        let Some(found) = self.classes.get_mut(&class) else {
            return;
        };
        found.owners.charge(owner, cost);
        if let Some(jobs) = found.jobs.get_mut(owner) {
            jobs.charge(job, cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_take_turns_by_cost_and_urgent_jobs_go_first() {
        let mut fair = Fair::default();
        let (ada, eve): (Arc<str>, Arc<str>) = ("ada".into(), "eve".into());
        let jobs: Vec<JobId> = ["a1", "a2", "e1", "u1"].map(Into::into).to_vec();
        fair.enter(1, &ada, &jobs[0]);
        fair.enter(1, &ada, &jobs[1]);
        fair.enter(1, &eve, &jobs[2]);
        let mut fed = BTreeMap::new();
        for _ in 0..300 {
            let job = fair.next().unwrap();
            let owner = if job.starts_with('a') { &ada } else { &eve };
            // Those of eve cost twice as much.
            let cost = if job.starts_with('a') { 10 } else { 20 };
            fair.charge(1, owner, &job, cost);
            *fed.entry(job.to_string()).or_insert(0) += 1;
        }
        assert_eq!(fed["e1"], 100);
        assert!((99..=101).contains(&fed["a1"]), "{fed:?}");
        fair.enter(0, &eve, &jobs[3]);
        assert_eq!(fair.next().unwrap(), jobs[3]);
        fair.leave(0, &eve, &jobs[3]);
        assert_ne!(fair.next().unwrap(), jobs[3]);
        for (job, owner) in [(0, &ada), (1, &ada), (2, &eve)] {
            fair.leave(1, owner, &jobs[job]);
        }
        assert_eq!(fair.next(), None);
    }

    #[test]
    fn who_comes_anew_has_saved_no_turns_up() {
        let mut fair = Fair::default();
        let (ada, eve): (Arc<str>, Arc<str>) = ("ada".into(), "eve".into());
        let (a, e): (JobId, JobId) = ("a".into(), "e".into());
        fair.enter(1, &ada, &a);
        (0..1000).for_each(|_| fair.charge(1, &ada, &a, 10));
        fair.enter(1, &eve, &e);
        let mut turns = Vec::new();
        for _ in 0..6 {
            let job = fair.next().unwrap();
            let owner = if job == a { &ada } else { &eve };
            fair.charge(1, owner, &job, 10);
            turns.push(job.to_string());
        }
        assert!(
            turns.iter().filter(|job| *job == "a").count() >= 2,
            "{turns:?}"
        );
    }
}
