//! adaptive_threshold: white where a sample is brighter than the mean around it.

use super::gray::Gray;
use crate::border::Border;
use crate::error::Error;
use crate::image::{SampleType, Shape};
use crate::kernels::boxed::{Boxed, Mean};
use crate::kernels::separable::{Separable, Smooth, normal};
use crate::op::{Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// The operation.
pub static OP: Op = Op {
    name: "adaptive_threshold",
    about: "White where gray exceeds the mean of the block around it less c, else black.",
    params: &[
        Param::word("method", &["mean", "gaussian"], "how the block is averaged"),
        Param::int("block", 3..=1001, 11, "side of the block in pixels, odd"),
        Param::float(
            "c",
            -255.0..=255.0,
            2.0,
            "taken from the mean, in 8-bit levels",
        ),
    ],
    example: "adaptive_threshold(block=7, c=1.5)",
    group: Group::Edges,
    channels: Channels::Mixed,
    build: |args| {
        let block = args.size("block");
        if block % 2 == 0 {
            return Err(Error::Pipeline(format!(
                "`adaptive_threshold`: block = {block} is even (hint: {} or {})",
                block - 1,
                block + 1
            )));
        }
        let c = args.float("c");
        let step = match args.word("method") {
            "mean" => Step::local(Against {
                mean: Boxed::new(block / 2, Border::Replicate),
                c,
            }),
            _ => Step::local(Against {
                mean: Weighted {
                    separable: Separable::precise(&weights(block), Border::Replicate),
                    half_to_even: block <= 5,
                },
                c,
            }),
        };
        Ok(vec![Step::local(Gray), step])
    },
};

/// OpenCV's weights for a block when no sigma is given (`getGaussianKernel`).
fn weights(block: usize) -> Vec<f64> {
    let dyadic: &[u16] = match block {
        3 => &[128, 64],
        5 => &[96, 64, 16],
        7 => &[72, 56, 28, 8],
        9 => &[60, 51, 30, 13, 4],
        _ => {
            let sigma = 0.3 * ((block as f64 - 1.0) * 0.5 - 1.0) + 0.8;
            return normal(sigma, block / 2);
        }
    };
    dyadic.iter().map(|&w| w as f64 / 256.0).collect()
}

/// Compares with a mean.
struct Against<M> {
    mean: M,
    c: f64,
}

/// A weighted mean.
struct Weighted {
    separable: Separable,
    /// Means of blocks up to 5 often lie halfway between two levels, and OpenCV rounds those to even.
    half_to_even: bool,
}

/// A way to average blocks of gray rows.
trait Average: Send + Sync {
    fn rows_needed(&self, out: Range<usize>) -> Range<isize>;
    fn cost(&self) -> f64;
    /// Calls `finish(source row, means, output row)` for each row.
    fn eight(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        finish: impl FnMut(&[u8], &[u8], &mut [u8]),
    );
    /// As [`Average::eight`] for the other sample types.
    fn same<T: Mean + Smooth<Mid = T>>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        finish: impl FnMut(&[T], &[T], &mut [T]),
    );
}

impl Average for Boxed {
    fn rows_needed(&self, out: Range<usize>) -> Range<isize> {
        Boxed::rows_needed(self, out)
    }

    fn cost(&self) -> f64 {
        0.8
    }

    fn eight(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        finish: impl FnMut(&[u8], &[u8], &mut [u8]),
    ) {
        self.rows(input, out, scratch, finish);
    }

    fn same<T: Mean + Smooth<Mid = T>>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        finish: impl FnMut(&[T], &[T], &mut [T]),
    ) {
        self.rows(input, out, scratch, finish);
    }
}

impl Average for Weighted {
    fn rows_needed(&self, out: Range<usize>) -> Range<isize> {
        self.separable.rows_needed(out)
    }

    fn cost(&self) -> f64 {
        self.separable.cost()
    }

    fn eight(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        mut finish: impl FnMut(&[u8], &[u8], &mut [u8]),
    ) {
        let mut means = vec![0; input.shape().row_len()];
        self.separable
            .rows::<u8>(input, out, scratch, |source, smooth, out| {
                round(smooth, &mut means, self.half_to_even as u16);
                finish(source, &means, out);
            });
    }

    fn same<T: Mean + Smooth<Mid = T>>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        finish: impl FnMut(&[T], &[T], &mut [T]),
    ) {
        self.separable.rows::<T>(input, out, scratch, finish);
    }
}

crate::simd! {
    /// Rounds to nearest; halves to even where `even` is 1, else up.
    fn round(smooth: &[i16], means: &mut [u8], even: u16) {
        for (mean, value) in means.iter_mut().zip(smooth) {
            let value = *value as u16 ^ 0x8000;
            let odd = (value >> 8) & 1;
            *mean = (value.wrapping_add(128 - (even & (odd ^ 1))) >> 8) as u8;
        }
    }
}

impl<M: Average> Local for Against<M> {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        self.mean.rows_needed(out)
    }

    fn border(&self) -> Border {
        Border::Replicate
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        self.mean.cost()
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        // Fractions of a level make no difference to whole levels: rounded up, as OpenCV does.
        let levels = |white: f64| libm::ceil(self.c * white / 255.0) as i32;
        let mean = &self.mean;
        match input.shape().sample {
            SampleType::U8 => {
                let c = levels(255.0) as i16;
                mean.eight(input, out, scratch, |source, mean, out| {
                    eight(source, mean, out, c);
                });
            }
            SampleType::U16 => {
                let c = levels(65535.0);
                mean.same::<u16>(input, out, scratch, |source, mean, out| {
                    sixteen(source, mean, out, c);
                });
            }
            SampleType::F32 => {
                let c = (self.c / 255.0) as f32;
                mean.same::<f32>(input, out, scratch, |source, mean, out| {
                    for ((out, source), mean) in out.iter_mut().zip(source).zip(mean) {
                        *out = if source - mean > -c { 1.0 } else { 0.0 };
                    }
                });
            }
            SampleType::F64 => crate::image::narrowed(),
        }
    }
}

crate::simd! {
    fn eight(source: &[u8], mean: &[u8], out: &mut [u8], c: i16) {
        for ((out, source), mean) in out.iter_mut().zip(source).zip(mean) {
            *out = if *source as i16 - *mean as i16 > -c { 255 } else { 0 };
        }
    }
}

crate::simd! {
    fn sixteen(source: &[u16], mean: &[u16], out: &mut [u16], c: i32) {
        for ((out, source), mean) in out.iter_mut().zip(source).zip(mean) {
            *out = if *source as i32 - *mean as i32 > -c { 65535 } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::trial::{correlate, noise, run, shapes, values, white};
    use crate::{Color, Pipeline};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn compares_with_the_mean(shape in shapes(1..30, 1..50), seed: u64, radius in 1..8isize, c in -4..5i32) {
            let shape = Shape { color: Color::Gray, ..shape };
            let image = noise(shape, seed);
            let block = 2 * radius + 1;
            let level = white(shape) / 255.0;
            for method in ["mean", "gaussian"] {
                let text = format!("adaptive_threshold(method={method}, block={block}, c={c})");
                let got = values(&run(&text, &image));
                let weights = weights(block as usize);
                let weight = |dy: isize, dx: isize| match method {
                    "mean" => 1.0 / (block * block) as f64,
                    _ => weights[dy.unsigned_abs()] * weights[dx.unsigned_abs()],
                };
                let mean = correlate(&image, [radius; 2], Border::Replicate, weight);
                for ((got, value), mean) in got.iter().zip(values(&image)).zip(mean) {
                    let above = value - mean + c as f64 * level;
                    // Means are rounded to the sample's own levels first.
                    let unsure = if shape.sample == SampleType::F32 { 1e-5 } else { 2.6 };
                    if above.abs() > unsure {
                        assert_eq!(*got, if above > 0.0 { white(shape) } else { 0.0 }, "{text} {shape:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_even_block_is_an_error() {
        let message = Pipeline::parse("adaptive_threshold(block=12)")
            .err()
            .unwrap()
            .to_string();
        assert_eq!(
            message,
            "`adaptive_threshold`: block = 12 is even (hint: 11 or 13)"
        );
    }
}
