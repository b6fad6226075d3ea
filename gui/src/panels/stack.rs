//! One picture out of many, with a preview over a few of the files.

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::jobs::Target;
use crate::state::stack::{FEW, about};
use crate::text;
use crate::theme::{palette, primary};
use eframe::egui::{
    self, Align2, CentralPanel, ComboBox, Panel, Rect, RichText, Role, TextEdit, Ui, Vec2,
    WidgetInfo, vec2,
};
use protocol::job::{Bits, ReduceOp};

/// The part.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let frame = super::frame(ui);
    Panel::left("stack")
        .frame(frame)
        .exact_size(340.0)
        .show(ui, |ui| choices(ui, scene));
    CentralPanel::no_frame().show(ui, |ui| picture(ui, scene));
}

fn choices(ui: &mut Ui, scene: &mut Scene<'_>) {
    let state = scene.state;
    let colors = palette(ui);
    widgets::title(ui, "Stack", |_| {});
    let count = state.files.entries.len();
    widgets::weak(
        ui,
        format!(
            "One picture out of {} of the list",
            text::count(count, "file")
        ),
    );
    ui.add_space(6.0);
    for op in ReduceOp::ALL {
        let chosen = state.stack.op == op;
        widgets::card(ui, |ui| {
            ui.set_min_width(ui.available_width());
            if ui
                .radio(chosen, RichText::new(op.name()).strong())
                .clicked()
            {
                scene.commands.push(Command::Stack(op));
            }
            widgets::small(ui, about(op));
        });
    }
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        ui.label("Samples");
        let kinds = [
            (None, "as the inputs"),
            (Some(Bits::Eight), "8 bits"),
            (Some(Bits::Sixteen), "16 bits"),
            (Some(Bits::Float), "32-bit floats"),
        ];
        let name = kinds
            .iter()
            .find(|k| k.0 == state.stack.bits)
            .map_or("", |k| k.1);
        let response = ComboBox::from_id_salt("bits")
            .selected_text(name)
            .width(140.0)
            .show_ui(ui, |ui| {
                for (bits, name) in kinds {
                    if ui
                        .selectable_label(state.stack.bits == bits, name)
                        .clicked()
                    {
                        scene.commands.push(Command::StackBits(bits));
                    }
                }
            });
        response
            .response
            .widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "Samples of the result"));
    });
    let mut output = state.stack.output.clone();
    let field = TextEdit::singleline(&mut output)
        .hint_text("stacked.png, .tif, .npy or .csv")
        .desired_width(f32::INFINITY);
    let response = ui.add(field);
    response.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "File of the result"));
    if response.changed() {
        scene.ask(Command::StackOutput(output));
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        let ready = state.stack_job();
        let local = state.jobs.target == Target::Local;
        let (name, about) = match local {
            true => ("Stack them", "Make it on this computer"),
            false => ("Submit", "Upload the files and make it in the job system"),
        };
        let free = !local || !state.run.active();
        let start = ui.add_enabled(ready.is_ok() && free, primary(ui, name));
        if start.on_hover_text(about).clicked() {
            scene.commands.push(Command::StackStart);
        }
        if let Err(why) = ready {
            let told = RichText::new(why).small().color(colors.weak);
            ui.add(egui::Label::new(told).wrap());
        }
    });
}

fn picture(ui: &mut Ui, scene: &mut Scene<'_>) {
    let colors = palette(ui);
    let stack = &scene.state.stack;
    let area = ui.available_rect_before_wrap();
    ui.painter().rect_filled(area, 0.0, colors.well);
    let middle =
        Rect::from_center_size(area.center(), vec2((area.width() - 40.0).max(80.0), 120.0));
    if let Some(seen) = &stack.seen {
        let (w, h) = (seen.size.0.max(1) as f32, seen.size.1.max(1) as f32);
        let room = area.shrink(12.0);
        let scale = (room.width() / w).min(room.height() / h);
        let place = Rect::from_center_size(room.center(), vec2(w, h) * scale);
        scene.canvas.paint(ui, 2, &seen.pyramid, place, area);
        let all = scene.state.files.entries.len();
        let told = match stack.of < all {
            true => format!(
                "approximate: {} of the first {} of {all}",
                stack.op.name(),
                text::count(stack.of, "file")
            ),
            false => format!("{} of {}", stack.op.name(), text::count(all, "file")),
        };
        widgets::mark(
            ui,
            area.left_top() + vec2(10.0, 10.0),
            Align2::LEFT_TOP,
            &told,
        );
    } else if let Some(why) = &stack.fault {
        ui.scope_builder(egui::UiBuilder::new().max_rect(middle), |ui| {
            widgets::empty(ui, "There is no preview", &text::harmless(why))
        });
    } else if !stack.busy {
        let way = format!("Add at least two files; the preview is of the first {FEW}");
        ui.scope_builder(egui::UiBuilder::new().max_rect(middle), |ui| {
            widgets::empty(ui, "The preview appears here", &way)
        });
    }
    if stack.busy {
        let at = Rect::from_center_size(area.center_bottom() - vec2(0.0, 30.0), Vec2::splat(24.0));
        ui.place(at, egui::Spinner::new().size(22.0));
    }
}
