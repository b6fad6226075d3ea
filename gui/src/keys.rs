//! The keyboard: one list for what keys do and for the overview of them.

use crate::command::Command;
use crate::state::run::Plan;
use crate::state::view::Compare;
use crate::state::{State, Tab};
use crate::work::dialogs::Purpose;
use eframe::egui::{Context, Event, Key, Modifiers};

/// A key and what it does.
pub struct Binding {
    /// Keys held beside it.
    pub held: Modifiers,
    /// The key.
    pub key: Key,
    /// What it does, for people.
    pub about: &'static str,
    /// Whether it also counts while text is being edited.
    pub always: bool,
    make: fn(&State) -> Option<Command>,
}

const NONE: Modifiers = Modifiers::NONE;
const CTRL: Modifiers = Modifiers::COMMAND;
const ALT: Modifiers = Modifiers::ALT;

const fn key(
    held: Modifiers,
    key: Key,
    always: bool,
    about: &'static str,
    make: fn(&State) -> Option<Command>,
) -> Binding {
    Binding {
        held,
        key,
        about,
        always,
        make,
    }
}

fn moved(state: &State, by: isize) -> Option<Command> {
    let id = state.edit.open?;
    let at = state.edit.steps.iter().position(|step| step.id == id)?;
    Some(Command::MoveStep(id, at.saturating_add_signed(by)))
}

/// In the list that is seen.
fn step(state: &State, by: isize) -> Option<Command> {
    match state.tab {
        Tab::Results => state.run.neighbour(by).map(Command::Choose),
        _ => Some(Command::Step(by)),
    }
}

/// All keys.
pub static ALL: &[Binding] = &[
    key(CTRL, Key::O, true, "Add files", |_| {
        Some(Command::Ask(Purpose::Files))
    }),
    key(
        CTRL.plus(Modifiers::SHIFT),
        Key::O,
        true,
        "Add folders",
        |_| Some(Command::Ask(Purpose::Folder)),
    ),
    key(CTRL, Key::S, true, "Save the job file", |_| {
        Some(Command::Ask(Purpose::SaveJob))
    }),
    key(CTRL, Key::L, true, "Open a job file", |_| {
        Some(Command::Ask(Purpose::OpenJob))
    }),
    key(
        CTRL,
        Key::Enter,
        true,
        "Start the run, or submit the job",
        |_| Some(Command::Start),
    ),
    key(CTRL, Key::P, true, "Show the plan", |_| Some(Command::Plan)),
    key(
        CTRL,
        Key::D,
        true,
        "Fetch the results of the chosen job",
        |s| {
            let job = s.jobs.chosen.clone();
            (s.tab == Tab::Queue).then_some(Command::Download(job?))
        },
    ),
    key(CTRL, Key::Z, false, "Undo", |_| Some(Command::Undo)),
    key(CTRL, Key::Y, false, "Redo", |_| Some(Command::Redo)),
    key(CTRL, Key::A, false, "Select all files", |_| {
        Some(Command::SelectAll)
    }),
    key(
        NONE,
        Key::Delete,
        false,
        "Take the selected files out of the list",
        |s| (!s.files.selected.is_empty()).then_some(Command::RemoveSelected),
    ),
    key(NONE, Key::ArrowDown, false, "Next file or result", |s| {
        step(s, 1)
    }),
    key(NONE, Key::ArrowUp, false, "Previous file or result", |s| {
        step(s, -1)
    }),
    key(NONE, Key::PageDown, false, "Ten files on", |s| step(s, 10)),
    key(NONE, Key::PageUp, false, "Ten files back", |s| step(s, -10)),
    key(
        NONE,
        Key::I,
        false,
        "The chosen result beside its input, and its receipt",
        |s| (s.tab == Tab::Results && s.run.chosen.is_some()).then_some(Command::Inspect),
    ),
    key(ALT, Key::ArrowUp, true, "Move the open step up", |s| {
        moved(s, -1)
    }),
    key(ALT, Key::ArrowDown, true, "Move the open step down", |s| {
        moved(s, 1)
    }),
    key(NONE, Key::Num0, false, "Preview: as large as fits", |s| {
        Some(Command::Look(None, s.view.center))
    }),
    key(NONE, Key::Num1, false, "Preview: pixel by pixel", |s| {
        Some(Command::Look(Some(1.0), s.view.center))
    }),
    key(
        NONE,
        Key::S,
        false,
        "Preview: before and after in one picture",
        |_| Some(Command::Compare(Compare::Split)),
    ),
    key(NONE, Key::D, false, "Preview: side by side", |_| {
        Some(Command::Compare(Compare::Beside))
    }),
    key(NONE, Key::R, false, "Preview: the result alone", |_| {
        Some(Command::Compare(Compare::After))
    }),
    key(NONE, Key::H, false, "Histograms on or off", |s| {
        Some(Command::Histograms(!s.view.histograms))
    }),
    key(CTRL, Key::Num1, true, "Compose", |_| {
        Some(Command::Tab(Tab::Compose))
    }),
    key(CTRL, Key::Num2, true, "Stack", |_| {
        Some(Command::Tab(Tab::Stack))
    }),
    key(CTRL, Key::Num3, true, "Results", |_| {
        Some(Command::Tab(Tab::Results))
    }),
    key(CTRL, Key::Num4, true, "Queue", |_| {
        Some(Command::Tab(Tab::Queue))
    }),
    key(CTRL, Key::Num5, true, "Monitor", |_| {
        Some(Command::Tab(Tab::Monitor))
    }),
    key(CTRL, Key::Plus, true, "Larger text", |s| {
        Some(Command::Zoom(s.zoom + 0.1))
    }),
    key(CTRL, Key::Minus, true, "Smaller text", |s| {
        Some(Command::Zoom(s.zoom - 0.1))
    }),
    key(NONE, Key::F1, true, "This overview", |s| {
        Some(Command::Help(!s.help))
    }),
    key(NONE, Key::Questionmark, false, "This overview", |s| {
        Some(Command::Help(!s.help))
    }),
    key(NONE, Key::Escape, true, "Close what is open", |s| {
        match (s.help, s.inspect.open, &s.plan) {
            (true, ..) => Some(Command::Help(false)),
            (_, true, _) => Some(Command::CloseInspect),
            (_, _, Plan::None) => None,
            _ => Some(Command::ClosePlan),
        }
    }),
];

/// What lies over the window has the keys to itself.
fn covered(state: &State) -> bool {
    state.help || state.closing || state.inspect.open || !matches!(state.plan, Plan::None)
}

/// Whether a panel may take single keys: nothing lies over it and no text is being edited.
pub fn free(ctx: &Context, state: &State) -> bool {
    !covered(state) && !ctx.text_edit_focused()
}

/// What the pressed keys ask for.
pub fn pressed(ctx: &Context, state: &State, commands: &mut Vec<Command>) {
    let typing = ctx.text_edit_focused();
    let inside = ctx.memory(|m| m.focused()).is_some();
    let covered = covered(state);
    for binding in ALL {
        if !binding.always && (typing || covered && binding.key != Key::Questionmark) {
            continue;
        }
        // Sliders and lists take arrows while they have the focus.
        let arrow = matches!(binding.key, Key::ArrowUp | Key::ArrowDown) && binding.held == NONE;
        if arrow && inside {
            continue;
        }
        // A key that means nothing now is left to what is open, a menu for one.
        let Some(command) = (binding.make)(state) else {
            continue;
        };
        if ctx.input_mut(|i| hit(&mut i.events, binding)) {
            commands.push(command);
        }
    }
    let held = !typing && ctx.input(|i| i.key_down(Key::B));
    if held != state.view.hold && !ctx.input(|i| i.pointer.any_down()) {
        commands.push(Command::Hold(held));
    }
}

/// Takes the press of a key out of the events. What was held is what the press itself says: a slow frame may see the key
/// and the end of what was held with it together.
fn hit(events: &mut Vec<Event>, binding: &Binding) -> bool {
    let fits = |held: Modifiers| match binding.key {
        // A question mark comes with Shift or without, by the layout of the keyboard.
        Key::Questionmark => true,
        // A plus needs Shift on many keyboards; of others that would be another key.
        Key::Plus => Modifiers {
            shift: false,
            ..held
        }
        .matches_exact(binding.held),
        _ => held.matches_exact(binding.held),
    };
    let press = |event: &Event| matches!(event, Event::Key { key, pressed: true, modifiers, .. } if *key == binding.key && fits(*modifiers));
    let at = events.iter().position(press);
    at.map(|at| events.remove(at)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use eframe::egui::RawInput;

    fn asked(events: Vec<Event>) -> usize {
        let ctx = Context::default();
        let input = RawInput {
            events,
            ..RawInput::default()
        };
        let mut commands = Vec::new();
        let mut state = State {
            tab: Tab::Queue,
            ..State::default()
        };
        state.jobs.chosen = Some("J".into());
        let mut output = ctx.run_ui(input, |ui| {
            pressed(ui.ctx(), &state, &mut commands);
        });
        // Nothing is painted.
        output.textures_delta.clear();
        let fetched = |c: &&Command| matches!(c, Command::Download(job) if job == "J");
        commands.iter().filter(fetched).count()
    }

    fn key(key: Key, pressed: bool, modifiers: Modifiers) -> Event {
        Event::Key {
            key,
            physical_key: None,
            pressed,
            repeat: false,
            modifiers,
        }
    }

    #[test]
    fn keys_count_also_where_all_was_let_go_within_one_frame() {
        let down = key(Key::D, true, CTRL);
        let up = key(Key::D, false, CTRL);
        let held = |held| Event::ModifiersChanged(held);
        let all = vec![held(CTRL), down.clone(), up.clone(), held(NONE)];
        assert_eq!(asked(all), 1);
        assert_eq!(asked(vec![held(CTRL), down]), 1);
        assert_eq!(asked(vec![held(CTRL), up]), 0);
        assert_eq!(asked(vec![key(Key::D, true, NONE), held(CTRL)]), 0);
    }
}
