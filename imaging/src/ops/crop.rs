//! crop: cuts a rectangle out.

use crate::error::{Error, Result};
use crate::gpu::{Kernel, Pass, programs};
use crate::image::Shape;
use crate::metadata::Affine;
use crate::op::{Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// The operation.
pub static OP: Op = Op {
    name: "crop",
    about: "Cuts out a rectangle, which must lie inside the image.",
    params: &[
        Param::int("x", 0..=1_000_000, 0, "first column"),
        Param::int("y", 0..=1_000_000, 0, "first row"),
        Param::int("width", 1..=1_000_000, 1, "columns"),
        Param::int("height", 1..=1_000_000, 1, "rows"),
    ],
    example: "crop(x=1, y=1, width=20, height=15)",
    group: Group::Geometry,
    channels: Channels::Each,
    build: |args| {
        Ok(vec![Step::local(Crop {
            x: args.size("x"),
            y: args.size("y"),
            width: args.size("width"),
            height: args.size("height"),
        })])
    },
};

struct Crop {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Local for Crop {
    fn output(&self, input: Shape) -> Result<Shape> {
        if self.x + self.width > input.cols || self.y + self.height > input.rows {
            return Err(Error::Unsuitable(format!(
                "`crop`: columns {}..{} and rows {}..{} reach beyond the image, which is {} x {}",
                self.x,
                self.x + self.width,
                self.y,
                self.y + self.height,
                input.cols,
                input.rows
            )));
        }
        Ok(Shape {
            rows: self.height,
            cols: self.width,
            ..input
        })
    }

    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        (self.y + out.start) as isize..(self.y + out.end) as isize
    }

    fn geometry(&self, _input: Shape) -> Option<Affine> {
        Some(Affine::shift(self.x as f64, self.y as f64))
    }

    fn is_identity(&self, input: Shape) -> bool {
        (self.x, self.y, self.width, self.height) == (0, 0, input.cols, input.rows)
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

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        let output = self.output(input).ok()?;
        let params = [self.y as i32, 1, self.x as i32, 1];
        Kernel::one(Pass::new(&programs::GATHER, output).params(&params))
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        let channels = out.shape.channels();
        let samples = self.x * channels..(self.x + self.width) * channels;
        crate::by_any_sample!(out.shape.sample, T => {
            for y in out.range() {
                let source = input.row::<T>((self.y + y) as isize);
                out.row::<T>(y).copy_from_slice(&source[samples.clone()]);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::{Color, Pipeline, Plan, SampleType, Shape};

    #[test]
    fn beyond_the_image_is_an_error_with_its_size() {
        let shape = Shape::new(10, 20, Color::Rgb, SampleType::U8);
        let plan = |text: &str| Plan::new(&Pipeline::parse(text).unwrap(), shape).map(|p| p.output);
        assert!(plan("crop(x=0, y=0, width=20, height=10)").is_ok());
        let error = plan("crop(x=15, y=2, width=6, height=3)").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`crop`: columns 15..21 and rows 2..5 reach beyond the image, which is 20 x 10"
        );
    }
}
