//! The preview: before and after, zoomed and moved together, with levels under the pointer and histograms.

use super::{Scene, histogram, widgets};
use crate::command::Command;
use crate::state::view::{Compare, Exactness, Seen, View};
use crate::text;
use crate::theme::palette;
use eframe::egui::{
    self, Align, Align2, CursorIcon, Frame, Layout, Margin, Panel, Pos2, Rect, Role, Sense, Stroke,
    Ui, Vec2, WidgetInfo, pos2, vec2,
};

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
            let size = format!("exact · {} {}", text::bytes(written.bytes), written.format);
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

/// Where a picture lies on the screen.
fn place(view: &View, size: (usize, usize), area: Rect, ppp: f32) -> Rect {
    let (w, h) = (size.0.max(1) as f32, size.1.max(1) as f32);
    match view.zoom {
        None => {
            let scale = (area.width() / w).min(area.height() / h).min(8.0 / ppp);
            Rect::from_center_size(area.center(), vec2(w * scale, h * scale))
        }
        Some(zoom) => {
            let scaled = vec2(w, h) * zoom / ppp;
            let min = area.center() - vec2(view.center.0 * scaled.x, view.center.1 * scaled.y);
            // On whole pixels of the screen, so that 1:1 is just that.
            let whole = pos2((min.x * ppp).round() / ppp, (min.y * ppp).round() / ppp);
            Rect::from_min_size(whole, scaled)
        }
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
            Compare::Split => split(ui, scene, area, target, before, after),
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

fn split(
    ui: &mut Ui,
    scene: &mut Scene<'_>,
    area: Rect,
    target: Rect,
    before: &Seen,
    after: &Seen,
) {
    let sight = target.intersect(area);
    let x = sight.left() + scene.state.view.split * sight.width();
    let (left, right) = area.split_left_right_at_x(x.clamp(area.left(), area.right()));
    scene.canvas.paint(ui, 0, &before.pyramid, target, left);
    scene.canvas.paint(ui, 1, &after.pyramid, target, right);
    let grip = Rect::from_center_size(pos2(x, sight.center().y), vec2(16.0, sight.height()));
    let id = ui.scope_id().with("split");
    let response = ui
        .interact(grip, id, Sense::drag())
        .on_hover_cursor(CursorIcon::ResizeHorizontal);
    let share = f64::from(scene.state.view.split);
    response.widget_info(|| WidgetInfo::slider(true, share, "Line between before and after"));
    if response.dragged()
        && let Some(at) = response.interact_pointer_pos()
    {
        scene.ask(Command::Split(
            (at.x - sight.left()) / sight.width().max(1.0),
        ));
    }
    let painter = ui.painter();
    let active = response.hovered() || response.dragged() || response.has_focus();
    let color = if active {
        palette(ui).accent
    } else {
        egui::Color32::WHITE
    };
    painter.vline(
        x,
        sight.y_range(),
        Stroke::new(3.0, egui::Color32::from_black_alpha(90)),
    );
    painter.vline(x, sight.y_range(), Stroke::new(1.5, color));
    painter.circle(
        pos2(x, sight.center().y),
        7.0,
        color,
        Stroke::new(1.0, egui::Color32::from_black_alpha(120)),
    );
    let top = sight.top() + 10.0;
    if x - sight.left() > 66.0 {
        widgets::mark(ui, pos2(x - 10.0, top), Align2::RIGHT_TOP, "before");
    }
    if sight.right() - x > 56.0 {
        widgets::mark(ui, pos2(x + 10.0, top), Align2::LEFT_TOP, "after");
    }
}

/// Wheel, drag, double click and the arrow keys move and zoom.
fn navigate(
    ui: &Ui,
    scene: &mut Scene<'_>,
    response: &egui::Response,
    target: Rect,
    size: (usize, usize),
    ppp: f32,
) {
    let view = &scene.state.view;
    let now = target.width() * ppp / size.0.max(1) as f32;
    let share = |at: Pos2| {
        (
            (at.x - target.left()) / target.width(),
            (at.y - target.top()) / target.height(),
        )
    };
    if response.double_clicked() {
        let at = response.interact_pointer_pos().map_or(view.center, share);
        let zoom = if view.zoom.is_none() { Some(1.0) } else { None };
        return scene.ask(Command::Look(zoom, at));
    }
    if response.dragged() {
        let moved = response.drag_delta();
        if view.zoom.is_some() && moved != Vec2::ZERO {
            let center = (
                view.center.0 - moved.x / target.width(),
                view.center.1 - moved.y / target.height(),
            );
            scene.ask(Command::Look(view.zoom, center));
        }
        return;
    }
    let Some(at) = response.hover_pos() else {
        return;
    };
    let (scroll, pinch) = ui.input(|i| (i.smooth_scroll_delta().y, i.zoom_delta()));
    let factor = pinch * (scroll / 240.0).exp2();
    if (factor - 1.0).abs() > 1e-3 {
        let zoom = (now * factor).clamp(0.02, 32.0);
        let grown = zoom / now;
        // The point under the pointer stays there.
        let middle = target.center()
            + vec2(
                (view.center.0 - 0.5) * target.width(),
                (view.center.1 - 0.5) * target.height(),
            );
        let middle = if view.zoom.is_none() {
            target.center()
        } else {
            middle
        };
        let wanted = at + (middle - at) / grown;
        scene.ask(Command::Look(Some(zoom), share(wanted)));
    }
}

/// The levels of both pictures under the pointer.
fn levels(view: &View, before: &Seen, at: Pos2, target: Rect, otherwise: &str) -> String {
    let (x, y) = (
        (at.x - target.left()) / target.width(),
        (at.y - target.top()) / target.height(),
    );
    if !(0.0..1.0).contains(&x) || !(0.0..1.0).contains(&y) {
        return otherwise.to_owned();
    }
    let read = |seen: &Seen| {
        let full = seen.pyramid.full();
        let [r, g, b, _] = full.at(
            (x * full.width as f32) as usize,
            (y * full.height as f32) as usize,
        );
        format!("{r} {g} {b}")
    };
    let size = view.after.as_ref().map_or(before.size, |a| a.size);
    let pixel = ((x * size.0 as f32) as usize, (y * size.1 as f32) as usize);
    let after = view
        .after
        .as_ref()
        .map_or(String::new(), |a| format!(" → {}", read(a)));
    format!("{}, {}:  {}{after}", pixel.0, pixel.1, read(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_one_is_on_whole_pixels_of_the_screen() {
        let area = Rect::from_min_size(pos2(100.3, 50.7), vec2(500.0, 400.0));
        let view = View {
            zoom: Some(1.0),
            ..View::default()
        };
        for ppp in [1.0_f32, 1.5, 2.0] {
            let place = place(&view, (4001, 3001), area, ppp);
            assert!((place.width() * ppp - 4001.0).abs() < 0.01);
            let left = place.left() * ppp;
            assert!((left - left.round()).abs() < 0.01, "{left}");
        }
        let fit = super::place(&View::default(), (4000, 3000), area, 1.0);
        assert!(area.expand(0.01).contains_rect(fit));
    }
}
