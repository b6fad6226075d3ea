//! convolve: any small kernel.

use crate::border::Border;
use crate::image::{Element, SampleType, Shape};
use crate::kernels::padded::Padded;
use crate::kernels::round;
use crate::op::{Channels, Group, Kind, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::any::Any;
use std::ops::Range;

/// The operation.
pub static OP: Op = Op {
    name: "convolve",
    about: "Sums of each window weighted by a kernel (not flipped), times a scale, plus an offset.",
    params: &[
        Param {
            name: "kernel",
            about: "rows of weights; an odd number of rows and columns, at most 31",
            kind: Kind::Matrix { max: 31 },
        },
        Param::float("scale", -1e6..=1e6, 1.0, "factor of the sum"),
        Param::float(
            "offset",
            -65535.0..=65535.0,
            0.0,
            "added at last, in 8-bit levels",
        ),
        Param::border(),
    ],
    example: "convolve(kernel=[[0,1,2],[-1,0,1],[-2,-1,0.5]], scale=0.5, offset=100, border=reflect)",
    group: Group::Filter,
    channels: Channels::Each,
    build: |args| {
        let kernel = args.matrix("kernel");
        let (rows, cols) = (kernel.len(), kernel[0].len());
        let mut taps = Vec::new();
        for (y, row) in kernel.iter().enumerate() {
            for (x, &weight) in row.iter().enumerate() {
                if weight != 0.0 {
                    taps.push((y, x, weight));
                }
            }
        }
        Ok(vec![Step::local(Convolve {
            taps,
            reach: [rows / 2, cols / 2],
            scale: args.float("scale"),
            offset: args.float("offset"),
            border: args.border(),
        })])
    },
};

struct Convolve {
    /// Row, column and weight of each entry that is not zero.
    taps: Vec<(usize, usize, f64)>,
    /// Rows and columns from the centre to the kernel's edge.
    reach: [usize; 2],
    scale: f64,
    offset: f64,
    border: Border,
}

impl Convolve {
    /// Whether sums of single-precision floats are off by less than a fiftieth of a level: either
    /// every sum is a whole number that a float holds exactly, or the weights are small enough.
    fn single_will_do(&self, sample: SampleType) -> bool {
        let size: f64 = self.taps.iter().map(|(_, _, w)| w.abs()).sum();
        let whole = self.taps.iter().all(|(_, _, w)| *w == libm::trunc(*w));
        let top = match sample {
            SampleType::U8 => 255.0,
            SampleType::U16 => 65535.0,
            SampleType::F32 | SampleType::F64 => f64::INFINITY,
        };
        let exact = whole && size * top < 16777216.0;
        let error = (self.taps.len() + 2) as f64 * size * self.scale.abs() * 255.0 / 16777216.0;
        let final_error = (size * self.scale.abs() * 255.0 + self.offset.abs()) / 8388608.0;
        (exact || error < 0.01) && final_error < 0.01
    }
}

impl Local for Convolve {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        let reach = self.reach[0] as isize;
        out.start as isize - reach..out.end as isize + reach
    }

    fn border(&self) -> Border {
        self.border
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.5 + 0.1 * self.taps.len() as f64
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        let sample = input.shape().sample;
        let single = self.single_will_do(sample);
        if let (SampleType::U8, true, Some(taps)) = (sample, single, self.whole_taps()) {
            let (scale, offset) = (self.scale as f32, self.offset as f32);
            return self.each_row(
                (input, out, scratch),
                |row: &[u8], held: &mut [u8]| held.copy_from_slice(row),
                |rows, channels, target| whole(rows, &taps, channels, target, scale, offset),
            );
        }
        crate::by_sample!(sample, T => match single {
            true => self.rows::<T, f32>((input, out, scratch)),
            false => self.rows::<T, f64>((input, out, scratch)),
        });
    }
}

/// Samples summed at a time: their sums stay in the nearest cache.
const BLOCK: usize = 512;

/// What a step is given.
type Given<'g, 'w, 'o> = (&'g Window<'w>, &'g mut Band<'o>, &'g mut Scratch);

impl Convolve {
    fn rows<T: Element, F: Float>(&self, given: Given<'_, '_, '_>) {
        let weights: Vec<F> = self.taps.iter().map(|tap| F::of(tap.2)).collect();
        let unit = T::TOP / 255.0;
        let (scale, offset) = (F::of(self.scale), F::of(self.offset * unit));
        let mut sums = [F::default(); BLOCK];
        self.each_row(given, widen::<T, F>, |rows, channels, target| {
            for (block, target) in target.chunks_mut(BLOCK).enumerate() {
                let sums = &mut sums[..target.len()];
                sums.fill(F::default());
                for (&(y, x, _), &weight) in self.taps.iter().zip(&weights) {
                    let at = block * BLOCK + x * channels;
                    add(sums, &rows[y][at..][..target.len()], weight);
                }
                finish::<T, F>(sums, target, scale, offset);
            }
        });
    }

    /// For each output row calls `make` with the kernel's rows of input as `hold` keeps them, with
    /// their surroundings, and the number of channels.
    fn each_row<T: Element, H: Copy + Default + Any + Send>(
        &self,
        (input, out, scratch): Given<'_, '_, '_>,
        hold: impl Fn(&[T], &mut [H]),
        mut make: impl FnMut(&[&[H]], usize, &mut [T]),
    ) {
        let shape = input.shape();
        let channels = shape.channels();
        let [reach, side] = self.reach;
        let height = 2 * reach + 1;
        // Rows lie in a ring: input row y at y mod height, counted from the first one needed.
        let (ring, goes_on) = scratch.state(out, || -> Vec<Padded<H>> {
            let row = || Padded::new(shape.cols, channels, side, self.border, H::default());
            (0..height).map(|_| row()).collect()
        });
        let place = |y: isize| y.rem_euclid(height as isize) as usize;
        let mut next = match goes_on {
            true => out.first as isize + reach as isize,
            false => out.first as isize - reach as isize,
        };
        for y in out.range() {
            let first = y as isize - reach as isize;
            while next <= y as isize + reach as isize {
                let row = &mut ring[place(next)];
                hold(input.row::<T>(next), row.inner());
                row.surround();
                next += 1;
            }
            let rows: Vec<&[H]> = (first..next).map(|y| ring[place(y)].all()).collect();
            make(&rows, channels, out.row::<T>(y));
        }
    }

    /// The taps with whole weights, whose sums of bytes never leave 16 bits; `None` when they may.
    fn whole_taps(&self) -> Option<Vec<(usize, usize, i16)>> {
        let size: f64 = self.taps.iter().map(|(_, _, w)| w.abs()).sum();
        let whole = self.taps.iter().all(|(_, _, w)| *w == libm::trunc(*w));
        let taps = self.taps.iter();
        (whole && size * 255.0 <= 32767.0)
            .then(|| taps.map(|&(y, x, w)| (y, x, w as i16)).collect())
    }
}

/// Samples of whole sums made at once, while they stay in registers.
const WHOLE: usize = 64;

crate::simd! {
    /// One row from sums that are whole; they round as the sums in floats would.
    fn whole(rows: &[&[u8]], taps: &[(usize, usize, i16)], channels: usize, target: &mut [u8], scale: f32, offset: f32) {
        let mut at = 0;
        let mut blocks = target.chunks_exact_mut(WHOLE);
        for t in &mut blocks {
            let mut sums = [0i16; WHOLE];
            for &(y, x, weight) in taps {
                let row: &[u8; WHOLE] = match rows[y][at + x * channels..][..WHOLE].try_into() {
                    Ok(row) => row,
                    Err(_) => unreachable!("the slice has this length"),
                };
                for i in 0..WHOLE {
                    sums[i] = sums[i].wrapping_add(i16::from(row[i]).wrapping_mul(weight));
                }
            }
            for i in 0..WHOLE {
                t[i] = round::to_u8(sums[i] as f32 * scale + offset);
            }
            at += WHOLE;
        }
        for t in blocks.into_remainder() {
            let products = taps.iter().map(|&(y, x, weight)| i16::from(rows[y][at + x * channels]) * weight);
            let sum: i16 = products.sum();
            *t = round::to_u8(sum as f32 * scale + offset);
            at += 1;
        }
    }
}

/// The floats in which sums are taken.
trait Float: Copy + Default + Any + Send {
    fn of(value: f64) -> Self;
    fn from<T: Element>(sample: T) -> Self;
    fn plus_product(self, a: Self, b: Self) -> Self;
    fn finish<T: Element>(self, scale: Self, offset: Self) -> T;
}

impl Float for f32 {
    #[inline(always)]
    fn of(value: f64) -> f32 {
        value as f32
    }
    #[inline(always)]
    fn from<T: Element>(sample: T) -> f32 {
        sample.to_f32()
    }
    #[inline(always)]
    fn plus_product(self, a: f32, b: f32) -> f32 {
        self + a * b
    }
    #[inline(always)]
    fn finish<T: Element>(self, scale: f32, offset: f32) -> T {
        round::saturate(self * scale + offset)
    }
}

impl Float for f64 {
    #[inline(always)]
    fn of(value: f64) -> f64 {
        value
    }
    #[inline(always)]
    fn from<T: Element>(sample: T) -> f64 {
        sample.to_f64()
    }
    #[inline(always)]
    fn plus_product(self, a: f64, b: f64) -> f64 {
        self + a * b
    }
    #[inline(always)]
    fn finish<T: Element>(self, scale: f64, offset: f64) -> T {
        T::saturate(self * scale + offset)
    }
}

crate::simd! {
    fn widen<T: Element, F: Float>(row: &[T], wide: &mut [F]) {
        for (wide, sample) in wide.iter_mut().zip(row) {
            *wide = F::from(*sample);
        }
    }
}

crate::simd! {
    fn add<F: Float>(sums: &mut [F], row: &[F], weight: F) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum = sum.plus_product(*value, weight);
        }
    }
}

crate::simd! {
    fn finish<T: Element, F: Float>(sums: &[F], target: &mut [T], scale: F, offset: F) {
        for (out, sum) in target.iter_mut().zip(sums) {
            *out = sum.finish(scale, offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::trial::{assert_near, correlate, noise, run, shapes, white};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn equals_the_formula(
            shape in shapes(1..9, 1..60),
            seed: u64,
            reach in (0..4usize, 0..4usize),
            weights in proptest::collection::vec(-3.0..3.0f64, 49),
            whole: bool,
            large: bool,
            border in 0..4usize,
        ) {
            let image = noise(shape, seed);
            let (height, width) = (2 * reach.0 + 1, 2 * reach.1 + 1);
            let factor = if large { 1e6 } else { 1.0 };
            let weight = |y: usize, x: usize| {
                let w = weights[y * width + x] * factor;
                if whole { w.trunc() } else { w }
            };
            let rows: Vec<String> = (0..height)
                .map(|y| {
                    let row: Vec<String> = (0..width).map(|x| weight(y, x).to_string()).collect();
                    format!("[{}]", row.join(","))
                })
                .collect();
            let name = Border::NAMES[border];
            let scale = 0.25 / factor;
            let text = format!("convolve(kernel=[{}], scale={scale}, offset=20.5, border={name})", rows.join(","));
            let reach = [reach.0 as isize, reach.1 as isize];
            let kernel = |dy: isize, dx: isize| weight((dy + reach[0]) as usize, (dx + reach[1]) as usize);
            let sums = correlate(&image, reach, Border::from_name(name).unwrap(), kernel);
            let offset = 20.5 * white(shape) / 255.0;
            let wanted: Vec<f64> = sums.iter().map(|sum| sum * scale + offset).collect();
            assert_near(&image, &run(&text, &image), &wanted, 0.52, &text);
        }
    }
}
