//! What a row of the table is made of.

use super::ROW;
use crate::panels::{Scene, widgets};
use crate::state::files::{Entry, Info, Progress};
use crate::text;
use crate::theme::palette;
use crate::work::objects::url_of;
use eframe::egui::{self, Align, Image, Layout, RichText, Sense, Ui, vec2};

/// The thumbnail, or a sign in its place.
pub(super) fn picture(ui: &mut Ui, scene: &Scene<'_>, entry: &Entry) {
    let (rect, _) = ui.allocate_exact_size(vec2(44.0, ROW - 6.0), Sense::hover());
    match scene.thumbs.get(entry.id) {
        Some(texture) => {
            let size = texture.size_vec2();
            let scale = (rect.width() / size.x).min(rect.height() / size.y);
            let place = egui::Rect::from_center_size(rect.center(), size * scale);
            Image::new(texture).corner_radius(3).paint_at(ui, place);
        }
        None => {
            let colors = palette(ui);
            let (sign, color) = match &entry.info {
                Info::Broken(_) => ("!", colors.bad),
                _ if url_of(&entry.input.path).is_some() => ("◇", colors.weak),
                _ if scene.thumbs.has_none(entry.id) => ("▣", colors.weak),
                _ => ("·", colors.weak),
            };
            let font = egui::FontId::proportional(16.0);
            ui.painter()
                .rect_filled(rect.shrink2(vec2(4.0, 2.0)), 3.0, colors.well);
            ui.painter().text(
                rect.center(),
                egui::Align2::CENTER_CENTER,
                sign,
                font,
                color,
            );
        }
    }
}

/// The name, and what is known of the file or became of it.
pub(super) fn name(ui: &mut Ui, entry: &Entry) {
    let colors = palette(ui);
    let (line, color) = match (&entry.info, &entry.progress) {
        (Info::Broken(why), _) => (text::harmless(why).into_owned(), colors.bad),
        (_, Progress::Failed(why)) => (why.clone(), colors.bad),
        (_, Progress::Running) => ("being worked on…".into(), colors.accent),
        (Info::Ready(header), progress) => {
            let pages = match header.pages {
                0 | 1 => String::new(),
                n => format!(", {n} pages"),
            };
            match progress {
                Progress::Done => (format!("{}{pages} · done", header.format), colors.good),
                _ => (format!("{}{pages}", header.format), colors.weak),
            }
        }
        (Info::Far, Progress::Done) => ("in its store · done".into(), colors.good),
        (Info::Far, _) => ("in its store".into(), colors.weak),
        (Info::Unread, _) => ("…".into(), colors.weak),
    };
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.add_space(3.0);
        widgets::name(ui, &entry.shown);
        let line = RichText::new(line).small().color(color);
        ui.add(
            egui::Label::new(line)
                .truncate()
                .selectable(false)
                .show_tooltip_when_elided(true),
        );
    });
}

/// Width and height.
pub(super) fn pixels(entry: &Entry) -> String {
    match &entry.info {
        Info::Ready(h) => format!("{} × {}", h.width, h.height),
        _ => String::new(),
    }
}

/// Text at the right.
pub(super) fn right(ui: &mut Ui, text: &str) {
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let text = RichText::new(text).small();
        ui.add(egui::Label::new(text).truncate().selectable(false));
    });
}
