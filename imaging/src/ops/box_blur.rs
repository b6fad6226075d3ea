//! box_blur: the mean of a square window, at the same cost for any radius.

use crate::border::Border;
use crate::gpu::Kernel;
use crate::image::Shape;
use crate::kernels::boxed::{Boxed, Mean};
use crate::op::{ALPHA, Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// The operation.
pub static OP: Op = Op {
    name: "box_blur",
    about: "Averages a square window of 2 radius + 1 pixels.",
    params: &[
        Param::int(
            "radius",
            0..=500,
            1,
            "pixels from the centre to the window's edge",
        ),
        Param::border(),
        ALPHA,
    ],
    example: "box_blur(radius=3, border=reflect)",
    group: Group::Filter,
    channels: Channels::Each,
    build: |args| {
        let blur = BoxBlur::new(args.size("radius"), args.border());
        Ok(vec![Step::local(blur)])
    },
};

/// Averages a square window around each sample.
pub struct BoxBlur(Boxed);

impl Local for BoxBlur {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        self.0.rows_needed(out)
    }

    fn border(&self) -> Border {
        self.0.border()
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn is_identity(&self, _input: Shape) -> bool {
        self.0.radius() == 0
    }

    fn cost(&self) -> f64 {
        0.25
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        self.0.gpu(input)
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        crate::by_sample!(input.shape().sample, T => self.rows::<T>(input, out, scratch));
    }
}

impl BoxBlur {
    /// A window that reaches `radius` pixels from its centre.
    pub fn new(radius: usize, border: Border) -> BoxBlur {
        BoxBlur(Boxed::new(radius, border))
    }

    fn rows<T: Mean>(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        self.0.rows::<T>(input, out, scratch, |_, mean, out| {
            out.copy_from_slice(mean)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::trial::{assert_near, correlate, noise, run, shapes};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn equals_the_mean(
            shape in shapes(1..60, 1..60),
            seed: u64,
            radius in prop_oneof![0..9usize, Just(15), Just(140)],
            border in 0..4usize,
        ) {
            // The formula is slow: small images for large windows.
            let shape = match radius {
                0..9 => shape,
                _ => Shape { rows: shape.rows % 5 + 1, cols: shape.cols % 7 + 1, ..shape },
            };
            let image = noise(shape, seed);
            let name = Border::NAMES[border];
            let area = ((2 * radius + 1) * (2 * radius + 1)) as f64;
            let reach = [radius as isize; 2];
            let wanted = correlate(&image, reach, Border::from_name(name).unwrap(), |_, _| 1.0 / area);
            let text = format!("box_blur(radius={radius}, border={name})");
            assert_near(&image, &run(&text, &image), &wanted, 0.50001, &text);
        }
    }
}
