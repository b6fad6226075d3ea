//! The menu of presets.

use super::Scene;
use crate::command::Command;
use eframe::egui::{self, Button, Id, TextEdit, Ui};

/// Those that are shipped, the user's own, and a name under which what is composed is kept.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    ui.set_min_width(240.0);
    let mut own = false;
    for (number, preset) in scene.presets.all.iter().enumerate() {
        if preset.own && !own {
            own = true;
            ui.separator();
        }
        let text = preset.job.pipeline.to_value();
        let text = text.as_str().unwrap_or_default().to_owned();
        if ui
            .button(crate::text::harmless(&preset.name))
            .on_hover_text(text)
            .clicked()
        {
            scene.commands.push(Command::Preset(number));
            ui.close();
        }
    }
    ui.separator();
    let id = Id::unique("preset name");
    let mut name: String = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    ui.horizontal(|ui| {
        // Field and button are to look like such; menus have none.
        ui.reset_style();
        let field = TextEdit::singleline(&mut name)
            .hint_text("Name of a new one")
            .desired_width(150.0);
        let response = ui.add(field).on_hover_text("Name of the new preset");
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Name of the new preset")
        });
        if ui
            .add_enabled(!name.trim().is_empty(), Button::new("Keep"))
            .clicked()
        {
            scene
                .commands
                .push(Command::KeepPreset(std::mem::take(&mut name)));
            ui.close();
        }
    });
    ui.data_mut(|data| data.insert_temp(id, name));
}
