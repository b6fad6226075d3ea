//! Plans and runs of this computer.

use crate::state::run::{Plan, Run};
use crate::state::{State, Tab};
use crate::text::harmless;
use crate::work::{Work, dialogs, plan as planning, run};
use imaging::executor::Stop;
use protocol::state::JobState;
use std::path::PathBuf;

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
    let by_path = state.files.by_path();
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
