//! Horizontal resampling of 8-bit samples in AVX-512: four pixels at once, one in each quarter of a
//! vector, and four taps of each with two multiplications of 16-bit pairs for either half of the weights.
#![cfg(target_arch = "x86_64")]

use super::resample_axis::Axis;
use std::arch::x86_64::*;

/// Pixels made at once, and taps taken at once.
pub const FOUR: usize = 4;

/// Bits of a weight's lower half. Weights of 22 fractional bits then have halves of 16 bits.
const LOW_BITS: u32 = 11;

/// Weights in the order in which the kernel reads them.
pub struct Fours {
    /// For four pixels, then for four of their taps, then for each pixel: the upper halves of two
    /// weights, their lower halves, and the same of the other two.
    halves: Vec<i16>,
    groups: usize,
}

impl Fours {
    /// The same weights; `stride` of them, a multiple of four, for each pixel.
    pub fn new(weights: &[i32], stride: usize) -> Fours {
        let groups = stride / FOUR;
        let pixels = weights.len().checked_div(stride).unwrap_or(0);
        let mut halves = vec![0; pixels.next_multiple_of(FOUR) * groups * 2 * FOUR];
        for (i, row) in weights.chunks_exact(stride.max(1)).enumerate() {
            for (tap, &w) in row.iter().enumerate() {
                let block = (i / FOUR * groups + tap / FOUR) * FOUR + i % FOUR;
                let at = block * 2 * FOUR + tap % FOUR / 2 * 4 + tap % 2;
                halves[at] = (w >> LOW_BITS) as i16;
                halves[at + 2] = (w & ((1 << LOW_BITS) - 1)) as i16;
            }
        }
        Fours { halves, groups }
    }
}

/// Makes pixels of 3 or 4 channels from weights of `SHIFT` fractional bits and returns how many were
/// made; the last ones, whose loads or stores would reach beyond a row, are left.
///
/// # Safety
/// The processor has AVX-512 F, BW and VL; `weights` are those of `axis`, and its ranges lie in `source`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2")]
pub unsafe fn horizontal<const SHIFT: u32>(
    source: &[u8],
    target: &mut [u8],
    axis: &Axis,
    weights: &Fours,
    channels: usize,
) -> usize {
    let groups = weights.groups;
    // Bytes from the first tap to the end of the last load.
    let reach = (groups - 1) * FOUR * channels + 16;
    let inside = |first: &usize| first * channels + reach <= source.len();
    let made = axis.first.partition_point(inside);
    // Each store is 16 bytes.
    let room = (target.len() / channels + FOUR).saturating_sub(16usize.div_ceil(channels));
    let made = made.min(room) / FOUR * FOUR;
    let (z, c) = (-1, channels as i8);
    let pairs = |p: i8| {
        let (q, last) = (p + c, if c == 4 { 3 } else { -1 });
        let (p3, q3) = if last < 0 { (z, z) } else { (p + 3, q + 3) };
        let order = _mm_setr_epi8(
            p,
            z,
            q,
            z,
            p + 1,
            z,
            q + 1,
            z,
            p + 2,
            z,
            q + 2,
            z,
            p3,
            z,
            q3,
            z,
        );
        _mm512_broadcast_i32x4(order)
    };
    let (early, late) = (pairs(0), pairs(2 * c));
    let half = _mm512_set1_epi32(1 << (SHIFT - 1));
    let together = match channels {
        3 => _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, z, z, z, z),
        _ => _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    };
    for i in (0..made).step_by(FOUR) {
        let mut at = [0, 1, 2, 3].map(|k| axis.first[i + k] * channels);
        let (mut high, mut low) = (_mm512_setzero_si512(), half);
        for group in 0..groups {
            let place = (i * groups + group * FOUR) * 2 * FOUR;
            debug_assert!(place + 32 <= weights.halves.len());
            // SAFETY: `first` never decreases and the last of `made` pixels loads inside of `source`;
            // weights were filled up to four pixels.
            let (a, b, c, d, w) = unsafe {
                let load = |at: usize| _mm_loadu_si128(source.as_ptr().add(at).cast());
                let w = _mm512_loadu_si512(weights.halves.as_ptr().add(place).cast());
                (load(at[0]), load(at[1]), load(at[2]), load(at[3]), w)
            };
            let taps = _mm512_castsi128_si512(a);
            let taps = _mm512_inserti32x4::<1>(taps, b);
            let taps = _mm512_inserti32x4::<2>(taps, c);
            let taps = _mm512_inserti32x4::<3>(taps, d);
            let (p, q) = (
                _mm512_shuffle_epi8(taps, early),
                _mm512_shuffle_epi8(taps, late),
            );
            high = _mm512_add_epi32(high, _mm512_madd_epi16(p, _mm512_shuffle_epi32::<0x00>(w)));
            low = _mm512_add_epi32(low, _mm512_madd_epi16(p, _mm512_shuffle_epi32::<0x55>(w)));
            high = _mm512_add_epi32(high, _mm512_madd_epi16(q, _mm512_shuffle_epi32::<0xAA>(w)));
            low = _mm512_add_epi32(low, _mm512_madd_epi16(q, _mm512_shuffle_epi32::<0xFF>(w)));
            at.iter_mut().for_each(|at| *at += FOUR * channels);
        }
        let sums = _mm512_add_epi32(_mm512_slli_epi32::<LOW_BITS>(high), low);
        let sums = _mm512_max_epi32(_mm512_srai_epi32::<SHIFT>(sums), _mm512_setzero_si512());
        let pixels = _mm_shuffle_epi8(_mm512_cvtusepi32_epi8(sums), together);
        // SAFETY: 16 bytes are left, as `room` says.
        unsafe { _mm_storeu_si128(target.as_mut_ptr().add(i * channels).cast(), pixels) };
    }
    made
}
