//! The images of the job that is chosen.

use crate::command::Command;
use crate::panels::{Scene, widgets};
use crate::state::jobs::{Task, Tasks, Which};
use crate::text;
use crate::theme::palette;
use eframe::egui::{Align, Label, Layout, RichText, Role, TextEdit, Ui, WidgetInfo};
use egui_extras::{Column, TableBuilder};
use protocol::state::TaskState;

/// Which images are listed.
fn filter(ui: &mut Ui, tasks: &Tasks, commands: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        let mut typed = tasks.filter.clone();
        let field = TextEdit::singleline(&mut typed)
            .hint_text("Filter names and reasons")
            .desired_width(190.0);
        let response = ui.add(field);
        response.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Filter images"));
        if response.changed() {
            commands.push(Command::ListTasks(tasks.which, typed));
        }
        for (which, name) in Which::ALL {
            let name = match (which, tasks.failed()) {
                (Which::Failed, failed) if failed > 0 => {
                    format!("{name} {}", text::grouped(failed))
                }
                _ => name.to_owned(),
            };
            if ui.selectable_label(tasks.which == which, name).clicked() {
                commands.push(Command::ListTasks(which, tasks.filter.clone()));
            }
        }
        let listed = tasks.rows().len();
        if listed != tasks.all.len() {
            widgets::small(ui, format!("{} listed", text::grouped(listed)));
        }
    });
}

/// The table.
pub(super) fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let tasks = &scene.state.jobs.tasks;
    filter(ui, tasks, scene.commands);
    let colors = palette(ui);
    let trouble = |task: &Task| matches!(task.state, TaskState::Failed | TaskState::Rejected);
    let numbers = tasks.rows();
    if numbers.is_empty() {
        ui.add_space(30.0);
        let way = match tasks.all.is_empty() {
            true => "Images appear as nodes work on them",
            false => "No image is in that state or has that text",
        };
        widgets::empty(ui, "No image to list", way);
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
                let Some(task) = numbers.get(row.index()).and_then(|n| tasks.all.get(n)) else {
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
