//! The table of files: thumbnail, name with format or trouble, size in pixels and bytes.

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::files::{Entry, Info, Key, Progress, Show};
use crate::text;
use crate::theme::palette;
use crate::work::dialogs::Purpose;
use eframe::egui::{self, Align, Button, Image, Layout, RichText, Sense, TextEdit, Ui, vec2};
use egui_extras::{Column, TableBuilder};

const ROW: f32 = 42.0;

/// The panel.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let state = scene.state;
    widgets::title(ui, "Files", |ui| {
        ui.menu_button("⋯", |ui| more(ui, scene))
            .response
            .on_hover_text("More about the list");
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

fn more(ui: &mut Ui, scene: &mut Scene<'_>) {
    let selected = scene.state.files.selected.len();
    let mut item = |ui: &mut Ui, enabled, text: &str, command: fn() -> Command| {
        if ui.add_enabled(enabled, Button::new(text)).clicked() {
            scene.commands.push(command());
            ui.close();
        }
    };
    item(ui, true, "Open a job file…", || {
        Command::Ask(Purpose::OpenJob)
    });
    item(ui, true, "Save the job file…", || {
        Command::Ask(Purpose::SaveJob)
    });
    ui.separator();
    item(ui, true, "Sort as added", || Command::Sort(Key::Added));
    item(ui, true, "Sort by format", || Command::Sort(Key::Format));
    item(ui, true, "Sort by state", || Command::Sort(Key::State));
    ui.separator();
    item(ui, true, "Select all", || Command::SelectAll);
    item(ui, selected > 0, "Take selected out", || {
        Command::RemoveSelected
    });
    item(ui, true, "Take all out", || Command::Clear);
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
        body.rows(ROW, rows, |mut row| {
            let index = row.index();
            let Some(entry) = state.files.row(index) else {
                return;
            };
            seen.push(entry.id);
            row.set_selected(state.files.selected.contains(&entry.id) || target == Some(entry.id));
            row.col(|ui| picture(ui, scene, entry));
            row.col(|ui| name(ui, entry));
            row.col(|ui| right(ui, &pixels(entry)));
            row.col(|ui| right(ui, &text::bytes(entry.bytes)));
            let response = row.response();
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

fn picture(ui: &mut Ui, scene: &Scene<'_>, entry: &Entry) {
    let (rect, _) = ui.allocate_exact_size(vec2(44.0, ROW - 6.0), Sense::hover());
    match scene.thumbs.get(entry.id) {
        Some(texture) => {
            let size = texture.size_vec2();
            let scale = (rect.width() / size.x).min(rect.height() / size.y);
            let place = egui::Rect::from_center_size(rect.center(), size * scale);
            Image::new(texture).corner_radius(3).paint_at(ui, place);
        }
        None => {
            let colors = palette(ui);
            let (sign, color) = match &entry.info {
                Info::Broken(_) => ("!", colors.bad),
                _ if scene.thumbs.has_none(entry.id) => ("▣", colors.weak),
                _ => ("·", colors.weak),
            };
            let font = egui::FontId::proportional(16.0);
            ui.painter()
                .rect_filled(rect.shrink2(vec2(4.0, 2.0)), 3.0, colors.well);
            ui.painter().text(
                rect.center(),
                egui::Align2::CENTER_CENTER,
                sign,
                font,
                color,
            );
        }
    }
}

fn name(ui: &mut Ui, entry: &Entry) {
    let colors = palette(ui);
    let (line, color) = match (&entry.info, &entry.progress) {
        (Info::Broken(why), _) => (text::harmless(why).into_owned(), colors.bad),
        (_, Progress::Failed(why)) => (why.clone(), colors.bad),
        (_, Progress::Running) => ("being worked on…".into(), colors.accent),
        (Info::Ready(header), progress) => {
            let pages = match header.pages {
                0 | 1 => String::new(),
                n => format!(", {n} pages"),
            };
            match progress {
                Progress::Done => (format!("{}{pages} · done", header.format), colors.good),
                _ => (format!("{}{pages}", header.format), colors.weak),
            }
        }
        (Info::Unread, _) => ("…".into(), colors.weak),
    };
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.add_space(3.0);
        ui.add(
            egui::Label::new(&entry.shown)
                .truncate()
                .selectable(false)
                .show_tooltip_when_elided(true),
        );
        let line = RichText::new(line).small().color(color);
        ui.add(
            egui::Label::new(line)
                .truncate()
                .selectable(false)
                .show_tooltip_when_elided(true),
        );
    });
}

fn pixels(entry: &Entry) -> String {
    match &entry.info {
        Info::Ready(h) => format!("{} × {}", h.width, h.height),
        _ => String::new(),
    }
}

fn right(ui: &mut Ui, text: &str) {
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let text = RichText::new(text).small();
        ui.add(egui::Label::new(text).truncate().selectable(false));
    });
}
