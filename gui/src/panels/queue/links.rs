//! Links to the results of the job that is chosen, each with its end.

use crate::command::Command;
use crate::panels::{Scene, widgets};
use crate::state::inspect::Subject;
use crate::state::jobs::{Links, Until, until};
use crate::text;
use crate::theme::{Palette, palette};
use eframe::egui::{Button, Color32, Label, RichText, Role, ScrollArea, Ui, WidgetInfo};
use jiff::Timestamp;
use std::time::Duration;

/// Seconds before its end from which on a link should be renewed.
const SOON: i64 = 300;

/// In words, with its colour.
fn told(until: Until, colors: Palette) -> (String, Color32) {
    match until {
        Until::Always => ("no end".into(), colors.weak),
        Until::Unknown => ("its end is not known".into(), colors.warn),
        Until::Over => ("ended".into(), colors.bad),
        Until::Left(secs) => {
            let color = if secs < SOON {
                colors.warn
            } else {
                colors.weak
            };
            let left = match secs {
                s if s < 60 => format!("{s} s left"),
                s if s < 3600 => format!("{} min left", s / 60),
                s => format!("{} h {:02} min left", s / 3600, s % 3600 / 60),
            };
            (left, color)
        }
    }
}

/// The list.
pub(super) fn show(ui: &mut Ui, scene: &mut Scene<'_>, page: &Links) {
    let now = Timestamp::now();
    let colors = palette(ui);
    let first = page.until(now);
    if let Until::Left(secs) = first {
        // What is told moves on by itself.
        let next = if secs < 60 { 1 } else { 15 };
        ui.ctx().request_repaint_after(Duration::from_secs(next));
    }
    ui.horizontal(|ui| {
        if ui.button("Back to the images").clicked() {
            scene.commands.push(Command::CloseLinks);
        }
        let renew = ui.add_enabled(!page.renewing, Button::new("Renew links"));
        if renew
            .on_hover_text("Ask for links that live for another hour")
            .clicked()
        {
            scene.commands.push(Command::RenewLinks);
        }
        let back = ui.add_enabled(
            !page.before.is_empty() && !page.renewing,
            Button::new("Before"),
        );
        if back.on_hover_text("The results before these").clicked() {
            scene.commands.push(Command::TurnLinks(false));
        }
        let on = ui.add_enabled(page.next.is_some() && !page.renewing, Button::new("Next"));
        if on.on_hover_text("The results behind these").clicked() {
            scene.commands.push(Command::TurnLinks(true));
        }
        let chosen = page.chosen.len();
        let fetch = ui.add_enabled(chosen > 0, Button::new("Download chosen"));
        if fetch
            .on_hover_text(
                "Into the folder for results; what is there already is not fetched again",
            )
            .clicked()
        {
            scene.commands.push(Command::DownloadChosen);
        }
        let count = text::count(page.outputs.len(), "link");
        widgets::weak(
            ui,
            match chosen {
                0 => count,
                n => format!("{count}, {} chosen", text::grouped(n)),
            },
        );
        let (told, color) = told(first, colors);
        match first {
            Until::Over => {
                let told = "These links have ended: renew them";
                drop(widgets::chip(ui, told, color));
            }
            Until::Left(_) => drop(widgets::chip(ui, &told, color)),
            Until::Always | Until::Unknown => {}
        }
    });
    if page.outputs.is_empty() {
        ui.add_space(30.0);
        widgets::empty(
            ui,
            "No result yet",
            "Links appear as images are done; renew to look again",
        );
        return;
    }
    ScrollArea::vertical()
        .id_salt("links")
        .auto_shrink(false)
        .show_rows(ui, 30.0, page.outputs.len(), |ui, range| {
            for row in range {
                link(ui, scene, page, row, now);
            }
        });
}

fn link(ui: &mut Ui, scene: &mut Scene<'_>, page: &Links, row: usize, now: Timestamp) {
    let output = &page.outputs[row];
    let colors = palette(ui);
    let until = until(output, now);
    ui.horizontal(|ui| {
        ui.set_min_height(28.0);
        let key = (output.task, output.page);
        let mut chosen = page.chosen.contains(&key);
        let name = text::harmless(&output.output).into_owned();
        let check = ui.checkbox(&mut chosen, "");
        check.widget_info(|| {
            WidgetInfo::selected(Role::CheckBox, true, chosen, format!("Choose {name}"))
        });
        if check.changed() {
            scene.commands.push(Command::ChooseOutput(key, chosen));
        }
        let copy = ui.add_enabled(until != Until::Over, Button::new("Copy link"));
        if copy
            .on_disabled_hover_text("It has ended: renew the links")
            .clicked()
        {
            ui.ctx().copy_text(output.url.clone());
        }
        let look = ui.button("Compare");
        if look
            .on_hover_text("Fetch it and its input, and look at both with the receipt")
            .clicked()
        {
            scene.commands.push(Command::InspectOutput(Subject::Output {
                job: page.job.clone(),
                output: Box::new(output.clone()),
            }));
        }
        let (left, color) = told(until, colors);
        let until = match output.expires.as_deref() {
            Some(end) => format!("until {}, {left}", crate::state::record::when(end)),
            None => left,
        };
        ui.label(RichText::new(until).small().color(color));
        let size = output.bytes.map_or(String::new(), text::bytes);
        widgets::small(ui, size);
        ui.add(Label::new(name).truncate());
    });
}
