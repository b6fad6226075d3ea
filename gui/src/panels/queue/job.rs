//! The job that is chosen: how far it is and what can be done with it; below, its images or its results.

use super::{links, progress, said, tasks};
use crate::command::Command;
use crate::panels::{Scene, widgets};
use crate::text;
use crate::theme::palette;
use crate::work::jobs::Ask;
use client::Status;
use eframe::egui::{Button, Ui};
use protocol::state::JobState;

/// The job that is chosen.
pub(super) fn show(ui: &mut Ui, scene: &mut Scene<'_>, status: &Status) {
    let colors = palette(ui);
    let id = status.job.clone();
    let name = if status.name.is_empty() {
        &status.job
    } else {
        &status.name
    };
    let over = status.state.is_final();
    widgets::title(ui, &text::harmless(name), |ui| {
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
    });
    ui.horizontal(|ui| {
        let any = status.counts.succeeded > 0;
        let links = ui.add_enabled(any, Button::new("Results and links"));
        if links
            .on_hover_text("Its outputs, each with a link and its end")
            .clicked()
        {
            scene
                .commands
                .push(Command::Jobs(Ask::Links(id.clone(), None)));
        }
        let verify = ui.add_enabled(over && any, Button::new("Verify"));
        if verify
            .on_hover_text("Fetch its outputs and compare them with the hashes of their receipts")
            .clicked()
        {
            scene.commands.push(Command::Jobs(Ask::Verify(id.clone())));
        }
        match &scene.state.jobs.verified {
            Some((job, Ok(told))) if *job == status.job => {
                drop(widgets::chip(ui, told, colors.good));
            }
            Some((job, Err(why))) if *job == status.job => {
                drop(widgets::chip(ui, &text::harmless(why), colors.bad));
            }
            _ => {}
        }
    });
    ui.horizontal(|ui| {
        let (color, state) = said(status.state, colors);
        widgets::chip(ui, state, color);
        let pace = scene.state.jobs.pace(&status.job);
        if status.state == JobState::Running && pace > 0.0 {
            let size = scene.state.jobs.sizes.get(&status.job);
            let pixels = size.map_or(String::new(), |size| {
                format!(", {:.1} megapixels", pace * size)
            });
            widgets::weak(ui, format!("{pace:.1} images{pixels} a second"));
        }
        widgets::small(ui, &status.job);
        if status.warnings > 0 {
            widgets::chip(
                ui,
                &text::count(status.warnings as usize, "warning"),
                colors.warn,
            );
        }
    });
    ui.add_space(2.0);
    progress(ui, &scene.state.jobs, status);
    ui.add_space(4.0);
    match &scene.state.jobs.links {
        Some(page) if page.job == status.job => links::show(ui, scene, page),
        _ => tasks::show(ui, scene),
    }
}
