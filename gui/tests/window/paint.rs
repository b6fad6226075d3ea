//! Paints what egui gives out, on the processor alone and always alike: triangles with textures, premultiplied.

use eframe::egui::epaint::{ImageData, Mesh, Primitive, Vertex};
use eframe::egui::{
    self, Color32, ColorImage, Context, FullOutput, RawInput, Rect, TextureFilter, TextureId, vec2,
};
use gui::picture::Picture;
use std::collections::HashMap;

/// A screen of pixels that egui paints on.
pub struct Screen {
    /// The interface that paints.
    pub ctx: Context,
    size: [usize; 2],
    textures: HashMap<TextureId, (ColorImage, TextureFilter)>,
    time: f64,
}

impl Screen {
    /// One of that size.
    pub fn new(width: usize, height: usize) -> Screen {
        Screen {
            ctx: Context::default(),
            size: [width, height],
            textures: HashMap::new(),
            time: 0.0,
        }
    }

    /// One frame; its output can be painted.
    pub fn frame(&mut self, contents: impl FnMut(&mut egui::Ui)) -> FullOutput {
        let size = vec2(self.size[0] as f32, self.size[1] as f32);
        self.time += 0.25;
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(egui::Pos2::ZERO, size)),
            time: Some(self.time),
            ..RawInput::default()
        };
        let mut output = self.ctx.run_ui(input, contents);
        let set = output.textures_delta.set.drain();
        for (id, delta) in set.flat_map(|(id, all)| all.into_iter().map(move |one| (id, one))) {
            let ImageData::Color(image) = delta.image;
            match (delta.pos, self.textures.get_mut(&id)) {
                (Some([left, top]), Some((whole, _))) => {
                    for (y, row) in image.pixels.chunks(image.size[0]).enumerate() {
                        let at = (top + y) * whole.size[0] + left;
                        whole.pixels[at..at + row.len()].copy_from_slice(row);
                    }
                }
                _ => {
                    let whole = (ColorImage::clone(&image), delta.options.magnification);
                    self.textures.insert(id, whole);
                }
            }
        }
        let free = std::mem::take(&mut output.textures_delta.free);
        self.textures.retain(|id, _| !free.contains(id));
        output
    }

    /// The pixels of a frame.
    pub fn paint(&self, output: FullOutput) -> Picture {
        let [width, height] = self.size;
        let mut pixels = vec![[0.0_f32; 4]; width * height];
        for part in self.ctx.tessellate(output.shapes, 1.0) {
            let Primitive::Mesh(mesh) = part.primitive else {
                continue;
            };
            let clip = part.clip_rect;
            let whole = |v: f32, most: usize| (v.round().max(0.0) as usize).min(most);
            let area = [
                whole(clip.left(), width),
                whole(clip.top(), height),
                whole(clip.right(), width),
                whole(clip.bottom(), height),
            ];
            self.mesh(&mesh, area, &mut pixels);
        }
        let levels = pixels.iter().flat_map(|p| {
            let level = |v: f32| (v * 255.0).round().clamp(0.0, 255.0) as u8;
            [level(p[0]), level(p[1]), level(p[2]), 255]
        });
        Picture {
            width,
            height,
            rgba: levels.collect(),
        }
    }

    fn mesh(&self, mesh: &Mesh, area: [usize; 4], pixels: &mut [[f32; 4]]) {
        let Some((texture, filter)) = self.textures.get(&mesh.texture_id) else {
            panic!("a texture is missing");
        };
        for corners in mesh.indices.chunks_exact(3) {
            let corners = [0, 1, 2].map(|n| mesh.vertices[corners[n] as usize]);
            self.triangle(corners, area, pixels, &|u, v| {
                sample(texture, *filter, u, v)
            });
        }
    }

    fn triangle(
        &self,
        [a, b, c]: [Vertex; 3],
        [left, top, right, bottom]: [usize; 4],
        pixels: &mut [[f32; 4]],
        texture: &dyn Fn(f32, f32) -> [f32; 4],
    ) {
        let cross = |a: egui::Pos2, b: egui::Pos2, x: f32, y: f32| {
            (b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x)
        };
        let area = cross(a.pos, b.pos, c.pos.x, c.pos.y);
        if area == 0.0 {
            return;
        }
        let (a, b, c, area) = if area < 0.0 {
            (a, c, b, -area)
        } else {
            (a, b, c, area)
        };
        // A point on an edge belongs to one of both triangles there.
        let own = |from: egui::Pos2, to: egui::Pos2, w: f32| {
            w > 0.0 || w == 0.0 && (to.y > from.y || to.y == from.y && to.x < from.x)
        };
        let low = |v: [f32; 3]| v.into_iter().fold(f32::MAX, f32::min).floor().max(0.0) as usize;
        let high = |v: [f32; 3]| v.into_iter().fold(0.0, f32::max).ceil() as usize;
        let (xs, ys) = ([a.pos.x, b.pos.x, c.pos.x], [a.pos.y, b.pos.y, c.pos.y]);
        for y in low(ys).max(top)..high(ys).min(bottom) {
            for x in low(xs).max(left)..high(xs).min(right) {
                let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
                let w = [
                    cross(b.pos, c.pos, px, py),
                    cross(c.pos, a.pos, px, py),
                    cross(a.pos, b.pos, px, py),
                ];
                if !(own(b.pos, c.pos, w[0]) && own(c.pos, a.pos, w[1]) && own(a.pos, b.pos, w[2]))
                {
                    continue;
                }
                let w = w.map(|w| w / area);
                let mix = |v: [f32; 3]| v[0] * w[0] + v[1] * w[1] + v[2] * w[2];
                let texel = texture(mix([a.uv.x, b.uv.x, c.uv.x]), mix([a.uv.y, b.uv.y, c.uv.y]));
                let [a, b, c] = [a.color, b.color, c.color].map(|color| Color32::to_array(&color));
                let mut color = [0.0; 4];
                for n in 0..4 {
                    let level = mix([a[n], b[n], c[n]].map(f32::from)) / 255.0;
                    color[n] = level * texel[n];
                }
                let under = &mut pixels[y * self.size[0] + x];
                for n in 0..4 {
                    under[n] = color[n] + under[n] * (1.0 - color[3]);
                }
            }
        }
    }
}

fn sample(image: &ColorImage, filter: TextureFilter, u: f32, v: f32) -> [f32; 4] {
    let [width, height] = image.size;
    let at = |x: f32, y: f32| {
        let x = x.clamp(0.0, (width - 1) as f32) as usize;
        let y = y.clamp(0.0, (height - 1) as f32) as usize;
        image.pixels[y * width + x]
            .to_array()
            .map(|v| f32::from(v) / 255.0)
    };
    let (x, y) = (u * width as f32, v * height as f32);
    if filter == TextureFilter::Nearest {
        return at(x.floor(), y.floor());
    }
    let (x, y) = (x - 0.5, y - 0.5);
    let (left, top) = (x.floor(), y.floor());
    let (dx, dy) = (x - left, y - top);
    let corners = [
        at(left, top),
        at(left + 1.0, top),
        at(left, top + 1.0),
        at(left + 1.0, top + 1.0),
    ];
    let shares = [
        (1.0 - dx) * (1.0 - dy),
        dx * (1.0 - dy),
        (1.0 - dx) * dy,
        dx * dy,
    ];
    [0, 1, 2, 3].map(|n| (0..4).map(|c| corners[c][n] * shares[c]).sum())
}
