//! The bar at the bottom: where results go, in which format, and Start.

use super::{Scene, options, widgets};
use crate::command::Command;
use crate::state::jobs::Target;
use crate::text;
use crate::theme::{palette, primary};
use crate::work::dialogs::Purpose;
use eframe::egui::{
    self, Align, Button, ComboBox, Frame, Layout, Margin, Panel, PopupCloseBehavior, ProgressBar,
    RichText, Role, TextEdit, Ui, WidgetInfo, vec2,
};
use imaging::codec::Format;

/// The bar.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let frame = Frame::NONE
        .fill(palette(ui).card)
        .inner_margin(Margin::symmetric(12, 9));
    Panel::bottom("start").frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.set_min_height(32.0);
            match scene.state.run.active() {
                true => going(ui, scene),
                false => ready(ui, scene),
            }
        });
    });
}

fn going(ui: &mut Ui, scene: &mut Scene<'_>) {
    let run = &scene.state.run;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let stop =
            Button::new(RichText::new(if run.stopping { "Stopping…" } else { "Stop" }).strong());
        if ui
            .add_enabled(!run.stopping, stop.min_size(vec2(96.0, 30.0)))
            .clicked()
        {
            scene.commands.push(Command::Stop);
        }
        if run.can_pause {
            let paused = run.paused.is_some();
            let name = if paused { "Resume" } else { "Pause" };
            let button = Button::new(name).min_size(vec2(80.0, 30.0));
            let about = "Images that are being worked on come to their end; no other begins";
            let pause = ui.add_enabled(!run.stopping, button).on_hover_text(about);
            if pause.clicked() {
                scene.commands.push(Command::Pause(!paused));
            }
        }
        let left = run.left().map_or(String::new(), |secs| {
            format!(", about {} left", text::time(secs))
        });
        let held = if run.paused.is_some() { ", paused" } else { "" };
        let pace = run.pace().map_or(String::new(), |pace| {
            format!(", {pace:.1} megapixels a second")
        });
        let told = format!("{}{pace}{left}{held}", run.summary());
        let bar = ProgressBar::new(run.share())
            .text(&told)
            .desired_width(ui.available_width() - 6.0);
        let response = ui.add(bar);
        response.widget_info(|| {
            WidgetInfo::labeled(
                Role::ProgressIndicator,
                true,
                format!("Progress of the run: {told}"),
            )
        });
    });
}

fn ready(ui: &mut Ui, scene: &mut Scene<'_>) {
    let state = scene.state;
    widgets::weak(ui, "Results");
    let width = (ui.available_width() - 640.0).clamp(140.0, 520.0);
    let mut output = state.setup.output.clone();
    let field = TextEdit::singleline(&mut output)
        .hint_text("folder for the results")
        .desired_width(width);
    let response = ui.add(field);
    response.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Folder for the results"));
    if response
        .on_hover_text("A folder, which keeps the folders of the inputs; or a file for one image")
        .changed()
    {
        scene.ask(Command::Output(output));
    }
    if ui
        .button("Choose…")
        .on_hover_text("Choose the folder")
        .clicked()
    {
        scene.ask(Command::Ask(Purpose::Output));
    }
    ui.add_space(4.0);
    format(ui, scene);
    let config = egui::containers::menu::MenuConfig::new()
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    let more = egui::containers::menu::MenuButton::new("Options").config(config);
    more.ui(ui, |ui| options::show(ui, scene))
        .0
        .on_hover_text("Threads, memory, names, metadata");
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let job = state.ready();
        let local = state.jobs.target == Target::Local;
        let (name, about) = match local {
            true => ("Start", "Run this on this computer (Ctrl+Enter)"),
            false => ("Submit", "Upload the files and submit the job (Ctrl+Enter)"),
        };
        let start = ui.add_enabled(job.is_ok(), primary(ui, name));
        if start.on_hover_text(about).clicked() {
            scene.commands.push(Command::Start);
        }
        let plan = ui.add_enabled(job.is_ok(), Button::new("Plan").min_size(vec2(56.0, 30.0)));
        if plan.on_hover_text("What Start would do (Ctrl+P)").clicked() {
            scene.commands.push(Command::Plan);
        }
        if let Err(why) = &job {
            let text = RichText::new(why).small().color(palette(ui).weak);
            ui.add(egui::Label::new(text).truncate());
        }
    });
}

fn format(ui: &mut Ui, scene: &mut Scene<'_>) {
    let now = scene.state.setup.format.clone();
    let name = now.split('(').next().unwrap_or_default().trim().to_owned();
    let shown = if name.is_empty() {
        "as the input"
    } else {
        name.as_str()
    };
    let response = ComboBox::from_id_salt("format")
        .selected_text(shown)
        .width(104.0)
        .height(420.0)
        .show_ui(ui, |ui| {
            if ui
                .selectable_label(name.is_empty(), "as the input")
                .clicked()
            {
                scene.commands.push(Command::Format(String::new()));
            }
            for format in Format::all() {
                let kind = format.kind().name();
                if ui
                    .selectable_label(name == kind, kind)
                    .on_hover_text(format.kind().codec().title)
                    .clicked()
                {
                    scene.commands.push(Command::Format(format.to_string()));
                }
            }
        })
        .response;
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ComboBox, true, "Format of the results");
        info.current_text_value = Some(shown.to_owned());
        info
    });
    if now.contains('(') || Format::parse(&now).is_err() && !now.is_empty() {
        let mut edited = now.clone();
        let wrong = Format::parse(&now).err();
        let mut field = TextEdit::singleline(&mut edited)
            .desired_width(150.0)
            .code_editor();
        if wrong.is_some() {
            field = field.text_color(palette(ui).bad);
        }
        let response = ui.add(field);
        response
            .widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Format with its options"));
        let about = wrong.map_or_else(
            || "The format with its options".to_owned(),
            |e| e.to_string(),
        );
        if response.on_hover_text(about).changed() {
            scene.ask(Command::Format(edited));
        }
    }
}
