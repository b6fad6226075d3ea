//! Spans: consecutive inputs of a page that are one message, one commit and one batch of events.

use crate::{JobId, NodeName};
use serde::{Deserialize, Serialize};

/// Inputs of a page at most.
pub const PAGE: u32 = 4096;

/// A span of a round of a job, in one of its attempts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The job.
    #[serde(with = "crate::text")]
    pub job: JobId,
    /// Which run of the job, from 1.
    pub round: u32,
    /// Which page of its plan, from 0.
    pub page: u32,
    /// Its first input, counted in the page from 0.
    pub first: u32,
    /// Its last input.
    pub last: u32,
    /// Which attempt at these inputs it is, from 1; the conductor's own count.
    pub attempt: u32,
}

impl Span {
    /// The number of an input of a page in its job.
    pub fn number(page: u32, input: u32) -> u64 {
        u64::from(page) * u64::from(PAGE) + u64::from(input)
    }

    /// Page, and place in it, of a task.
    pub fn place(task: u64) -> (u32, u32) {
        let page = task / u64::from(PAGE);
        (page as u32, (task % u64::from(PAGE)) as u32)
    }

    /// How many inputs it has.
    pub fn len(&self) -> u32 {
        self.last + 1 - self.first
    }

    /// A span has at least one input.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Where its receipt lies below its job: the commit of its inputs.
    pub fn receipt(&self) -> String {
        let Span {
            round,
            page,
            first,
            last,
            attempt,
            ..
        } = self;
        match attempt {
            1 => format!("r{round}/done/{page}/{first}-{last}.json"),
            _ => format!("r{round}/done/{page}/{first}-{last}.a{attempt}.json"),
        }
    }
}

/// A span as it is sent to nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What is to be run.
    #[serde(flatten)]
    pub span: Span,
    /// The node runs nothing else meanwhile: a node died while it had this.
    #[serde(default, skip_serializing_if = "is_false")]
    pub alone: bool,
    /// The node that runs it already and is slow at it; only others take the copy.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::text::perhaps"
    )]
    pub copy_of: Option<NodeName>,
    /// How often nodes refused it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejections: u32,
    /// Whether a node may refuse it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_refuse: bool,
    /// It was drawn for its node, which has to accept it: it waits there for room, however long. Others go to whoever has some.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stays: bool,
    /// Its owner has nothing else under way while others fill all slots: it waits for none of those, see
    /// [`crate::conductor::Settings::soon`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub urgent: bool,
    /// The identity of the store in which its job is; a node with another hands it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

impl Order {
    /// A span as it is sent first.
    pub fn new(span: Span) -> Order {
        Order {
            span,
            alone: false,
            copy_of: None,
            rejections: 0,
            may_refuse: false,
            stays: false,
            urgent: false,
            store: None,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// How an input of a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Its output is stored.
    Succeeded,
    /// It failed, and would fail in the same way again.
    Failed,
    /// It failed in a way that may pass.
    Passing,
    /// A limit refused it.
    Rejected,
}

/// What a node says once a span is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The span.
    pub span: Span,
    /// Who ran it.
    #[serde(with = "crate::text")]
    pub node: NodeName,
    /// How long that took, in milliseconds.
    pub ms: u64,
    /// Its inputs, counted in the page, and how each ended.
    pub ends: Vec<(u32, End)>,
}
