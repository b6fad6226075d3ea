//! Where the preview's pictures lie, how they are moved and zoomed, and the levels under the pointer.

use super::Scene;
use crate::command::Command;
use crate::state::view::{Seen, View};
use eframe::egui::{self, Key, Modifiers, Pos2, Rect, Ui, Vec2, pos2, vec2};

/// Where a picture lies on the screen.
pub(super) fn place(view: &View, size: (usize, usize), area: Rect, ppp: f32) -> Rect {
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

/// How much a key zooms, and which share of what is seen it moves.
const ZOOM: f32 = 1.25;
const MOVE: f32 = 0.1;

/// Plus and minus zoom, Shift and an arrow moves.
pub(super) fn keys(
    ui: &Ui,
    scene: &mut Scene<'_>,
    area: Rect,
    target: Rect,
    size: (usize, usize),
    ppp: f32,
) {
    if !crate::keys::free(ui.ctx(), scene.state) {
        return;
    }
    let view = &scene.state.view;
    // These count with Shift, too, which plus needs on many keyboards.
    let hit = |key, held: Modifiers| ui.input_mut(|i| i.count_and_consume_key(held, key)) as f32;
    let steps = hit(Key::Plus, Modifiers::NONE) - hit(Key::Minus, Modifiers::NONE);
    let by = |on, back| hit(on, Modifiers::SHIFT) - hit(back, Modifiers::SHIFT);
    let moved = vec2(
        by(Key::ArrowRight, Key::ArrowLeft),
        by(Key::ArrowDown, Key::ArrowUp),
    );
    if steps == 0.0 && (moved == Vec2::ZERO || view.zoom.is_none()) {
        return;
    }
    let now = target.width() * ppp / size.0.max(1) as f32;
    let zoom = (now * ZOOM.powf(steps)).clamp(0.02, 32.0);
    let middle = if view.zoom.is_none() {
        (0.5, 0.5)
    } else {
        view.center
    };
    let center = (
        middle.0 + moved.x * MOVE * area.width() / target.width().max(1.0),
        middle.1 + moved.y * MOVE * area.height() / target.height().max(1.0),
    );
    scene.ask(Command::Look(Some(zoom), center));
}

/// Wheel, drag and double click move and zoom.
pub(super) fn navigate(
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
pub(super) fn levels(
    view: &View,
    before: &Seen,
    at: Pos2,
    target: Rect,
    otherwise: &str,
) -> String {
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
