//! Histograms of before and after.

use crate::picture::Histogram;
use crate::theme::palette;
use eframe::egui::{
    self, Color32, CornerRadius, FontId, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};

/// One histogram with its title.
pub fn show(ui: &mut Ui, name: &str, histogram: Option<&Histogram>, size: egui::Vec2) {
    let colors = palette(ui);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("Histogram {name}")));
    let painter = ui.painter_at(rect);
    painter.rect(
        rect,
        CornerRadius::same(5),
        colors.well,
        Stroke::new(1.0, colors.line),
        egui::StrokeKind::Inside,
    );
    let inner = rect.shrink2(vec2(6.0, 6.0));
    if let Some(Histogram(counts)) = histogram {
        // Some levels, such as pure black, may have by far the most: what is above the others' greatest is cut off.
        let mut all: Vec<u64> = counts.iter().flatten().copied().collect();
        all.sort_unstable();
        let top = all[all.len() - 1 - all.len() / 100].max(1) as f32;
        let dark = ui.visuals().dark_mode;
        let luma = if dark {
            Color32::from_gray(150)
        } else {
            Color32::from_gray(120)
        };
        bars(&painter, inner, &counts[3], top, luma.gamma_multiply(0.45));
        let rgb = [(230, 80, 70), (60, 170, 90), (70, 120, 230)];
        for (channel, (r, g, b)) in counts.iter().zip(rgb) {
            line(&painter, inner, channel, top, Color32::from_rgb(r, g, b));
        }
        if let Some(at) = response.hover_pos() {
            let level =
                (((at.x - inner.left()) / inner.width()).clamp(0.0, 1.0) * 255.0).round() as usize;
            let [r, g, b, luma] = [0, 1, 2, 3].map(|c: usize| counts[c][level]);
            response.on_hover_text(format!(
                "level {level}: brightness {luma}, red {r}, green {g}, blue {b}"
            ));
        }
    }
    let ground = egui::Rect::from_min_size(rect.left_top() + vec2(3.0, 3.0), vec2(42.0, 16.0));
    painter.rect_filled(ground, 3.0, colors.well.gamma_multiply(0.85));
    painter.text(
        rect.left_top() + vec2(8.0, 5.0),
        egui::Align2::LEFT_TOP,
        name,
        FontId::proportional(11.0),
        colors.weak,
    );
}

fn height(count: u64, top: f32, rect: Rect) -> f32 {
    (count as f32 / top).min(1.0).sqrt() * rect.height()
}

fn bars(painter: &egui::Painter, rect: Rect, counts: &[u64; 256], top: f32, color: Color32) {
    let mut mesh = egui::Mesh::default();
    let width = rect.width() / 256.0;
    for (level, count) in counts.iter().enumerate() {
        let left = rect.left() + level as f32 * width;
        let bar = Rect::from_min_max(
            pos2(left, rect.bottom() - height(*count, top, rect)),
            pos2(left + width, rect.bottom()),
        );
        mesh.add_colored_rect(bar, color);
    }
    painter.add(mesh);
}

fn line(painter: &egui::Painter, rect: Rect, counts: &[u64; 256], top: f32, color: Color32) {
    let point = |(level, count): (usize, &u64)| {
        let x = rect.left() + (level as f32 + 0.5) * rect.width() / 256.0;
        pos2(x, rect.bottom() - height(*count, top, rect))
    };
    let points = counts.iter().enumerate().map(point).collect();
    painter.add(egui::Shape::line(points, Stroke::new(1.0, color)));
}
