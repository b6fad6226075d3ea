//! unsharp: adds the difference between the image and its smoothed self.

use super::gaussian::weights;
use crate::border::Border;
use crate::image::{SampleType, Shape};
use crate::kernels::round;
use crate::kernels::separable::Separable;
use crate::op::{Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// The operation.
pub static OP: Op = Op {
    name: "unsharp",
    about: "Unsharp mask: adds the difference to the smoothed image, times an amount.",
    params: &[
        Param::float(
            "sigma",
            0.1..=200.0,
            2.0,
            "standard deviation of the smoothing in pixels",
        ),
        Param::float("amount", 0.0..=10.0, 0.5, "strength"),
    ],
    example: "unsharp(sigma=1.5, amount=0.8)",
    group: Group::Filter,
    channels: Channels::Each,
    build: |args| {
        let weights = weights(args.float("sigma"));
        Ok(vec![Step::local(Unsharp {
            separable: Separable::precise(&weights, Border::Reflect101),
            amount: args.float("amount") as f32,
        })])
    },
};

struct Unsharp {
    separable: Separable,
    amount: f32,
}

impl Local for Unsharp {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        self.separable.rows_needed(out)
    }

    fn border(&self) -> Border {
        self.separable.border()
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        self.separable.cost() + 0.2
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        let (separable, amount) = (&self.separable, self.amount);
        match input.shape().sample {
            SampleType::U8 => separable.rows::<u8>(input, out, scratch, |source, smooth, out| {
                eight(source, smooth, out, amount);
            }),
            SampleType::U16 => separable.rows::<u16>(input, out, scratch, |source, smooth, out| {
                sixteen(source, smooth, out, amount);
            }),
            SampleType::F32 => separable.rows::<f32>(input, out, scratch, |source, smooth, out| {
                for ((out, source), smooth) in out.iter_mut().zip(source).zip(smooth) {
                    *out = source + amount * (source - smooth);
                }
            }),
            SampleType::F64 => crate::image::narrowed(),
        }
    }
}

crate::simd! {
    fn eight(source: &[u8], smooth: &[i16], out: &mut [u8], amount: f32) {
        for ((out, source), smooth) in out.iter_mut().zip(source).zip(smooth) {
            // Both in units of 1/256; half a unit for the smoothed value having been rounded down.
            let difference = *source as i32 * 256 - (*smooth as i32 + 32768);
            let difference = (difference as f32 - 0.5) * (1.0 / 256.0);
            *out = round::to_u8(*source as f32 + amount * difference);
        }
    }
}

crate::simd! {
    fn sixteen(source: &[u16], smooth: &[u16], out: &mut [u16], amount: f32) {
        for ((out, source), smooth) in out.iter_mut().zip(source).zip(smooth) {
            let difference = *source as i32 - *smooth as i32;
            *out = round::to_u16(*source as f32 + amount * difference as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::trial::{assert_near, correlate, noise, run, shapes, values};
    use crate::{Buffer, Color, Image};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn close_to_the_formula(
            shape in shapes(1..9, 1..90),
            seed: u64,
            sigma in prop_oneof![Just(0.1), Just(0.6), Just(1.0), Just(2.3), Just(7.0)],
            amount in prop_oneof![Just(0.5), Just(3.0), Just(10.0)],
        ) {
            let image = noise(shape, seed);
            let weights = weights(sigma);
            let radius = weights.len() as isize - 1;
            let weight = |dy: isize, dx: isize| weights[dy.unsigned_abs()] * weights[dx.unsigned_abs()];
            let smooth = correlate(&image, [radius, radius], Border::Reflect101, weight);
            let sharp = values(&image).iter().zip(&smooth).map(|(v, s)| v + amount * (v - s)).collect::<Vec<_>>();
            let text = format!("unsharp(sigma={sigma}, amount={amount})");
            assert_near(&image, &run(&text, &image), &sharp, 0.7, &text);
        }
    }

    #[test]
    fn flat_stays_flat() {
        for value in [0u8, 1, 127, 254, 255] {
            let shape = Shape::new(3, 75, Color::Gray, SampleType::U8);
            let image = Image::new(shape, Buffer::U8(vec![value; 225]));
            assert_eq!(run("unsharp(sigma=9, amount=10)", &image), image);
        }
    }
}
