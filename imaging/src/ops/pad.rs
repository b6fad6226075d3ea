//! pad: adds a frame.

use crate::border::Border;
use crate::error::Result;
use crate::image::{Element, Shape};
use crate::kernels::output_size::limited;
use crate::metadata::Affine;
use crate::op::{Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

const fn side(name: &'static str, about: &'static str) -> Param {
    Param::int(name, 0..=100_000, 0, about)
}

/// The operation.
pub static OP: Op = Op {
    name: "pad",
    about: "Adds a frame of one grey level (opaque) or of mirrored or repeated pixels.",
    params: &[
        side("left", "columns added at the left"),
        side("right", "columns added at the right"),
        side("top", "rows added at the top"),
        side("bottom", "rows added at the bottom"),
        Param::word(
            "border",
            &["constant", "reflect101", "reflect", "replicate"],
            "what the frame shows",
        ),
        Param::float(
            "value",
            0.0..=255.0,
            0.0,
            "the grey of a constant frame in 8-bit levels",
        ),
    ],
    example: "pad(left=3, right=1, top=2, bottom=5, border=reflect)",
    group: Group::Geometry,
    channels: Channels::Each,
    build: |args| {
        Ok(vec![Step::local(Pad {
            left: args.size("left"),
            right: args.size("right"),
            top: args.size("top"),
            bottom: args.size("bottom"),
            border: args.border(),
            value: args.float("value"),
        })])
    },
};

struct Pad {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
    border: Border,
    value: f64,
}

impl Pad {
    /// The input row shown at output row `y`.
    fn source(&self, y: usize, rows: usize) -> Option<usize> {
        self.border.index(y as isize - self.top as isize, rows)
    }

    /// The least input row shown below output row `y`, so that the rows needed never run backwards
    /// while an image streams.
    fn least_after(&self, y: usize, rows: usize) -> usize {
        let in_frame = match self.border {
            Border::Constant => rows,
            _ if self.bottom == 0 => rows,
            Border::Replicate => rows - 1,
            Border::Reflect => rows.saturating_sub(self.bottom),
            Border::Reflect101 => (rows - 1).saturating_sub(self.bottom),
        };
        in_frame.min(y.saturating_sub(self.top))
    }

    fn rows<T: Element>(&self, input: &Window<'_>, out: &mut Band<'_>) {
        let shape = input.shape();
        let channels = shape.channels();
        let mut frame = vec![T::saturate(self.value / 255.0 * T::TOP); channels];
        if shape.color.has_alpha() {
            frame[channels - 1] = T::saturate(T::TOP);
        }
        let inside = self.left * channels..(self.left + shape.cols) * channels;
        let sides = (0..self.left).chain(self.left + shape.cols..out.shape.cols);
        let sides: Vec<(usize, Option<usize>)> = sides
            .map(|x| {
                (
                    x,
                    self.border
                        .index(x as isize - self.left as isize, shape.cols),
                )
            })
            .collect();
        for y in out.range() {
            let target = out.row::<T>(y);
            let Some(from) = self.source(y, shape.rows) else {
                for pixel in target.chunks_exact_mut(channels) {
                    pixel.copy_from_slice(&frame);
                }
                continue;
            };
            let source = input.row::<T>(from as isize);
            target[inside.clone()].copy_from_slice(source);
            for &(x, from) in &sides {
                let pixel = from.map_or(&frame[..], |x| &source[x * channels..(x + 1) * channels]);
                target[x * channels..(x + 1) * channels].copy_from_slice(pixel);
            }
        }
    }
}

impl Local for Pad {
    fn output(&self, input: Shape) -> Result<Shape> {
        let shape = Shape {
            rows: input.rows + self.top + self.bottom,
            cols: input.cols + self.left + self.right,
            ..input
        };
        limited("pad", shape)
    }

    fn rows_needed(&self, out: Range<usize>, input: Shape) -> Range<isize> {
        let shown = out.clone().filter_map(|y| self.source(y, input.rows));
        let (mut start, mut end) = (self.least_after(out.start, input.rows), 0);
        for y in shown {
            start = start.min(y);
            end = end.max(y + 1);
        }
        start as isize..end.max(start) as isize
    }

    fn geometry(&self, _input: Shape) -> Option<Affine> {
        Some(Affine::shift(-(self.left as f64), -(self.top as f64)))
    }

    fn is_identity(&self, _input: Shape) -> bool {
        self.left + self.right + self.top + self.bottom == 0
    }

    fn takes_f64(&self) -> bool {
        true
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.1
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        crate::by_any_sample!(out.shape.sample, T => self.rows::<T>(input, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_needed_never_run_backwards() {
        for border in [
            Border::Constant,
            Border::Replicate,
            Border::Reflect,
            Border::Reflect101,
        ] {
            for (rows, top, bottom) in [(1, 3, 4), (5, 2, 3), (5, 9, 13), (40, 7, 12), (9, 0, 0)] {
                let pad = Pad {
                    left: 0,
                    right: 0,
                    top,
                    bottom,
                    border,
                    value: 0.0,
                };
                let input = Shape::new(rows, 3, crate::Color::Gray, crate::SampleType::U8);
                let mut before = 0;
                for y in 0..rows + top + bottom {
                    let need = pad.rows_needed(y..y + 1, input);
                    assert!(
                        need.start >= before && need.end <= rows as isize,
                        "{border:?} {y}: {need:?}"
                    );
                    before = need.start;
                    if let Some(from) = pad.source(y, rows) {
                        assert!(need.contains(&(from as isize)));
                    }
                }
            }
        }
    }
}
