//! The processes of a world: found through /proc, ended by their ids, and reaped.
//!
//! Ranks sit in process groups of their own, so that signals to `mpirun`'s group miss them. This process is
//! made the reaper of orphans, so that a rank whose `mpirun` died becomes a child here.

use rustix::process::{self, Pid, Signal, WaitOptions};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Processes by id, with the time of their start, since ids are used again.
#[derive(Clone, Debug, Default)]
pub struct Processes(BTreeMap<u32, u64>);

/// One line of /proc/ID/stat.
struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some(Stat {
        state,
        parent,
        started,
    })
}

/// Whether a process was stopped by a signal.
pub fn is_stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|s| matches!(s.state, 'T' | 't'))
}

/// Whether a process has ended, reaped or not.
pub fn is_dead(pid: u32) -> bool {
    stat(pid).is_none_or(|s| matches!(s.state, 'Z' | 'X'))
}

/// Makes this process the parent of orphans among its descendants.
pub fn adopt_orphans() {
    if let Err(error) = process::set_child_subreaper(Some(process::getpid())) {
        tracing::warn!("cannot become the reaper of orphaned ranks: {error}");
    }
}

/// The id as the system takes it.
pub fn pid_of(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

impl Processes {
    /// Adds a process, if it lives.
    pub fn add(&mut self, pid: u32) {
        if let Some(stat) = stat(pid) {
            self.0.insert(pid, stat.started);
        }
    }

    /// Adds all descendants of those known.
    pub fn add_descendants(&mut self) {
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return;
        };
        let all: Vec<(u32, Stat)> = entries
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, stat(pid)?)))
            .collect();
        loop {
            let before = self.0.len();
            for (pid, stat) in &all {
                if self.0.contains_key(&stat.parent) {
                    self.0.entry(*pid).or_insert(stat.started);
                }
            }
            if self.0.len() == before {
                return;
            }
        }
    }

    /// The ids of all that were ever added.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }

    /// Kills all and reaps those that became children of this process, but for `child`, which its owner
    /// waits for. Returns how many were still there after `limit`. It blocks the calling thread.
    pub fn end(&mut self, child: Option<u32>, limit: Duration) -> usize {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            self.add_descendants();
            let left: Vec<u32> = self.ids().filter(|&pid| self.end_one(pid, child)).collect();
            if left.is_empty() || start.elapsed() > limit {
                return left.len();
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Whether the process is still there, after it was killed or reaped.
    fn end_one(&self, pid: u32, child: Option<u32>) -> bool {
        let same = |s: &Stat| self.0.get(&pid) == Some(&s.started);
        let (Some(stat), Some(id)) = (stat(pid).filter(same), pid_of(pid)) else {
            return false;
        };
        if stat.state != 'Z' {
            // It may end on its own between the look and the signal.
            let _ = process::kill_process(id, Signal::KILL);
        } else if child == Some(pid) {
            return false;
        } else if stat.parent == std::process::id() {
            let _ = process::waitpid(Some(id), WaitOptions::NOHANG);
        }
        true
    }
}
