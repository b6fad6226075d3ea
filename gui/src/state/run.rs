//! The run of this computer and the plan before it.

use crate::text::harmless;
use protocol::state::JobState;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Numbers of results' thumbnails have this bit, which those of files have not.
pub const OUTPUT: u64 = 1 << 63;

/// An output that is to be, or why there is none.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The input.
    pub input: String,
    /// Its output, or the reason.
    pub outcome: Result<String, String>,
    /// Why one rank takes it or all share it.
    pub mode: String,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

/// What Start would do.
#[derive(Debug, Default)]
pub enum Plan {
    /// Nobody asked.
    #[default]
    None,
    /// Being made.
    Making,
    /// Made.
    Made(Box<Made>),
    /// Why nothing would be done.
    Refused(String),
}

/// A plan.
#[derive(Debug, Default)]
pub struct Made {
    /// Images.
    pub tasks: u64,
    /// The first of them, those with a reason not to be done before the others.
    pub listed: Vec<Planned>,
    /// Images that would fail.
    pub failing: usize,
    /// Warnings.
    pub warnings: usize,
    /// Predicted bytes.
    pub memory: u64,
    /// The cap, if any.
    pub limit: Option<u64>,
    /// Threads, and images at once.
    pub threads: usize,
    /// Images in flight at once.
    pub in_flight: usize,
    /// Files that were passed over.
    pub passed_over: u64,
}

/// An image of a run that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its number in the list of files, if it is there.
    pub file: Option<u64>,
    /// The input, harmless.
    pub input: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its outputs.
    pub outputs: Vec<PathBuf>,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// Milliseconds.
    pub ms: u64,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// The latest run.
#[derive(Debug, Default)]
pub struct Run {
    /// When it began; none: there was none.
    pub began: Option<Instant>,
    /// How long it took, once it has ended.
    pub took: Option<Duration>,
    /// How it ended.
    pub state: Option<JobState>,
    /// Whether it is being stopped.
    pub stopping: bool,
    /// Whether it can be paused: ranks of `mpirun` cannot.
    pub can_pause: bool,
    /// Since when it begins nothing more.
    pub paused: Option<Instant>,
    /// Images of it.
    pub tasks: u64,
    /// Succeeded and failed.
    pub counts: (u64, u64),
    /// Pixels of those whose size is known.
    pub pixels: u64,
    /// Whether the disk of the results was found full.
    pub full: bool,
    /// Images that have ended, in that order.
    pub ended: Vec<Ended>,
    /// The row of results whose picture is shown.
    pub chosen: Option<usize>,
    /// Whether only what failed is listed.
    pub only_failed: bool,
    /// Where the receipt lies.
    pub receipt: Option<PathBuf>,
    /// What checking the receipt's hashes told.
    pub verified: Option<Result<String, String>>,
    /// Where outputs go.
    pub output: PathBuf,
    /// Numbers of files by their paths.
    pub by_path: Arc<HashMap<String, u64>>,
    /// Predicted seconds of one core: of all, and of what has ended.
    cost: (f64, f64),
    costs: HashMap<u64, f64>,
    /// Numbers of those that did not succeed.
    failed: Vec<usize>,
}

impl Run {
    /// A run that begins now.
    pub fn begin(output: PathBuf, by_path: Arc<HashMap<String, u64>>) -> Run {
        Run {
            began: Some(Instant::now()),
            output,
            by_path,
            ..Run::default()
        }
    }

    /// It begins nothing more, or goes on; that time does not count.
    pub fn pause(&mut self, held: bool) {
        if held {
            self.paused.get_or_insert_with(Instant::now);
        } else if let Some(since) = self.paused.take() {
            self.began = self.began.map(|began| began + since.elapsed());
        }
    }

    /// Whether it is going on.
    pub fn active(&self) -> bool {
        self.began.is_some() && self.took.is_none()
    }

    /// The share that is done, by predicted cost where it is known.
    pub fn share(&self) -> f32 {
        let ended = (self.counts.0 + self.counts.1) as f32;
        match (self.took, self.cost.0 > 0.0 && self.cost.1 > 0.0) {
            (Some(_), _) => 1.0,
            (None, true) => (self.cost.1 / self.cost.0).min(1.0) as f32,
            (None, false) => ended / (self.tasks.max(1) as f32),
        }
    }

    /// Seconds that are left, once enough is done to tell.
    pub fn left(&self) -> Option<f64> {
        let share = f64::from(self.share());
        let elapsed = self.began?.elapsed().as_secs_f64();
        (self.active() && self.paused.is_none() && share > 0.02 && elapsed > 0.5)
            .then(|| elapsed * (1.0 - share) / share)
    }

    /// Takes in that work begins.
    pub fn started(&mut self, tasks: u64, cost: Option<f64>) {
        self.tasks = tasks;
        self.cost = (cost.unwrap_or(0.0), 0.0);
    }

    /// Takes in that an image is being worked on.
    pub fn task_started(&mut self, task: u64, cost: Option<f64>) {
        if let Some(cost) = cost {
            self.costs.insert(task, cost);
        }
    }

    /// Takes in the end of an image.
    pub fn task_ended(&mut self, task: u64, ended: Ended) {
        match ended.reason {
            None => self.counts.0 += 1,
            Some(_) => {
                self.counts.1 += 1;
                self.failed.push(self.ended.len());
            }
        }
        self.cost.1 += self.costs.remove(&task).unwrap_or(0.0);
        self.ended.push(ended);
    }

    /// Megapixels a second, once enough is done to tell.
    pub fn pace(&self) -> Option<f64> {
        let elapsed = match self.took {
            Some(took) => took,
            None => self.began?.elapsed(),
        };
        let told = self.pixels > 0 && elapsed.as_secs_f64() > 0.5 && self.paused.is_none();
        told.then(|| self.pixels as f64 / 1e6 / elapsed.as_secs_f64())
    }

    /// In words, for the bar below.
    pub fn summary(&self) -> String {
        let (good, bad) = self.counts;
        let failed = match bad {
            0 => String::new(),
            n => format!(", {} failed", crate::text::grouped(n as usize)),
        };
        let done = crate::text::count(good as usize, "image");
        match (self.state, self.took) {
            (Some(JobState::Cancelled), Some(_)) => {
                let left = self.tasks.saturating_sub(good + bad);
                format!("Stopped: {done} done{failed}, {left} not begun")
            }
            (_, Some(took)) => format!(
                "{done} done{failed} in {}",
                crate::text::time(took.as_secs_f64())
            ),
            _ => format!(
                "{} of {}{failed}",
                crate::text::grouped((good + bad) as usize),
                crate::text::count(self.tasks as usize, "image"),
            ),
        }
    }

    /// An input as events name it, for people.
    pub fn shown(input: &str) -> String {
        let name = input.rsplit('/').next().unwrap_or(input);
        harmless(name).into_owned()
    }
}

/// Results as they are listed: all, or those that failed.
#[derive(Debug)]
pub enum Listed<'a> {
    /// So many, each in its place.
    All(usize),
    /// Those with these numbers.
    Some(&'a [usize]),
}

impl Listed<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Listed::All(count) => *count,
            Listed::Some(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the result in that place.
    pub fn at(&self, place: usize) -> usize {
        match self {
            Listed::All(_) => place,
            Listed::Some(numbers) => numbers[place],
        }
    }
}

impl Run {
    /// The result so many places on from the one that is chosen, or back.
    pub fn neighbour(&self, by: isize) -> Option<usize> {
        let listed = self.listed();
        let last = listed.len().checked_sub(1)?;
        let chosen = self.chosen.unwrap_or(0);
        let at = match &listed {
            Listed::All(_) => chosen.min(last),
            Listed::Some(numbers) => numbers.partition_point(|n| *n < chosen).min(last),
        };
        let at = match self.chosen {
            Some(_) => at.saturating_add_signed(by).min(last),
            None => 0,
        };
        Some(listed.at(at))
    }

    /// The results that are listed.
    pub fn listed(&self) -> Listed<'_> {
        match self.only_failed {
            true => Listed::Some(&self.failed),
            false => Listed::All(self.ended.len()),
        }
    }
}
