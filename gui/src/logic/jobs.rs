//! Jobs of the job system.

use crate::state::jobs::{Link, Target};
use crate::state::run::Plan;
use crate::state::{State, Tab};
use crate::text::harmless;
use crate::work::jobs::{Answer, Ask};
use crate::work::{Work, dialogs};

/// Submits the job as it stands.
pub(super) fn submit(state: &mut State, work: &Work) {
    match state.job() {
        Ok(job) => {
            state.plan = Plan::None;
            state.tab = Tab::Queue;
            work.jobs.ask(Ask::Submit(Box::new(job)));
        }
        Err(why) => state.tell(true, why),
    }
}

/// Takes in what the job system answers.
pub(super) fn answered(state: &mut State, work: &Work, answer: Answer) {
    if state.jobs.target == Target::Local {
        return;
    }
    match answer {
        Answer::List(list) => {
            for status in state.jobs.listed(list) {
                let name = if status.name.is_empty() {
                    &status.job
                } else {
                    &status.name
                };
                let title = format!("{}: {}", harmless(name), status.state);
                let text = format!(
                    "{} of {} images",
                    status.counts.succeeded, status.counts.tasks
                );
                dialogs::notify(&work.post, title, text);
            }
        }
        Answer::Nodes(nodes) => state.jobs.counted(nodes),
        Answer::Down(why) => state.jobs.link = Link::Down(why),
        Answer::Accepted(id) => {
            state.jobs.own.push(id.clone());
            state.jobs.choose(Some(id.clone()));
            work.jobs.ask(Ask::Follow(Some(id)));
            work.jobs.ask(Ask::Look);
        }
        Answer::Tasks(job, anew, tasks) => {
            if state.jobs.chosen.as_ref() == Some(&job) {
                state.jobs.learn(anew, tasks);
            }
        }
        Answer::Spec(job) => {
            // The files are those that are chosen here: its own are uploads.
            super::files::take_over(state, &job, false);
            state.tab = Tab::Compose;
        }
        Answer::Results(results) => state.jobs.results = Some(*results),
        Answer::Transfer(number, Some(transfer)) => {
            drop(state.jobs.transfers.insert(number, transfer))
        }
        Answer::Transfer(number, None) => drop(state.jobs.transfers.remove(&number)),
        Answer::Downloaded(folder, told) => {
            state.tell(
                false,
                format!(
                    "{told} fetched into {}",
                    harmless(&folder.to_string_lossy())
                ),
            );
        }
    }
}
