//! The rules of jobs without any service: where things lie, how inputs become spans, who is fed next, what is tried again,
//! and when a job has ended.
//!
//! [`conductor::Conductor`] is the pure core: it is told what happened and says what is to be done. It reads no clock, no
//! store and no queue, so that any order, loss and doubling of what it is told can be tried in a moment.

pub mod backoff;
pub mod bits;
pub mod conductor;
pub mod fair;
pub mod page;
pub mod records;
pub mod simulate;
pub mod span;
mod text;
pub mod tree;

pub use conductor::Conductor;
pub use span::Span;
pub use tree::Tree;

/// Milliseconds of some clock that only goes forward.
pub type Ms = u64;

/// A job's id.
pub type JobId = std::sync::Arc<str>;

/// A node's name.
pub type NodeName = std::sync::Arc<str>;
