//! Carries out what the user asked for, and takes in what happened beside the window.

mod files;
mod inspect;
mod jobs;
mod preview;
mod runs;
mod stack;
mod take;

pub use files::open_job;
pub use preview::ask_preview;
pub use stack::ask_stack;
pub use take::take;

use crate::command::Command;
use crate::presets::Presets;
use crate::state::files::Info;
use crate::state::jobs::Target;
use crate::state::run::{Ended, Plan};
use crate::state::{State, job};
use crate::work::jobs::Ask;
use crate::work::{Work, dialogs, run};
use imaging::executor::Stop;
use std::path::PathBuf;

/// Carries out one command.
pub fn apply(state: &mut State, work: &mut Work, presets: &mut Presets, command: Command) {
    match command {
        Command::Tab(tab) => jobs::tab(state, work, tab),
        Command::Ask(purpose) => dialogs::ask(&work.post, purpose),
        Command::Add(paths) => files::add(state, work, paths),
        Command::Typed(text) => state.typed = text,
        Command::Far(far) => {
            state.far = far;
            work.far.in_sight(Vec::new());
        }
        Command::Click { row, toggle, range } => state.files.click(row, toggle, range),
        Command::Step(by) => drop(state.files.step(by)),
        Command::SelectAll => state.files.select_all(),
        Command::RemoveSelected => state.files.remove_selected(),
        Command::Clear => {
            work.shelf.forget();
            work.finding.set();
            work.finding = Stop::default();
            state.files.clear();
        }
        Command::Sort(key) => state.files.arrange(|files| {
            files.sort = (key, files.sort.0 == key && !files.sort.1);
        }),
        Command::Filter(text) => state.files.arrange(|files| files.filter = text),
        Command::Show(show) => state.files.arrange(|files| files.show = show),
        // Painting knows which of these have no thumbnail; see `window`.
        Command::InSight(_) => {}
        Command::Search(text) => state.search = text,
        Command::AddStep(op) => {
            let size = state.files.shown_file().and_then(|e| match e.info {
                Info::Ready(h) => Some((h.width, h.height)),
                _ => None,
            });
            state.edit.add(op, size);
        }
        Command::RemoveStep(id) => state.edit.remove(id),
        Command::MoveStep(id, to) => state.edit.shift(id, to),
        Command::ToggleStep(id) => state.edit.toggle(id),
        Command::OpenStep(id) => {
            state.edit.open = Some(id).filter(|id| state.edit.open != Some(*id));
        }
        Command::Set(id, param, value) => state.edit.set(id, param, value),
        Command::Reset(id) => state.edit.reset(id),
        Command::Text(text) => state.edit.type_text(text),
        Command::Undo => state.edit.undo(),
        Command::Redo => state.edit.redo(),
        Command::Preset(number) => {
            if let Some(preset) = presets.all.get(number) {
                files::take_over(state, &preset.job.clone(), false);
            }
        }
        Command::KeepPreset(name) => files::keep_preset(state, presets, &name),
        Command::Output(output) => state.setup.output = output,
        Command::Format(format) => state.setup.format = format,
        Command::Setup(change) => change(&mut state.setup.base),
        Command::Compare(compare) => state.view.compare = compare,
        Command::Split(split) => state.view.split = split.clamp(0.0, 1.0),
        Command::Look(zoom, center) => {
            state.view.zoom = zoom.map(|z| z.clamp(0.01, 32.0));
            state.view.center = (center.0.clamp(0.0, 1.0), center.1.clamp(0.0, 1.0));
        }
        Command::Hold(hold) => state.view.hold = hold,
        Command::Histograms(shown) => state.view.histograms = shown,
        Command::Target(target, token) => {
            state.jobs.turn(target.clone());
            let services = work.services.clone();
            work.jobs.ask(Ask::Turn(target, token, services));
        }
        Command::Address(address) => state.jobs.address = address,
        Command::Workers(wanted) => state.jobs.workers = wanted,
        Command::Jobs(ask) => work.jobs.ask(ask),
        Command::ChooseJob(job) => {
            state.jobs.choose(job.clone());
            work.jobs.ask(Ask::Follow(job));
        }
        Command::ListTasks(which, filter) => state.jobs.tasks.list(which, filter),
        Command::JobsInSight(rows) => jobs::in_sight(state, work, &rows),
        Command::Sure(job) => state.jobs.sure = job,
        Command::CloseLinks => state.jobs.links = None,
        Command::TurnLinks(on) => jobs::turn_links(state, work, on),
        Command::RenewLinks => jobs::renew_links(state, work),
        Command::Download(job) => jobs::download(state, work, job, None),
        Command::ChooseOutput(output, on) => {
            if let Some(links) = &mut state.jobs.links {
                match on {
                    true => drop(links.chosen.insert(output)),
                    false => drop(links.chosen.remove(&output)),
                }
            }
        }
        Command::DownloadChosen => {
            let chosen = state.jobs.links.as_ref();
            if let Some((job, chosen)) = chosen.map(|l| (l.job.clone(), l.chosen.clone())) {
                jobs::download(state, work, job, Some(chosen));
            }
        }
        Command::Stack(op) => state.stack.op = op,
        Command::StackBits(bits) => state.stack.bits = bits,
        Command::StackOutput(output) => state.stack.output = output,
        Command::StackStart => stack::start(state, work),
        Command::Plan => runs::plan(state, work),
        Command::ClosePlan => {
            if let Some(stop) = work.plan.take() {
                stop.set();
            }
            state.plan = Plan::None;
        }
        Command::Start => match state.jobs.target {
            Target::Local => runs::start(state, work, None),
            _ => jobs::submit(state, work),
        },
        Command::Stop => {
            if let Some(stop) = &work.run {
                stop.set();
                state.run.stopping = true;
            }
        }
        Command::Pause(held) => runs::pause(state, work, held),
        Command::Retry => {
            let failed = |e: &&Ended| e.reason.is_some();
            let done: std::collections::HashSet<&PathBuf> = (state.run.ended.iter())
                .filter(|e| !failed(e))
                .map(|e| &e.path)
                .collect();
            let left = state
                .run
                .by_path
                .keys()
                .filter(|text| !done.contains(&protocol::name::to_path(text)));
            let only: Vec<String> = left.cloned().collect();
            runs::start(state, work, Some(only));
        }
        Command::Choose(number) => inspect::choose(state, work, number),
        Command::Inspect => inspect::open(state, work),
        Command::InspectOutput(subject) => inspect::output(state, work, subject),
        Command::CloseInspect => state.inspect.open = false,
        Command::Divide(split, share) => {
            (state.inspect.split, state.inspect.share) = (split, share.clamp(0.0, 1.0));
        }
        Command::Check => inspect::check(state, work),
        Command::OnlyFailed(only) => state.run.only_failed = only,
        Command::Verify => {
            if let Some(receipt) = &state.run.receipt {
                state.run.verified = None;
                run::verify(&work.post, receipt.clone());
            }
        }
        Command::Open(path) => dialogs::open(&work.post, &path),
        Command::Dismiss(number) => {
            if number < state.banners.len() {
                state.banners.remove(number);
            }
        }
        Command::Theme(dark) => state.dark = dark,
        Command::Zoom(zoom) => state.zoom = zoom.clamp(0.6, 3.0),
        Command::Widths(widths) => state.widths = widths,
        Command::Help(open) => state.help = open,
        Command::Quit => {
            if let Some(stop) = &work.run {
                stop.set();
            }
            (state.run.stopping, state.quitting) = (true, true);
        }
        Command::StayOpen => state.closing = false,
    }
}
