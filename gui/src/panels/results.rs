//! What came of the latest run: a grid of results, failures with their reasons first in reach.

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::State;
use crate::state::run::{Ended, OUTPUT};
use crate::text;
use crate::theme::palette;
use eframe::egui::{
    self, Button, CentralPanel, Image, Label, Panel, RichText, Role, ScrollArea, Sense, Ui,
    WidgetInfo, vec2,
};
use std::path::PathBuf;

const TILE: egui::Vec2 = vec2(172.0, 158.0);

/// The output whose thumbnail has that number, if it is one of a result.
pub fn output_of(state: &State, id: u64) -> Option<PathBuf> {
    let number = (id & OUTPUT != 0).then_some((id & !OUTPUT) as usize)?;
    state.run.ended.get(number)?.outputs.first().cloned()
}

/// The part.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let frame = super::frame(ui);
    if scene.state.run.ended.is_empty() {
        CentralPanel::default().frame(frame).show(ui, |ui| {
            ui.add_space(ui.available_height() * 0.3);
            match scene.state.run.active() {
                true => widgets::empty(
                    ui,
                    "The run has begun",
                    "Results appear here as images are done",
                ),
                false => widgets::empty(
                    ui,
                    "Nothing has been run yet",
                    "Compose a pipeline and press Start",
                ),
            }
        });
        return;
    }
    Panel::right("result")
        .frame(frame)
        .default_size(340.0)
        .size_range(280.0..=680.0)
        .show(ui, |ui| detail(ui, scene));
    CentralPanel::default()
        .frame(frame)
        .show(ui, |ui| grid(ui, scene));
}

fn grid(ui: &mut Ui, scene: &mut Scene<'_>) {
    let run = &scene.state.run;
    let colors = palette(ui);
    widgets::title(ui, "Results", |ui| {
        if ui.button("Open folder").clicked() {
            let file = run.output.is_file();
            let folder = if file {
                run.output.parent().map(PathBuf::from)
            } else {
                None
            };
            scene
                .commands
                .push(Command::Open(folder.unwrap_or_else(|| run.output.clone())));
        }
        let left = run.took.is_some() && run.counts.0 < run.tasks;
        if ui
            .add_enabled(left, Button::new("Run the rest again"))
            .on_hover_text("Only what did not succeed")
            .clicked()
        {
            scene.commands.push(Command::Retry);
        }
        let receipt = run.receipt.is_some();
        let verify = ui.add_enabled(receipt, Button::new("Verify"));
        if verify
            .on_hover_text("Compare the files with the hashes of the receipt")
            .clicked()
        {
            scene.commands.push(Command::Verify);
        }
        if let Some(receipt) = &run.receipt
            && ui
                .button("Receipt file")
                .on_hover_text(text::harmless(&receipt.to_string_lossy()))
                .clicked()
        {
            scene.commands.push(Command::Open(receipt.clone()));
        }
    });
    ui.horizontal(|ui| {
        ui.label(run.summary());
        match &run.verified {
            Some(Ok(told)) => drop(widgets::chip(ui, told, colors.good)),
            Some(Err(why)) => drop(widgets::chip(ui, &text::harmless(why), colors.bad)),
            None => {}
        }
        if run.counts.1 > 0 {
            let name = format!("Only failed ({})", text::grouped(run.counts.1 as usize));
            if ui.selectable_label(run.only_failed, name).clicked() {
                scene.commands.push(Command::OnlyFailed(!run.only_failed));
            }
        }
    });
    ui.add_space(4.0);
    let columns = ((ui.available_width() + 8.0) / (TILE.x + 8.0))
        .floor()
        .max(1.0) as usize;
    let listed = run.listed();
    let rows = listed.len().div_ceil(columns);
    let mut seen = Vec::new();
    ScrollArea::vertical()
        .id_salt("results")
        .auto_shrink(false)
        .show_rows(ui, TILE.y, rows, |ui, range| {
            for row in range {
                ui.horizontal(|ui| {
                    for at in row * columns..((row + 1) * columns).min(listed.len()) {
                        let number = listed.at(at);
                        seen.push(number as u64 | OUTPUT);
                        tile(ui, scene, number);
                    }
                });
            }
        });
    scene.ask(Command::InSight(seen));
}

fn tile(ui: &mut Ui, scene: &mut Scene<'_>, number: usize) {
    let ended = &scene.state.run.ended[number];
    let colors = palette(ui);
    let chosen = scene.state.run.chosen == Some(number);
    let (rect, response) = ui.allocate_exact_size(TILE, Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, &ended.input));
    let color = match (chosen, response.hovered() || response.has_focus()) {
        (true, _) => colors.accent,
        (false, true) => crate::theme::mix(colors.line, colors.weak, 0.6),
        (false, false) => colors.line,
    };
    let stroke = egui::Stroke::new(if chosen { 1.5 } else { 1.0 }, color);
    ui.painter()
        .rect(rect, 7.0, colors.card, stroke, egui::StrokeKind::Inside);
    let picture = egui::Rect::from_min_size(
        rect.min + vec2(6.0, 6.0),
        vec2(TILE.x - 12.0, TILE.y - 50.0),
    );
    ui.painter().rect_filled(picture, 4.0, colors.well);
    match scene.thumbs.get(number as u64 | OUTPUT) {
        Some(texture) => {
            let size = texture.size_vec2();
            let scale = (picture.width() / size.x).min(picture.height() / size.y);
            let place = egui::Rect::from_center_size(picture.center(), size * scale);
            Image::new(texture).paint_at(ui, place);
        }
        None => {
            let (sign, color) = match ended.reason {
                Some(_) => ("!", colors.bad),
                None => ("·", colors.weak),
            };
            let font = egui::FontId::proportional(24.0);
            ui.painter().text(
                picture.center(),
                egui::Align2::CENTER_CENTER,
                sign,
                font,
                color,
            );
        }
    }
    let words = egui::Rect::from_min_max(
        egui::pos2(picture.left() + 2.0, picture.bottom() + 3.0),
        rect.max - vec2(8.0, 3.0),
    );
    let mut words = widgets::inside(ui, words);
    words.spacing_mut().item_spacing.y = 0.0;
    widgets::name(&mut words, &ended.input);
    let (line, color) = told(ended, colors);
    let line = RichText::new(line).small().color(color);
    words.add(Label::new(line).truncate().selectable(false));
    if response.clicked() && !chosen {
        scene.ask(Command::Choose(number));
    }
    if response.double_clicked() {
        scene.ask(Command::Inspect);
    }
}

fn told(ended: &Ended, colors: crate::theme::Palette) -> (String, egui::Color32) {
    match (&ended.reason, ended.warnings.len()) {
        (Some(why), _) => (text::harmless(why).into_owned(), colors.bad),
        (None, 0) => (
            format!("done in {}", text::time(ended.ms as f64 / 1e3)),
            colors.weak,
        ),
        (None, n) => (text::count(n, "warning"), colors.warn),
    }
}

fn detail(ui: &mut Ui, scene: &mut Scene<'_>) {
    let run = &scene.state.run;
    let Some(ended) = run.chosen.and_then(|n| run.ended.get(n)) else {
        ui.add_space(ui.available_height() * 0.36);
        widgets::empty(ui, "Choose a result", "to see it beside its input");
        return;
    };
    let colors = palette(ui);
    let input = text::harmless(&ended.input).into_owned();
    widgets::title(ui, &input, |ui| {
        if ui
            .button("Compare")
            .on_hover_text("Large, beside its input, with its receipt (I, or a double click)")
            .clicked()
        {
            scene.commands.push(Command::Inspect);
        }
    });
    if scene.state.inspect.subject.is_some() {
        let size = vec2(ui.available_width(), 150.0);
        super::inspect::pair(ui, scene, [3, 4], size);
    }
    ui.add_space(4.0);
    ScrollArea::vertical()
        .id_salt("result")
        .auto_shrink(false)
        .show(ui, |ui| known(ui, scene.commands, ended, colors));
}

/// What is known of a result without its receipt.
fn known(ui: &mut Ui, commands: &mut Vec<Command>, ended: &Ended, colors: crate::theme::Palette) {
    if let Some(why) = &ended.reason {
        ui.label(RichText::new(text::harmless(why)).color(colors.bad));
    }
    for warning in &ended.warnings {
        ui.label(RichText::new(text::harmless(warning)).color(colors.warn));
    }
    ui.add_space(4.0);
    widgets::small(ui, "From");
    ui.add(Label::new(text::harmless(&ended.path.to_string_lossy())).wrap());
    for output in ended.outputs.iter().take(8) {
        widgets::small(ui, "To");
        ui.add(Label::new(text::harmless(&output.to_string_lossy())).wrap());
        ui.horizontal(|ui| {
            if ui.button("Open").clicked() {
                commands.push(Command::Open(output.clone()));
            }
            let folder = output.parent().map(PathBuf::from);
            if let Some(folder) = folder
                && ui.button("Show in folder").clicked()
            {
                commands.push(Command::Open(folder));
            }
        });
    }
}
