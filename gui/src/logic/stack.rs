//! One picture out of many.

use crate::state::State;
use crate::state::stack::FEW;
use crate::work::{Work, stack};
use imaging::executor::Stop;
use std::path::PathBuf;

/// Asks for the preview as things stand.
pub fn ask_stack(state: &mut State, work: &mut Work) {
    if let Some(stop) = work.stack.take() {
        stop.set();
    }
    let own = &mut state.stack;
    own.serial += 1;
    own.fault = None;
    let few: Vec<PathBuf> = state
        .files
        .entries
        .iter()
        .take(FEW)
        .map(|e| e.input.path.clone())
        .collect();
    if few.len() < 2 {
        (own.seen, own.busy) = (None, false);
        return;
    }
    if let Ok(job) = own.job(&few, "preview") {
        let stop = Stop::default();
        work.stack = Some(stop.clone());
        (own.busy, own.of) = (true, few.len());
        stack::preview(&work.post, own.serial, job, work.services.clone(), stop);
    }
}
