//! Takes inputs only to tell them, some at a time.

use super::Place;
use super::sink::{Sink, without_hope};
use crate::error::Result;
use imaging::codec::FormatKind;
use protocol::message::PlannedTask;

/// Inputs that are told at once.
const TOGETHER: usize = 1000;

/// Holds those that are told next.
pub(super) struct Told<'a> {
    tell: &'a mut (dyn FnMut(Vec<PlannedTask>) -> bool + Send),
    some: Vec<PlannedTask>,
    wanted: bool,
    skipped: u64,
}

impl<'a> Told<'a> {
    pub(super) fn new(tell: &'a mut (dyn FnMut(Vec<PlannedTask>) -> bool + Send)) -> Told<'a> {
        Told {
            tell,
            some: Vec::new(),
            wanted: true,
            skipped: 0,
        }
    }

    fn put(&mut self, task: PlannedTask) -> bool {
        self.some.push(task);
        if self.some.len() == TOGETHER {
            self.wanted &= (self.tell)(std::mem::take(&mut self.some));
        }
        self.wanted
    }

    /// Tells the rest; returns how many were passed over.
    pub(super) fn end(mut self) -> u64 {
        if self.wanted && !self.some.is_empty() {
            (self.tell)(std::mem::take(&mut self.some));
        }
        self.skipped
    }
}

impl Sink for Told<'_> {
    fn any(&self) -> bool {
        false
    }

    fn add(&mut self, task: PlannedTask, _: Place, _: Option<FormatKind>) -> Result<bool> {
        Ok(self.put(task))
    }

    fn hopeless(&mut self, input: &str, reason: String) -> Result<()> {
        self.put(without_hope(input, reason));
        Ok(())
    }

    fn skip(&mut self, _: &str, count: u64) {
        self.skipped += count;
    }
}
