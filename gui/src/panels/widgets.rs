//! Small things that several panels are made of.

use crate::theme::{mix, palette};
use eframe::egui::{
    self, Align2, Color32, CornerRadius, FontId, Frame, Margin, Response, RichText, Role, Sense,
    Stroke, Ui, Vec2, WidgetInfo, vec2,
};

/// A card on a panel.
pub fn card<R>(ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let colors = palette(ui);
    Frame::NONE
        .fill(colors.card)
        .stroke(Stroke::new(1.0, colors.line))
        .corner_radius(CornerRadius::same(7))
        .inner_margin(Margin::symmetric(10, 8))
        .show(ui, contents)
        .inner
}

/// A place within something that was painted, from the top down; what is put there moves nothing else.
pub fn inside(ui: &mut Ui, place: egui::Rect) -> Ui {
    let layout = egui::Layout::top_down(egui::Align::Min);
    let builder = egui::UiBuilder::new().max_rect(place).layout(layout);
    ui.new_child(builder)
}

/// What lies over the window.
pub fn modal(ui: &Ui, name: &'static str) -> egui::Modal {
    let frame = Frame::popup(ui.style()).inner_margin(Margin::same(18));
    egui::Modal::new(egui::Id::unique(name)).frame(frame)
}

/// A title with small things behind it at the right.
pub fn title(ui: &mut Ui, text: &str, right: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.set_min_height(26.0);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            right(ui);
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                let title = RichText::new(text).heading().strong();
                ui.add(egui::Label::new(title).truncate());
            });
        });
    });
}

/// A name in one line; where it is too long, what is in its middle is left out: names of one folder often begin alike.
pub fn name(ui: &mut Ui, name: &str) -> Response {
    let font = egui::TextStyle::Body.resolve(ui.style());
    let room = ui.available_width();
    let width = |text: &str| {
        let galley = ui
            .painter()
            .layout_no_wrap(text.to_owned(), font.clone(), Color32::WHITE);
        galley.size().x
    };
    let whole = width(name);
    if whole <= room {
        return ui.add(egui::Label::new(name).truncate().selectable(false));
    }
    let chars: Vec<char> = name.chars().collect();
    let kept = (chars.len() as f32 * room / whole) as usize;
    let ends = kept.saturating_sub(2) / 2;
    let (head, tail) = (&chars[..ends], &chars[chars.len() - ends..]);
    let short: String = head.iter().chain(&['…']).chain(tail).collect();
    let label = egui::Label::new(short).truncate().selectable(false);
    ui.add(label).on_hover_text(name)
}

/// A short text on a coloured ground.
pub fn chip(ui: &mut Ui, text: &str, color: Color32) -> Response {
    let ground = mix(palette(ui).panel, color, 0.18);
    Frame::NONE
        .fill(ground)
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin::symmetric(8, 2))
        .show(ui, |ui| {
            ui.label(RichText::new(text).color(color).small().strong())
        })
        .response
}

/// Weak text.
pub fn weak(ui: &mut Ui, text: impl Into<String>) -> Response {
    let color = palette(ui).weak;
    ui.label(RichText::new(text).color(color))
}

/// Small weak text.
pub fn small(ui: &mut Ui, text: impl Into<String>) -> Response {
    let color = palette(ui).weak;
    ui.label(RichText::new(text).color(color).small())
}

/// What is shown where there is nothing yet: a drawn picture, a line, what to do.
pub fn empty(ui: &mut Ui, line: &str, way: &str) {
    let colors = palette(ui);
    ui.vertical_centered(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(64.0, 52.0), Sense::hover());
        halo(ui, rect, colors.accent, colors.line);
        ui.add_space(6.0);
        ui.label(RichText::new(line).size(15.0).strong());
        ui.label(RichText::new(way).color(colors.weak));
    });
}

/// The program's sign: a sun with its two companions on a ring.
pub fn halo(ui: &Ui, rect: egui::Rect, accent: Color32, line: Color32) {
    let painter = ui.painter();
    let center = rect.center();
    let radius = rect.height() * 0.42;
    painter.circle_stroke(center, radius, Stroke::new(rect.height() * 0.05, line));
    painter.circle_filled(center, rect.height() * 0.15, accent);
    for side in [-1.0, 1.0] {
        painter.circle_filled(
            center + vec2(side * radius, 0.0),
            rect.height() * 0.07,
            accent,
        );
    }
}

/// A button with a sign instead of a text; `name` is what it is called.
pub fn sign(ui: &mut Ui, sign: &str, name: &str, enabled: bool) -> Response {
    let button = egui::Button::new(RichText::new(sign).size(14.0)).min_size(Vec2::splat(26.0));
    let response = ui
        .add_enabled(enabled, button)
        .on_hover_text(name)
        .on_disabled_hover_text(name);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    response
}

/// The sign without a frame.
pub fn bare_sign(ui: &mut Ui, sign: &str, name: &str, enabled: bool) -> Response {
    let button = egui::Button::new(RichText::new(sign).size(13.0))
        .frame(false)
        .min_size(Vec2::splat(22.0));
    let response = ui
        .add_enabled(enabled, button)
        .on_hover_text(name)
        .on_disabled_hover_text(name);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    response
}

/// Text in a place of a picture, on a ground that makes it readable.
pub fn mark(ui: &Ui, at: egui::Pos2, align: Align2, text: &str) {
    let painter = ui.painter();
    let galley =
        painter.layout_no_wrap(text.to_owned(), FontId::proportional(11.5), Color32::WHITE);
    let rect = align.anchor_size(at, galley.size() + vec2(12.0, 5.0));
    painter.rect_filled(rect, CornerRadius::same(4), Color32::from_black_alpha(150));
    painter.galley(rect.min + vec2(6.0, 2.5), galley, Color32::WHITE);
}
