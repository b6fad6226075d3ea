//! Pictures on the screen: only what is in sight, at the size at which it is seen, becomes a texture.

use crate::picture::{Picture, Pyramid};
use eframe::egui::{self, ColorImage, Rect, TextureHandle, TextureOptions, Ui, pos2, vec2};
use std::sync::Arc;

/// Sides up to which a picture becomes one texture, so that moving it costs nothing.
const WHOLE: usize = 2048;
/// Pixels around what is in sight that go into the texture, too.
const MARGIN: usize = 192;

/// Pictures that are on the screen at once: those of the preview (0, 1), of a stack (2), of a result (3, 4), the same large
/// (5, 6).
const SLOTS: usize = 7;

/// The textures of the preview.
#[derive(Default)]
pub struct Canvas {
    slots: [Option<Slot>; SLOTS],
}

struct Slot {
    of: Arc<Pyramid>,
    level: usize,
    part: [usize; 4],
    texture: TextureHandle,
    near: bool,
}

impl Canvas {
    /// Paints a picture into `place`, which is where the whole of it lies; nothing outside of `clip`. `slot` keeps the
    /// texture of one picture.
    pub fn paint(&mut self, ui: &Ui, slot: usize, pyramid: &Arc<Pyramid>, place: Rect, clip: Rect) {
        let sight = place.intersect(clip);
        if !sight.is_positive() || place.width() <= 0.0 {
            return;
        }
        let ppp = ui.ctx().pixels_per_point();
        let scale = place.width() * ppp / pyramid.full().width as f32;
        let picture = pyramid.for_scale(scale);
        let level = pyramid
            .0
            .iter()
            .position(|p| std::ptr::eq(p, picture))
            .unwrap_or(0);
        let part = part(picture, place, sight);
        // Single pixels are to be seen as such.
        let near = scale >= 0.999;
        let fits = |s: &Slot| {
            Arc::ptr_eq(&s.of, pyramid)
                && s.level == level
                && s.near == near
                && covers(s.part, part)
        };
        if !self.slots[slot].as_ref().is_some_and(fits) {
            let part = widened(picture, part);
            let image = cut(picture, part);
            let options = if near {
                TextureOptions::NEAREST
            } else {
                TextureOptions::LINEAR
            };
            let texture = ui
                .ctx()
                .load_texture(format!("preview {slot}"), image, options);
            self.slots[slot] = Some(Slot {
                of: pyramid.clone(),
                level,
                part,
                texture,
                near,
            });
        }
        let Some(kept) = &self.slots[slot] else {
            return;
        };
        let [x0, y0, x1, y1] = kept.part.map(|v| v as f32);
        let (w, h) = (picture.width as f32, picture.height as f32);
        let at = |x: f32, y: f32| place.min + vec2(x / w * place.width(), y / h * place.height());
        let target = Rect::from_min_max(at(x0, y0), at(x1, y1));
        let painter = ui.painter().with_clip_rect(clip.intersect(ui.clip_rect()));
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        painter.image(kept.texture.id(), target, whole, egui::Color32::WHITE);
    }
}

/// The pixels of a picture that are in sight, as left, top, right, bottom.
fn part(picture: &Picture, place: Rect, sight: Rect) -> [usize; 4] {
    let x = |at: f32| (at - place.left()) / place.width() * picture.width as f32;
    let y = |at: f32| (at - place.top()) / place.height() * picture.height as f32;
    let low = |v: f32| v.floor().max(0.0) as usize;
    let right = (x(sight.right()).ceil() as usize).min(picture.width);
    let bottom = (y(sight.bottom()).ceil() as usize).min(picture.height);
    [
        low(x(sight.left())).min(right.saturating_sub(1)),
        low(y(sight.top())).min(bottom.saturating_sub(1)),
        right,
        bottom,
    ]
}

fn covers(a: [usize; 4], b: [usize; 4]) -> bool {
    a[0] <= b[0] && a[1] <= b[1] && a[2] >= b[2] && a[3] >= b[3]
}

fn widened(picture: &Picture, part: [usize; 4]) -> [usize; 4] {
    if picture.width <= WHOLE && picture.height <= WHOLE {
        return [0, 0, picture.width, picture.height];
    }
    [
        part[0].saturating_sub(MARGIN),
        part[1].saturating_sub(MARGIN),
        (part[2] + MARGIN).min(picture.width),
        (part[3] + MARGIN).min(picture.height),
    ]
}

fn cut(picture: &Picture, [x0, y0, x1, y1]: [usize; 4]) -> ColorImage {
    let mut rgba = Vec::with_capacity((x1 - x0) * (y1 - y0) * 4);
    for y in y0..y1 {
        let row = y * picture.width * 4;
        rgba.extend_from_slice(&picture.rgba[row + x0 * 4..row + x1 * 4]);
    }
    ColorImage::from_rgba_unmultiplied([x1 - x0, y1 - y0], &rgba)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_sight_is_cut_out() {
        let picture = Picture {
            // Powers of two, so that no quotient is rounded.
            width: 4096,
            height: 2048,
            rgba: vec![9; 4096 * 2048 * 4],
        };
        let place = Rect::from_min_size(pos2(-1000.0, -500.0), vec2(4096.0, 2048.0));
        let sight = Rect::from_min_size(pos2(0.0, 0.0), vec2(600.0, 400.0));
        let seen = part(&picture, place, sight);
        assert_eq!(seen, [1000, 500, 1600, 900]);
        let wide = widened(&picture, seen);
        assert!(covers(wide, seen));
        let image = cut(&picture, wide);
        assert_eq!(image.size, [600 + 2 * MARGIN, 400 + 2 * MARGIN]);
    }
}
