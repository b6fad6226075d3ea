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

/// A job to which something was done: it was submitted, cancelled, paused, or is to run again what failed.
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
    /// The identity of the store in which its submitter put it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// What a job's inputs came to: `jobs/<id>/r1/plan.json`, written once, when its pages are there, so that a job that is
/// planned twice is planned alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobPlan {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// The job's id.
    pub job: String,
    /// When it was planned, RFC 3339 in UTC.
    pub started: String,
    /// Files of directories that were passed over, by what they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
    /// How many tasks it has, a page of them in each `jobs/<id>/r1/plan/<page>.json`.
    pub tasks: u64,
    /// Of a reduction, whose tasks are the nodes of a tree: how many files it takes, a page of them in each
    /// `jobs/<id>/r1/files/<page>.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// A page of a [`JobPlan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanPage {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// Its tasks in the order of their numbers.
    pub tasks: Vec<PlannedTask>,
}

/// A task of a [`PlanPage`].
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
    /// When it was asked for, RFC 3339 in UTC. All that did not succeed in the round before is run again.
    pub time: String,
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
