//! Plans and runs of this computer.

use crate::state::files::{Info, Progress};
use crate::state::run::{Ended, Plan, Run};
use crate::state::{State, Tab};
use crate::text::harmless;
use crate::work::{Work, dialogs, plan as planning, run};
use imaging::executor::Stop;
use protocol::state::{JobState, TaskState};
use std::path::PathBuf;
use std::sync::Arc;

/// Makes the plan.
pub(super) fn plan(state: &mut State, work: &mut Work) {
    if let Some(stop) = work.plan.take() {
        stop.set();
    }
    match state.job() {
        Ok(job) => {
            let stop = Stop::default();
            work.plan = Some(stop.clone());
            state.plan = Plan::Making;
            planning::make(&work.post, job, work.services.clone(), stop);
        }
        Err(why) => state.plan = Plan::Refused(why),
    }
}

/// Starts a run; `only` are the inputs of a retry.
pub(super) fn start(state: &mut State, work: &mut Work, only: Option<Vec<String>>) {
    if state.run.active() {
        return;
    }
    let job = match state.job() {
        Ok(job) => job,
        Err(why) => return state.tell(true, why),
    };
    begin(state, work, job, only);
}

/// Runs that job on this computer.
pub(super) fn begin(
    state: &mut State,
    work: &mut Work,
    job: protocol::Job,
    only: Option<Vec<String>>,
) {
    if state.run.active() {
        return;
    }
    let stop = Stop::default();
    work.run = Some(stop.clone());
    work.hold = run::Hold::default();
    state.plan = Plan::None;
    let by_path = Arc::new(state.files.by_path());
    let earlier = only.as_ref().map(|_| std::mem::take(&mut state.run.ended));
    let output = protocol::name::to_path(&job.output);
    state.run = Run::begin(output, by_path.clone());
    state.inspect.turn(None);
    match earlier {
        None => state.files.forget_progress(),
        // What succeeded before stays in the list of results.
        Some(earlier) => {
            let good = earlier.into_iter().filter(|e| e.reason.is_none());
            state.run.ended = good.collect();
        }
    }
    work.shelf.quiet(true);
    state.run.can_pause = job.ranks.is_none();
    let hold = work.hold.clone();
    let services = work.services.clone();
    run::start(&work.post, job, only, by_path, stop, hold, services);
}

/// Begins nothing more of the run, or goes on with it.
pub(super) fn pause(state: &mut State, work: &Work, held: bool) {
    if state.run.active() && state.run.can_pause {
        work.hold.set(held);
        state.run.pause(held);
    }
}

/// Takes in the end of an image.
pub(super) fn task_ended(state: &mut State, work: &Work, task: u64, ended: Ended) {
    if let Some(id) = ended.file {
        if let Some(Info::Ready(h)) = state.files.get(id).map(|e| &e.info) {
            state.run.pixels += u64::from(h.width) * u64::from(h.height);
        }
        let progress = match &ended.reason {
            None => Progress::Done,
            Some(reason) if reason == TaskState::Cancelled.name() => Progress::Idle,
            Some(reason) => Progress::Failed(harmless(reason).into_owned()),
        };
        state.files.progress(id, progress);
    }
    let full = ended.reason.as_deref().is_some_and(is_full);
    state.run.task_ended(task, ended);
    if full && !state.run.full {
        state.run.full = true;
        // All others would fail of it, too.
        pause(state, work, true);
        let held = match state.run.paused.is_some() {
            true => "the run is paused: make room and press Resume, then Run the rest again",
            false => "make room, then press Run the rest again",
        };
        let text = format!("The disk of the results is full; {held}");
        dialogs::notify(&work.post, "The disk is full".into(), text.clone());
        state.tell(true, text);
    }
}

/// Whether an image failed since there was no room for its result.
fn is_full(reason: &str) -> bool {
    // What the system says of a full disk and of a used-up quota.
    const FULL: [&str; 3] = [imaging::Error::NO_ROOM, "os error 28", "os error 122"];
    FULL.iter().any(|text| reason.contains(text))
}

/// Takes in the end of a run.
pub(super) fn ended(
    state: &mut State,
    work: &mut Work,
    ended: Result<(JobState, Option<PathBuf>), String>,
) {
    work.run = None;
    work.shelf.quiet(false);
    state.run.took = state.run.began.map(|began| began.elapsed());
    match ended {
        Ok((how, receipt)) => {
            (state.run.state, state.run.receipt) = (Some(how), receipt);
            state.tab = Tab::Results;
            let title = match how {
                JobState::Succeeded => "All images are done",
                JobState::Cancelled => "The run was stopped",
                _ => "Some images failed",
            };
            dialogs::notify(&work.post, title.into(), state.run.summary());
        }
        Err(why) => {
            state.run.state = Some(JobState::Failed);
            state.tell(true, harmless(&why));
            dialogs::notify(
                &work.post,
                "The run failed".into(),
                harmless(&why).into_owned(),
            );
        }
    }
}
