//! The preview: before and after, zoomed and moved together, with levels under the pointer and histograms.

use super::look::{levels, navigate, place};
use super::{Scene, divider, histogram, look, widgets};
use crate::command::Command;
use crate::state::view::{Compare, Exactness, Seen, View};
use crate::text;
use crate::theme::palette;
use eframe::egui::{
    self, Align, Align2, Frame, Layout, Margin, Panel, Rect, Role, Sense, Stroke, Ui, Vec2,
    WidgetInfo, vec2,
};

/// Width that the whole of what is told of exactness needs.
const ROOM: f32 = 130.0;

/// The panel.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let colors = palette(ui);
    let bar = Frame::NONE
        .fill(colors.panel)
        .inner_margin(Margin::symmetric(10, 7));
    Panel::top("preview tools")
        .frame(bar)
        .show(ui, |ui| tools(ui, scene));
    let view = &scene.state.view;
    if view.histograms && view.before.is_some() {
        Panel::bottom("histograms").frame(bar).show(ui, |ui| {
            ui.horizontal(|ui| {
                let width = (ui.available_width() - 8.0) / 2.0;
                let before = view.before.as_ref().map(|s| &*s.histogram);
                let after = view.after.as_ref().map(|s| &*s.histogram);
                histogram::show(ui, "before", before, vec2(width, 78.0));
                histogram::show(ui, "after", after, vec2(width, 78.0));
            });
        });
    }
    let rect = ui.available_rect_before_wrap();
    ui.painter().rect_filled(rect, 0.0, colors.well);
    match (&view.before, &view.exactness) {
        (None, Exactness::Failed(why)) => message(ui, rect, "There is no preview", why),
        (None, _) if view.busy => {
            let place = Rect::from_center_size(rect.center(), Vec2::splat(28.0));
            ui.place(place, egui::Spinner::new().size(26.0));
        }
        (None, _) => message(
            ui,
            rect,
            "The preview appears here",
            "Choose a file in the list at the left",
        ),
        (Some(before), _) => pictures(ui, scene, rect, before),
    }
}

fn message(ui: &mut Ui, rect: Rect, line: &str, way: &str) {
    let place = Rect::from_center_size(rect.center(), vec2((rect.width() - 40.0).max(80.0), 120.0));
    ui.scope_builder(egui::UiBuilder::new().max_rect(place), |ui| {
        widgets::empty(ui, line, &text::harmless(way))
    });
}

fn tools(ui: &mut Ui, scene: &mut Scene<'_>) {
    let view = &scene.state.view;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 3.0;
        let ways = [
            (
                Compare::Split,
                "Split",
                "Before and after in one picture (S)",
            ),
            (Compare::Beside, "Beside", "Side by side (D)"),
            (Compare::After, "Result", "The result alone (R)"),
        ];
        for (compare, name, about) in ways {
            if ui
                .selectable_label(view.compare == compare, name)
                .on_hover_text(about)
                .clicked()
            {
                scene.commands.push(Command::Compare(compare));
            }
        }
        ui.separator();
        if ui
            .selectable_label(view.zoom.is_none(), "Fit")
            .on_hover_text("As large as fits (0)")
            .clicked()
        {
            scene.commands.push(Command::Look(None, view.center));
        }
        if ui
            .selectable_label(view.zoom == Some(1.0), "1:1")
            .on_hover_text("Pixel by pixel (1)")
            .clicked()
        {
            scene.commands.push(Command::Look(Some(1.0), view.center));
        }
        ui.separator();
        if ui
            .selectable_label(view.histograms, "Histograms")
            .on_hover_text("Histograms (H)")
            .clicked()
        {
            scene.commands.push(Command::Histograms(!view.histograms));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            exactness(ui, view)
        });
    });
}

fn exactness(ui: &mut Ui, view: &View) {
    let colors = palette(ui);
    match &view.exactness {
        Exactness::None => {}
        Exactness::Approximate => {
            widgets::chip(ui, "approximate", colors.warn)
                .on_hover_text("Computed from a smaller image; the exact pixels follow");
        }
        Exactness::Exact(written) if !view.busy => {
            let warned = match written.warnings.len() {
                0 => String::new(),
                n => format!(
                    "\n{}:\n{}",
                    text::count(n, "warning"),
                    written.warnings.join("\n")
                ),
            };
            let told = format!(
                "The pixels of the very file that a run writes\n{} {} in {}\nSHA-256 {}{warned}",
                text::bytes(written.bytes),
                written.format,
                text::time(written.ms as f64 / 1e3),
                written.sha256,
            );
            let color = if written.warnings.is_empty() {
                colors.good
            } else {
                colors.warn
            };
            let size = match ui.available_width() > ROOM {
                true => format!("exact · {} {}", text::bytes(written.bytes), written.format),
                false => "exact".to_owned(),
            };
            widgets::chip(ui, &size, color).on_hover_text(text::harmless(&told));
        }
        Exactness::Exact(_) => {}
        Exactness::Failed(why) => {
            widgets::chip(ui, "no result", colors.bad).on_hover_text(text::harmless(why));
        }
    }
    if view.busy {
        ui.add(egui::Spinner::new().size(14.0));
    }
}

fn pictures(ui: &mut Ui, scene: &mut Scene<'_>, area: Rect, before: &Seen) {
    let view = &scene.state.view;
    let after = view.after.as_ref();
    let size = after.map_or(before.size, |a| a.size);
    let ppp = ui.ctx().pixels_per_point();
    let name = scene.state.files.shown_file().map_or("", |e| &e.shown);
    let response = ui.interact(area, ui.scope_id().with("picture"), Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("Preview of {name}")));
    let (left, right) = area.split_left_right_at_fraction(0.5);
    let beside = view.compare == Compare::Beside;
    let lens = if beside {
        right.shrink2(vec2(6.0, 10.0))
    } else {
        area.shrink(10.0)
    };
    let target = place(view, size, lens, ppp);
    if view.hold || after.is_none() {
        scene.canvas.paint(ui, 0, &before.pyramid, target, area);
        widgets::mark(
            ui,
            area.left_top() + vec2(10.0, 10.0),
            Align2::LEFT_TOP,
            "before",
        );
    } else if let Some(after) = after {
        match view.compare {
            Compare::After => scene.canvas.paint(ui, 1, &after.pyramid, target, area),
            Compare::Beside => {
                let shift = vec2(right.center().x - left.center().x, 0.0);
                scene
                    .canvas
                    .paint(ui, 0, &before.pyramid, target.translate(-shift), left);
                scene.canvas.paint(ui, 1, &after.pyramid, target, right);
                let line = Stroke::new(1.0, palette(ui).line);
                ui.painter().vline(right.left(), area.y_range(), line);
                widgets::mark(
                    ui,
                    left.left_top() + vec2(10.0, 10.0),
                    Align2::LEFT_TOP,
                    "before",
                );
                widgets::mark(
                    ui,
                    right.left_top() + vec2(10.0, 10.0),
                    Align2::LEFT_TOP,
                    "after",
                );
            }
            Compare::Split => {
                let place = divider::Place { area, target };
                let share = view.split;
                let both = [before, after];
                if let Some(share) = divider::show(ui, scene.canvas, [0, 1], &place, both, share) {
                    scene.commands.push(Command::Split(share));
                }
            }
        }
    }
    if let Exactness::Failed(why) = &view.exactness {
        let why: String = text::harmless(why).chars().take(110).collect();
        widgets::mark(
            ui,
            area.center_bottom() - vec2(0.0, 12.0),
            Align2::CENTER_BOTTOM,
            &why,
        );
    }
    look::keys(ui, scene, lens, target, size, ppp);
    navigate(ui, scene, &response, target, size, ppp);
    let view = &scene.state.view;
    let percent = target.width() * ppp / size.0.max(1) as f32 * 100.0;
    let mut told = format!("{} × {}   {percent:.0} %", size.0, size.1);
    if let Some(at) = response.hover_pos() {
        told = levels(view, before, at, target, &told);
    }
    widgets::mark(
        ui,
        area.right_bottom() - vec2(10.0, 10.0),
        Align2::RIGHT_BOTTOM,
        &told,
    );
}
