//! What the job system answers, as its clients read it.
//!
//! Unknown fields are ignored, so that a later gateway may add some.

use protocol::receipt::Counts;
use protocol::state::{JobState, TaskState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a job is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its id.
    pub job: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// What is being done, for people.
    #[serde(default)]
    pub stage: String,
    /// When it was submitted, RFC 3339 in UTC.
    #[serde(default)]
    pub submitted: String,
    /// When work on it began, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// Milliseconds between the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: protocol::job::Priority,
    /// Of a reduction: what is computed. Its tasks are the nodes of a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce: Option<protocol::job::ReduceOp>,
    /// Tasks that have ended, by how; `tasks` is 0 until the job was split.
    #[serde(default)]
    pub counts: Counts,
    /// Warnings of the tasks that have ended.
    #[serde(default)]
    pub warnings: u64,
    /// While it runs: the share of its work that is done, 0 to 1, as predicted from the sizes of its images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
}

impl Status {
    /// What its tasks are.
    pub fn tasks(&self) -> &'static str {
        match self.reduce {
            Some(_) => "nodes",
            None => "images",
        }
    }
}

/// Tasks that have ended, however.
pub fn ended(counts: &Counts) -> u64 {
    counts.succeeded + counts.failed + counts.rejected + counts.cancelled
}

/// What came out of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// The job.
    pub job: String,
    /// Its state; before its end the lists go on growing.
    pub state: JobState,
    /// Links to its outputs.
    #[serde(default)]
    pub results: Vec<Output>,
    /// Tasks without an output.
    #[serde(default)]
    pub failed: Vec<Failed>,
}

/// An output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Output {
    /// Number of its task.
    pub task: u64,
    /// The page that it is of its input, from 1, where pages have outputs of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The input.
    #[serde(default)]
    pub input: String,
    /// Its path in the job, as in receipts.
    pub output: String,
    /// Where to get it.
    pub url: String,
    /// Until when, RFC 3339 in UTC; a file of this machine has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Its bytes.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Its SHA-256 in hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Width in pixels.
    #[serde(default)]
    pub width: Option<u64>,
    /// Height in pixels.
    #[serde(default)]
    pub height: Option<u64>,
}

/// An input of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Input {
    /// Its number: of an image that of its task, of a reduction's file its place.
    pub number: u64,
    /// What the job calls it.
    pub input: String,
    /// Where to get it, where it is an upload.
    #[serde(default)]
    pub url: Option<String>,
    /// Its bytes.
    #[serde(default)]
    pub bytes: Option<u64>,
}

/// Some inputs of a job.
#[derive(Clone, Debug, Deserialize)]
pub struct Inputs {
    /// In order.
    pub inputs: Vec<Input>,
}

/// A task without an output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failed {
    /// Number of the task.
    pub task: u64,
    /// The input.
    #[serde(default)]
    pub input: String,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TaskState>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Failed {
    /// Why, for people.
    pub fn why(&self) -> &str {
        match (&self.reason, self.state) {
            (Some(reason), _) => reason,
            (None, Some(state)) => state.name(),
            (None, None) => "no reason is known",
        }
    }
}

/// Places for files of one upload.
#[derive(Debug)]
pub struct Upload {
    /// What a job names to take all of them.
    pub inputs: Vec<String>,
    /// One place for each file, in the order asked for.
    pub slots: Vec<Slot>,
}

/// A place for one file.
#[derive(Debug)]
pub struct Slot {
    /// What a job names to take this file alone.
    pub input: String,
    /// How the file gets there.
    pub target: Target,
}

/// How a file gets to its place.
#[derive(Debug)]
pub enum Target {
    /// By a request that carries its permission with it.
    Link {
        /// `PUT`.
        method: reqwest::Method,
        /// The address.
        url: reqwest::Url,
        /// Headers that must be sent.
        headers: Vec<(String, String)>,
    },
    /// Straight into the store, under this name.
    Object(String),
}

/// A file that is going to be uploaded.
#[derive(Clone, Debug)]
pub struct Announced {
    /// Its relative path.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}

/// A message that was given up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// Its job, where known.
    #[serde(default)]
    pub job: Option<String>,
    /// Its task, where it is one.
    #[serde(default)]
    pub task: Option<u64>,
    /// The queue it was taken from.
    #[serde(default)]
    pub queue: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Attempts that were made.
    #[serde(default)]
    pub attempts: u32,
}

/// A webhook of the user's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where it is delivered.
    pub url: String,
    /// Kinds of events that it gets.
    #[serde(default)]
    pub events: Vec<String>,
    /// Only of these jobs; of all where there are none.
    #[serde(default)]
    pub jobs: Vec<String>,
    /// When it was made, RFC 3339 in UTC.
    #[serde(default)]
    pub created: String,
    /// What deliveries are signed with; told once, when it is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What came of a webhook's test.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tested {
    /// Whether the other side accepted it.
    pub delivered: bool,
    /// The answer's status, if there was an answer.
    #[serde(default)]
    pub status: Option<u16>,
    /// Why it was not accepted.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A node, as it describes itself.
pub type Node = Value;
