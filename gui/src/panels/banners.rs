//! What is to be told: what is amiss with the job system as long as it is, and messages until they are put away.

use super::{Scene, widgets};
use crate::command::Command;
use crate::theme::{mix, palette};
use crate::work::jobs::Ask;
use eframe::egui::{self, Align, Color32, Frame, Layout, Margin, Panel, RichText, Ui, vec2};

/// All of it, below the bar at the top.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let state = scene.state;
    let trouble = state.jobs.trouble();
    if state.banners.is_empty() && trouble.is_none() {
        return;
    }
    Panel::top("banners")
        .frame(Frame::NONE)
        .show_separator_line(false)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            let colors = palette(ui);
            if let Some(trouble) = trouble {
                one(ui, colors.warn, "!", 90.0, |ui, what| match what {
                    Part::Text => {
                        ui.label(RichText::new(&trouble.what).strong());
                        let way = RichText::new(&trouble.way).small();
                        ui.add(egui::Label::new(way).wrap());
                    }
                    Part::Button => {
                        if ui.button("Try now").clicked() {
                            scene.commands.push(Command::Jobs(Ask::Look));
                        }
                    }
                });
            }
            for (number, banner) in state.banners.iter().enumerate() {
                let (color, sign) = match banner.error {
                    true => (colors.bad, "!"),
                    false => (colors.good, "●"),
                };
                one(ui, color, sign, 40.0, |ui, what| match what {
                    Part::Text => drop(ui.add(egui::Label::new(&banner.text).wrap())),
                    Part::Button => {
                        if widgets::bare_sign(ui, "×", "Put this message away", true).clicked() {
                            scene.commands.push(Command::Dismiss(number));
                        }
                    }
                });
            }
        });
}

/// The parts of a banner.
enum Part {
    Text,
    Button,
}

/// One of them; `room` is what its button needs.
fn one(ui: &mut Ui, color: Color32, sign: &str, room: f32, mut show: impl FnMut(&mut Ui, Part)) {
    let frame = Frame::NONE
        .fill(mix(palette(ui).panel, color, 0.16))
        .inner_margin(Margin::symmetric(14, 6));
    frame.show(ui, |ui| {
        ui.set_min_width(ui.available_width());
        ui.horizontal(|ui| {
            ui.label(RichText::new(sign).color(color));
            let width = (ui.available_width() - room).max(80.0);
            let layout = Layout::top_down(Align::Min);
            ui.allocate_ui_with_layout(vec2(width, 20.0), layout, |ui| {
                ui.set_min_width(width);
                ui.spacing_mut().item_spacing.y = 1.0;
                show(ui, Part::Text);
            });
            show(ui, Part::Button);
        });
    });
}
