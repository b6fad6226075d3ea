//! What goes through the queues, and what is stored of a job before its receipts.
//!
//! Unknown fields are ignored when reading, so that a later program may add some. How often a message was
//! attempted is counted by the queue, beside the message.

use crate::job::Job;
use crate::version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A job as it was accepted: `jobs/<id>/spec.json`, written once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoredJob {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// The job's id (a ULID).
    pub id: String,
    /// Who submitted it; nobody else sees it.
    pub owner: String,
    /// When it was accepted, RFC 3339 in UTC.
    pub submitted: String,
    /// What is asked for.
    pub spec: Job,
}

/// A job that waits to be split into tasks, to have failed tasks run again, or to be brought to its end
/// after it was cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobMessage {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// The job's id.
    pub job: String,
    /// Which run of the job, from 1; each retry of its failed tasks begins another.
    #[serde(default = "first")]
    pub round: u32,
}

/// A task that waits for a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskMessage {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// The job's id.
    pub job: String,
    /// Which run of the job, from 1.
    #[serde(default = "first")]
    pub round: u32,
    /// Number of the task, from 0.
    pub task: u64,
    /// How often nodes refused it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejections: u32,
    /// The node that refused it last; it is not offered to that one next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_by: Option<String>,
    /// The node that runs this task already and finds it slow: a copy for another node, of which a result counts
    /// and a failure does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
}

impl TaskMessage {
    /// A task of a job's round as it is first sent.
    pub fn new(job: &str, round: u32, task: u64) -> TaskMessage {
        TaskMessage {
            version: version(),
            job: job.to_owned(),
            round,
            task,
            rejections: 0,
            rejected_by: None,
            copy_of: None,
        }
    }
}

/// What a job's inputs came to: `jobs/<id>/plan.json`, written once, so that a job that is split twice is
/// split alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobPlan {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// The job's id.
    pub job: String,
    /// When it was split, RFC 3339 in UTC.
    pub started: String,
    /// Files of directories that were passed over, by what they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
    /// Its tasks by number, from 0.
    pub tasks: Vec<PlannedTask>,
}

/// A task of a [`JobPlan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedTask {
    /// Path or URL of the input, as in [`crate::name`]; `uploads/…` lies below the owner's prefix.
    pub input: String,
    /// Its path below what the user named; kept in the output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub relative: String,
    /// Bytes of the input, where known; large ones are begun first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its place among those whose outputs would have one name, from 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clash: Option<u32>,
    /// Why there is nothing to process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A further run of a job: `jobs/<id>/rounds/<n>.json`, written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobRound {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// The job's id.
    pub job: String,
    /// Which run of the job, from 2.
    pub round: u32,
    /// When it was asked for, RFC 3339 in UTC.
    pub time: String,
    /// The tasks that are run again.
    pub tasks: Vec<u64>,
}

/// A wish that a job ends, its user's or, after an error, that of its `on_error`: `jobs/<id>/cancelled/<round>.json`, written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobCancelled {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// The job's id.
    pub job: String,
    /// When, RFC 3339 in UTC.
    pub time: String,
}

fn first() -> u32 {
    1
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}
