//! The rest of the job: how it runs, and what results are called and keep.

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::jobs::Target;
use eframe::egui::{Checkbox, DragValue, Role, TextEdit, Ui, WidgetInfo};
use protocol::job::{KeepMetadata, OnClash, Priority};

/// The rest of the job.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    ui.set_min_width(300.0);
    // Fields are to look like such; menus have none.
    ui.reset_style();
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
