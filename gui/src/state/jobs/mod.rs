//! Jobs of a job system: where it is, whether it answers, its jobs, the images of the one that is looked at, its nodes.

mod links;
mod list;
mod load;
mod target;
mod tasks;
mod trouble;

use client::Status;
pub use links::{Chosen, Links, PAGE, Until, until};
use list::Pace;
pub use list::{Listed, NEWEST};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;
pub use target::{Link, Target, Token};
pub use tasks::{Task, Tasks, Which};
pub use trouble::Trouble;

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
    /// Services behind it that do not answer.
    pub silent: client::Silent,
    /// Jobs, the newest first.
    pub list: Vec<Status>,
    /// The job that is looked at.
    pub chosen: Option<String>,
    /// The job that goes if it is asked for once more.
    pub sure: Option<String>,
    /// Its images.
    pub tasks: Tasks,
    /// Jobs in sight beyond the newest: the one before the first of them, and how many there are.
    pub part: Option<(String, usize)>,
    /// Megapixels of an image of a job that was submitted here, on average.
    pub sizes: HashMap<String, f64>,
    /// Links to its results, where they are looked at.
    pub links: Option<Links>,
    /// What checking a job's hashes told.
    pub verified: Option<(String, Result<String, String>)>,
    /// Whether the job system has older jobs than those of the list.
    pub older: bool,
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

    /// Takes in the nodes.
    pub fn counted(&mut self, nodes: Vec<client::Node>) {
        let sum = |key: &str| nodes.iter().filter_map(|n| n[key].as_f64()).sum::<f64>() as f32;
        if self.load.is_empty() {
            let before = load::history(&nodes, jiff::Timestamp::now());
            before
                .into_iter()
                .for_each(|point| push(&mut self.load, point));
        }
        push(&mut self.load, (Instant::now(), sum("busy"), sum("slots")));
        self.nodes = nodes;
    }

    /// The job that is looked at.
    pub fn chosen_status(&self) -> Option<&Status> {
        let chosen = self.chosen.as_ref()?;
        self.list.iter().find(|status| status.job == *chosen)
    }

    /// The jobs of these rows beyond the newest, which every look tells of anyway.
    pub fn part(&self, rows: &std::ops::Range<usize>) -> Option<(String, usize)> {
        let first = rows.start.max(NEWEST);
        let before = self.list.get(first - 1)?;
        (first < rows.end).then(|| (before.job.clone(), rows.end - first))
    }

    /// Looks at another job.
    pub fn choose(&mut self, job: Option<String>) {
        self.chosen = job;
        self.sure = None;
        self.tasks.forget();
        self.links = None;
        self.verified = None;
    }
}

fn push<T>(points: &mut VecDeque<T>, point: T) {
    if points.len() == POINTS {
        points.pop_front();
    }
    points.push_back(point);
}
