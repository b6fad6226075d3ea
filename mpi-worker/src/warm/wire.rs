//! What a warm world is asked and what it answers, one line of JSON each.

use crate::reduce::step::Step;
use crate::settings::Settings;
use crate::task::Finished;
use imaging::Result;
use protocol::Pages;
use protocol::job::{Device, Job, KeepMetadata, Limits, Mode, Schedule};
use protocol::pipeline::Pipeline;
use serde::{Deserialize, Serialize};

/// One image to be processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Names the task among those in flight; chosen by the caller.
    pub id: String,
    /// Number of the task in its job, for the receipt.
    #[serde(default)]
    pub task: u64,
    /// Which attempt this is, from 1, for the receipt.
    #[serde(default = "first")]
    pub attempt: u32,
    /// What is done to the image.
    #[serde(default)]
    pub pipeline: Pipeline,
    /// The output's format; the input's where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// What is refused.
    #[serde(default)]
    pub limits: Limits,
    /// Metadata that the output keeps.
    #[serde(default)]
    pub keep_metadata: KeepMetadata,
    /// Which pages or frames of the input; those that become outputs of their own get `-p0001` … behind the output's path.
    #[serde(default)]
    pub pages: Pages,
    /// Whether a warning is a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// Colours of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// What lies behind transparent pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// Path of the input, as in [`protocol::name`]; all ranks must see it.
    pub input: String,
    /// Path of the output, as in [`protocol::name`].
    pub output: String,
    /// How the image is spread over ranks.
    #[serde(default)]
    pub mode: Mode,
    /// Shares its rank with no other task, so that a rank's death can be told to be its fault.
    #[serde(default)]
    pub alone: bool,
    /// Begins before all that wait, and where no thread is free, one of them at a time, beside them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
    /// Whether the image may go to a graphics device.
    #[serde(default)]
    pub device: Device,
    /// The output is read and removed soon: nothing waits until it is safe from a loss of power.
    #[serde(default)]
    pub scratch: bool,
    /// A step of a reduction in place of an image; its paths are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Box<Step>>,
}

fn first() -> u32 {
    1
}

impl Task {
    /// What it sets. Errors name the operation, parameter or option.
    pub fn settings(&self) -> Result<Settings> {
        let job = Job {
            pipeline: self.pipeline.clone(),
            format: self.format.clone(),
            limits: self.limits.clone(),
            keep_metadata: self.keep_metadata,
            pages: self.pages,
            strict: self.strict,
            schedule: Schedule {
                device: self.device,
                ..Schedule::default()
            },
            color: self.color.clone(),
            background: self.background.clone(),
            ..Job::default()
        };
        let mut settings = Settings::of(&job)?;
        settings.scratch = self.scratch;
        Ok(settings)
    }
}

/// A line to rank 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Process an image.
    Task {
        /// The image.
        task: Box<Task>,
    },
    /// Stop a task; it is answered with a cancelled [`Finished`].
    Cancel {
        /// Which task.
        id: String,
    },
}

/// A line from a world: from rank 0 on its standard output, `alive` from the others on their
/// standard error.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Answer {
    /// All ranks are there.
    Ready {
        /// One entry a rank.
        ranks: Vec<Rank>,
    },
    /// A task was handed to ranks.
    Started {
        /// Which task.
        id: String,
        /// How it is spread.
        mode: Mode,
        /// The ranks.
        ranks: Vec<usize>,
    },
    /// Rank 0 lives; at least every second while there are tasks.
    Progress {
        /// How many tasks are in the world, handed out or not.
        tasks: usize,
    },
    /// Another rank lives; at least every second while it has tasks.
    Alive {
        /// The rank.
        rank: usize,
    },
    /// A task has ended.
    Finished {
        /// Which task.
        id: String,
        /// What came of it.
        finished: Box<Finished>,
    },
    /// A line could not be understood.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// A rank as a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rank {
    /// Its number.
    pub rank: usize,
    /// Its process id on its machine.
    pub pid: u32,
    /// Its machine.
    pub node: String,
}
