//! The table of files: thumbnail, name with format or trouble, size in pixels and bytes.

mod add;
mod row;

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::files::{Key, Show};
use crate::text;
use crate::theme::palette;
use crate::work::dialogs::Purpose;
use eframe::egui::{self, Align, Button, Layout, RichText, Sense, TextEdit, Ui, vec2};
use egui_extras::{Column, TableBuilder};

const ROW: f32 = 42.0;

/// The panel.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let state = scene.state;
    widgets::title(ui, "Files", |ui| {
        ui.menu_button("⋯", |ui| add::more(ui, scene))
            .response
            .on_hover_text("More about the list");
        ui.menu_button("Path…", |ui| add::typed(ui, scene))
            .response
            .on_hover_text("Add what a path names, or an address in S3 or Google Cloud Storage");
        if ui
            .button("Folder…")
            .on_hover_text("Add folders with all that is in them")
            .clicked()
        {
            scene.ask(Command::Ask(Purpose::Folder));
        }
        if ui.button("Files…").on_hover_text("Add images").clicked() {
            scene.ask(Command::Ask(Purpose::Files));
        }
    });
    if state.files.entries.is_empty() {
        nothing(ui, scene);
        return;
    }
    filter(ui, scene);
    ui.add_space(2.0);
    let foot = 22.0;
    let height = (ui.available_height() - foot).max(60.0);
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), height),
        Layout::top_down(Align::Min),
        |ui| {
            ui.set_min_height(height);
            table(ui, scene, height);
        },
    );
    widgets::small(ui, summary(scene));
}

fn nothing(ui: &mut Ui, scene: &mut Scene<'_>) {
    ui.add_space(ui.available_height() * 0.26);
    if scene.state.searching > 0 {
        ui.vertical_centered(|ui| {
            ui.spinner();
            ui.label("Searching for images…");
        });
        return;
    }
    widgets::empty(
        ui,
        "Drop images or folders here",
        "or add them with the buttons above",
    );
    ui.add_space(10.0);
    ui.vertical_centered(|ui| {
        if ui.add(crate::theme::primary(ui, "Add images")).clicked() {
            scene.ask(Command::Ask(Purpose::Files));
        }
    });
}

fn filter(ui: &mut Ui, scene: &mut Scene<'_>) {
    let state = scene.state;
    ui.horizontal(|ui| {
        let trouble = match state.files.trouble {
            0 => "Trouble".to_owned(),
            n => format!("Trouble {}", text::grouped(n)),
        };
        let kinds = [
            (Show::All, "All".to_owned()),
            (Show::Trouble, trouble),
            (Show::Done, "Done".to_owned()),
        ];
        let width = (ui.available_width() - 190.0).max(80.0);
        let mut wanted = state.files.filter.clone();
        let edit = TextEdit::singleline(&mut wanted)
            .hint_text("Filter names")
            .desired_width(width);
        let response = ui.add(edit).on_hover_text("Filter files by name");
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Filter files by name")
        });
        if response.changed() {
            scene.commands.push(Command::Filter(wanted));
        }
        for (kind, name) in kinds {
            if ui
                .selectable_label(state.files.show == kind, name)
                .clicked()
            {
                scene.commands.push(Command::Show(kind));
            }
        }
    });
}

fn summary(scene: &Scene<'_>) -> String {
    let files = &scene.state.files;
    let mut summary = text::count(files.entries.len(), "file");
    if files.view.len() != files.entries.len() {
        summary += &format!(", {} listed", text::grouped(files.view.len()));
    }
    if files.selected.len() > 1 {
        summary += &format!(", {} selected", text::grouped(files.selected.len()));
    }
    if scene.state.searching > 0 {
        summary += ", searching…";
    } else if files.pixels.0 > 0 {
        summary += &format!(", {:.1} megapixels", files.pixels.0 as f64 / 1e6);
    }
    summary
}

fn table(ui: &mut Ui, scene: &mut Scene<'_>, height: f32) {
    let state = scene.state;
    let rows = state.files.view.len();
    let mut seen = Vec::with_capacity(32);
    let target = state.files.current;
    let follow = ui.data_mut(|data| {
        let last = data.get_temp_mut_or_default::<Option<u64>>(egui::Id::unique("followed"));
        std::mem::replace(last, target) != target
    });
    let mut builder = TableBuilder::new(ui)
        .id_salt("files")
        .sense(Sense::click())
        .cell_layout(Layout::left_to_right(Align::Center))
        .auto_shrink(false)
        .max_scroll_height(height)
        .min_scrolled_height(40.0)
        .column(Column::exact(48.0))
        .column(Column::remainder().at_least(90.0).clip(true))
        .column(Column::exact(84.0))
        .column(Column::exact(58.0));
    if follow && let Some(row) = row_of(scene) {
        builder = builder.scroll_to_row(row, None);
    }
    let table = builder.header(24.0, |mut header| {
        header.col(|_| {});
        for (key, name, right) in [
            (Key::Name, "Name", false),
            (Key::Pixels, "Pixels", true),
            (Key::Size, "Size", true),
        ] {
            header.col(|ui| head(ui, scene, key, name, right));
        }
    });
    table.body(|body| {
        body.rows(ROW, rows, |mut line| {
            let index = line.index();
            let Some(entry) = state.files.row(index) else {
                return;
            };
            seen.push(entry.id);
            line.set_selected(state.files.selected.contains(&entry.id) || target == Some(entry.id));
            line.col(|ui| row::picture(ui, scene, entry));
            line.col(|ui| row::name(ui, entry));
            line.col(|ui| row::right(ui, &row::pixels(entry)));
            line.col(|ui| row::right(ui, &text::bytes(entry.bytes)));
            let response = line.response();
            response.widget_info(|| {
                let selected = state.files.selected.contains(&entry.id);
                egui::WidgetInfo::selected(egui::Role::ListBoxOption, true, selected, &entry.shown)
            });
            if response.clicked() {
                let held = response.ctx.input(|i| i.modifiers);
                scene.commands.push(Command::Click {
                    row: index,
                    toggle: held.command,
                    range: held.shift,
                });
            }
        });
    });
    scene.ask(Command::InSight(seen));
}

/// The row of the file that the preview shows; looked for only when that changes.
fn row_of(scene: &Scene<'_>) -> Option<usize> {
    let files = &scene.state.files;
    let at = files.position(files.current?)?;
    files.view.iter().position(|v| *v as usize == at)
}

fn head(ui: &mut Ui, scene: &mut Scene<'_>, key: Key, name: &str, right: bool) {
    let (by, backwards) = scene.state.files.sort;
    let sign = match (by == key, backwards) {
        (false, _) => "",
        (true, false) => " ▲",
        (true, true) => " ▼",
    };
    let text = RichText::new(format!("{name}{sign}"))
        .small()
        .color(palette(ui).weak);
    let layout = if right {
        Layout::right_to_left(Align::Center)
    } else {
        Layout::left_to_right(Align::Center)
    };
    ui.with_layout(layout, |ui| {
        let button = Button::new(text).frame(false);
        if ui
            .add(button)
            .on_hover_text(format!("Sort by {}", name.to_lowercase()))
            .clicked()
        {
            scene.ask(Command::Sort(key));
        }
    });
}
