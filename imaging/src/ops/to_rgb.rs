//! to_rgb: gray images as RGB.

use crate::error::Result;
use crate::gpu::{Kernel, Pass, programs};
use crate::image::Shape;
use crate::op::{Channels, Group, Local, Op, Step};
use crate::window::{Band, Scratch, Window};

/// The operation.
pub static OP: Op = Op {
    name: "to_rgb",
    about: "Repeats gray in three channels; colour images are left as they are.",
    params: &[],
    example: "to_rgb",
    group: Group::Point,
    channels: Channels::Mixed,
    build: |_| Ok(vec![Step::local(ToRgb)]),
};

/// Turns gray into RGB and gray with alpha into RGBA.
pub struct ToRgb;

impl Local for ToRgb {
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(Shape {
            color: input.color.to_rgb(),
            ..input
        })
    }

    fn is_identity(&self, input: Shape) -> bool {
        !input.color.is_gray()
    }

    fn cost(&self) -> f64 {
        0.2
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        let output = self.output(input).ok()?;
        Kernel::one(Pass::new(&programs::PIXELS, output).constant("KIND", 1))
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        let (from, to) = (input.shape().channels(), out.shape.channels());
        crate::by_sample!(input.shape().sample, T => {
            for y in out.range() {
                let (source, target) = (input.row::<T>(y as isize), out.row::<T>(y));
                if from == to {
                    target.copy_from_slice(source);
                    continue;
                }
                for (t, s) in target.chunks_exact_mut(to).zip(source.chunks_exact(from)) {
                    t[..3].fill(s[0]);
                    if let (4, 2) = (to, from) {
                        t[3] = s[1];
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::comm::serial::Serial;
    use crate::executor::{Context, run_rows};
    use crate::{Buffer, Color, Image, Pipeline, Plan, SampleType, Shape};

    fn run(text: &str, color: Color, samples: Vec<u8>) -> (Shape, Buffer) {
        let shape = Shape::new(1, samples.len() / color.channels(), color, SampleType::U8);
        let plan = Plan::new(&Pipeline::parse(text).unwrap(), shape).unwrap();
        let image = Image::new(shape, Buffer::U8(samples));
        let comm = Serial::default();
        let rows = run_rows(&mut Context::new(&comm), &plan, image.rows).unwrap();
        (rows.shape, rows.data)
    }

    #[test]
    fn gray_is_repeated_and_alpha_kept() {
        let (shape, data) = run("to_rgb", Color::GrayAlpha, vec![9, 1, 8, 2]);
        assert_eq!(shape.color, Color::Rgba);
        assert_eq!(data, Buffer::U8(vec![9, 9, 9, 1, 8, 8, 8, 2]));
        let (_, data) = run("to_rgb", Color::Gray, vec![9, 8]);
        assert_eq!(data, Buffer::U8(vec![9, 9, 9, 8, 8, 8]));
    }

    #[test]
    fn images_that_are_so_already_are_left_alone() {
        let rgb = vec![1, 2, 3, 4, 5, 6];
        assert_eq!(
            run("to_rgb", Color::Rgb, rgb.clone()).1,
            Buffer::U8(rgb.clone())
        );
        let gray = vec![1, 2, 3, 4];
        assert_eq!(
            run("grayscale", Color::GrayAlpha, gray.clone()).1,
            Buffer::U8(gray)
        );
        let (_, data) = run("to_rgb | grayscale | invert", Color::Gray, vec![0, 77]);
        assert_eq!(data, Buffer::U8(vec![255, 178]));
    }
}
