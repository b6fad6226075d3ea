//! Jobs of the job system: how far they are, their images, what can be done with them.

mod job;
mod links;
mod tasks;

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::jobs::{Jobs, Link, Target};
use crate::text;
use crate::theme::{Palette, palette};
use crate::work::jobs::Ask;
use client::{Status, ended};
use eframe::egui::{
    self, Align, CentralPanel, Color32, Label, Layout, Panel, ProgressBar, RichText, Role,
    ScrollArea, Sense, Ui, WidgetInfo, vec2,
};
use protocol::state::JobState;

const CARD: f32 = 76.0;

/// The part.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let frame = super::frame(ui);
    let jobs = &scene.state.jobs;
    if jobs.target == Target::Local {
        CentralPanel::default().frame(frame).show(ui, |ui| {
            ui.add_space(ui.available_height() * 0.3);
            widgets::empty(
                ui,
                "Jobs run in a job system",
                "Choose one at the top right: sundog serve, a gateway or a cluster",
            );
        });
        return;
    }
    if jobs.list.is_empty() {
        CentralPanel::default().frame(frame).show(ui, |ui| {
            ui.add_space(ui.available_height() * 0.3);
            match &jobs.link {
                Link::Down(why) => {
                    widgets::empty(ui, "The job system does not answer", &text::harmless(why))
                }
                Link::Up => widgets::empty(
                    ui,
                    "There are no jobs yet",
                    "Compose a pipeline and press Submit",
                ),
                Link::None | Link::Connecting => {
                    widgets::empty(ui, "Connecting…", &jobs.target.name())
                }
            }
        });
        return;
    }
    Panel::left("jobs")
        .frame(frame)
        .default_size(400.0)
        .size_range(300.0..=620.0)
        .show(ui, |ui| list(ui, scene));
    CentralPanel::default()
        .frame(frame)
        .show(ui, |ui| match scene.state.jobs.chosen_status() {
            Some(status) => job::show(ui, scene, &status.clone()),
            None => {
                ui.add_space(ui.available_height() * 0.36);
                widgets::empty(ui, "Choose a job", "to see its images");
            }
        });
}

/// The colour and words of a state.
fn said(state: JobState, colors: Palette) -> (Color32, &'static str) {
    let color = match state {
        JobState::Succeeded => colors.good,
        JobState::Partial => colors.warn,
        JobState::Failed => colors.bad,
        JobState::Running => colors.accent,
        _ => colors.weak,
    };
    (color, state.name())
}

fn list(ui: &mut Ui, scene: &mut Scene<'_>) {
    let count = scene.state.jobs.list.len();
    widgets::title(ui, "Jobs", |ui| {
        widgets::small(ui, text::count(count, "job"));
    });
    if let (true, Some(last)) = (scene.state.jobs.older, scene.state.jobs.list.last()) {
        let older = Ask::Older(last.job.clone());
        let frame = egui::Frame::NONE;
        Panel::bottom("older jobs")
            .frame(frame)
            .show_separator_line(false)
            .show(ui, |ui| {
                ui.add_space(4.0);
                if ui.button("Show older jobs").clicked() {
                    scene.commands.push(Command::Jobs(older));
                }
            });
    }
    ScrollArea::vertical()
        .auto_shrink(false)
        .show_rows(ui, CARD, count, |ui, range| {
            scene.ask(Command::JobsInSight(range.clone()));
            for row in range {
                card(ui, scene, &scene.state.jobs.list[row]);
            }
        });
}

fn card(ui: &mut Ui, scene: &mut Scene<'_>, status: &Status) {
    let colors = palette(ui);
    let jobs = &scene.state.jobs;
    let chosen = jobs.chosen.as_ref() == Some(&status.job);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), CARD), Sense::click());
    let name = match status.name.is_empty() {
        true => status.job.clone(),
        false => text::harmless(&status.name).into_owned(),
    };
    response.widget_info(|| {
        WidgetInfo::selected(Role::ListBoxOption, true, chosen, format!("Job {name}"))
    });
    let line = if chosen { colors.accent } else { colors.line };
    ui.painter().rect(
        rect,
        7.0,
        colors.card,
        egui::Stroke::new(1.0, line),
        egui::StrokeKind::Inside,
    );
    let mut place = widgets::inside(ui, rect.shrink2(vec2(10.0, 7.0)));
    let ui = &mut place;
    ui.spacing_mut().item_spacing.y = 3.0;
    ui.horizontal(|ui| {
        let (color, state) = said(status.state, colors);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            widgets::chip(ui, state, color);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(
                    Label::new(RichText::new(name).strong())
                        .truncate()
                        .selectable(false),
                );
            });
        });
    });
    progress(ui, jobs, status);
    let when = status
        .submitted
        .get(..16)
        .unwrap_or(&status.submitted)
        .replace('T', " ");
    let stage = if status.stage.is_empty() {
        String::new()
    } else {
        format!(" · {}", text::harmless(&status.stage))
    };
    let told = RichText::new(format!("{when} UTC{stage}"))
        .small()
        .color(colors.weak);
    ui.add(Label::new(told).truncate().selectable(false));

    if response.clicked() {
        scene.ask(Command::ChooseJob(Some(status.job.clone())));
    }
}

fn progress(ui: &mut Ui, jobs: &Jobs, status: &Status) {
    let done = ended(&status.counts);
    let all = status.counts.tasks;
    let share = if status.state.is_final() {
        1.0
    } else {
        let counted = done as f64 / all.max(1) as f64;
        status.progress.unwrap_or(counted) as f32
    };
    let failed = match status.counts.failed + status.counts.rejected {
        0 => String::new(),
        n => format!(", {n} failed"),
    };
    let left = jobs.left(status).map_or(String::new(), |secs| {
        format!(", about {} left", text::time(secs))
    });
    let told = format!(
        "{} of {}{failed}{left}",
        text::grouped(done as usize),
        text::grouped(all as usize)
    );
    let bar = ProgressBar::new(share)
        .text(RichText::new(&told).small())
        .desired_height(16.0);
    ui.add(bar)
        .widget_info(|| WidgetInfo::labeled(Role::ProgressIndicator, true, &told));
}
