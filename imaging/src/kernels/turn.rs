//! Turning by at most 45 degrees, with bilinear interpolation; larger angles are quarter turns first.

use super::output_size::limited;
use crate::error::Result;
use crate::image::{Element, Shape};
use crate::metadata::Affine;
use crate::op::Local;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// Turns about the centre onto a canvas that holds all pixels.
pub struct Turn {
    sin: f64,
    cos: f64,
    fill: f64,
}

impl Turn {
    /// Turns by `degrees` clockwise, -45..=45; `fill` is the grey of the corners in 8-bit levels.
    pub fn new(degrees: f64, fill: f64) -> Turn {
        let angle = degrees.to_radians();
        Turn {
            sin: libm::sin(angle),
            cos: libm::cos(angle),
            fill,
        }
    }

    fn canvas(&self, input: Shape) -> Shape {
        let (w, h) = (input.cols as f64, input.rows as f64);
        // Rounding of the sine must not add an empty row.
        let side = |length: f64| (libm::ceil(length - 1e-6) as usize).max(1);
        Shape {
            rows: side(w * self.sin.abs() + h * self.cos),
            cols: side(w * self.cos + h * self.sin.abs()),
            ..input
        }
    }

    /// Input rows that output row `y` can meet, not cut to the image. Both ends grow with `y`.
    fn reach(&self, y: usize, input: Shape, output: Shape) -> Range<isize> {
        // Along an output row, input y falls by tan(angle) for each column: the ends of the row's
        // stay inside the image are at its left and right edge.
        let dy = y as f64 + 0.5 - output.rows as f64 / 2.0;
        let half = self.sin.abs() * (input.cols as f64 / 2.0 + 1.0);
        let row = |dy: f64| libm::floor(dy / self.cos + (input.rows as f64 / 2.0 - 0.5)) as isize;
        row(dy - half) - 1..row(dy + half) + 3
    }

    fn rows<T: Element>(&self, input: &Window<'_>, out: &mut Band<'_>) {
        let (shape, output) = (input.shape(), out.shape);
        let channels = shape.channels();
        let colors = shape.color.color_channels();
        let alpha = shape.color.has_alpha();
        let (w, h) = (shape.cols as f64, shape.rows as f64);
        let fill = (self.fill / 255.0 * T::TOP) as f32;
        let mut empty = vec![T::saturate32(fill); channels];
        if alpha {
            empty[channels - 1] = T::default();
        }
        for y in out.range() {
            let reach = crate::plan::clip(self.reach(y, shape, output), shape.rows);
            let rows: Vec<&[T]> = reach.clone().map(|y| input.row::<T>(y as isize)).collect();
            let dy = y as f64 + 0.5 - output.rows as f64 / 2.0;
            let (x_of_row, y_of_row) = (
                self.sin * dy + (w / 2.0 - 0.5),
                self.cos * dy + (h / 2.0 - 0.5),
            );
            for (x, pixel) in out.row::<T>(y).chunks_exact_mut(channels).enumerate() {
                let dx = x as f64 + 0.5 - output.cols as f64 / 2.0;
                let (sx, sy) = (self.cos * dx + x_of_row, y_of_row - self.sin * dx);
                if !(sx > -1.0 && sx < w && sy > -1.0 && sy < h) {
                    pixel.copy_from_slice(&empty);
                    continue;
                }
                let (left, top) = (libm::floor(sx), libm::floor(sy));
                let (fx, fy) = ((sx - left) as f32, (sy - top) as f32);
                let weights = [
                    (1.0 - fx) * (1.0 - fy),
                    fx * (1.0 - fy),
                    (1.0 - fx) * fy,
                    fx * fy,
                ];
                let corner = |i: usize| {
                    let (x, y) = (
                        left as isize + (i & 1) as isize,
                        top as isize + (i >> 1) as isize,
                    );
                    let inside =
                        x >= 0 && x < shape.cols as isize && y >= 0 && y < shape.rows as isize;
                    inside.then(|| {
                        let at = x as usize * channels;
                        &rows[y as usize - reach.start][at..at + channels]
                    })
                };
                let corners: [Option<&[T]>; 4] = std::array::from_fn(corner);
                // With alpha, colours count by their opacity.
                let mut opacity = [1.0f32; 4];
                let mut total = 1.0f32;
                if alpha {
                    opacity = corners.map(|c| c.map_or(0.0, |c| c[channels - 1].to_f32()));
                    total = (0..4)
                        .map(|i| weights[i] * opacity[i])
                        .fold(0.0, |a, b| a + b);
                    pixel[channels - 1] = T::saturate32(total);
                }
                for c in 0..colors {
                    let value = |i: usize| {
                        weights[i] * opacity[i] * corners[i].map_or(fill, |p| p[c].to_f32())
                    };
                    let sum = (0..4).map(value).fold(0.0, |a, b| a + b);
                    pixel[c] = match (alpha, total > 0.0) {
                        (false, _) => T::saturate32(sum),
                        (true, true) => T::saturate32(sum / total),
                        (true, false) => empty[c],
                    };
                }
            }
        }
    }
}

impl Local for Turn {
    fn output(&self, input: Shape) -> Result<Shape> {
        limited("rotate", self.canvas(input))
    }

    fn rows_needed(&self, out: Range<usize>, input: Shape) -> Range<isize> {
        let output = self.canvas(input);
        let first = self.reach(out.start, input, output);
        let last = self.reach(out.end - 1, input, output);
        first.start..last.end
    }

    fn geometry(&self, input: Shape) -> Option<Affine> {
        let output = self.canvas(input);
        let (sin, cos) = (self.sin, self.cos);
        let half = |n: usize| n as f64 / 2.0;
        let (x, y) = (half(output.cols), half(output.rows));
        Some(Affine {
            m: [
                [cos, sin, half(input.cols) - cos * x - sin * y],
                [-sin, cos, half(input.rows) + sin * x - cos * y],
            ],
        })
    }

    fn cost(&self) -> f64 {
        6.0
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        crate::by_sample!(out.shape.sample, T => self.rows::<T>(input, out));
    }
}
