//! Nodes of the job system: who works, how much, over the last minutes.

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::jobs::{Link, Target};
use crate::text;
use crate::theme::palette;
use crate::work::jobs::Ask;
use eframe::egui::{
    self, CentralPanel, Color32, Grid, Rect, RichText, Role, ScrollArea, Sense, Stroke, Ui,
    WidgetInfo, pos2, vec2,
};
use std::time::{Duration, Instant};

/// The time that charts show.
const SPAN: Duration = Duration::from_secs(15 * 60);

/// The part.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let frame = super::frame(ui);
    let jobs = &scene.state.jobs;
    CentralPanel::default().frame(frame).show(ui, |ui| {
        if jobs.target == Target::Local || jobs.link != Link::Up && jobs.load.is_empty() {
            ui.add_space(ui.available_height() * 0.3);
            let way = match &jobs.link {
                Link::Down(why) => text::harmless(why).into_owned(),
                _ => "Choose a job system at the top right".into(),
            };
            widgets::empty(ui, "No nodes to watch", &way);
            return;
        }
        let colors = palette(ui);
        widgets::title(ui, "Monitor", |_| {});
        let last = jobs
            .load
            .back()
            .map_or((0.0, 0.0), |(_, busy, slots)| (*busy, *slots));
        ui.columns(2, |columns| {
            let now = Instant::now();
            let busy: Vec<(f32, f32)> = jobs
                .load
                .iter()
                .map(|(at, busy, _)| (ago(now, *at), *busy))
                .collect();
            let slots: Vec<(f32, f32)> = jobs
                .load
                .iter()
                .map(|(at, _, slots)| (ago(now, *at), *slots))
                .collect();
            let title = format!("Workers: {} of {} busy", last.0, last.1);
            chart(
                &mut columns[0],
                &title,
                &[(&slots, colors.weak), (&busy, colors.accent)],
            );
            let rate: Vec<(f32, f32)> = jobs
                .rate
                .iter()
                .map(|(at, rate)| (ago(now, *at), *rate))
                .collect();
            let latest = rate.last().map_or(0.0, |(_, rate)| *rate);
            chart(
                &mut columns[1],
                &format!("Images: {latest:.1} a second"),
                &[(&rate, colors.good)],
            );
        });
        ui.add_space(8.0);
        let waiting: u64 = jobs
            .list
            .iter()
            .filter(|s| !s.state.is_final())
            .map(|s| s.counts.tasks.saturating_sub(client::ended(&s.counts)))
            .sum();
        widgets::weak(
            ui,
            format!(
                "{} in {} wait or are being worked on",
                text::count(waiting as usize, "image"),
                text::count(
                    jobs.list.iter().filter(|s| !s.state.is_final()).count(),
                    "job"
                )
            ),
        );
        ui.add_space(8.0);
        workers(ui, scene);
        ui.add_space(8.0);
        nodes(ui, scene);
    });
}

/// How many there are to be.
fn workers(ui: &mut Ui, scene: &mut Scene<'_>) {
    let jobs = &scene.state.jobs;
    let now = jobs.nodes.len().max(1);
    let mut wanted = jobs.workers.unwrap_or(now);
    let changed = jobs.workers.is_some_and(|wanted| wanted != now);
    ui.horizontal(|ui| {
        let label = ui.label("Workers");
        let field = egui::DragValue::new(&mut wanted)
            .range(1..=10_000)
            .speed(0.05);
        if ui.add(field).labelled_by(label.id).changed() {
            scene.ask(Command::Workers(Some(wanted)));
        }
        let button = ui.add_enabled(changed, egui::Button::new("Set workers"));
        if button.clicked() {
            scene.ask(Command::Jobs(Ask::Scale(wanted)));
            scene.ask(Command::Workers(None));
        }
        widgets::weak(ui, "Those that are too many finish what they have");
    });
}

fn ago(now: Instant, at: Instant) -> f32 {
    now.duration_since(at).as_secs_f32() / SPAN.as_secs_f32()
}

fn chart(ui: &mut Ui, title: &str, lines: &[(&[(f32, f32)], Color32)]) {
    let colors = palette(ui);
    ui.label(RichText::new(title).strong());
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), 150.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, title));
    ui.painter().rect(
        rect,
        6.0,
        colors.card,
        Stroke::new(1.0, colors.line),
        egui::StrokeKind::Inside,
    );
    let inner = rect.shrink2(vec2(10.0, 12.0));
    let top = lines
        .iter()
        .flat_map(|(points, _)| points.iter())
        .map(|p| p.1)
        .fold(1.0_f32, f32::max);
    for minute in [5.0_f32, 10.0] {
        let x = inner.right() - inner.width() * minute / 15.0;
        ui.painter()
            .vline(x, inner.y_range(), Stroke::new(1.0, colors.line));
        let font = egui::FontId::proportional(10.0);
        ui.painter().text(
            pos2(x + 3.0, inner.bottom()),
            egui::Align2::LEFT_BOTTOM,
            format!("{minute} min"),
            font,
            colors.weak,
        );
    }
    for (points, color) in lines {
        let points = points
            .iter()
            .map(|(ago, value)| place(inner, *ago, *value / top))
            .collect();
        ui.painter()
            .with_clip_rect(rect)
            .add(egui::Shape::line(points, Stroke::new(1.6, *color)));
    }
    let font = egui::FontId::proportional(10.0);
    ui.painter().text(
        inner.left_top(),
        egui::Align2::LEFT_TOP,
        format!("{top:.0}"),
        font,
        colors.weak,
    );
}

fn place(rect: Rect, ago: f32, share: f32) -> egui::Pos2 {
    pos2(
        rect.right() - ago * rect.width(),
        rect.bottom() - share * rect.height(),
    )
}

fn nodes(ui: &mut Ui, scene: &Scene<'_>) {
    let nodes = &scene.state.jobs.nodes;
    if nodes.is_empty() {
        widgets::weak(
            ui,
            "No node is at work (start one: sundog dispatcher, or sundog serve)",
        );
        return;
    }
    ScrollArea::vertical()
        .auto_shrink([false, true])
        .show(ui, |ui| {
            Grid::new("nodes")
                .num_columns(6)
                .striped(true)
                .spacing([28.0, 6.0])
                .min_col_width(70.0)
                .show(ui, |ui| {
                    for name in ["Node", "State", "Busy", "Load", "Ranks", "Restarts"] {
                        widgets::small(ui, name);
                    }
                    ui.end_row();
                    let number = |value: &serde_json::Value| {
                        value.as_u64().map_or("–".into(), |n| n.to_string())
                    };
                    for node in nodes {
                        ui.label(text::harmless(node["node"].as_str().unwrap_or("?")));
                        let told = |key: &str| node[key].as_str().unwrap_or_default();
                        let state = match told("reason") {
                            "" => told("state").to_owned(),
                            why => format!("{}: {why}", told("state")),
                        };
                        ui.add(egui::Label::new(text::harmless(&state)).truncate());
                        ui.label(format!(
                            "{} of {}",
                            number(&node["busy"]),
                            number(&node["slots"])
                        ));
                        let load = node["load"].as_f64();
                        ui.label(load.map_or("–".into(), |load| format!("{load:.2}")));
                        ui.label(number(&node["ranks"]));
                        ui.label(number(&node["restarts"]));
                        ui.end_row();
                    }
                });
        });
}
