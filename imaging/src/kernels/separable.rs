//! Smoothing by one symmetric weighting down the columns and then along the rows.
//!
//! 8 and 16 bit use fixed-point weights that sum to exactly one and integer sums, so no order of
//! computing changes a bit; float samples are summed from the centre outwards.

use super::padded::Padded;
use super::taps;
use crate::border::Border;
use crate::gpu::{Kernel, Pass, programs};
use crate::image::{Element, Shape};
use crate::window::{Band, Scratch, Window};
use std::any::Any;
use std::ops::Range;

/// A symmetric weighting of rows and columns, in every sample type's own arithmetic.
pub struct Separable {
    radius: usize,
    border: Border,
    eight: Fixed,
    sixteen: Fixed,
    float: Vec<(usize, f32)>,
}

/// Fixed-point weights: `(distance, weight)` where the weight is not zero, centre first.
pub struct Fixed {
    /// The weights; each but the centre's counts twice, and together they are `1 << bits`.
    pub taps: Vec<(usize, i32)>,
    /// Fractional bits.
    pub bits: u32,
}

impl Fixed {
    /// Rounds weights so that they sum to one. What rounding takes from a weight is passed on to the
    /// next one inwards, so that sums over any part of the window stay true to half a unit.
    pub fn new(weights: &[f64], bits: u32) -> Fixed {
        let unit = (1u32 << bits) as f64;
        let mut taps = Vec::with_capacity(weights.len());
        let (mut carry, mut rest) = (0.0, 1 << bits);
        for (distance, weight) in weights.iter().enumerate().skip(1).rev() {
            let wanted = weight * unit + carry;
            let weight = libm::rint(wanted) as i32;
            carry = wanted - weight as f64;
            rest -= 2 * weight;
            taps.push((distance, weight));
        }
        taps.push((0, rest));
        taps.reverse();
        taps.retain(|&(_, weight)| weight != 0);
        Fixed { taps, bits }
    }

    /// With as many bits, up to 16, as leave every weight below 2^15.
    fn precise(weights: &[f64]) -> Fixed {
        let fits = |fixed: &Fixed| fixed.taps.iter().all(|&(_, w)| (0..1 << 15).contains(&w));
        (14..=16)
            .rev()
            .map(|bits| Fixed::new(weights, bits))
            .find(fits)
            .unwrap_or_else(|| Fixed::new(weights, 14))
    }
}

/// The weights of a normal distribution for the centre and each distance up to `radius`.
pub fn normal(sigma: f64, radius: usize) -> Vec<f64> {
    let weight = |i: usize| libm::exp(-((i * i) as f64) / (2.0 * sigma * sigma));
    let raw: Vec<f64> = (0..=radius).map(weight).collect();
    let sum = raw[0] + 2.0 * raw[1..].iter().sum::<f64>();
    raw.iter().map(|w| w / sum).collect()
}

impl Separable {
    /// Weights (normalised; the centre and each distance) as precise as the arithmetic admits.
    pub fn precise(weights: &[f64], border: Border) -> Separable {
        Separable::with_eight(weights, Fixed::precise(weights), border)
    }

    /// With 8-bit weights for 8-bit samples, as OpenCV smooths them: its results to the last bit.
    pub fn coarse(weights: &[f64], border: Border) -> Separable {
        Separable::with_eight(weights, Fixed::new(weights, 8), border)
    }

    fn with_eight(weights: &[f64], eight: Fixed, border: Border) -> Separable {
        Separable {
            radius: weights.len() - 1,
            border,
            eight,
            sixteen: Fixed::new(weights, 16),
            float: weights.iter().map(|&w| w as f32).enumerate().collect(),
        }
    }

    /// Input rows for output rows `out`.
    pub fn rows_needed(&self, out: Range<usize>) -> Range<isize> {
        let radius = self.radius as isize;
        out.start as isize - radius..out.end as isize + radius
    }

    /// The border rule.
    pub fn border(&self) -> Border {
        self.border
    }

    /// Rough nanoseconds for one sample.
    pub fn cost(&self) -> f64 {
        0.3 + 0.04 * self.radius as f64
    }

    /// The two passes on a graphics device for 8-bit samples, rounded as [`crate::ops::gaussian::round`] does.
    pub fn gpu(&self, input: Shape) -> Option<Kernel> {
        if input.color.bands().is_some() {
            return None;
        }
        let Fixed { taps, bits } = &self.eight;
        let data: Vec<u32> = (taps.iter())
            .flat_map(|&(distance, weight)| [distance as u32, weight as u32])
            .collect();
        let (shift, count) = (bits - 8, taps.len() as i32);
        let reads = 2.0 * taps.len() as f64;
        let down = Pass::new(&programs::WEIGHTED_DOWN, input)
            .constant("TAPS", count)
            .params(&[shift as i32, (1 << shift) >> 1])
            .data(data.clone())
            .border(self.border)
            // Four samples in one word.
            .reads(reads / 4.0)
            .halves();
        let along = Pass::new(&programs::WEIGHTED_ALONG, input)
            .constant("TAPS", count)
            .params(&[*bits as i32])
            .data(data)
            .border(self.border)
            .reads(reads);
        Kernel::of(vec![down, along])
    }

    /// Calls `finish(source row, smoothed row, output row)` for each row of the band. The smoothed
    /// samples are of [`Smooth::Mid`].
    pub fn rows<T: Smooth>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        mut finish: impl FnMut(&[T], &[T::Mid], &mut [T]),
    ) {
        let shape = input.shape();
        let (state, _) = scratch.state(out, || State::<T>::new(self, shape));
        let mut rows = Vec::with_capacity(2 * self.radius + 1);
        for y in out.range() {
            rows.clear();
            rows.extend(self.rows_needed(y..y + 1).map(|y| input.row::<T>(y)));
            T::down(self, &rows, state.columns.inner());
            T::along(
                self,
                state.columns.surrounded(),
                shape.channels(),
                &mut state.smooth,
            );
            finish(rows[self.radius], &state.smooth, out.row::<T>(y));
        }
    }
}

struct State<T: Smooth> {
    columns: Padded<T::Mid>,
    smooth: Vec<T::Mid>,
}

impl<T: Smooth> State<T> {
    fn new(separable: &Separable, shape: Shape) -> State<T> {
        let (radius, border) = (separable.radius, separable.border);
        State {
            columns: Padded::new(shape.cols, shape.channels(), radius, border, T::BLACK),
            smooth: vec![T::BLACK; shape.row_len()],
        }
    }
}

/// A sample type that can be smoothed.
pub trait Smooth: Element {
    /// A sample between and after the two passes.
    type Mid: Copy + Any + Send;
    /// A black sample.
    const BLACK: Self::Mid;
    /// The weighted sum of `2 * radius + 1` rows.
    fn down(separable: &Separable, rows: &[&[Self]], out: &mut [Self::Mid]);
    /// The weighted sum of `2 * radius + 1` pixels of `step` samples, the first of them at `row[0]`.
    fn along(separable: &Separable, row: &[Self::Mid], step: usize, out: &mut [Self::Mid]);
}

/// Between the passes and after them: 256 times the value, less 32768, rounded down.
impl Smooth for u8 {
    type Mid = i16;
    const BLACK: i16 = i16::MIN;

    fn down(separable: &Separable, rows: &[&[u8]], out: &mut [i16]) {
        taps::down(rows, &separable.eight, out);
    }

    fn along(separable: &Separable, row: &[i16], step: usize, out: &mut [i16]) {
        taps::along(row, separable.radius * step, step, &separable.eight, out);
    }
}

/// Between the passes and after them: the value, rounded to nearest.
impl Smooth for u16 {
    type Mid = u16;
    const BLACK: u16 = 0;

    fn down(separable: &Separable, rows: &[&[u16]], out: &mut [u16]) {
        let r = separable.radius;
        sixteen(&separable.sixteen, |d| [rows[r - d], rows[r + d]], out);
    }

    fn along(separable: &Separable, row: &[u16], step: usize, out: &mut [u16]) {
        let r = separable.radius;
        let pair = |d: usize| [&row[(r - d) * step..], &row[(r + d) * step..]];
        sixteen(&separable.sixteen, pair, out);
    }
}

impl Smooth for f32 {
    type Mid = f32;
    const BLACK: f32 = 0.0;

    fn down(separable: &Separable, rows: &[&[f32]], out: &mut [f32]) {
        let r = separable.radius;
        float(&separable.float, |d| [rows[r - d], rows[r + d]], out);
    }

    fn along(separable: &Separable, row: &[f32], step: usize, out: &mut [f32]) {
        let r = separable.radius;
        let pair = |d: usize| [&row[(r - d) * step..], &row[(r + d) * step..]];
        float(&separable.float, pair, out);
    }
}

/// Samples summed at a time: sums stay in the nearest cache.
const BLOCK: usize = 512;

fn sixteen<'a>(weights: &Fixed, pair: impl Fn(usize) -> [&'a [u16]; 2], out: &mut [u16]) {
    let mut sums = [0u32; BLOCK];
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let (at, len) = (block * BLOCK, out.len());
        let sums = &mut sums[..len];
        sums.fill(1 << 15);
        for &(distance, weight) in &weights.taps {
            let [a, b] = pair(distance).map(|row| &row[at..at + len]);
            match distance {
                0 => add_one(sums, a, weight as u32),
                _ => add_pair(sums, a, b, weight as u32),
            }
        }
        take_high(sums, out);
    }
}

crate::simd! {
    fn add_one(sums: &mut [u32], a: &[u16], weight: u32) {
        for (sum, a) in sums.iter_mut().zip(a) {
            *sum = sum.wrapping_add(*a as u32 * weight);
        }
    }
}

crate::simd! {
    fn add_pair(sums: &mut [u32], a: &[u16], b: &[u16], weight: u32) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = sum.wrapping_add((*a as u32 + *b as u32) * weight);
        }
    }
}

crate::simd! {
    fn take_high(sums: &[u32], out: &mut [u16]) {
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = (sum >> 16) as u16;
        }
    }
}

fn float<'a>(weights: &[(usize, f32)], pair: impl Fn(usize) -> [&'a [f32]; 2], out: &mut [f32]) {
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let (at, len) = (block * BLOCK, out.len());
        for &(distance, weight) in weights {
            let [a, b] = pair(distance).map(|row| &row[at..at + len]);
            match distance {
                0 => first_float(out, a, weight),
                _ => add_float(out, a, b, weight),
            }
        }
    }
}

crate::simd! {
    fn first_float(sums: &mut [f32], a: &[f32], weight: f32) {
        for (sum, a) in sums.iter_mut().zip(a) {
            *sum = a * weight;
        }
    }
}

crate::simd! {
    fn add_float(sums: &mut [f32], a: &[f32], b: &[f32], weight: f32) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a + b) * weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_at_any_width() {
        for sigma in [0.1, 0.31, 0.5, 1.0, 2.0, 7.3, 40.0, 200.0] {
            let radius = libm::ceil(3.0 * sigma) as usize;
            let weights = normal(sigma, radius);
            for fixed in [Fixed::new(&weights, 8), Fixed::precise(&weights)] {
                let twice = |&(d, w): &(usize, i32)| if d == 0 { w } else { 2 * w };
                let sum: i32 = fixed.taps.iter().map(twice).sum();
                assert_eq!(sum, 1 << fixed.bits, "sigma {sigma}");
                assert!(fixed.taps.iter().all(|&(_, w)| (0..1 << 15).contains(&w)));
            }
        }
    }
}
