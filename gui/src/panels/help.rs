//! The overview of keys.

use super::{Scene, widgets};
use crate::command::Command;
use crate::keys;
use eframe::egui::{Context, Grid, Key, KeyboardShortcut, Modifiers, RichText, ScrollArea, Ui};

/// The overview, over the window.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    if !scene.state.help {
        return;
    }
    let answer = widgets::modal(ui, "help").show(ui.ctx(), |ui| {
        ui.set_width(620.0_f32.min(ui.ctx().content_rect().width() - 80.0));
        widgets::title(ui, "Keys", |ui| {
            if widgets::bare_sign(ui, "×", "Close the overview", true).clicked() {
                scene.commands.push(Command::Help(false));
            }
        });
        let height = (ui.ctx().content_rect().height() - 170.0).max(120.0);
        ScrollArea::vertical().max_height(height).show(ui, |ui| {
            let ctx = ui.ctx().clone();
            let mut rows: Vec<(String, &str)> = keys::ALL
                .iter()
                .map(|b| (name(&ctx, b.held, b.key), b.about))
                .collect();
            rows.push(("B (held)".into(), "Preview: the original"));
            rows.push((
                "Wheel, drag, double click".into(),
                "Preview: zoom, move, fit or 1:1",
            ));
            rows.push((
                "Shift, Ctrl and a click".into(),
                "Select a range, or one more file",
            ));
            let half = rows.len().div_ceil(2);
            ui.columns(2, |columns| {
                for (column, rows) in columns.iter_mut().zip(rows.chunks(half)) {
                    Grid::new("keys")
                        .num_columns(2)
                        .spacing([14.0, 5.0])
                        .show(column, |ui| {
                            for (key, about) in rows {
                                ui.label(RichText::new(key).monospace().strong());
                                ui.label(*about);
                                ui.end_row();
                            }
                        });
                }
            });
        });
        ui.add_space(6.0);
        widgets::small(
            ui,
            format!(
                "Sundog {}. Images stay on this computer.",
                env!("CARGO_PKG_VERSION")
            ),
        );
    });
    if answer.should_close() {
        scene.ask(Command::Help(false));
    }
}

fn name(ctx: &Context, held: Modifiers, key: Key) -> String {
    match key {
        Key::Questionmark => "?".into(),
        _ => ctx.format_shortcut(&KeyboardShortcut::new(held, key)),
    }
}
