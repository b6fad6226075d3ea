//! Jobs of the job system.

use crate::state::jobs::{Chosen, Link, Links, Target};
use crate::state::run::Plan;
use crate::state::{State, Tab};
use crate::text::harmless;
use crate::work::jobs::{Answer, Ask};
use crate::work::{Work, dialogs};

/// Submits the job as it stands.
pub(super) fn submit(state: &mut State, work: &Work) {
    match state.job() {
        Ok(job) => send(state, work, job),
        Err(why) => state.tell(true, why),
    }
}

/// Submits that job.
pub(super) fn send(state: &mut State, work: &Work, job: protocol::Job) {
    state.plan = Plan::None;
    tab(state, work, Tab::Queue);
    let (pixels, known) = state.files.pixels;
    let mean = (known > 0).then(|| pixels as f64 / known as f64 / 1e6);
    work.jobs.ask(Ask::Submit(Box::new(job), mean));
}

/// Fetches a job's outputs into the folder for results; of some, those alone.
pub(super) fn download(state: &mut State, work: &Work, job: String, only: Option<Chosen>) {
    match state.setup.output.trim() {
        "" => state.tell(
            true,
            "choose the folder for the results first, at the bottom of Compose",
        ),
        output if output.contains("://") => state.tell(
            true,
            "results are in the store already; choose a folder to fetch them",
        ),
        output => {
            let folder = super::job::absolute(&protocol::name::to_path(output));
            work.jobs.ask(Ask::Download(job, folder, only));
        }
    }
}

/// Jobs that are in sight are looked at more often than others.
pub(super) fn in_sight(state: &mut State, work: &Work, rows: &std::ops::Range<usize>) {
    let part = state.jobs.part(rows);
    if state.jobs.part != part {
        state.jobs.part.clone_from(&part);
        work.jobs.ask(Ask::Sight(true, part));
    }
}

/// Shows another part of the window; nodes are asked for often while they are in sight.
pub(super) fn tab(state: &mut State, work: &Work, tab: Tab) {
    let seen = |tab| tab == Tab::Monitor;
    if seen(tab) != seen(state.tab) {
        work.jobs.ask(Ask::Nodes(seen(tab)));
    }
    if state.tab != tab && (tab == Tab::Queue || state.tab == Tab::Queue) {
        state.jobs.part = None;
        work.jobs.ask(Ask::Sight(tab == Tab::Queue, None));
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
        Answer::Silent(silent) => state.jobs.silent = silent,
        Answer::Accepted(id, mean) => {
            if let Some(mean) = mean {
                state.jobs.sizes.insert(id.clone(), mean);
            }
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
                let kept = before.map(|links| (links.before, links.chosen));
                let (before, chosen) = kept.unwrap_or_default();
                state.jobs.links = Some(Links {
                    before,
                    chosen,
                    ..*page
                });
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
