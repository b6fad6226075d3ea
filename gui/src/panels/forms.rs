//! Forms of operations, made from the registry: ranges, words, colours, matrices.

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::edit::Step;
use crate::state::scale::logarithmic;
use crate::theme::palette;
use eframe::egui::{self, ComboBox, DragValue, RichText, Role, Slider, TextEdit, Ui, WidgetInfo};
use imaging::op::{Kind, Param, Value};

/// From this width of a range on a slider could not be set to a wanted number.
const SLIDER: f64 = 20_000.0;

/// The form of a step.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>, step: &Step) {
    let op = step.op.0;
    let colors = palette(ui);
    ui.label(RichText::new(op.about).small().color(colors.weak));
    for (at, (param, value)) in op.params.iter().zip(&step.args).enumerate() {
        ui.add_space(2.0);
        if let Some(value) = row(ui, step.id, param, value) {
            scene.ask(Command::Set(step.id, at, value));
        }
    }
    if let Some(fault) = step.fault() {
        ui.label(RichText::new(fault).small().color(colors.bad));
    }
    let changed =
        |(param, value): (&Param, &Value)| param.default().is_some_and(|default| default != *value);
    if op.params.iter().zip(&step.args).any(changed) {
        let text = RichText::new("Back to defaults").small();
        if ui.add(egui::Button::new(text).frame(false)).clicked() {
            scene.ask(Command::Reset(step.id));
        }
    }
}

/// The arguments that are not the defaults, in one line.
pub fn told(ui: &mut Ui, step: &Step) {
    let params = step.op.0.params.iter().zip(&step.args);
    let given = params.filter(|(param, value)| param.default().as_ref() != Some(value));
    let given: Vec<String> = given
        .map(|(param, value)| format!("{} {value}", param.name))
        .collect();
    if !given.is_empty() {
        let text = RichText::new(given.join(", "))
            .small()
            .color(palette(ui).weak);
        ui.add(egui::Label::new(text).truncate().selectable(false));
    }
}

/// One parameter; the new value if it was changed.
fn row(ui: &mut Ui, step: u64, param: &Param, value: &Value) -> Option<Value> {
    let about = help(param);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.label(param.name).on_hover_text(&about);
        widgets::small(ui, limits(&param.kind)).on_hover_text(&about);
    });
    ui.push_id((step, param.name), |ui| field(ui, param, value, &about))
        .inner
}

fn help(param: &Param) -> String {
    match param.default() {
        Some(default) => format!("{} (usually {default})", param.about),
        None => param.about.to_owned(),
    }
}

fn limits(kind: &Kind) -> String {
    match kind {
        Kind::Int { min, max, .. } => format!("{min} to {max}"),
        Kind::Float { min, max, .. } => format!("{min} to {max}"),
        Kind::Level(_) => "number, min, max or a share such as 2%".into(),
        Kind::Bands => "channels, such as 3, 2, 1".into(),
        Kind::Matrix { max } => format!("odd sides, at most {max}"),
        Kind::Word(_) | Kind::Bool(_) | Kind::Color(_) => String::new(),
    }
}

fn field(ui: &mut Ui, param: &Param, value: &Value, about: &str) -> Option<Value> {
    match (&param.kind, value) {
        (Kind::Int { min, max, .. }, Value::Int(v)) => {
            let mut v = *v;
            number(ui, &mut v, *min..=*max, param, about).then_some(Value::Int(v))
        }
        (Kind::Float { min, max, .. }, Value::Float(v)) => {
            let mut v = *v;
            let changed = number(ui, &mut v, *min..=*max, param, about);
            // What is shown is what is meant: no more digits than can be read.
            let shown = (v * 1e3).round() / 1e3;
            changed.then_some(Value::Float(shown.clamp(*min, *max)))
        }
        (Kind::Word(words), Value::Word(word)) => self::words(ui, param, words, word, about),
        (Kind::Bool(_), Value::Bool(v)) => {
            let mut v = *v;
            let response = ui.checkbox(&mut v, param.about).on_hover_text(about);
            response.changed().then_some(Value::Bool(v))
        }
        (Kind::Color(_), Value::Word(word)) => color(ui, param, word, about),
        (Kind::Matrix { max }, Value::Matrix(rows)) => matrix(ui, rows, *max),
        (_, value) => text(ui, param, value, about),
    }
}

/// A slider over the width that there is, and the number itself; where a slider would be too coarse, that alone.
fn number<N: egui::emath::Numeric>(
    ui: &mut Ui,
    value: &mut N,
    range: std::ops::RangeInclusive<N>,
    param: &Param,
    about: &str,
) -> bool {
    let (low, high) = (range.start().to_f64(), range.end().to_f64());
    let now = value.to_f64();
    ui.horizontal(|ui| {
        let mut changed = false;
        if high - low <= SLIDER {
            ui.spacing_mut().slider_width = (ui.available_width() - 76.0).max(60.0);
            let slider = Slider::new(value, range.clone()).logarithmic(logarithmic(&param.kind));
            let slider = ui.add(slider.show_value(false)).on_hover_text(about);
            slider.widget_info(|| WidgetInfo::slider(true, now, param.name));
            changed |= slider.changed();
        }
        let speed = ((high - low) / 2000.0).clamp(0.005, 1.0);
        let drag = DragValue::new(value)
            .range(range)
            .max_decimals(3)
            .speed(speed);
        let drag = ui.add_sized([64.0, 24.0], drag).on_hover_text(about);
        let name = format!("{} as a number", param.name);
        drag.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, &name));
        changed | drag.changed()
    })
    .inner
}

fn words(ui: &mut Ui, param: &Param, words: &[&str], word: &str, about: &str) -> Option<Value> {
    let mut chosen = None;
    let response = ComboBox::from_id_salt(param.name)
        .selected_text(word)
        .width((ui.available_width() - 8.0).min(220.0))
        .show_ui(ui, |ui| {
            for name in words {
                if ui.selectable_label(*name == word, *name).clicked() {
                    chosen = Some(Value::Word((*name).to_owned()));
                }
            }
        })
        .response
        .on_hover_text(about);
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ComboBox, true, param.name);
        info.current_text_value = Some(word.to_owned());
        info
    });
    chosen
}

fn color(ui: &mut Ui, param: &Param, word: &str, about: &str) -> Option<Value> {
    ui.horizontal(|ui| {
        let mut rgb = imaging::color::parse(word).unwrap_or_default();
        let picked = ui.color_edit_button_srgb(&mut rgb).on_hover_text(about);
        picked.widget_info(|| {
            WidgetInfo::labeled(Role::ColorWell, true, format!("Pick {}", param.name))
        });
        if picked.changed() {
            return Some(Value::Word(format!(
                "#{:02x}{:02x}{:02x}",
                rgb[0], rgb[1], rgb[2]
            )));
        }
        text(ui, param, &Value::Word(word.to_owned()), about)
    })
    .inner
}

/// Numbers of a matrix, and its size.
fn matrix(ui: &mut Ui, rows: &[Vec<f64>], max: usize) -> Option<Value> {
    let mut rows = rows.to_vec();
    let mut changed = false;
    let (mut high, mut wide) = (rows.len(), rows.first().map_or(1, Vec::len));
    ui.horizontal(|ui| {
        for (side, name) in [(&mut high, "rows"), (&mut wide, "columns")] {
            ui.label(name);
            let drag = ui.add(DragValue::new(side).range(1..=max).speed(0.05));
            drag.widget_info(|| WidgetInfo::slider(true, 0.0, name));
            changed |= drag.changed();
        }
    });
    if changed {
        // Sides are odd, so that there is a middle.
        (high, wide) = (high | 1, wide | 1);
        rows.resize_with(high.min(max), Vec::new);
        rows.iter_mut()
            .for_each(|row| row.resize(wide.min(max), 0.0));
    }
    egui::ScrollArea::both().max_height(150.0).show(ui, |ui| {
        egui::Grid::new("matrix")
            .spacing([4.0, 4.0])
            .min_col_width(38.0)
            .show(ui, |ui| {
                for (y, row) in rows.iter_mut().enumerate() {
                    for (x, cell) in row.iter_mut().enumerate() {
                        let drag = ui.add(DragValue::new(cell).speed(0.05).max_decimals(4));
                        let name = format!("row {}, column {}", y + 1, x + 1);
                        drag.widget_info(|| WidgetInfo::slider(true, 0.0, &name));
                        changed |= drag.changed();
                    }
                    ui.end_row();
                }
            });
    });
    changed.then_some(Value::Matrix(rows))
}

/// Any value as text; it counts once it can be read.
fn text(ui: &mut Ui, param: &Param, value: &Value, about: &str) -> Option<Value> {
    let id = ui.scope_id().with("draft");
    let shown = match value {
        Value::List(_) => value
            .to_string()
            .trim_matches(['[', ']'])
            .replace(',', ", "),
        value => value.to_string(),
    };
    let draft: Option<String> = ui.data(|data| data.get_temp(id));
    let mut typed = draft.unwrap_or_else(|| shown.clone());
    let response = ui
        .add(TextEdit::singleline(&mut typed).desired_width(130.0))
        .on_hover_text(about);
    response.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, param.name));
    match response.has_focus() {
        true => ui.data_mut(|data| {
            data.insert_temp(id, typed.clone());
        }),
        false => ui.data_mut(|data| data.remove::<String>(id)),
    }
    if !response.changed() {
        return None;
    }
    let typed = typed.trim();
    let number = typed.parse::<f64>().ok();
    let read = match param.kind {
        Kind::Bands => {
            let numbers = typed.split(',').map(|n| n.trim().parse().ok());
            numbers.collect::<Option<Vec<f64>>>().map(Value::List)
        }
        _ => Some(number.map_or_else(|| Value::Word(typed.to_owned()), Value::Float)),
    };
    read.filter(|read| read != value)
}
