//! Files at the left, the preview in the middle, the pipeline at the right.

use super::{Scene, files, pipeline, preview};
use crate::command::Command;
use eframe::egui::{CentralPanel, Panel, Ui};

/// Widths of the files and of the pipeline where nobody has changed them.
pub const WIDTHS: [f32; 2] = [372.0, 336.0];

/// The part.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let frame = super::frame(ui);
    let widths = scene.state.widths;
    let left = Panel::left("files")
        .frame(frame)
        .default_size(widths[0])
        .size_range(260.0..=640.0)
        .show(ui, |ui| files::show(ui, scene));
    let right = Panel::right("pipeline")
        .frame(frame)
        .default_size(widths[1])
        .size_range(290.0..=520.0)
        .show(ui, |ui| pipeline::show(ui, scene));
    let now = [left, right].map(|panel| panel.response.rect.width());
    if now != widths {
        scene.ask(Command::Widths(now));
    }
    CentralPanel::no_frame().show(ui, |ui| preview::show(ui, scene));
}
