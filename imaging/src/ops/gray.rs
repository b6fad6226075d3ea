//! Gray from colour: the `grayscale` operation, and the step and row kernel that operations defined on
//! gray put in front.

use crate::error::Result;
use crate::gpu::{Kernel, Pass, programs};
use crate::image::{Color, Element, SampleType, Shape};
use crate::op::{Channels, Group, Local, Op, Step};
use crate::window::{Band, Scratch, Window};

/// The operation.
pub static OP: Op = Op {
    name: "grayscale",
    about: "Turns colours into gray: 0.299 R + 0.587 G + 0.114 B.",
    params: &[],
    example: "grayscale",
    group: Group::Point,
    channels: Channels::Mixed,
    build: |_| Ok(vec![Step::local(Gray)]),
};

/// Weights of R, G and B in units of 2^-15, as OpenCV's `cvtColor` rounds them.
const WEIGHTS: [u32; 3] = [9798, 19235, 3735];
const SHIFT: u32 = 15;

/// Turns RGB into gray and RGBA into gray with alpha; gray images are left as they are.
pub struct Gray;

impl Local for Gray {
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(Shape {
            color: input.color.to_gray(),
            ..input
        })
    }

    fn is_identity(&self, input: Shape) -> bool {
        input.color.is_gray()
    }

    fn cost(&self) -> f64 {
        0.3
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        let output = self.output(input).ok()?;
        Kernel::one(
            Pass::new(&programs::PIXELS, output)
                .constant("KIND", 0)
                .reads(3.0),
        )
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        crate::by_sample!(input.shape().sample, T => {
            let color = input.shape().color;
            for y in out.range() {
                let (source, target) = (input.row::<T>(y as isize), out.row::<T>(y));
                match color {
                    Color::Gray | Color::GrayAlpha => target.copy_from_slice(source),
                    Color::Rgb => luma_row(source, color, target),
                    Color::Rgba => with_alpha(source, target),
                    Color::Bands(_) => unreachable!("bands have no gray: the planner refuses them"),
                }
            }
        });
    }
}

/// The gray values of one row of any colour, without alpha: `target` has one sample for each pixel.
/// 8 and 16 bit are equal to OpenCV's `cvtColor` to the last bit.
pub fn luma_row<T: Element>(source: &[T], color: Color, target: &mut [T]) {
    let step = color.channels();
    if color.is_gray() {
        for (t, s) in target.iter_mut().zip(source.chunks_exact(step)) {
            *t = s[0];
        }
        return;
    }
    by_type(source, step, target, 1);
}

fn with_alpha<T: Element>(source: &[T], target: &mut [T]) {
    by_type(source, 4, target, 2);
    for (t, s) in target.chunks_exact_mut(2).zip(source.chunks_exact(4)) {
        t[1] = s[3];
    }
}

fn by_type<T: Element>(source: &[T], from: usize, target: &mut [T], to: usize) {
    use bytemuck::{cast_slice, cast_slice_mut};
    match (T::TYPE, from, to) {
        (SampleType::U8, 3, 1) => eight(cast_slice(source), cast_slice_mut(target)),
        (SampleType::U8, ..) => integer::<u8>(cast_slice(source), from, cast_slice_mut(target), to),
        (SampleType::U16, 3, 1) => sixteen(cast_slice(source), cast_slice_mut(target)),
        (SampleType::U16, ..) => {
            integer::<u16>(cast_slice(source), from, cast_slice_mut(target), to)
        }
        (SampleType::F32, ..) => float(cast_slice(source), from, cast_slice_mut(target), to),
        (SampleType::F64, ..) => crate::image::narrowed(),
    }
}

#[inline(always)]
fn luma(r: u32, g: u32, b: u32) -> u32 {
    // 65535 * 2^15 and the rounding fit into 32 bits.
    (r * WEIGHTS[0] + g * WEIGHTS[1] + b * WEIGHTS[2] + (1 << (SHIFT - 1))) >> SHIFT
}

crate::simd! {
    fn eight(source: &[u8], target: &mut [u8]) {
        for (t, s) in target.iter_mut().zip(source.chunks_exact(3)) {
            *t = luma(s[0] as u32, s[1] as u32, s[2] as u32) as u8;
        }
    }
}

crate::simd! {
    fn sixteen(source: &[u16], target: &mut [u16]) {
        for (t, s) in target.iter_mut().zip(source.chunks_exact(3)) {
            *t = luma(s[0] as u32, s[1] as u32, s[2] as u32) as u16;
        }
    }
}

fn integer<T: Element + Into<u32> + TryFrom<u32>>(
    source: &[T],
    from: usize,
    target: &mut [T],
    to: usize,
) {
    for (t, s) in target.chunks_exact_mut(to).zip(source.chunks_exact(from)) {
        // The weights sum to one, so the value is in range.
        t[0] = T::try_from(luma(s[0].into(), s[1].into(), s[2].into())).unwrap_or_default();
    }
}

fn float(source: &[f32], from: usize, target: &mut [f32], to: usize) {
    for (t, s) in target.chunks_exact_mut(to).zip(source.chunks_exact(from)) {
        t[0] = 0.299 * s[0] + 0.587 * s[1] + 0.114 * s[2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_cvt_color() {
        let mut gray = [0u8; 4];
        let rgb = [10, 200, 30, 255, 255, 255, 0, 0, 255, 1, 2, 3];
        luma_row(&rgb, Color::Rgb, &mut gray);
        assert_eq!(gray, [124, 255, 29, 2]);
        let mut gray = [0u16; 2];
        luma_row(
            &[65535u16, 65535, 65535, 1000, 40000, 7],
            Color::Rgb,
            &mut gray,
        );
        assert_eq!(gray, [65535, 23780]);
    }

    #[test]
    fn alpha_is_left_out_or_kept() {
        let rgba = [10u8, 200, 30, 77, 255, 255, 255, 3];
        let mut gray = [0u8; 2];
        luma_row(&rgba, Color::Rgba, &mut gray);
        assert_eq!(gray, [124, 255]);
        let mut both = [0u8; 4];
        with_alpha(&rgba, &mut both);
        assert_eq!(both, [124, 77, 255, 3]);
        luma_row(&both, Color::GrayAlpha, &mut gray);
        assert_eq!(gray, [124, 255]);
    }

    #[test]
    fn long_rows_equal_single_pixels() {
        let rgb: Vec<u8> = (0..3 * 517usize).map(|i| (i * 89 % 256) as u8).collect();
        let mut row = vec![0; 517];
        luma_row(&rgb, Color::Rgb, &mut row);
        for (pixel, &got) in rgb.chunks_exact(3).zip(&row) {
            assert_eq!(
                got as u32,
                luma(pixel[0] as u32, pixel[1] as u32, pixel[2] as u32)
            );
        }
    }
}
