//! A result beside its input; large, with what its receipt says.

use super::{Scene, divider, widgets};
use crate::command::Command;
use crate::state::inspect::{Inspect, Side, Subject};
use crate::state::view::Seen;
use crate::text;
use crate::theme::palette;
use eframe::egui::{
    self, Align2, Button, Label, Rect, RichText, Role, ScrollArea, Sense, Ui, Vec2, WidgetInfo,
    vec2,
};

/// Width of what the receipt says.
const RECORD: f32 = 350.0;

/// Both beside each other, in these slots of the canvas.
pub fn pair(ui: &mut Ui, scene: &mut Scene<'_>, slots: [usize; 2], size: Vec2) {
    let inspect = &scene.state.inspect;
    let Some(subject) = &inspect.subject else {
        return;
    };
    let (area, _) = ui.allocate_exact_size(size, Sense::hover());
    let (left, right) = area.split_left_right_at_fraction(0.5);
    let sides = [
        (left, "before", subject.input(), &inspect.before),
        (right, "after", subject.output(), &inspect.after),
    ];
    for (number, (rect, which, name, side)) in sides.into_iter().enumerate() {
        let rect = rect.shrink2(vec2(2.0, 0.0));
        let id = ui.scope_id().with((which, slots[number]));
        let response = ui.interact(rect, id, Sense::hover());
        let label = match side {
            Side::None => format!("Nothing {which}"),
            _ => format!("Picture {which}: {name}"),
        };
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &label));
        ui.painter().rect_filled(rect, 4.0, palette(ui).well);
        match side {
            Side::Seen(seen) => {
                let place = fit(seen, rect.shrink(4.0));
                scene
                    .canvas
                    .paint(ui, slots[number], &seen.pyramid, place, rect);
            }
            Side::Coming => drop(ui.place(middle(rect, 24.0), egui::Spinner::new())),
            Side::Failed(why) => told(ui, rect, why),
            Side::None => told(ui, rect, "there is no output"),
        }
        let at = rect.left_top() + vec2(6.0, 6.0);
        widgets::mark(ui, at, Align2::LEFT_TOP, which);
    }
}

fn middle(rect: Rect, side: f32) -> Rect {
    Rect::from_center_size(rect.center(), Vec2::splat(side))
}

fn told(ui: &mut Ui, rect: Rect, why: &str) {
    let place = Rect::from_center_size(rect.center(), vec2(rect.width() - 16.0, 60.0));
    let text = RichText::new(text::harmless(why)).small();
    let text = text.color(palette(ui).weak);
    ui.scope_builder(egui::UiBuilder::new().max_rect(place), |ui| {
        ui.vertical_centered(|ui| ui.add(Label::new(text).wrap()));
    });
}

fn fit(seen: &Seen, room: Rect) -> Rect {
    let (w, h) = (seen.size.0.max(1) as f32, seen.size.1.max(1) as f32);
    let scale = (room.width() / w).min(room.height() / h).min(8.0);
    Rect::from_center_size(room.center(), vec2(w, h) * scale)
}

/// The same over the window.
pub fn over(ui: &mut Ui, scene: &mut Scene<'_>) {
    let state = scene.state;
    let Some(subject) = state
        .inspect
        .subject
        .as_ref()
        .filter(|_| state.inspect.open)
    else {
        return;
    };
    let screen = ui.ctx().content_rect().size();
    let size = vec2(screen.x - 110.0, screen.y - 130.0).max(vec2(640.0, 320.0));
    let answer = widgets::modal(ui, "inspect").show(ui.ctx(), |ui| {
        ui.set_width(size.x);
        widgets::title(ui, &subject.input(), |ui| {
            if widgets::sign(ui, "×", "Close the comparison", true).clicked() {
                scene.commands.push(Command::CloseInspect);
            }
            let inspect = &state.inspect;
            for (split, name) in [(true, "In one picture"), (false, "Beside each other")] {
                let chosen = inspect.split == split;
                if ui.selectable_label(chosen, name).clicked() {
                    scene.commands.push(Command::Divide(split, inspect.share));
                }
            }
        });
        ui.add_space(6.0);
        let height = size.y - 40.0;
        ui.horizontal_top(|ui| {
            let room = vec2(size.x - RECORD - 14.0, height);
            match (&state.inspect.before, &state.inspect.after) {
                (Side::Seen(before), Side::Seen(after)) if state.inspect.split => {
                    one(ui, scene, before, after, room);
                }
                _ => pair(ui, scene, [5, 6], room),
            }
            ui.vertical(|ui| {
                ui.set_width(RECORD);
                record(ui, scene, subject, height);
            });
        });
    });
    if answer.should_close() {
        scene.ask(Command::CloseInspect);
    }
}

/// Both in one picture. Where their sides differ, the input is stretched to the result's.
fn one(ui: &mut Ui, scene: &mut Scene<'_>, before: &Seen, after: &Seen, room: Vec2) {
    let (area, _) = ui.allocate_exact_size(room, Sense::hover());
    ui.painter().rect_filled(area, 4.0, palette(ui).well);
    let place = divider::Place {
        area,
        target: fit(after, area.shrink(4.0)),
    };
    let share = scene.state.inspect.share;
    let moved = divider::show(ui, scene.canvas, [5, 6], &place, [before, after], share);
    if let Some(share) = moved {
        scene.ask(Command::Divide(true, share));
    }
}

/// What the receipt says.
fn record(ui: &mut Ui, scene: &mut Scene<'_>, subject: &Subject, height: f32) {
    let inspect = &scene.state.inspect;
    let colors = palette(ui);
    widgets::title(ui, "Receipt", |ui| {
        buttons(ui, scene.commands, inspect, subject)
    });
    match &inspect.checked {
        Some(Ok(told)) => drop(widgets::chip(ui, told, colors.good)),
        Some(Err(why)) => drop(widgets::chip(ui, &text::harmless(why), colors.bad)),
        None => {}
    }
    let record = match &inspect.record {
        None => return drop(ui.spinner()),
        Some(Err(why)) => {
            let told = RichText::new(text::harmless(why)).color(colors.weak);
            return drop(ui.add(Label::new(told).wrap()));
        }
        Some(Ok(record)) => record,
    };
    ScrollArea::vertical()
        .id_salt("record")
        .max_height(height - 70.0)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            for line in &record.lines {
                let name = widgets::small(ui, line.name);
                let told = RichText::new(&line.text);
                let told = if line.code { told.code() } else { told };
                ui.add(Label::new(told).wrap().selectable(true))
                    .labelled_by(name.id);
                ui.add_space(3.0);
            }
        });
}

fn buttons(ui: &mut Ui, commands: &mut Vec<Command>, inspect: &Inspect, subject: &Subject) {
    let known = inspect.record.as_ref().and_then(|r| r.as_ref().ok());
    let hash = known.and_then(|record| record.sha256.as_ref());
    if let Subject::Result { output, .. } = subject {
        let ready = output.is_some() && hash.is_some();
        let check = ui.add_enabled(ready, Button::new("Verify this file"));
        if check
            .on_hover_text("Compare its bytes with the hash of its receipt")
            .clicked()
        {
            commands.push(Command::Check);
        }
    }
    let copy = ui.add_enabled(hash.is_some(), Button::new("Copy SHA-256"));
    if copy.clicked()
        && let Some(hash) = hash
    {
        ui.ctx().copy_text(hash.clone());
    }
}
