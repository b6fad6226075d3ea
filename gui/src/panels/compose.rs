//! Files at the left, the preview in the middle, the pipeline at the right.

use super::{Scene, files, pipeline, preview};
use eframe::egui::{CentralPanel, Panel, Ui};

/// The part.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let frame = super::frame(ui);
    Panel::left("files")
        .frame(frame)
        .default_size(372.0)
        .size_range(260.0..=640.0)
        .show(ui, |ui| files::show(ui, scene));
    Panel::right("pipeline")
        .frame(frame)
        .default_size(336.0)
        .size_range(290.0..=520.0)
        .show(ui, |ui| pipeline::show(ui, scene));
    CentralPanel::no_frame().show(ui, |ui| preview::show(ui, scene));
}
