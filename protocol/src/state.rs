//! States of jobs and tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Waiting for a node.
    Queued,
    /// On a node.
    Running,
    /// Its output is stored.
    Succeeded,
    /// It ran out of attempts; the reason says why.
    Failed,
    /// Refused by a limit before its pixels were decoded.
    Rejected,
    /// Stopped by the user.
    Cancelled,
}

impl TaskState {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            TaskState::Queued => "queued",
            TaskState::Running => "running",
            TaskState::Succeeded => "succeeded",
            TaskState::Failed => "failed",
            TaskState::Rejected => "rejected",
            TaskState::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to the task.
    pub fn is_final(self) -> bool {
        !matches!(self, TaskState::Queued | TaskState::Running)
    }
}

impl std::fmt::Display for TaskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting to be split into tasks.
    Queued,
    /// Its tasks are being worked on.
    Running,
    /// Nothing more of it is begun until it is resumed.
    Paused,
    /// All tasks succeeded (or there were none).
    Succeeded,
    /// Some tasks succeeded, some did not.
    Partial,
    /// No task succeeded.
    Failed,
    /// Stopped by the user.
    Cancelled,
}

impl JobState {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Paused => "paused",
            JobState::Succeeded => "succeeded",
            JobState::Partial => "partial",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to the job.
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            JobState::Queued | JobState::Running | JobState::Paused
        )
    }
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
