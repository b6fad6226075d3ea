//! Jobs of the job system.

use crate::state::jobs::{Link, Links, Target};
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

/// Shows another part of the window; nodes are asked for often while they are in sight.
pub(super) fn tab(state: &mut State, work: &Work, tab: Tab) {
    let seen = |tab| tab == Tab::Monitor;
    if seen(tab) != seen(state.tab) {
        work.jobs.ask(Ask::Nodes(seen(tab)));
    }
    if tab == Tab::Queue && state.tab != tab {
        work.jobs.ask(Ask::Look);
    }
    state.tab = tab;
}

/// Asks for the page of links behind the one that is shown, or before it.
pub(super) fn turn_links(state: &mut State, work: &Work, on: bool) {
    let Some(links) = &mut state.jobs.links else {
        return;
    };
    let after = match on {
        true => {
            let Some(next) = links.next else { return };
            links.before.push(links.after);
            Some(next)
        }
        false => match links.before.pop() {
            Some(before) => before,
            None => return,
        },
    };
    links.renewing = true;
    work.jobs.ask(Ask::Links(links.job.clone(), after));
}

/// Asks for the links of the page anew.
pub(super) fn renew_links(state: &mut State, work: &Work) {
    if let Some(links) = &mut state.jobs.links {
        links.renewing = true;
        work.jobs.ask(Ask::Links(links.job.clone(), links.after));
    }
}

/// Takes in what the job system answers.
pub(super) fn answered(state: &mut State, work: &Work, answer: Answer) {
    if state.jobs.target == Target::Local {
        return;
    }
    match answer {
        Answer::List(listed) => {
            for status in state.jobs.listed(listed) {
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
        Answer::Links(page) => {
            if state.jobs.chosen.as_ref() == Some(&page.job) {
                let before = state
                    .jobs
                    .links
                    .take()
                    .filter(|links| links.job == page.job);
                let before = before.map_or(Vec::new(), |links| links.before);
                state.jobs.links = Some(Links { before, ..*page });
            }
        }
        Answer::Verified(job, told) => state.jobs.verified = Some((job, told)),
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
