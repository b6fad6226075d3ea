//! Receipts: what was asked, what ran, what came out, with hashes.
//!
//! Unknown fields are ignored when reading, so that a later program may add some.

use crate::job::{Job, Mode};
use crate::state::{JobState, TaskState};
use crate::{is_false, is_zero, version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The record of one job, written once beside its results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobReceipt {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// The job's id (a ULID).
    pub job: String,
    /// The job's name.
    #[serde(default)]
    pub name: String,
    /// The job as it was run, defaults filled in.
    pub spec: Job,
    /// SHA-256 of the spec's compact JSON, in hexadecimal digits.
    pub spec_sha256: String,
    /// The program that ran it.
    pub build: Build,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// When it ended.
    pub finished: String,
    /// Milliseconds between the two.
    pub ms: u64,
    /// How it ended.
    pub state: JobState,
    /// How its tasks ended.
    pub counts: Counts,
    /// What a reader should know (no inputs were found, say).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Files of directories that were passed over, by what they are: `junk`, `hidden`, `unknown`, `special`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
    /// One entry a task, in order of their numbers.
    pub tasks: Vec<TaskReceipt>,
}

/// The program that ran a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Version of the program.
    pub version: String,
    /// The git commit it was built from, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Architecture and operating system.
    pub target: String,
}

/// How the tasks of a job ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// All tasks.
    pub tasks: u64,
    /// Outputs stored (or found, with `skip_existing`).
    pub succeeded: u64,
    /// Of those, outputs that were there already.
    #[serde(default)]
    pub skipped: u64,
    /// Failed.
    pub failed: u64,
    /// Refused by a limit.
    pub rejected: u64,
    /// Stopped, or never begun.
    #[serde(default)]
    pub cancelled: u64,
    /// Warnings of all tasks together.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warnings: u64,
}

/// The record of one task. The sizes and hashes are those of the bytes that were read and written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskReceipt {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// Number of the task in its job, from 0.
    pub task: u64,
    /// Path or URL of the input, as in [`crate::name`].
    pub input: String,
    /// SHA-256 of the input's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_sha256: Option<String>,
    /// Path or URL of the output, as in [`crate::name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Where the output lies below its job in the store, where that is not its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// SHA-256 of the output's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_sha256: Option<String>,
    /// Bytes of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Width of the output in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u64>,
    /// Height of the output in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// The page that this is of a file of several, from 1, where it is the only one asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The pages or frames of a file of several, in order. Where they are outputs of their own, the fields above tell of
    /// the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PageReceipt>,
    /// Whether one rank took the image or all shared its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Why that mode was chosen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mode_reason: String,
    /// Ranks that worked on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<usize>,
    /// Milliseconds per stage.
    #[serde(default)]
    pub ms: StageMs,
    /// Which attempt this was, from 1.
    pub attempt: u32,
    /// How often nodes refused it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub rejections: u32,
    /// The machine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// How it ended.
    pub state: TaskState,
    /// The output was there already and was left alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skipped: bool,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is odd about a result that is otherwise sound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// `gpu` where a graphics device computed at least a part, `cpu` where none did though it was considered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device_reason: String,
}

impl TaskReceipt {
    /// The outputs that were stored.
    pub fn outputs(&self) -> Vec<OutputReceipt<'_>> {
        let own = |page: &PageReceipt| page.output.is_some();
        if !self.pages.iter().any(own) {
            let one = OutputReceipt {
                output: self.output.as_deref().unwrap_or_default(),
                object: self.object.as_deref(),
                sha256: self.output_sha256.as_deref(),
                bytes: self.bytes,
                page: self.page,
                size: self.width.zip(self.height),
            };
            return Vec::from_iter(self.output.is_some().then_some(one));
        }
        let pages = self.pages.iter().filter_map(|page| {
            Some(OutputReceipt {
                output: page.output.as_deref()?,
                object: page.object.as_deref(),
                sha256: page.output_sha256.as_deref(),
                bytes: page.bytes,
                page: Some(page.page),
                size: page.width.zip(page.height),
            })
        });
        pages.collect()
    }
}

/// An output of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputReceipt<'a> {
    /// Its path or URL.
    pub output: &'a str,
    /// Where it lies below its job in the store, where that is not its path.
    pub object: Option<&'a str>,
    /// SHA-256 of its bytes.
    pub sha256: Option<&'a str>,
    /// Number of its bytes.
    pub bytes: Option<u64>,
    /// The page that it is of its input, from 1.
    pub page: Option<u32>,
    /// Width and height in pixels.
    pub size: Option<(u64, u64)>,
}

/// A page or frame of a file of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PageReceipt {
    /// Its number in the input, from 1.
    pub page: u32,
    /// Width of the result in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u64>,
    /// Height of the result in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Path or URL of its output, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Where that lies below its job in the store, where that is not its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// SHA-256 of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_sha256: Option<String>,
    /// Bytes of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the owner of an image should know of its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "WarningForm", into = "WarningForm")]
pub struct Warning {
    /// What it is about: `damaged`, `metadata`, `dropped`, `converted`, `range`, `color`, `device`; empty in old receipts.
    pub kind: String,
    /// What happened, and the way out where there is one.
    pub text: String,
}

/// A warning was a mere text once.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WarningForm {
    Text(String),
    Full { kind: String, text: String },
}

impl From<WarningForm> for Warning {
    fn from(form: WarningForm) -> Warning {
        match form {
            WarningForm::Text(text) => Warning {
                kind: String::new(),
                text,
            },
            WarningForm::Full { kind, text } => Warning { kind, text },
        }
    }
}

impl From<Warning> for WarningForm {
    fn from(Warning { kind, text }: Warning) -> WarningForm {
        match kind.is_empty() {
            true => WarningForm::Text(text),
            false => WarningForm::Full { kind, text },
        }
    }
}

/// Milliseconds that a task spent in each stage. Stages overlap, so the sum may exceed the task's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StageMs {
    /// Reading the input's bytes.
    pub fetch: f64,
    /// Bytes to pixels.
    pub decode: f64,
    /// Operations.
    pub compute: f64,
    /// Waiting for rows of other ranks.
    pub halo: f64,
    /// Pixels to bytes.
    pub encode: f64,
    /// Writing the output's bytes durably.
    pub store: f64,
}

fn is_none(count: &u32) -> bool {
    *count == 0
}
