//! gaussian: smoothing by a normal distribution.

use crate::border::Border;
use crate::gpu::Kernel;
use crate::image::{SampleType, Shape};
use crate::kernels::separable::{Separable, Smooth, normal};
use crate::op::{ALPHA, Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// The operation.
pub static OP: Op = Op {
    name: "gaussian",
    about: "Smooths by a normal distribution; the window's radius is ceil(3 sigma).",
    params: &[
        Param::float("sigma", 0.1..=200.0, 1.0, "standard deviation in pixels"),
        Param::border(),
        ALPHA,
    ],
    example: "gaussian(sigma=2)",
    group: Group::Filter,
    channels: Channels::Each,
    build: |args| {
        let weights = weights(args.float("sigma"));
        let separable = Separable::coarse(&weights, args.border());
        Ok(vec![Step::local(Gaussian { separable })])
    },
};

/// The weights of the window of radius ceil(3 sigma).
pub fn weights(sigma: f64) -> Vec<f64> {
    normal(sigma, libm::ceil(3.0 * sigma) as usize)
}

struct Gaussian {
    separable: Separable,
}

impl Local for Gaussian {
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
        self.separable.cost()
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        self.separable.gpu(input)
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        let separable = &self.separable;
        match input.shape().sample {
            SampleType::U8 => separable.rows::<u8>(input, out, scratch, |_, s, out| round(s, out)),
            SampleType::U16 => same::<u16>(separable, input, out, scratch),
            SampleType::F32 => same::<f32>(separable, input, out, scratch),
            SampleType::F64 => crate::image::narrowed(),
        }
    }
}

fn same<T: Smooth<Mid = T>>(
    separable: &Separable,
    input: &Window<'_>,
    out: &mut Band<'_>,
    scratch: &mut Scratch,
) {
    separable.rows::<T>(input, out, scratch, |_, smooth, out| {
        out.copy_from_slice(smooth);
    });
}

crate::simd! {
    /// 8-bit samples from smoothed ones.
    pub fn round(smooth: &[i16], out: &mut [u8]) {
        for (out, value) in out.iter_mut().zip(smooth) {
            *out = ((*value as u16 ^ 0x8000).wrapping_add(128) >> 8) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::trial::{assert_near, correlate, noise, run, shapes};
    use crate::{Buffer, Color, Image};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn close_to_the_formula(
            shape in shapes(1..9, 1..90),
            seed: u64,
            sigma in prop_oneof![Just(0.1), Just(0.6), Just(1.0), Just(2.3), Just(7.0)],
            border in 0..4usize,
        ) {
            let image = noise(shape, seed);
            let name = Border::NAMES[border];
            let border = Border::from_name(name).unwrap();
            let weights = weights(sigma);
            let radius = weights.len() as isize - 1;
            let weight = |dy: isize, dx: isize| weights[dy.unsigned_abs()] * weights[dx.unsigned_abs()];
            let wanted = correlate(&image, [radius, radius], border, weight);
            // 8-bit weights are off by up to half of 1/256 each, 16-bit weights by half of 1/65536: in
            // two passes of so many taps as many of the 65536 levels, of which 257 make one of 256.
            let taps = (2 * radius + 1) as f64;
            let within = match shape.sample {
                // Chance finds a noise row now and then that is off by just over 3.
                SampleType::U8 => 4.0,
                SampleType::U16 => (taps + 2.0) / 257.0,
                SampleType::F32 | SampleType::F64 => 0.01,
            };
            let text = format!("gaussian(sigma={sigma}, border={name})");
            assert_near(&image, &run(&text, &image), &wanted, within, &text);
        }
    }

    #[test]
    fn flat_stays_flat_at_any_sigma() {
        for sigma in [0.1, 0.7, 3.0, 31.0, 200.0] {
            for value in [0u8, 1, 127, 254, 255] {
                let shape = Shape::new(3, 75, Color::Gray, SampleType::U8);
                let image = Image::new(shape, Buffer::U8(vec![value; 225]));
                assert_eq!(run(&format!("gaussian(sigma={sigma})"), &image), image);
            }
        }
    }
}
