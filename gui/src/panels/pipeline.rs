//! The pipeline: operations to add, steps to order, their text.

use super::{Scene, forms, presets, widgets};
use crate::command::Command;
use crate::state::edit::Step;
use crate::theme::palette;
use eframe::egui::{
    self, Align, Button, Id, Key, Label, Layout, Popup, PopupCloseBehavior, RichText, ScrollArea,
    TextEdit, Ui,
};
use imaging::op::{Group, Op};
use imaging::ops;

/// The panel.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let (undo, redo) = scene.state.edit.history();
    widgets::title(ui, "Pipeline", |ui| {
        if widgets::sign(ui, "↷", "Redo", redo).clicked() {
            scene.ask(Command::Redo);
        }
        if widgets::sign(ui, "↶", "Undo", undo).clicked() {
            scene.ask(Command::Undo);
        }
        ui.menu_button("Presets", |ui| presets::show(ui, scene));
    });
    add(ui, scene);
    ui.add_space(2.0);
    let text = 104.0;
    let height = (ui.available_height() - text).max(80.0);
    ScrollArea::vertical()
        .id_salt("steps")
        .auto_shrink(false)
        .max_height(height)
        .show(ui, |ui| steps(ui, scene));
    written(ui, scene);
}

fn add(ui: &mut Ui, scene: &mut Scene<'_>) {
    let button = Button::new("+ Add an operation").min_size(egui::vec2(ui.available_width(), 30.0));
    let response = ui.add(button);
    let width = ui.available_width().max(320.0);
    Popup::menu(&response)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .width(width)
        .show(|ui| menu(ui, scene));
}

fn menu(ui: &mut Ui, scene: &mut Scene<'_>) {
    let mut search = scene.state.search.clone();
    let edit = TextEdit::singleline(&mut search)
        .hint_text("Search operations")
        .desired_width(f32::INFINITY);
    let response = ui.scope(|ui| {
        ui.reset_style();
        ui.add(edit).on_hover_text("Search operations")
    });
    let response = response.inner;
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Search operations")
    });
    if response.changed() {
        scene.ask(Command::Search(search.clone()));
    }
    let entered = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
    if !entered && ui.memory(|m| m.focused().is_none()) {
        response.request_focus();
    }
    let found = found(&search);
    if entered {
        if let Some(op) = found.first() {
            take(ui, scene, op);
        }
        return;
    }
    ui.add_space(4.0);
    ScrollArea::vertical()
        .max_height(420.0)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            let mut group: Option<Group> = None;
            for op in &found {
                if group != Some(op.group) {
                    ui.add_space(if group.is_some() { 6.0 } else { 0.0 });
                    widgets::small(ui, op.group.title());
                    group = Some(op.group);
                }
                ui.horizontal(|ui| {
                    let chosen = ui
                        .add(Button::selectable(false, op.name))
                        .on_hover_text(op.about);
                    let about = RichText::new(op.about).small().color(palette(ui).weak);
                    ui.add(Label::new(about).truncate());
                    if chosen.clicked() {
                        take(ui, scene, op);
                    }
                });
            }
            if found.is_empty() {
                widgets::weak(ui, "No operation is called or described like this");
            }
        });
}

fn take(ui: &Ui, scene: &mut Scene<'_>, op: &'static Op) {
    scene.ask(Command::AddStep(op));
    scene.ask(Command::Search(String::new()));
    Popup::close_all(ui.ctx());
}

/// Operations whose name or help has all words, those whose name begins so first; by group without a search.
fn found(search: &str) -> Vec<&'static Op> {
    let words: Vec<String> = search
        .to_lowercase()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let fits = |op: &&Op| {
        let text = format!("{} {} {}", op.name, op.about, op.group.title()).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let mut found: Vec<&'static Op> = ops::ALL.iter().copied().filter(fits).collect();
    if let Some(first) = words.first() {
        found.sort_by_key(|op| {
            (
                !op.name.starts_with(first.as_str()),
                !op.name.contains(first.as_str()),
            )
        });
    }
    found
}

fn steps(ui: &mut Ui, scene: &mut Scene<'_>) {
    let state = scene.state;
    if state.edit.steps.is_empty() {
        ui.add_space(36.0);
        widgets::empty(ui, "No operations yet", "Images are only converted");
        return;
    }
    let count = state.edit.steps.len();
    for (at, step) in state.edit.steps.iter().enumerate() {
        let shown = ui.push_id(step.id, |ui| {
            widgets::card(ui, |ui| one(ui, scene, step, at, count))
        });
        let response = shown.response;
        if let Some(dragged) = response.dnd_release_payload::<u64>() {
            scene.ask(Command::MoveStep(*dragged, at));
        }
        if response.dnd_hover_payload::<u64>().is_some() {
            let stroke = egui::Stroke::new(2.0, palette(ui).accent);
            ui.painter()
                .hline(response.rect.x_range(), response.rect.top() - 3.0, stroke);
        }
    }
}

fn one(ui: &mut Ui, scene: &mut Scene<'_>, step: &Step, at: usize, count: usize) {
    let open = scene.state.edit.open == Some(step.id);
    let name = step.op.0.name;
    let colors = palette(ui);
    ui.horizontal(|ui| {
        let handle = ui.dnd_drag_source(Id::unique(("handle", step.id)), step.id, |ui| {
            ui.add(Label::new(RichText::new("≡").color(colors.weak)).selectable(false));
        });
        handle
            .response
            .on_hover_text("Drag to another place, or Alt and an arrow key");
        let mut on = step.on;
        let label = if on {
            format!("Switch {name} off")
        } else {
            format!("Switch {name} on")
        };
        let check = ui.checkbox(&mut on, "").on_hover_text(&label);
        check.widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, on, &label));
        if check.changed() {
            scene.ask(Command::ToggleStep(step.id));
        }
        let text = RichText::new(name).strong();
        let text = if step.on {
            text
        } else {
            text.color(colors.weak).strikethrough()
        };
        let head = Button::new((text, egui::Atom::grow()))
            .frame(false)
            .min_size(egui::vec2(110.0, 24.0));
        if ui.add(head).on_hover_text(step.op.0.about).clicked() {
            scene.ask(Command::OpenStep(step.id));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            if widgets::bare_sign(ui, "×", &format!("Remove {name}"), true).clicked() {
                scene.ask(Command::RemoveStep(step.id));
            }
            if widgets::bare_sign(ui, "▼", &format!("Move {name} down"), at + 1 < count).clicked()
            {
                scene.ask(Command::MoveStep(step.id, at + 1));
            }
            if widgets::bare_sign(ui, "▲", &format!("Move {name} up"), at > 0).clicked() {
                scene.ask(Command::MoveStep(step.id, at.saturating_sub(1)));
            }
        });
    });
    if open {
        forms::show(ui, scene, step);
    } else if let Some(fault) = step.fault() {
        ui.label(RichText::new(fault).small().color(colors.bad));
    } else {
        forms::told(ui, step);
    }
}

fn written(ui: &mut Ui, scene: &mut Scene<'_>) {
    let edit = &scene.state.edit;
    ui.add_space(4.0);
    widgets::small(ui, "As text, for the command line and job files");
    let mut text = edit.text.clone();
    let colors = palette(ui);
    let field = TextEdit::multiline(&mut text)
        .code_editor()
        .lock_focus(false)
        .desired_rows(2)
        .desired_width(f32::INFINITY)
        .hint_text("equalize | gaussian(sigma=2)");
    let response = ScrollArea::vertical()
        .id_salt("text")
        .max_height(48.0)
        .show(ui, |ui| ui.add(field))
        .inner;
    response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Pipeline as text"));
    if response.changed() {
        scene.ask(Command::Text(text.replace('\n', " ")));
    }
    match &scene.state.edit.fault {
        Some(fault) => {
            let fault = RichText::new(fault).small().color(colors.bad);
            ui.add(Label::new(fault).truncate().show_tooltip_when_elided(true));
        }
        None => drop(widgets::small(ui, " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_by_name_and_help() {
        assert_eq!(found("gauss")[0].name, "gaussian");
        assert_eq!(found("").len(), ops::ALL.len());
        assert!(found("corner").iter().any(|op| op.name == "harris"));
        assert!(found("no such thing").is_empty());
    }
}
