//! Colours, sizes and distances of the window, dark and light.

use eframe::egui::{
    self, Color32, Context, CornerRadius, FontDefinitions, FontFamily, FontId, Margin, Stroke,
    TextStyle, Theme, Visuals, vec2,
};

/// What a colour says.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// What can be pressed first, and what is selected.
    pub accent: Color32,
    /// It went well.
    pub good: Color32,
    /// It needs a look.
    pub warn: Color32,
    /// It went wrong.
    pub bad: Color32,
    /// Text beside the main thing.
    pub weak: Color32,
    /// Panels.
    pub panel: Color32,
    /// Cards on panels.
    pub card: Color32,
    /// Around pictures.
    pub well: Color32,
    /// Lines between parts.
    pub line: Color32,
}

/// The palette in force.
pub fn palette(ui: &egui::Ui) -> Palette {
    match ui.visuals().dark_mode {
        true => DARK,
        false => LIGHT,
    }
}

const DARK: Palette = Palette {
    accent: Color32::from_rgb(0xf0, 0xa8, 0x3c),
    good: Color32::from_rgb(0x5f, 0xc9, 0x8a),
    warn: Color32::from_rgb(0xe8, 0xb3, 0x4b),
    bad: Color32::from_rgb(0xf0, 0x6a, 0x60),
    weak: Color32::from_rgb(0x9a, 0xa3, 0xb0),
    panel: Color32::from_rgb(0x1b, 0x1e, 0x24),
    card: Color32::from_rgb(0x25, 0x29, 0x31),
    well: Color32::from_rgb(0x12, 0x14, 0x18),
    line: Color32::from_rgb(0x32, 0x37, 0x41),
};

const LIGHT: Palette = Palette {
    accent: Color32::from_rgb(0xa6, 0x55, 0x04),
    good: Color32::from_rgb(0x1d, 0x7f, 0x45),
    warn: Color32::from_rgb(0x94, 0x62, 0x00),
    bad: Color32::from_rgb(0xc0, 0x2b, 0x22),
    weak: Color32::from_rgb(0x5c, 0x64, 0x70),
    panel: Color32::from_rgb(0xf6, 0xf7, 0xf9),
    card: Color32::from_rgb(0xff, 0xff, 0xff),
    well: Color32::from_rgb(0xe4, 0xe7, 0xec),
    line: Color32::from_rgb(0xd5, 0xda, 0xe1),
};

/// Dresses the window.
pub fn set(ctx: &Context) {
    let mut fonts = FontDefinitions::default();
    // Arrows and other signs are in the font for text of programs.
    if let Some(names) = fonts.families.get_mut(&FontFamily::Proportional) {
        names.push("Hack".to_owned());
    }
    ctx.set_fonts(fonts);
    for (theme, palette) in [(Theme::Dark, DARK), (Theme::Light, LIGHT)] {
        ctx.style_mut_of(theme, |style| {
            style.visuals = visuals(theme, palette);
            let font = |size| FontId::new(size, FontFamily::Proportional);
            style.text_styles = [
                (TextStyle::Heading, font(17.0)),
                (TextStyle::Body, font(13.5)),
                (TextStyle::Button, font(13.5)),
                (TextStyle::Small, font(11.5)),
                (
                    TextStyle::Monospace,
                    FontId::new(12.5, FontFamily::Monospace),
                ),
            ]
            .into();
            let spacing = &mut style.spacing;
            spacing.item_spacing = vec2(8.0, 6.0);
            spacing.button_padding = vec2(9.0, 4.0);
            spacing.interact_size = vec2(40.0, 26.0);
            spacing.menu_margin = Margin::same(8);
            spacing.window_margin = Margin::same(14);
            spacing.slider_width = 130.0;
            spacing.icon_width = 16.0;
            spacing.icon_width_inner = 9.0;
            style.animation_time = 0.08;
        });
    }
}

fn visuals(theme: Theme, palette: Palette) -> Visuals {
    let dark = theme == Theme::Dark;
    let mut visuals = if dark {
        Visuals::dark()
    } else {
        Visuals::light()
    };
    let text = if dark {
        Color32::from_rgb(0xe4, 0xe7, 0xec)
    } else {
        Color32::from_rgb(0x1c, 0x20, 0x27)
    };
    let round = CornerRadius::same(5);
    visuals.panel_fill = palette.panel;
    visuals.window_fill = palette.card;
    visuals.window_stroke = Stroke::new(1.0, palette.line);
    visuals.window_corner_radius = CornerRadius::same(9);
    visuals.menu_corner_radius = CornerRadius::same(7);
    visuals.extreme_bg_color = if dark { palette.well } else { Color32::WHITE };
    visuals.faint_bg_color = if dark {
        Color32::from_rgb(0x20, 0x23, 0x2a)
    } else {
        Color32::from_rgb(0xef, 0xf1, 0xf4)
    };
    visuals.weak_text_color = Some(palette.weak);
    visuals.hyperlink_color = palette.accent;
    visuals.warn_fg_color = palette.warn;
    visuals.error_fg_color = palette.bad;
    visuals.slider_trailing_fill = true;
    let chosen = if dark { 0.32 } else { 0.22 };
    visuals.selection.bg_fill = mix(palette.panel, palette.accent, chosen);
    visuals.selection.stroke = Stroke::new(1.0, text);
    let widgets = &mut visuals.widgets;
    for widget in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        widget.corner_radius = round;
        widget.fg_stroke = Stroke::new(1.0, text);
        widget.expansion = 0.0;
    }
    let raised = |share: f32| mix(palette.card, text, share);
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, palette.line);
    widgets.inactive.weak_bg_fill = raised(if dark { 0.06 } else { 0.05 });
    widgets.inactive.bg_fill = raised(if dark { 0.16 } else { 0.14 });
    widgets.inactive.bg_stroke = Stroke::new(1.0, palette.line);
    widgets.hovered.weak_bg_fill = raised(0.12);
    widgets.hovered.bg_fill = raised(0.25);
    widgets.hovered.bg_stroke = Stroke::new(1.0, mix(palette.line, text, 0.3));
    widgets.active.weak_bg_fill = raised(0.2);
    widgets.active.bg_fill = raised(0.35);
    widgets.active.bg_stroke = Stroke::new(1.0, palette.accent);
    widgets.open.weak_bg_fill = raised(0.12);
    widgets.open.bg_stroke = Stroke::new(1.0, palette.line);
    visuals
}

/// A colour on the way from one to another.
pub fn mix(from: Color32, to: Color32, share: f32) -> Color32 {
    let part = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * share).round() as u8;
    Color32::from_rgb(
        part(from.r(), to.r()),
        part(from.g(), to.g()),
        part(from.b(), to.b()),
    )
}

/// A button for what is to be pressed next.
pub fn primary<'a>(ui: &egui::Ui, text: &'a str) -> egui::Button<'a> {
    let palette = palette(ui);
    let ink = if ui.visuals().dark_mode {
        Color32::from_rgb(0x1b, 0x14, 0x06)
    } else {
        Color32::WHITE
    };
    egui::Button::new(egui::RichText::new(text).color(ink).strong())
        .fill(palette.accent)
        .stroke(Stroke::NONE)
        .min_size(vec2(96.0, 30.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast by WCAG 2.
    fn contrast(a: Color32, b: Color32) -> f64 {
        let light = |c: Color32| {
            let part = |v: u8| {
                let v = f64::from(v) / 255.0;
                if v <= 0.04045 {
                    v / 12.92
                } else {
                    ((v + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * part(c.r()) + 0.7152 * part(c.g()) + 0.0722 * part(c.b())
        };
        let (a, b) = (light(a), light(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_can_be_read_in_both_themes() {
        for palette in [DARK, LIGHT] {
            for text in [
                palette.weak,
                palette.good,
                palette.warn,
                palette.bad,
                palette.accent,
            ] {
                for ground in [palette.panel, palette.card] {
                    let contrast = contrast(text, ground);
                    assert!(contrast >= 4.5, "{text:?} on {ground:?}: {contrast:.2}");
                }
            }
        }
    }
}
