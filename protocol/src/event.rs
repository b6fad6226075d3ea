//! Events: what happens to a job, one JSON object each.
//!
//! Unknown fields are ignored when reading, so that a later program may add some.

use crate::job::Mode;
use crate::receipt::{JobReceipt, TaskReceipt, Warning};
use crate::state::{JobState, TaskState};
use crate::{is_zero, version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happened. The field `event` tells which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// What a task would do; only from a dry run.
    TaskPlanned(TaskPlanned),
    /// What a job would use; the last line of a dry run.
    JobPlanned(JobPlanned),
    /// A job's tasks are known and work begins.
    JobStarted(JobStarted),
    /// A node works on a task; in a job, only of tasks that take longer than a moment.
    TaskStarted(TaskStarted),
    /// Something about a task's result that its owner should know; told before the task's end.
    Warning(Warned),
    /// A task reached its last state.
    TaskFinished(TaskFinished),
    /// A job reached its last state.
    JobFinished(JobFinished),
}

impl Event {
    /// The same event with its number in a stream; plans are not numbered.
    pub fn numbered(mut self, number: u64) -> Event {
        match &mut self {
            Event::TaskPlanned(_) | Event::JobPlanned(_) => {}
            Event::JobStarted(e) => e.seq = Some(number),
            Event::TaskStarted(e) => e.seq = Some(number),
            Event::Warning(e) => e.seq = Some(number),
            Event::TaskFinished(e) => e.seq = Some(number),
            Event::JobFinished(e) => e.seq = Some(number),
        }
        self
    }
}

/// See [`Event::TaskPlanned`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskPlanned {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// Number of the task, from 0.
    pub task: u64,
    /// Path or URL of the input.
    pub input: String,
    /// Path or URL of the output; the first, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// All outputs, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Width of the input in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u64>,
    /// Height of the input in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Pages or frames of a file of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<u32>,
    /// Whether one rank takes the image or all share its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Why that mode.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mode_reason: String,
    /// Ranks that work on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<usize>,
    /// Memory predicted for it, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Why it would fail or be skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Warnings that its header lets expect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// `gpu` where a graphics device would compute at least a part, `cpu` where none would though it was considered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device_reason: String,
}

/// See [`Event::JobPlanned`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobPlanned {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// Number of tasks.
    pub tasks: u64,
    /// Ranks.
    pub ranks: usize,
    /// Threads of each rank.
    pub threads: usize,
    /// Images in flight at once on a machine.
    pub in_flight: usize,
    /// Memory predicted for the whole job, in bytes.
    pub memory_bytes: u64,
    /// The cap, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// Files of directories that were passed over, by what they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
}

/// See [`Event::JobStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobStarted {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// Gap-free number of the event in its job, from 1, where a stream numbers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The job's id.
    pub job: String,
    /// Number of tasks.
    pub tasks: u64,
    /// Predicted seconds of one core for all tasks together, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// When, RFC 3339 in UTC.
    pub time: String,
}

/// See [`Event::TaskStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStarted {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// Gap-free number of the event in its job, from 1, where a stream numbers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The job's id.
    pub job: String,
    /// Number of the task.
    pub task: u64,
    /// Path or URL of the input.
    pub input: String,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Predicted seconds of one core, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// See [`Event::Warning`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Warned {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// Gap-free number of the event in its job, from 1, where a stream numbers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The job's id.
    pub job: String,
    /// Number of the task, from 0.
    pub task: u64,
    /// Path or URL of the input.
    pub input: String,
    /// What it is about.
    pub kind: String,
    /// What happened, and the way out where there is one.
    pub text: String,
}

impl Warned {
    /// The warnings of a task's receipt as events.
    pub fn all(job: &str, receipt: &TaskReceipt) -> Vec<Event> {
        let one = |warning: &Warning| {
            Event::Warning(Warned {
                version: version(),
                seq: None,
                job: job.to_owned(),
                task: receipt.task,
                input: receipt.input.clone(),
                kind: warning.kind.clone(),
                text: warning.text.clone(),
            })
        };
        receipt.warnings.iter().map(one).collect()
    }
}

/// See [`Event::TaskFinished`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskFinished {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// Gap-free number of the event in its job, from 1, where a stream numbers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The job's id.
    pub job: String,
    /// Number of the task, from 0.
    pub task: u64,
    /// Path or URL of the input.
    pub input: String,
    /// Path or URL of the output; the first, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// All outputs, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// How it ended.
    pub state: TaskState,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Milliseconds from fetch to store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether one rank took the image or all shared its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What is odd about a result that is otherwise sound; told as events of their own, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// See [`Event::JobFinished`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobFinished {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// Gap-free number of the event in its job, from 1, where a stream numbers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The job's id.
    pub job: String,
    /// How it ended.
    pub state: JobState,
    /// Outputs stored.
    pub succeeded: u64,
    /// Failed.
    pub failed: u64,
    /// Refused by a limit.
    pub rejected: u64,
    /// Stopped, or never begun.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cancelled: u64,
    /// Warnings of all tasks together.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warnings: u64,
    /// Milliseconds from start to end.
    pub ms: u64,
    /// What a reader should know (no inputs were found, say).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Files of directories that were passed over, by what they are: `junk`, `hidden`, `unknown`, `special`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
}

impl JobFinished {
    /// The end that a job's receipt tells of, without a number yet.
    pub fn of(job: &str, receipt: &JobReceipt) -> JobFinished {
        JobFinished {
            version: version(),
            seq: None,
            job: job.to_owned(),
            state: receipt.state,
            succeeded: receipt.counts.succeeded,
            failed: receipt.counts.failed,
            rejected: receipt.counts.rejected,
            cancelled: receipt.counts.cancelled,
            warnings: receipt.counts.warnings,
            ms: receipt.ms,
            note: receipt.note.clone(),
            skipped: receipt.skipped.clone(),
        }
    }
}
