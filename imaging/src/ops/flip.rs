//! flip: mirrors the image.

use crate::gpu::{Kernel, Pass, programs};
use crate::image::Shape;
use crate::kernels::reverse_pixels::reverse_pixels;
use crate::metadata::Affine;
use crate::op::{Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// The operation.
pub static OP: Op = Op {
    name: "flip",
    about: "Mirrors: horizontal exchanges left and right, vertical top and bottom.",
    params: &[Param::word(
        "axis",
        &["horizontal", "vertical"],
        "which sides change places",
    )],
    example: "flip(axis=vertical)",
    group: Group::Geometry,
    channels: Channels::Each,
    build: |args| {
        let vertical = args.word("axis") == "vertical";
        Ok(vec![Step::local(Flip {
            columns: !vertical,
            rows: vertical,
        })])
    },
};

/// Reverses the order of columns, rows or both.
pub struct Flip {
    /// Left and right change places.
    pub columns: bool,
    /// Top and bottom change places.
    pub rows: bool,
}

impl Local for Flip {
    fn rows_needed(&self, out: Range<usize>, input: Shape) -> Range<isize> {
        match self.rows {
            true => {
                input.rows as isize - out.end as isize..input.rows as isize - out.start as isize
            }
            false => out.start as isize..out.end as isize,
        }
    }

    fn geometry(&self, input: Shape) -> Option<Affine> {
        Some(Affine::flip(
            self.columns,
            self.rows,
            (input.cols, input.rows),
        ))
    }

    fn takes_f64(&self) -> bool {
        true
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.2
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        let along = |turned: bool, len: usize| match turned {
            true => [len as i32 - 1, -1],
            false => [0, 1],
        };
        let ([a, b], [c, d]) = (
            along(self.rows, input.rows),
            along(self.columns, input.cols),
        );
        Kernel::one(Pass::new(&programs::GATHER, input).params(&[a, b, c, d]))
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        let shape = out.shape;
        let pixel = shape.channels() * shape.sample.bytes();
        crate::by_any_sample!(shape.sample, T => {
            for y in out.range() {
                let from = if self.rows { shape.rows - 1 - y } else { y };
                let (source, target) = (input.row::<T>(from as isize), out.row::<T>(y));
                match self.columns {
                    true => reverse_pixels(bytemuck::cast_slice(source), bytemuck::cast_slice_mut(target), pixel),
                    false => target.copy_from_slice(source),
                }
            }
        });
    }
}
