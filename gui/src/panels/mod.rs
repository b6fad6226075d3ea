//! What is seen. Panels look at the state and make commands; they change nothing themselves.

mod banners;
pub mod canvas;
mod compose;
mod divider;
mod files;
mod forms;
mod header;
mod help;
mod histogram;
mod inspect;
mod look;
mod monitor;
mod options;
mod pipeline;
mod plan;
mod presets;
mod preview;
mod queue;
pub mod results;
mod stack;
mod start;
mod widgets;

pub use compose::WIDTHS;

use crate::command::Command;
use crate::presets::Presets;
use crate::state::{State, Tab};
use crate::thumbs::Thumbs;
use eframe::egui::{self, Frame, Margin};

/// What panels see, and where their commands go.
pub struct Scene<'a> {
    /// All that is known.
    pub state: &'a State,
    /// Thumbnails.
    pub thumbs: &'a Thumbs,
    /// Presets.
    pub presets: &'a Presets,
    /// Textures of the preview.
    pub canvas: &'a mut canvas::Canvas,
    /// What the user asks for.
    pub commands: &'a mut Vec<Command>,
}

impl Scene<'_> {
    /// Asks for something.
    pub fn ask(&mut self, command: Command) {
        self.commands.push(command);
    }
}

/// The distance of a panel's contents from its edge.
fn frame(ui: &egui::Ui) -> Frame {
    let fill = ui.visuals().panel_fill;
    Frame::NONE
        .fill(fill)
        .inner_margin(Margin::symmetric(12, 10))
}

/// Paints the window.
pub fn show(ui: &mut egui::Ui, scene: &mut Scene<'_>) {
    header::show(ui, scene);
    banners::show(ui, scene);
    let bare = matches!(scene.state.tab, Tab::Stack | Tab::Monitor);
    if !bare || scene.state.run.active() {
        start::show(ui, scene);
    }
    match scene.state.tab {
        Tab::Compose => compose::show(ui, scene),
        Tab::Stack => stack::show(ui, scene),
        Tab::Results => results::show(ui, scene),
        Tab::Queue => queue::show(ui, scene),
        Tab::Monitor => monitor::show(ui, scene),
    }
    plan::show(ui, scene);
    inspect::over(ui, scene);
    help::show(ui, scene);
    header::closing(ui, scene);
}
