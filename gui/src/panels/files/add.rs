//! What is typed to come into the list, and the menu of the list.

use crate::command::Command;
use crate::dropped::named;
use crate::panels::{Scene, widgets};
use crate::state::files::Key;
use crate::work::dialogs::Purpose;
use eframe::egui::{self, Button, TextEdit, Ui};

/// A path, or the address of objects in a store, that is typed.
pub(super) fn typed(ui: &mut Ui, scene: &mut Scene<'_>) {
    ui.set_width(330.0);
    // Fields and buttons are to look like such; menus have none.
    ui.reset_style();
    widgets::small(
        ui,
        "A file or folder, or an object, a prefix or a pattern in a store",
    );
    let mut typed = scene.state.typed.clone();
    let field = TextEdit::singleline(&mut typed)
        .hint_text("/photos, s3://bucket/photos/ or gs://bucket/raw/*.jpg")
        .desired_width(f32::INFINITY);
    let response = ui.add(field);
    response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Path or address"));
    let entered = response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
    if response.changed() {
        scene.ask(Command::Typed(typed.clone()));
    }
    let path = named(&typed);
    let add = ui.add_enabled(path.is_some(), Button::new("Add what is there"));
    let add = add.on_disabled_hover_text("It begins with /, ~/, s3:// or gs://");
    if let Some(path) = path
        && (add.clicked() || entered)
    {
        scene.ask(Command::Add(vec![path]));
        scene.ask(Command::Typed(String::new()));
        ui.close();
    }
    widgets::small(
        ui,
        "Credentials of stores are those of the environment, as for sundog run",
    );
}

/// The menu.
pub(super) fn more(ui: &mut Ui, scene: &mut Scene<'_>) {
    let selected = scene.state.files.selected.len();
    let mut far = scene.state.far;
    let check = ui
        .checkbox(&mut far, "Thumbnails of what lies in stores")
        .on_hover_text("What is in sight is fetched for them, up to 16 MB each");
    if check.changed() {
        scene.ask(Command::Far(far));
    }
    ui.separator();
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
