//! What is stored and sent of spans: commits, and what nodes tell whoever leads.

use crate::span::{End, Order, Report, Span};
use protocol::TaskReceipt;
use protocol::state::TaskState;
use serde::{Deserialize, Serialize};

/// The commit of a span: `r<round>/done/<page>/<first>-<last>.json` below its job, created only if absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpanReceipt {
    /// Version of this format: 1.
    pub version: u32,
    /// The span.
    #[serde(flatten)]
    pub span: Span,
    /// Who ran it.
    pub node: String,
    /// Milliseconds that it took.
    pub ms: u64,
    /// How each of its inputs ended.
    pub entries: Vec<Entry>,
}

/// How an input of a span ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What people are told of it.
    #[serde(flatten)]
    pub receipt: TaskReceipt,
    /// It failed in a way that may pass: it ends so only where this was its last attempt.
    #[serde(default, skip_serializing_if = "is_false")]
    pub passing: bool,
}

impl Entry {
    /// How it ended, as the conductor takes it.
    pub fn end(&self) -> End {
        match self.receipt.state {
            TaskState::Succeeded => End::Succeeded,
            TaskState::Rejected => End::Rejected,
            _ if self.passing => End::Passing,
            _ => End::Failed,
        }
    }

    /// Its place in its page.
    pub fn input(&self) -> u32 {
        Span::place(self.receipt.task).1
    }
}

impl SpanReceipt {
    /// What the conductor is told of it.
    pub fn report(&self) -> Report {
        Report {
            span: self.span.clone(),
            node: self.node.as_str().into(),
            ms: self.ms,
            ends: self.entries.iter().map(|e| (e.input(), e.end())).collect(),
        }
    }
}

/// What nodes tell whoever leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum Told {
    /// A node lives.
    Beat {
        /// Its name.
        node: String,
        /// Spans that it works on at once; 0 where it takes none.
        slots: u32,
        /// How busy it is.
        load: f64,
        /// Spans that it has.
        hand: Vec<Span>,
    },
    /// A span takes longer than a moment.
    Began {
        /// The span.
        span: Span,
        /// Who has it.
        node: String,
        /// For how long already, in milliseconds.
        ms: u64,
    },
    /// A span was committed.
    Ended(Box<SpanReceipt>),
    /// A span came from a node that may have died.
    Returned {
        /// The span.
        span: Span,
    },
    /// A node refused a span.
    Refused {
        /// The span.
        span: Span,
        /// Who.
        node: String,
    },
    /// A process died that had a span in hand, as the next one on its machine found.
    Crashed {
        /// The span, as it was sent.
        order: Order,
    },
    /// A span that was sent could not be run, through no fault of it.
    Back {
        /// The order.
        order: Order,
    },
}

fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_comes_back_as_it_was() {
        let span = Span {
            job: "J".into(),
            round: 2,
            page: 1,
            first: 3,
            last: 9,
            attempt: 2,
        };
        assert_eq!(span.receipt(), "r2/done/1/3-9.a2.json");
        let back = Told::Back {
            order: Order {
                copy_of: Some("n".into()),
                ..Order::new(span.clone())
            },
        };
        for told in [back, Told::Returned { span }] {
            let text = serde_json::to_string(&told).unwrap();
            let read: Told = serde_json::from_str(&text).unwrap();
            assert_eq!(read, told);
        }
    }
}
