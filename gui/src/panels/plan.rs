//! What Start would do, before it does it.

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::run::{Made, Plan, Planned};
use crate::text;
use crate::theme::palette;
use eframe::egui::{self, Align, Label, Layout, RichText, ScrollArea, Ui, vec2};

/// The plan, over the window.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    if matches!(scene.state.plan, Plan::None) {
        return;
    }
    let answer = widgets::modal(ui, "plan").show(ui.ctx(), |ui| {
        let height = (ui.ctx().content_rect().height() - 140.0).clamp(200.0, 560.0);
        ui.set_width((ui.ctx().content_rect().width() - 120.0).clamp(320.0, 760.0));
        widgets::title(ui, "Plan", |ui| {
            if widgets::bare_sign(ui, "×", "Close the plan", true).clicked() {
                scene.commands.push(Command::ClosePlan);
            }
        });
        match &scene.state.plan {
            Plan::None => {}
            Plan::Making => {
                ui.horizontal(|ui| {
                    ui.spinner();
                    ui.label("Reading headers and looking at outputs…");
                });
            }
            Plan::Refused(why) => refused(ui, scene, why),
            Plan::Made(made) => self::made(ui, scene, made, height),
        }
    });
    if answer.should_close() {
        scene.ask(Command::ClosePlan);
    }
}

fn refused(ui: &mut Ui, scene: &mut Scene<'_>, why: &str) {
    let colors = palette(ui);
    ui.label(
        RichText::new("Nothing would be done")
            .color(colors.bad)
            .strong(),
    );
    ui.add(Label::new(why).wrap());
    ui.add_space(8.0);
    ui.horizontal(|ui| {
        // The planner names this way out where two inputs come to one output.
        if why.contains("would both be") && ui.button("Give the later ones numbers").clicked() {
            scene.commands.push(Command::Setup(Box::new(|job| {
                job.on_clash = protocol::job::OnClash::Number;
            })));
            scene.commands.push(Command::Plan);
        }
    });
}

fn made(ui: &mut Ui, scene: &mut Scene<'_>, made: &Made, height: f32) {
    let colors = palette(ui);
    let good = made.tasks as usize - made.failing;
    ui.horizontal_wrapped(|ui| {
        widgets::chip(ui, &text::count(good, "output"), colors.good);
        if made.failing > 0 {
            widgets::chip(
                ui,
                &format!("{} would fail", text::grouped(made.failing)),
                colors.bad,
            );
        }
        if made.warnings > 0 {
            widgets::chip(ui, &text::count(made.warnings, "warning"), colors.warn);
        }
    });
    let mut facts = vec![format!(
        "{} at once on {}, with {} of memory",
        text::count(made.in_flight, "image"),
        text::count(made.threads, "thread"),
        text::bytes(made.memory)
    )];
    if let Some(limit) = made.limit {
        facts.push(format!("the cap is {}", text::bytes(limit)));
    }
    if made.passed_over > 0 {
        facts.push(format!(
            "{} passed over",
            text::count(made.passed_over as usize, "file")
        ));
    }
    if let Some(secs) = scene.state.estimate(made.threads) {
        facts.push(format!(
            "about {}, as the previewed image took",
            text::time(secs)
        ));
    }
    widgets::weak(ui, facts.join("; "));
    ui.add_space(4.0);
    let rows = made.listed.len();
    ScrollArea::vertical()
        .max_height(height - 150.0)
        .auto_shrink([false, true])
        .show_rows(ui, 40.0, rows, |ui, range| {
            for row in range {
                task(ui, &made.listed[row]);
            }
        });
    if (made.tasks as usize) > rows {
        widgets::small(
            ui,
            format!("and {} more", text::grouped(made.tasks as usize - rows)),
        );
    }
    ui.add_space(8.0);
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let start = ui.add_enabled(good > 0, crate::theme::primary(ui, "Start now"));
        if start.clicked() {
            scene.commands.push(Command::Start);
        }
        if ui.button("Close").clicked() {
            scene.commands.push(Command::ClosePlan);
        }
    });
}

fn task(ui: &mut Ui, task: &Planned) {
    let colors = palette(ui);
    ui.allocate_ui(vec2(ui.available_width(), 40.0), |ui| {
        ui.set_min_height(36.0);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            let (line, color) = match &task.outcome {
                Ok(output) => (format!("→ {output}"), colors.weak),
                Err(why) => (why.clone(), colors.bad),
            };
            ui.add(Label::new(&task.input).truncate());
            let more = match task.warnings.first() {
                Some(warning) => format!("{line}   ! {}", text::harmless(warning)),
                None => line,
            };
            let line = RichText::new(more).small().color(color);
            let shown = ui.add(Label::new(line).truncate());
            if !task.mode.is_empty() {
                shown.on_hover_text(egui::RichText::new(&task.mode));
            }
        });
    });
}
