//! The bar at the top: the parts of the window, theme, help; the question before closing.

use super::{Scene, widgets};
use crate::command::Command;
use crate::state::Tab;
use crate::state::jobs::{Jobs, Link, Target, Token};
use crate::text;
use crate::theme::{mix, palette};
use eframe::egui::containers::menu::{MenuButton, MenuConfig};
use eframe::egui::{
    Align, Button, Frame, Id, Layout, Margin, Panel, PopupCloseBehavior, RichText, Role, Sense,
    TextEdit, Ui, WidgetInfo, vec2,
};

/// The bar.
pub fn show(ui: &mut Ui, scene: &mut Scene<'_>) {
    let frame = Frame::NONE
        .fill(palette(ui).card)
        .inner_margin(Margin::symmetric(12, 7));
    Panel::top("header").frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            let colors = palette(ui);
            let (rect, _) = ui.allocate_exact_size(vec2(26.0, 26.0), Sense::hover());
            widgets::halo(ui, rect, colors.accent, mix(colors.card, colors.weak, 0.6));
            ui.label(RichText::new("Sundog").size(16.0).strong());
            ui.add_space(14.0);
            for (tab, name) in Tab::ALL {
                let chosen = scene.state.tab == tab;
                let text = match (tab, scene.state.run.ended.len()) {
                    (Tab::Results, n) if n > 0 => format!("{name} ({})", crate::text::grouped(n)),
                    _ => name.to_owned(),
                };
                let button = Button::selectable(chosen, RichText::new(text).size(14.0))
                    .min_size(vec2(84.0, 28.0));
                if ui.add(button).clicked() {
                    scene.ask(Command::Tab(tab));
                }
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if widgets::sign(ui, "?", "Keys and help", true).clicked() {
                    scene.ask(Command::Help(true));
                }
                let dark = ui.visuals().dark_mode;
                let (sign, name) = if dark {
                    ("◐", "Light theme")
                } else {
                    ("◑", "Dark theme")
                };
                if widgets::sign(ui, sign, name, true).clicked() {
                    scene.ask(Command::Theme(Some(!dark)));
                }
                ui.add_space(8.0);
                target(ui, scene);
                for transfer in scene.state.jobs.transfers.values() {
                    let (done, all) = transfer.bytes;
                    let told = format!(
                        "{} {} of {}",
                        transfer.what,
                        text::bytes(done),
                        text::bytes(all)
                    );
                    widgets::chip(ui, &told, colors.accent);
                }
            });
        });
    });
}

/// Where jobs run, and whether it answers.
fn target(ui: &mut Ui, scene: &mut Scene<'_>) {
    let colors = palette(ui);
    let jobs = &scene.state.jobs;
    let (color, told) = match &jobs.link {
        Link::None => (
            colors.good,
            "Runs use the threads of this computer; nothing leaves it".to_owned(),
        ),
        Link::Connecting => (colors.warn, "Connecting…".to_owned()),
        Link::Up => match jobs.trouble() {
            None => (colors.good, "It answers".to_owned()),
            Some(trouble) => (colors.warn, trouble.what),
        },
        Link::Down(why) => (
            colors.bad,
            format!(
                "{}\nIt is tried again every few seconds",
                text::harmless(why)
            ),
        ),
    };
    let text = RichText::new(format!("● {}", jobs.target.name())).color(color);
    let config = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    let (response, _) = MenuButton::new(text).config(config).ui(ui, |ui| {
        ui.set_width(300.0);
        widgets::small(ui, "Where jobs run");
        let places = [
            (
                Target::Local,
                "This computer",
                "Within this window, on its threads",
            ),
            (
                Target::Serve,
                "sundog serve",
                "Your own job system on this computer; it goes on when the window is closed",
            ),
            (
                Target::Cluster,
                "Cluster",
                "RabbitMQ, Redis and store of SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE",
            ),
        ];
        for (target, name, about) in places {
            if ui
                .selectable_label(jobs.target == target, name)
                .on_hover_text(about)
                .clicked()
            {
                scene.commands.push(Command::Target(target, None));
                ui.close();
            }
        }
        ui.separator();
        gateway(ui, jobs, scene.commands);
    });
    response.on_hover_text(told);
}

fn gateway(ui: &mut Ui, jobs: &Jobs, commands: &mut Vec<Command>) {
    // Fields and buttons are to look like such; menus have none.
    ui.reset_style();
    widgets::small(ui, "A gateway: address and token");
    let mut address = jobs.address.clone();
    let field = TextEdit::singleline(&mut address)
        .hint_text("https://images.example.org")
        .desired_width(f32::INFINITY);
    let response = ui.add(field);
    response.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Address of the gateway"));
    if response.changed() {
        commands.push(Command::Address(address.clone()));
    }
    let id = Id::unique("typed token");
    let mut token: String = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    let field = TextEdit::singleline(&mut token)
        .password(true)
        .hint_text("token; empty: the one that is kept")
        .desired_width(f32::INFINITY);
    ui.add(field)
        .widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Token of the gateway"));
    let keep_id = Id::unique("keep token");
    let mut keep: bool = ui.data(|data| data.get_temp(keep_id)).unwrap_or(true);
    ui.checkbox(&mut keep, "Keep the token")
        .on_hover_text("In the system's keyring, else in a file that only you can read");
    let target = Target::parse(address.trim());
    let ready = matches!(target, Ok(Target::Gateway(_)));
    if ui.add_enabled(ready, Button::new("Connect")).clicked()
        && let Ok(target) = target
    {
        let text = std::mem::take(&mut token).trim().to_owned();
        let typed = Some(Token { text, keep }).filter(|token| !token.text.is_empty());
        commands.push(Command::Target(target, typed));
        ui.close();
    }
    ui.data_mut(|data| data.insert_temp(keep_id, keep));
    ui.data_mut(|data| data.insert_temp(id, token));
}

/// The question before closing while a run goes on.
pub fn closing(ui: &mut Ui, scene: &mut Scene<'_>) {
    if !scene.state.closing || !scene.state.run.active() {
        return;
    }
    let answer = widgets::modal(ui, "closing").show(ui.ctx(), |ui| {
        ui.set_width(360.0);
        ui.heading("A run is going on");
        ui.add_space(4.0);
        ui.label(
            "Closing stops it after the images that are being worked on. What is done stays done.",
        );
        ui.add_space(10.0);
        if scene.state.quitting {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label("Stopping…");
            });
            return;
        }
        ui.horizontal(|ui| {
            if ui.button("Go on").clicked() {
                scene.commands.push(Command::StayOpen);
            }
            if ui.button("Stop and close").clicked() {
                scene.commands.push(Command::Quit);
            }
        });
    });
    if answer.should_close() {
        scene.ask(Command::StayOpen);
    }
}
