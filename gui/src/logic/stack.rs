//! One picture out of many.

use super::{jobs, runs};
use crate::state::State;
use crate::state::jobs::Target;
use crate::state::stack::FEW;
use crate::work::{Work, stack};
use imaging::executor::Stop;
use std::path::{Path, PathBuf};

/// Makes the picture, on this computer or in the job system.
pub(super) fn start(state: &mut State, work: &mut Work) {
    let job = state.stack.job(&state.files.inputs(), &state.stack.output);
    let local = state.jobs.target == Target::Local;
    match (job, local) {
        (Err(why), _) => state.tell(true, why),
        (Ok(job), true) => runs::begin(state, work, job, None),
        (Ok(mut job), false) => {
            // Its file's name says only what the format is: results are fetched from the job system.
            let name = Path::new(&job.output);
            let kind = name.extension().and_then(|e| e.to_str());
            job.format = kind.map(str::to_lowercase);
            let stem = name.file_stem().unwrap_or_default().to_string_lossy();
            job.name = stem.into_owned();
            jobs::send(state, work, job);
        }
    }
}

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
