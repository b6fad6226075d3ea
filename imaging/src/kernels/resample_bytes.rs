//! The two passes on 8-bit samples, with fixed-point weights.

use super::resample::{Channels, Four, One, Three, Two};
use super::resample_axis::Axis;
#[cfg(target_arch = "x86_64")]
use super::resample_fours::{self as fours, Fours};

/// Taps that the widest kernel takes at once.
const GROUP: usize = 4;

/// Fractional bits of a weight, as many as Pillow has: sums of 8-bit samples fit into 32 bits.
const SHIFT: u32 = 22;
const HALF: i32 = 1 << (SHIFT - 1);

/// Weights in units of 2^-22, which makes results equal to Pillow's to the last bit.
pub struct Weights {
    /// For each new sample `stride` weights, filled up with zeros.
    weights: Vec<i32>,
    stride: usize,
    /// The same for AVX-512.
    #[cfg(target_arch = "x86_64")]
    fours: Fours,
}

impl Weights {
    /// The weights of an axis.
    pub fn new(axis: &Axis) -> Weights {
        let stride = axis.taps.next_multiple_of(GROUP);
        let mut weights = vec![0i32; stride * axis.first.len()];
        let rows = weights.chunks_exact_mut(stride);
        for (to, from) in rows.zip(axis.weights.chunks_exact(axis.taps)) {
            for (to, from) in to.iter_mut().zip(from) {
                // Half away from zero.
                *to = libm::round(from * f64::from(1u32 << SHIFT)) as i32;
            }
        }
        Weights {
            #[cfg(target_arch = "x86_64")]
            fours: Fours::new(&weights, stride),
            weights,
            stride,
        }
    }

    /// The axis as the shader for resampling reads it, and the number of places from one new sample's weights to
    /// the next one's.
    pub fn words(&self, axis: &Axis) -> (Vec<u32>, usize) {
        let places = axis.first.iter().chain(&axis.count).map(|&n| n as u32);
        let weights = self.weights.iter().map(|&w| w as u32);
        (places.chain(weights).collect(), self.stride)
    }

    /// The weights of one new sample.
    pub fn of(&self, i: usize) -> &[i32] {
        &self.weights[i * self.stride..(i + 1) * self.stride]
    }
}

/// Makes a row of pixels of `channels` samples.
pub fn horizontal(
    source: &[u8],
    target: &mut [u8],
    axis: &Axis,
    weights: &Weights,
    channels: usize,
) {
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut))]
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    {
        use crate::simd::{Level, level};
        if axis.halves && channels == 3 && level() >= Level::Sse41 {
            // SAFETY: the level includes SSSE3.
            done = unsafe { x86::halve_three(source, target) };
        } else if channels >= 3 && !axis.halves && level() >= Level::Avx512 {
            // SAFETY: the level includes AVX-512 BW and VL; the weights are the axis'.
            done = unsafe {
                fours::horizontal::<SHIFT>(source, target, axis, &weights.fours, channels)
            };
        } else if channels >= 3 && level() >= Level::Avx2 {
            // SAFETY: the level includes AVX2.
            done = unsafe { x86::horizontal(source, target, axis, weights, channels) };
        }
    }
    match (axis.halves, channels) {
        (true, 1) => halve::<One>(source, target, done),
        (true, 2) => halve::<Two>(source, target, done),
        (true, 3) => halve::<Three>(source, target, done),
        (true, _) => halve::<Four>(source, target, done),
        (_, 1) => across::<One>(source, target, axis, weights, done),
        (_, 2) => across::<Two>(source, target, axis, weights, done),
        (_, 3) => across::<Three>(source, target, axis, weights, done),
        _ => across::<Four>(source, target, axis, weights, done),
    }
}

crate::simd! {
    /// From pixel `done` on.
    fn across<C: Channels>(source: &[u8], target: &mut [u8], axis: &Axis, weights: &Weights, done: usize) {
        for (i, t) in target.chunks_exact_mut(C::N).enumerate().skip(done) {
            let range = axis.range(i);
            let taps = source[range.start * C::N..range.end * C::N].chunks_exact(C::N);
            let mut sums = [HALF; 4];
            for (tap, &w) in taps.zip(weights.of(i)) {
                for c in 0..C::N {
                    sums[c] += i32::from(tap[c]) * w;
                }
            }
            for c in 0..C::N {
                t[c] = (sums[c] >> SHIFT).clamp(0, 255) as u8;
            }
        }
    }
}

crate::simd! {
    /// Means of pairs of pixels, from pixel `done` on.
    fn halve<C: Channels>(source: &[u8], target: &mut [u8], done: usize) {
        let pairs = source.chunks_exact(2 * C::N);
        for (t, pair) in target.chunks_exact_mut(C::N).zip(pairs).skip(done) {
            for c in 0..C::N {
                t[c] = ((u16::from(pair[c]) + u16::from(pair[C::N + c])).div_ceil(2)) as u8;
            }
        }
    }
}

crate::simd! {
    /// Means of two rows.
    pub fn mean(a: &[u8], b: &[u8], target: &mut [u8]) {
        for ((t, a), b) in target.iter_mut().zip(a).zip(b) {
            *t = ((u16::from(*a) + u16::from(*b) + 1) >> 1) as u8;
        }
    }
}

/// Samples of a row made at once, while their sums stay in registers.
const BLOCK: usize = 64;

crate::simd! {
    /// A row from the weighted rows.
    pub fn vertical(rows: &[&[u8]], target: &mut [u8], weights: &[i32]) {
        let mut at = 0;
        let mut blocks = target.chunks_exact_mut(BLOCK);
        for t in &mut blocks {
            let mut sums = [HALF; BLOCK];
            for (row, &w) in rows.iter().zip(weights) {
                let row: &[u8; BLOCK] = match row[at..at + BLOCK].try_into() {
                    Ok(row) => row,
                    Err(_) => unreachable!("the slice has this length"),
                };
                for i in 0..BLOCK {
                    sums[i] += i32::from(row[i]) * w;
                }
            }
            for i in 0..BLOCK {
                t[i] = (sums[i] >> SHIFT).clamp(0, 255) as u8;
            }
            at += BLOCK;
        }
        for t in blocks.into_remainder() {
            let taps = rows.iter().zip(weights);
            let sum = taps.fold(HALF, |sum, (row, &w)| sum + i32::from(row[at]) * w);
            *t = (sum >> SHIFT).clamp(0, 255) as u8;
            at += 1;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Axis, GROUP, HALF, SHIFT, Weights};
    use std::arch::x86_64::*;

    /// Two taps in each half of a vector, one 32-bit sum for each channel. Pixels have 3 or 4 channels.
    /// Returns how many pixels were made; the last ones, whose loads would reach beyond the row, are
    /// left.
    // SAFETY: callers check for AVX2. Loads of 16 bytes begin only where that many are left in `source`
    // (`inside`), stores of 4 bytes only where another pixel follows in `target`.
    #[target_feature(enable = "avx2")]
    pub unsafe fn horizontal(
        source: &[u8],
        target: &mut [u8],
        axis: &Axis,
        weights: &Weights,
        channels: usize,
    ) -> usize {
        let groups = axis.taps.div_ceil(GROUP);
        // Bytes from the first tap to the end of the last load.
        let reach = (groups - 1) * GROUP * channels + 16;
        let inside = |first: &usize| first * channels + reach <= source.len();
        let made = axis.first.partition_point(inside);
        let made = made.min((target.len() / channels).saturating_sub(1));
        let (z, c) = (-1, channels as i8);
        let pick = |tap: i8| {
            let (p, q) = (tap * c, (tap + 1) * c);
            let last = |p: i8| if c == 4 { p + 3 } else { z };
            _mm256_setr_epi8(
                p,
                z,
                z,
                z,
                p + 1,
                z,
                z,
                z,
                p + 2,
                z,
                z,
                z,
                last(p),
                z,
                z,
                z, //
                q,
                z,
                z,
                z,
                q + 1,
                z,
                z,
                z,
                q + 2,
                z,
                z,
                z,
                last(q),
                z,
                z,
                z,
            )
        };
        let (early, late) = (pick(0), pick(2));
        let first_two = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
        let last_two = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
        let half = _mm_set1_epi32(HALF);
        for i in 0..made {
            let (mut a, mut b) = (_mm256_setzero_si256(), _mm256_setzero_si256());
            let row = weights.of(i);
            let mut at = axis.first[i] * channels;
            for group in 0..axis.count[i].div_ceil(GROUP) {
                // SAFETY: see above; the weights of a pixel are a multiple of four.
                unsafe {
                    let taps = _mm_loadu_si128(source.as_ptr().add(at).cast());
                    let taps = _mm256_broadcastsi128_si256(taps);
                    let w = _mm_loadu_si128(row.as_ptr().add(group * GROUP).cast());
                    let w = _mm256_castsi128_si256(w);
                    let low = _mm256_permutevar8x32_epi32(w, first_two);
                    let high = _mm256_permutevar8x32_epi32(w, last_two);
                    let p = _mm256_mullo_epi32(_mm256_shuffle_epi8(taps, early), low);
                    let q = _mm256_mullo_epi32(_mm256_shuffle_epi8(taps, late), high);
                    a = _mm256_add_epi32(a, p);
                    b = _mm256_add_epi32(b, q);
                }
                at += GROUP * channels;
            }
            let sums = _mm256_add_epi32(a, b);
            let sum = _mm_add_epi32(
                _mm256_castsi256_si128(sums),
                _mm256_extracti128_si256::<1>(sums),
            );
            let sum = _mm_srai_epi32::<{ SHIFT as i32 }>(_mm_add_epi32(sum, half));
            let sum = _mm_packs_epi32(sum, sum);
            let pixel = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
            // SAFETY: another pixel follows, so four bytes are inside.
            unsafe {
                let to = target.as_mut_ptr().add(i * channels);
                to.cast::<i32>().write_unaligned(pixel);
            }
        }
        made
    }

    /// Means of pairs of pixels of three channels, four at a time. Returns how many were made.
    // SAFETY: callers check for SSSE3. Each step reads 28 bytes and writes 16 while that many are left.
    #[target_feature(enable = "ssse3")]
    pub unsafe fn halve_three(source: &[u8], target: &mut [u8]) -> usize {
        let z = -1;
        let left_even = _mm_setr_epi8(0, 1, 2, 6, 7, 8, z, z, z, z, z, z, z, z, z, z);
        let left_odd = _mm_setr_epi8(3, 4, 5, 9, 10, 11, z, z, z, z, z, z, z, z, z, z);
        let right_even = _mm_setr_epi8(z, z, z, z, z, z, 0, 1, 2, 6, 7, 8, z, z, z, z);
        let right_odd = _mm_setr_epi8(z, z, z, z, z, z, 3, 4, 5, 9, 10, 11, z, z, z, z);
        let mut made = 0;
        while 6 * made + 28 <= source.len() && 3 * made + 16 <= target.len() {
            // SAFETY: the loop's condition.
            unsafe {
                let from = source.as_ptr().add(6 * made);
                let left = _mm_loadu_si128(from.cast());
                let right = _mm_loadu_si128(from.add(12).cast());
                let even = _mm_or_si128(
                    _mm_shuffle_epi8(left, left_even),
                    _mm_shuffle_epi8(right, right_even),
                );
                let odd = _mm_or_si128(
                    _mm_shuffle_epi8(left, left_odd),
                    _mm_shuffle_epi8(right, right_odd),
                );
                let to = target.as_mut_ptr().add(3 * made);
                _mm_storeu_si128(to.cast(), _mm_avg_epu8(even, odd));
            }
            made += 4;
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::super::resample_axis::Filter;
    use super::*;

    #[test]
    fn every_kernel_gives_the_plain_sums() {
        for filter in [
            Filter::Lanczos3,
            Filter::Bicubic,
            Filter::Bilinear,
            Filter::Box,
        ] {
            for (old, len) in [
                (1, 5),
                (40, 20),
                (41, 20),
                (7, 30),
                (300, 110),
                (90, 89),
                (900, 3),
            ] {
                let axis = Axis::new(filter, old, 0.0, old as f64, len);
                let weights = Weights::new(&axis);
                for channels in 1..=4 {
                    let source: Vec<u8> =
                        (0..old * channels).map(|i| (i * 97 % 256) as u8).collect();
                    let mut got = vec![0; len * channels];
                    horizontal(&source, &mut got, &axis, &weights, channels);
                    for i in 0..len {
                        for c in 0..channels {
                            let taps = axis.range(i).zip(weights.of(i));
                            let sum = taps.fold(HALF, |sum, (x, &w)| {
                                sum + i32::from(source[x * channels + c]) * w
                            });
                            let expected = (sum >> SHIFT).clamp(0, 255) as u8;
                            assert_eq!(
                                got[i * channels + c],
                                expected,
                                "{filter:?} {old} {len} {channels} {i}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn flat_stays_flat() {
        for (old, len) in [(1000, 7), (7, 1000), (123, 45)] {
            let axis = Axis::new(Filter::Lanczos3, old, 0.0, old as f64, len);
            let weights = Weights::new(&axis);
            let mut row = vec![0; len];
            horizontal(&vec![201; old], &mut row, &axis, &weights, 1);
            assert!(row.iter().all(|&v| v == 201));
        }
    }
}
