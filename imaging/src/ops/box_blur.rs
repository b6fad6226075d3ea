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

    fn takes_bands(&self) -> bool {
        true
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
    use crate::kernels::trial::{assert_near, correlate, noise, run, shapes, values};
    use crate::{Buffer, Color, Image, Rows, SampleType};
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

    /// Floats whose magnitudes lie 60 powers of ten apart.
    fn wild(shape: Shape) -> Vec<f32> {
        let mut state = 4711u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let power = (state >> 40) as i32 % 61 - 30;
            (state as u32 as f32 - 2e9) * 10f32.powi(power - 9)
        };
        (0..shape.rows * shape.row_len()).map(|_| next()).collect()
    }

    #[test]
    fn floats_are_data_of_any_magnitude() {
        let shape = Shape::new(40, 30, Color::Gray, SampleType::F32);
        for radius in [1, 3, 4, 9, 60] {
            let text = format!("box_blur(radius={radius}, border=replicate)");
            for value in [1e9f32, -4e6, 3e-20, 1e37, 0.1] {
                let flat = Image::new(shape, Buffer::F32(vec![value; 40 * 30]));
                assert_eq!(run(&text, &flat), flat, "{text}");
            }
            let image = Image::new(shape, Buffer::F32(wild(shape)));
            let got = values(&run(&text, &image));
            let width = (2 * radius + 1) as f64;
            let mean = |image: &Image| {
                let weight = |_, _| 1.0 / (width * width);
                correlate(image, [radius, radius], Border::Replicate, weight)
            };
            let wanted = mean(&image);
            let sizes = wild(shape).iter().map(|v| v.abs()).collect();
            let sizes = mean(&Image::new(shape, Buffer::F32(sizes)));
            for ((got, wanted), size) in got.iter().zip(wanted).zip(sizes) {
                assert!(
                    (got - wanted).abs() <= 1e-7 * wanted.abs() + 1e-12 * size,
                    "{text}: {got} instead of {wanted}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_number_reaches_no_further_than_its_windows() {
        let shape = Shape::new(50, 40, Color::Rgb, SampleType::F32);
        for radius in [2, 5, 8] {
            let mut samples = vec![0.5f32; 50 * 40 * 3];
            samples[(25 * 40 + 20) * 3 + 1] = f32::NAN;
            samples[3] = f32::INFINITY;
            let text = format!("box_blur(radius={radius}, border=constant)");
            let got = values(&run(&text, &Image::new(shape, Buffer::F32(samples))));
            for (at, value) in got.iter().enumerate() {
                let (y, x, c) = (at / 120, at % 120 / 3, at % 3);
                let near = y.abs_diff(25).max(x.abs_diff(20)) <= radius && c == 1;
                let first = y.max(x.abs_diff(1)) <= radius && c == 0;
                assert_eq!(value.is_nan(), near, "{radius} {y} {x} {c}");
                assert_eq!(value.is_infinite(), first, "{radius} {y} {x} {c}");
            }
        }
    }

    #[test]
    fn floats_come_out_the_same_wherever_a_walk_begins() {
        for (radius, cols) in [(1, 37), (4, 37), (9, 61), (30, 20)] {
            let shape = Shape::new(83, cols, Color::GrayAlpha, SampleType::F32);
            let image = Image::new(shape, Buffer::F32(wild(shape)));
            let blur = BoxBlur::new(radius, Border::Reflect101);
            let black = Buffer::zeroed(SampleType::F32, shape.row_len());
            let pieces = [&image.rows];
            let window = Window::new(&pieces, shape, Border::Reflect101, &black);
            let walk = |bands: &[(usize, usize)]| {
                let mut rows = Rows::zeroed(shape, 0..shape.rows);
                let (mut band, mut scratch) = (Band::of(&mut rows), Scratch::default());
                for (from, to) in bands {
                    blur.apply(&window, &mut band.part(*from..*to), &mut scratch);
                }
                rows
            };
            let expected = walk(&[(0, 83)]);
            for first in 1..83 {
                // The lower part first, so that each begins anew; the upper one in bands of 4.
                let mut bands = vec![(first, 83)];
                bands.extend((0..first).step_by(4).map(|y| (y, (y + 4).min(first))));
                assert!(
                    walk(&bands) == expected,
                    "radius {radius}, from row {first}"
                );
            }
        }
    }
}
