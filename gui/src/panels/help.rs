//! The overview of keys.

use super::{Scene, widgets};
use crate::command::Command;
use crate::keys;
use eframe::egui::{
    Align, Context, Key, KeyboardShortcut, Label, Layout, Modifiers, RichText, ScrollArea,
    TextStyle, Ui, vec2,
};

/// Width of the names of keys.
const KEY: f32 = 128.0;

/// The overview, over the window.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    if !scene.state.help {
        return;
    }
    let answer = widgets::modal(ui, "help").show(ui.ctx(), |ui| {
        ui.set_width(820.0_f32.min(ui.ctx().content_rect().width() - 80.0));
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
            rows.push(("+ and −".into(), "Preview: zoom in and out"));
            rows.push(("Shift and an arrow".into(), "Preview: move what is seen"));
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
                    column.spacing_mut().item_spacing.y = 3.0;
                    rows.iter().for_each(|(key, about)| row(column, key, about));
                }
            });
        });
        ui.add_space(6.0);
        widgets::small(
            ui,
            format!(
                "Sundog {}. Images leave this computer only for the job system or the store that you choose.",
                env!("CARGO_PKG_VERSION")
            ),
        );
    });
    if answer.should_close() {
        scene.ask(Command::Help(false));
    }
}

/// A key and what it does, in as many lines as that takes.
fn row(ui: &mut Ui, key: &str, about: &str) {
    let height = ui.text_style_height(&TextStyle::Body) + 4.0;
    ui.horizontal_top(|ui| {
        let layout = Layout::left_to_right(Align::Min);
        ui.allocate_ui_with_layout(vec2(KEY, height), layout, |ui| {
            ui.set_min_size(vec2(KEY, height));
            ui.add(Label::new(RichText::new(key).monospace().strong()).wrap());
        });
        ui.add(Label::new(about).wrap());
    });
}

fn name(ctx: &Context, held: Modifiers, key: Key) -> String {
    match key {
        Key::Questionmark => "?".into(),
        _ => ctx.format_shortcut(&KeyboardShortcut::new(held, key)),
    }
}
