//! Jobs of a job system: where it is, whether it answers, its jobs, the images of the one that is looked at, its nodes.

use client::{Results, Status, ended};
use protocol::state::TaskState;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

/// Where jobs run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// On this computer, within the window.
    #[default]
    Local,
    /// The user's own `sundog serve`.
    Serve,
    /// A gateway at an address.
    Gateway(String),
    /// Broker, Redis and store themselves.
    Cluster,
}

impl Target {
    /// What `--target` names.
    pub fn parse(text: &str) -> Result<Target, String> {
        match text {
            "local" => Ok(Target::Local),
            "serve" => Ok(Target::Serve),
            "cluster" => Ok(Target::Cluster),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Target::Gateway(url.trim_end_matches('/').to_owned()))
            }
            other => Err(format!(
                "`{other}` is no target (local, serve, cluster, or the address of a gateway such as https://images.example.org)"
            )),
        }
    }

    /// As `--target` names it.
    pub fn text(&self) -> &str {
        match self {
            Target::Local => "local",
            Target::Serve => "serve",
            Target::Gateway(address) => address,
            Target::Cluster => "cluster",
        }
    }

    /// For people.
    pub fn name(&self) -> String {
        match self {
            Target::Local => "This computer".into(),
            Target::Serve => "sundog serve".into(),
            Target::Gateway(address) => {
                let host = address.split("://").nth(1).unwrap_or(address);
                crate::text::harmless(host).into_owned()
            }
            Target::Cluster => "Cluster".into(),
        }
    }
}

/// What lets into a gateway. It is not shown.
#[derive(Clone)]
pub struct Token {
    /// The token.
    pub text: String,
    /// Whether it is kept for the next time.
    pub keep: bool,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Whether the job system answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// There is none to ask.
    #[default]
    None,
    /// It was not reached yet.
    Connecting,
    /// It answers.
    Up,
    /// Why it does not; it is tried again.
    Down(String),
}

/// How fast a job goes on, smoothed so that what is told does not jump.
#[derive(Clone, Copy, Debug)]
struct Pace {
    at: Instant,
    ended: u64,
    /// Tasks a second.
    rate: f64,
    /// Of its work.
    course: client::Pace,
}

/// An image of the job that is looked at.
#[derive(Clone, Debug)]
pub struct Task {
    /// The input, harmless.
    pub input: String,
    /// Where it is.
    pub state: TaskState,
    /// Why it did not succeed.
    pub reason: String,
    /// Milliseconds.
    pub ms: Option<u64>,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The machine.
    pub node: String,
}

/// A file on its way here or there.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// What is done, for people.
    pub what: String,
    /// Bytes that are done, and of how many.
    pub bytes: (u64, u64),
}

/// What is known of the job system.
#[derive(Debug, Default)]
pub struct Jobs {
    /// Where jobs run.
    pub target: Target,
    /// Whether it answers.
    pub link: Link,
    /// Jobs, the newest first.
    pub list: Vec<Status>,
    /// The job that is looked at.
    pub chosen: Option<String>,
    /// The job that goes if it is asked for once more.
    pub sure: Option<String>,
    /// Its images by their numbers.
    pub tasks: HashMap<u64, Task>,
    /// Their numbers as they came, and of those in trouble.
    order: [Vec<u64>; 2],
    /// Only images in trouble are listed.
    pub only_failed: bool,
    /// Its results with their links.
    pub results: Option<Results>,
    /// Nodes that live.
    pub nodes: Vec<client::Node>,
    /// The number of workers that the user set, until it is asked for.
    pub workers: Option<usize>,
    /// Busy and all workers, the newest last.
    pub load: VecDeque<(Instant, f32, f32)>,
    /// Images that ended a second, the newest last.
    pub rate: VecDeque<(Instant, f32)>,
    /// Uploads and downloads, by their numbers.
    pub transfers: BTreeMap<u64, Transfer>,
    /// The address that is being typed.
    pub address: String,
    pace: HashMap<String, Pace>,
    all: Option<(Instant, u64)>,
    /// Jobs submitted here whose end is to be told.
    pub own: Vec<String>,
}

/// Points of a chart that are kept: fifteen minutes at one in two seconds.
const POINTS: usize = 450;

impl Jobs {
    /// Another job system: what was known is of no use.
    pub fn turn(&mut self, target: Target) {
        let link = if target == Target::Local {
            Link::None
        } else {
            Link::Connecting
        };
        let address = std::mem::take(&mut self.address);
        *self = Jobs {
            target,
            link,
            address,
            ..Jobs::default()
        };
    }

    /// Takes in the list of jobs; returns those submitted here that have ended since the last one.
    pub fn listed(&mut self, list: Vec<Status>) -> Vec<Status> {
        let now = Instant::now();
        self.link = Link::Up;
        for status in &list {
            let done = ended(&status.counts);
            let fresh = Pace {
                at: now,
                ended: done,
                rate: 0.0,
                course: client::Pace::default(),
            };
            let pace = self.pace.entry(status.job.clone()).or_insert(fresh);
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
        let total: u64 = list.iter().map(|s| ended(&s.counts)).sum();
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
        let over: Vec<Status> = list.iter().filter(over).cloned().collect();
        self.own.retain(|own| over.iter().all(|s| s.job != *own));
        self.list = list;
        over
    }

    /// Takes in the nodes.
    pub fn counted(&mut self, nodes: Vec<client::Node>) {
        let sum = |key: &str| nodes.iter().filter_map(|n| n[key].as_f64()).sum::<f64>() as f32;
        push(&mut self.load, (Instant::now(), sum("busy"), sum("slots")));
        self.nodes = nodes;
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

    /// The job that is looked at.
    pub fn chosen_status(&self) -> Option<&Status> {
        let chosen = self.chosen.as_ref()?;
        self.list.iter().find(|status| status.job == *chosen)
    }

    /// Looks at another job.
    pub fn choose(&mut self, job: Option<String>) {
        self.chosen = job;
        self.sure = None;
        self.forget_tasks();
        self.results = None;
    }

    fn forget_tasks(&mut self) {
        self.tasks.clear();
        self.order = Default::default();
    }

    /// Takes in images of the job that is looked at; `anew`: those known before count no more.
    pub fn learn(&mut self, anew: bool, tasks: Vec<(u64, Task)>) {
        if anew {
            self.forget_tasks();
        }
        for (number, task) in tasks {
            let trouble = matches!(task.state, TaskState::Failed | TaskState::Rejected);
            let before = self.tasks.insert(number, task);
            if before.is_none() {
                self.order[0].push(number);
            }
            let known =
                before.is_some_and(|t| matches!(t.state, TaskState::Failed | TaskState::Rejected));
            match (known, trouble) {
                (false, true) => self.order[1].push(number),
                (true, false) => self.order[1].retain(|n| *n != number),
                _ => {}
            }
        }
    }

    /// Numbers of the images that are listed.
    pub fn rows(&self) -> &[u64] {
        &self.order[usize::from(self.only_failed)]
    }
}

fn push<T>(points: &mut VecDeque<T>, point: T) {
    if points.len() == POINTS {
        points.pop_front();
    }
    points.push_back(point);
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
    fn targets_are_named_as_on_the_command_line() {
        for text in ["local", "serve", "cluster", "https://images.example.org"] {
            assert_eq!(Target::parse(text).unwrap().text(), text);
        }
        assert!(Target::parse("ftp://x").is_err_and(|e| e.contains("local, serve, cluster")));
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
        let over = jobs.listed(list());
        assert_eq!(over.len(), 1);
        assert!(jobs.listed(list()).is_empty());
    }

    #[test]
    fn what_is_left_is_known_from_the_pace_alone() {
        let mut jobs = Jobs::default();
        jobs.listed(vec![status("a", JobState::Running, 10)]);
        assert_eq!(jobs.left(&jobs.list[0]), None);
        std::thread::sleep(std::time::Duration::from_millis(100));
        jobs.listed(vec![status("a", JobState::Running, 30)]);
        let left = jobs.left(&jobs.list[0]).unwrap();
        // Twenty of a hundred took a tenth of a second, or more on a busy machine.
        assert!((0.3..30.0).contains(&left), "{left}");
    }
}
