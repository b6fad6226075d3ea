//! Jobs of the job system: how far they are, their images, what can be done with them.

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::jobs::{Jobs, Link, Target, Task};
use crate::text;
use crate::theme::{Palette, palette};
use crate::work::jobs::Ask;
use client::{Status, ended};
use eframe::egui::{
    self, Align, Button, CentralPanel, Color32, Label, Layout, Panel, ProgressBar, RichText, Role,
    ScrollArea, Sense, Ui, WidgetInfo, vec2,
};
use egui_extras::{Column, TableBuilder};
use protocol::state::{JobState, TaskState};

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
            Some(status) => job(ui, scene, &status.clone()),
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
    if let Link::Down(why) = &scene.state.jobs.link {
        let colors = palette(ui);
        let told = RichText::new(format!("! {}", text::harmless(why)))
            .small()
            .color(colors.warn);
        ui.add(Label::new(told).wrap());
    }
    ScrollArea::vertical()
        .auto_shrink(false)
        .show_rows(ui, CARD, count, |ui, range| {
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

fn job(ui: &mut Ui, scene: &mut Scene<'_>, status: &Status) {
    let colors = palette(ui);
    let id = status.job.clone();
    let name = if status.name.is_empty() {
        &status.job
    } else {
        &status.name
    };
    widgets::title(ui, &text::harmless(name), |ui| {
        let over = status.state.is_final();
        let down = ui.add_enabled(status.counts.succeeded > 0, Button::new("Download"));
        if down
            .on_hover_text(
                "Into the folder for results; what is there already is not fetched again",
            )
            .clicked()
        {
            scene.commands.push(Command::Download(id.clone()));
        }
        let failed = over && status.counts.succeeded < status.counts.tasks;
        if ui
            .add_enabled(failed, Button::new("Retry failed"))
            .clicked()
        {
            scene.commands.push(Command::Jobs(Ask::Retry(id.clone())));
        }
        let paused = status.state == JobState::Paused;
        let (name, ask) = match paused {
            true => ("Resume", Ask::Resume(id.clone())),
            false => ("Pause", Ask::Pause(id.clone())),
        };
        if ui.add_enabled(!over, Button::new(name)).clicked() {
            scene.commands.push(Command::Jobs(ask));
        }
        if ui.add_enabled(!over, Button::new("Cancel")).clicked() {
            scene.commands.push(Command::Jobs(Ask::Cancel(id.clone())));
        }
        let edit = ui.add_enabled(over, Button::new("Edit as new"));
        if edit
            .on_hover_text("Its operations and format, for the files that are chosen here")
            .clicked()
        {
            scene.commands.push(Command::Jobs(Ask::Edit(id.clone())));
        }
        let sure = scene.state.jobs.sure.as_ref() == Some(&id);
        let name = match sure {
            true => "Delete with its results?",
            false => "Delete",
        };
        if ui.add_enabled(over, Button::new(name)).clicked() {
            scene.commands.push(match sure {
                true => Command::Jobs(Ask::Purge(id.clone())),
                false => Command::Sure(Some(id.clone())),
            });
        }
        if ui
            .button("Links")
            .on_hover_text("Links to its results, until they expire")
            .clicked()
        {
            scene.commands.push(Command::Jobs(Ask::Results(id.clone())));
        }
    });
    ui.horizontal(|ui| {
        let (color, state) = said(status.state, colors);
        widgets::chip(ui, state, color);
        let pace = scene.state.jobs.pace(&status.job);
        if status.state == JobState::Running && pace > 0.0 {
            widgets::weak(ui, format!("{pace:.1} images a second"));
        }
        widgets::small(ui, &status.job);
        if status.warnings > 0 {
            widgets::chip(
                ui,
                &text::count(status.warnings as usize, "warning"),
                colors.warn,
            );
        }
        let only = scene.state.jobs.only_failed;
        if ui.selectable_label(only, "Only failed").clicked() {
            scene.commands.push(Command::OnlyFailedTasks(!only));
        }
    });
    ui.add_space(2.0);
    progress(ui, &scene.state.jobs, status);
    ui.add_space(4.0);
    match &scene.state.jobs.results {
        Some(results) if results.job == status.job => links(ui, scene),
        _ => tasks(ui, scene),
    }
}

fn tasks(ui: &mut Ui, scene: &mut Scene<'_>) {
    let jobs = &scene.state.jobs;
    let colors = palette(ui);
    let trouble = |task: &Task| matches!(task.state, TaskState::Failed | TaskState::Rejected);
    let numbers = jobs.rows();
    if numbers.is_empty() {
        ui.add_space(30.0);
        widgets::empty(
            ui,
            "No image to list",
            "Images appear as nodes work on them",
        );
        return;
    }
    let table = TableBuilder::new(ui)
        .id_salt("tasks")
        .striped(true)
        .auto_shrink(false)
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::remainder().at_least(120.0).clip(true))
        .column(Column::exact(84.0))
        .column(Column::exact(70.0))
        .column(Column::exact(64.0))
        .column(Column::initial(110.0).clip(true));
    table
        .header(22.0, |mut header| {
            for name in ["Image", "State", "Time", "Attempt", "Node"] {
                header.col(|ui| drop(widgets::small(ui, name)));
            }
        })
        .body(|body| {
            body.rows(26.0, numbers.len(), |mut row| {
                let Some(task) = numbers.get(row.index()).and_then(|n| jobs.tasks.get(n)) else {
                    return;
                };
                row.col(|ui| {
                    let name = match task.reason.is_empty() {
                        true => RichText::new(&task.input),
                        false => RichText::new(format!("{} — {}", task.input, task.reason))
                            .color(colors.bad),
                    };
                    ui.add(Label::new(name).truncate().show_tooltip_when_elided(true));
                });
                row.col(|ui| {
                    let color = if trouble(task) {
                        colors.bad
                    } else {
                        colors.weak
                    };
                    ui.label(RichText::new(task.state.name()).small().color(color));
                });
                row.col(|ui| {
                    let ms = task
                        .ms
                        .map_or(String::new(), |ms| text::time(ms as f64 / 1e3));
                    widgets::small(ui, ms);
                });
                row.col(|ui| drop(widgets::small(ui, task.attempt.to_string())));
                row.col(|ui| {
                    drop(ui.add(Label::new(RichText::new(&task.node).small()).truncate()))
                });
            });
        });
}

fn links(ui: &mut Ui, scene: &mut Scene<'_>) {
    let Some(results) = &scene.state.jobs.results else {
        return;
    };
    ui.horizontal(|ui| {
        widgets::weak(ui, text::count(results.results.len(), "link"));
        if ui
            .button("Renew")
            .on_hover_text("Ask for links that live for another hour")
            .clicked()
        {
            scene
                .commands
                .push(Command::Jobs(Ask::Results(results.job.clone())));
        }
        if ui.button("Back to the images").clicked() {
            scene.commands.push(Command::CloseLinks);
        }
    });
    let rows = results.results.len();
    ScrollArea::vertical()
        .id_salt("links")
        .auto_shrink(false)
        .show_rows(ui, 30.0, rows, |ui, range| {
            for row in range {
                let output = &results.results[row];
                ui.horizontal(|ui| {
                    ui.set_min_height(28.0);
                    let copy = ui.button("Copy link");
                    if copy.clicked() {
                        ui.ctx().copy_text(output.url.clone());
                    }
                    let until = output.expires.as_deref().map_or("no end".to_owned(), |e| {
                        format!("until {} UTC", e.get(..16).unwrap_or(e).replace('T', " "))
                    });
                    widgets::small(ui, until);
                    let size = output.bytes.map_or(String::new(), text::bytes);
                    ui.add(Label::new(text::harmless(&output.output)).truncate());
                    widgets::small(ui, size);
                });
            }
        });
}
