//! Before and after in one picture, cut by a line that can be moved.

use super::canvas::Canvas;
use super::widgets;
use crate::state::view::Seen;
use crate::theme::palette;
use eframe::egui::accesskit::{Action, ActionData};
use eframe::egui::{
    self, Align2, Color32, CursorIcon, EventFilter, Key, Rect, Sense, Stroke, Ui, WidgetInfo, pos2,
    vec2,
};

/// How far an arrow key moves the line.
const STEP: f32 = 0.02;

/// Where both lie: the whole of them on the screen, and what of the screen is theirs.
pub struct Place {
    /// What is theirs.
    pub area: Rect,
    /// Where the whole of them lies.
    pub target: Rect,
}

/// Paints both into those slots of the canvas; the line is at `share` of what is seen. Returns where it was moved to.
pub fn show(
    ui: &mut Ui,
    canvas: &mut Canvas,
    slots: [usize; 2],
    place: &Place,
    [before, after]: [&Seen; 2],
    share: f32,
) -> Option<f32> {
    let (area, target) = (place.area, place.target);
    let sight = target.intersect(area);
    let x = sight.left() + share * sight.width();
    let (left, right) = area.split_left_right_at_x(x.clamp(area.left(), area.right()));
    canvas.paint(ui, slots[0], &before.pyramid, target, left);
    canvas.paint(ui, slots[1], &after.pyramid, target, right);
    let grip = Rect::from_center_size(pos2(x, sight.center().y), vec2(16.0, sight.height()));
    let id = ui.scope_id().with(("split", slots[0]));
    let response = ui
        .interact(grip, id, Sense::drag())
        .on_hover_cursor(CursorIcon::ResizeHorizontal);
    let told = f64::from(share);
    response.widget_info(|| WidgetInfo::slider(true, told, "Line between before and after"));
    let mut moved = None;
    if response.dragged()
        && let Some(at) = response.interact_pointer_pos()
    {
        moved = Some((at.x - sight.left()) / sight.width().max(1.0));
    }
    if response.has_focus() {
        let filter = EventFilter {
            horizontal_arrows: true,
            ..EventFilter::default()
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
        let by = ui.input(|i| {
            f32::from(i.key_pressed(Key::ArrowRight)) - f32::from(i.key_pressed(Key::ArrowLeft))
        });
        if by != 0.0 {
            moved = Some(share + by * STEP);
        }
    }
    if let Some(told) = spoken(ui, id, share) {
        moved = Some(told);
    }
    line(
        ui,
        sight,
        x,
        response.hovered() || response.dragged() || response.has_focus(),
    );
    moved
}

fn line(ui: &Ui, sight: Rect, x: f32, active: bool) {
    let painter = ui.painter();
    let color = if active {
        palette(ui).accent
    } else {
        Color32::WHITE
    };
    let shade = Stroke::new(3.0, Color32::from_black_alpha(90));
    painter.vline(x, sight.y_range(), shade);
    painter.vline(x, sight.y_range(), Stroke::new(1.5, color));
    painter.circle(
        pos2(x, sight.center().y),
        7.0,
        color,
        Stroke::new(1.0, Color32::from_black_alpha(120)),
    );
    let top = sight.top() + 10.0;
    if x - sight.left() > 66.0 {
        widgets::mark(ui, pos2(x - 10.0, top), Align2::RIGHT_TOP, "before");
    }
    if sight.right() - x > 56.0 {
        widgets::mark(ui, pos2(x + 10.0, top), Align2::LEFT_TOP, "after");
    }
}

/// Tells a screen reader how far the line may go, and takes what it asks for.
fn spoken(ui: &Ui, id: egui::Id, share: f32) -> Option<f32> {
    ui.ctx().accesskit_node_builder(id, |node| {
        node.set_min_numeric_value(0.0);
        node.set_max_numeric_value(1.0);
        node.set_numeric_value_step(f64::from(STEP));
        for action in [Action::SetValue, Action::Increment, Action::Decrement] {
            node.add_action(action);
        }
    });
    ui.input(|i| {
        let set = i.accesskit_action_requests(id, Action::SetValue);
        let set = set.filter_map(|request| match request.data {
            Some(ActionData::NumericValue(value)) => Some(value as f32),
            _ => None,
        });
        let count = |action| i.num_accesskit_action_requests(id, action) as f32;
        let by = count(Action::Increment) - count(Action::Decrement);
        set.last().or((by != 0.0).then_some(share + by * STEP))
    })
}
