//! The bar at the bottom: where results go, in which format, and Start.

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::jobs::Target;
use crate::text;
use crate::theme::{palette, primary};
use crate::work::dialogs::Purpose;
use eframe::egui::{
    self, Align, Button, Checkbox, ComboBox, DragValue, Frame, Layout, Margin, Panel,
    PopupCloseBehavior, ProgressBar, RichText, Role, TextEdit, Ui, WidgetInfo, vec2,
};
use imaging::codec::Format;
use protocol::job::{KeepMetadata, OnClash, Priority};

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
        let told = format!("{}{left}{held}", run.summary());
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
    more.ui(ui, |ui| options(ui, scene))
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

/// The rest of the job.
fn options(ui: &mut Ui, scene: &mut Scene<'_>) {
    ui.set_min_width(300.0);
    let base = &scene.state.setup.base;
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut set =
        |change: Box<dyn FnOnce(&mut protocol::Job)>| scene.commands.push(Command::Setup(change));
    widgets::small(ui, "How it runs");
    ui.horizontal(|ui| {
        let mut threads = base.threads.unwrap_or(cores);
        let drag = ui.add(DragValue::new(&mut threads).range(1..=256));
        drag.widget_info(|| WidgetInfo::slider(true, threads as f64, "Threads"));
        if drag.changed() {
            set(Box::new(move |job| job.threads = Some(threads)));
        }
        ui.label("threads");
        let mut ranks = base.ranks.unwrap_or(0);
        let drag = ui.add(DragValue::new(&mut ranks).range(0..=256));
        drag.widget_info(|| WidgetInfo::slider(true, ranks as f64, "Ranks"));
        if drag
            .on_hover_text("Ranks of mpirun; 0: none, threads alone")
            .changed()
        {
            set(Box::new(move |job| {
                job.ranks = Some(ranks).filter(|r| *r > 0)
            }));
        }
        ui.label("ranks of mpirun");
    });
    ui.horizontal(|ui| {
        let mut cap = base.limits.memory.map_or(0, |size| size.0 >> 20);
        let drag = ui.add(
            DragValue::new(&mut cap)
                .range(0..=1_048_576)
                .speed(16.0)
                .suffix(" MiB"),
        );
        drag.widget_info(|| WidgetInfo::slider(true, cap as f64, "Memory cap"));
        if drag.changed() {
            set(Box::new(move |job| {
                job.limits.memory = Some(protocol::Size(cap << 20)).filter(|_| cap > 0)
            }));
        }
        ui.label("cap on memory; 0: none");
    });
    if scene.state.jobs.target != Target::Local {
        ui.horizontal(|ui| {
            ui.label("Priority of the job");
            let kinds = [
                (Priority::High, "high"),
                (Priority::Normal, "normal"),
                (Priority::Low, "low"),
            ];
            for (kind, name) in kinds {
                if ui
                    .selectable_label(base.schedule.priority == kind, name)
                    .clicked()
                {
                    set(Box::new(move |job| job.schedule.priority = kind));
                }
            }
        });
    }
    ui.separator();
    widgets::small(ui, "Results");
    let mut check = |ui: &mut Ui, now: bool, text: &str, change: fn(&mut protocol::Job, bool)| {
        let mut now = now;
        if ui.add(Checkbox::new(&mut now, text)).changed() {
            set(Box::new(move |job| change(job, now)));
        }
    };
    check(
        ui,
        base.on_clash == OnClash::Number,
        "Numbers where two results have one name",
        |job, on| {
            job.on_clash = if on { OnClash::Number } else { OnClash::Refuse };
        },
    );
    check(
        ui,
        base.skip_existing,
        "Leave results that exist alone",
        |job, on| job.skip_existing = on,
    );
    check(
        ui,
        base.keep_times,
        "Results get the times of their inputs",
        |job, on| job.keep_times = on,
    );
    check(ui, base.strict, "A warning is a failure", |job, on| {
        job.strict = on
    });
    ui.horizontal(|ui| {
        ui.label("Metadata");
        let kinds = [
            (KeepMetadata::All, "all"),
            (KeepMetadata::Web, "for the web"),
            (KeepMetadata::Icc, "colours"),
            (KeepMetadata::None, "none"),
        ];
        for (kind, name) in kinds {
            if ui
                .selectable_label(base.keep_metadata == kind, name)
                .clicked()
            {
                set(Box::new(move |job| job.keep_metadata = kind));
            }
        }
    });
    ui.horizontal(|ui| {
        ui.label("Names");
        let mut names = base.names.clone().unwrap_or_default();
        let field = TextEdit::singleline(&mut names)
            .hint_text("{dir}{stem}.{ext}")
            .desired_width(220.0);
        let response = ui.add(field);
        response.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Names of results"));
        if response
            .on_hover_text(
                "{dir} {stem} {ext} {name} {format} {page} {index} {width} {height} {hash8}",
            )
            .changed()
        {
            set(Box::new(move |job| {
                job.names = Some(names).filter(|n| !n.trim().is_empty())
            }));
        }
    });
}
