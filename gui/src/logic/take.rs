//! Takes in what happened beside the window.

use super::{files, jobs, runs};
use crate::state::State;
use crate::state::files::{Info, Progress};
use crate::state::run::Plan;
use crate::state::view::Exactness;
use crate::text::count;
use crate::work::{News, Work};

/// Takes in one piece of news.
pub fn take(state: &mut State, work: &mut Work, news: News) {
    match news {
        News::Found(source, found) => {
            let new = state.files.add(source, found);
            let first = state.files.position(new.start).unwrap_or(usize::MAX);
            let fresh = state.files.entries.get(first..).unwrap_or_default();
            let unread = fresh.iter().filter(|e| e.info == Info::Unread);
            work.shelf
                .headers(unread.map(|e| (e.id, e.input.path.clone())));
        }
        News::Searched(passed) => {
            state.searching = state.searching.saturating_sub(1);
            if passed > 0 {
                let text = format!(
                    "{} passed over: no images, hidden or junk",
                    count(passed as usize, "file")
                );
                state.tell(false, text);
            }
        }
        News::Header(id, info) => state.files.learn(id, info),
        // Painting keeps these; see `window`.
        News::Thumbnail(..) => {}
        News::Before(serial, seen) if serial == state.view.serial => state.view.before = Some(seen),
        News::After(serial, seen, exactness) if serial == state.view.serial => {
            if seen.is_some() {
                state.view.after = seen;
            }
            state.view.busy = exactness == Exactness::Approximate;
            if matches!(exactness, Exactness::Failed(_)) {
                state.view.after = None;
            }
            state.view.exactness = exactness;
        }
        News::Before(..) | News::After(..) => {}
        News::Stacked(serial, made) if serial == state.stack.serial => {
            state.stack.busy = false;
            match made {
                Ok(seen) => state.stack.seen = Some(seen),
                Err(why) => (state.stack.seen, state.stack.fault) = (None, Some(why)),
            }
        }
        News::Stacked(..) => {}
        News::Planned(made) => {
            work.plan = None;
            state.plan = match made {
                Ok(made) => Plan::Made(made),
                Err(why) => Plan::Refused(why),
            };
        }
        News::Started(tasks, cost) => state.run.started(tasks, cost),
        News::TaskStarted(task, input, cost) => {
            state.run.task_started(task, cost);
            if let Some(id) = state.run.by_path.get(&input) {
                state.files.progress(*id, Progress::Running);
            }
        }
        News::TaskEnded(task, ended) => runs::task_ended(state, work, task, *ended),
        News::Side(serial, after, side) if serial == state.inspect.serial => match after {
            true => state.inspect.after = side,
            false => state.inspect.before = side,
        },
        News::Record(serial, record) if serial == state.inspect.serial => {
            state.inspect.record = Some(record);
        }
        News::Checked(serial, checked) if serial == state.inspect.serial => {
            state.inspect.checked = Some(checked);
        }
        News::Side(..) | News::Record(..) | News::Checked(..) => {}
        News::Ended(ended) => runs::ended(state, work, ended),
        News::Verified(verified) => state.run.verified = Some(verified),
        News::Jobs(answer) => jobs::answered(state, work, answer),
        News::Chosen(purpose, paths) => files::chosen(state, work, purpose, paths),
        News::Told(error, text) => state.tell(error, text),
    }
}
