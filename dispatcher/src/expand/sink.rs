//! Who takes inputs as they are found: in memory, or in a file where they are very many.

use super::Place;
use crate::error::Result;
use imaging::codec::FormatKind;
use protocol::message::PlannedTask;

/// Takes inputs.
pub(super) trait Sink {
    /// Whether inputs may be something else than images.
    fn any(&self) -> bool;

    /// An input, and what it is where its bytes were looked at; whether more are wanted.
    fn add(&mut self, task: PlannedTask, place: Place, own: Option<FormatKind>) -> Result<bool>;

    /// What cannot be read, and why.
    fn hopeless(&mut self, input: &str, reason: String) -> Result<()>;

    /// Something of a kind that is passed over, so many times.
    fn skip(&mut self, kind: &str, count: u64);
}

/// A task that fails.
pub(super) fn without_hope(input: &str, reason: String) -> PlannedTask {
    PlannedTask {
        input: input.to_owned(),
        relative: String::new(),
        bytes: None,
        clash: None,
        reason: Some(reason),
    }
}
