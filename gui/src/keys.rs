//! The keyboard: one list for what keys do and for the overview of them.

use crate::command::Command;
use crate::state::run::Plan;
use crate::state::view::Compare;
use crate::state::{State, Tab};
use crate::work::dialogs::Purpose;
use eframe::egui::{Context, Key, Modifiers};

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
    key(NONE, Key::ArrowDown, false, "Next file", |_| {
        Some(Command::Step(1))
    }),
    key(NONE, Key::ArrowUp, false, "Previous file", |_| {
        Some(Command::Step(-1))
    }),
    key(NONE, Key::PageDown, false, "Ten files on", |_| {
        Some(Command::Step(10))
    }),
    key(NONE, Key::PageUp, false, "Ten files back", |_| {
        Some(Command::Step(-10))
    }),
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
        match (s.help, &s.plan) {
            (true, _) => Some(Command::Help(false)),
            (_, Plan::None) => None,
            _ => Some(Command::ClosePlan),
        }
    }),
];

/// What the pressed keys ask for.
pub fn pressed(ctx: &Context, state: &State, commands: &mut Vec<Command>) {
    let typing = ctx.text_edit_focused();
    let inside = ctx.memory(|m| m.focused()).is_some();
    // What lies over the window has the keys to itself.
    let covered = state.help || state.closing || !matches!(state.plan, Plan::None);
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
        // A question mark comes with Shift or without, by the layout of the keyboard.
        let question = binding.key == Key::Questionmark;
        let hit = ctx.input_mut(|i| match question {
            true => i.key_pressed(Key::Questionmark),
            // A plus needs Shift on many keyboards; of others that would be another key.
            false if binding.key == Key::Plus || i.modifiers.matches_exact(binding.held) => {
                i.consume_key(binding.held, binding.key)
            }
            false => false,
        });
        if hit {
            commands.push(command);
        }
    }
    let held = !typing && ctx.input(|i| i.key_down(Key::B));
    if held != state.view.hold && !ctx.input(|i| i.pointer.any_down()) {
        commands.push(Command::Hold(held));
    }
}
