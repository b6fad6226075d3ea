//! The sums of [`taps`](super::taps) in AVX2 and AVX-512: two 16-bit products are added in one
//! instruction, which compilers do not find for these sums by themselves.
#![cfg(target_arch = "x86_64")]

use std::arch::x86_64::*;

/// Defines the three sums for one instruction set. `$lanes` 16-bit samples make one vector.
macro_rules! kernels {
    ($name:ident, $features:literal, $v:ty, $lanes:literal,
     $zero:ident, $set16:ident, $set32:ident, $widen:ident, $half:ty, $load_half:ident, $load:ident, $store:ident,
     $add16:ident, $add32:ident, $mul16:ident, $madd:ident, $low:ident, $high:ident, $pack:ident, $shift:ident) => {
        pub mod $name {
            use super::*;

            const LANES: usize = $lanes;
            /// Vectors of output made at a time.
            const UNROLL: usize = 4;
            /// The least length of output.
            pub const LEAST: usize = UNROLL * LANES;

            /// The beginnings of blocks that cover `len`; the last one may overlap the one before.
            fn blocks(len: usize) -> impl Iterator<Item = usize> {
                (0..len).step_by(LEAST).map(move |at| at.min(len - LEAST))
            }

            /// # Safety
            /// `at + LANES <= row.len()`.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn widened(row: &[u8], at: usize) -> $v {
                debug_assert!(at + LANES <= row.len());
                // SAFETY: the caller's promise.
                $widen(unsafe { $load_half(row.as_ptr().add(at).cast::<$half>()) })
            }

            /// # Safety
            /// `at + LANES <= row.len()`.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn loaded(row: &[i16], at: usize) -> $v {
                debug_assert!(at + LANES <= row.len());
                // SAFETY: the caller's promise.
                unsafe { $load(row.as_ptr().add(at).cast()) }
            }

            /// # Safety
            /// `at + LANES <= out.len()`.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn stored(out: &mut [i16], at: usize, value: $v) {
                debug_assert!(at + LANES <= out.len());
                // SAFETY: the caller's promise.
                unsafe { $store(out.as_mut_ptr().add(at).cast(), value) }
            }

            /// The sum of two rows' samples, or the centre's alone.
            ///
            /// # Safety
            /// `distance <= rows.len() / 2`, and `at + LANES` within every row.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn pair(rows: &[&[u8]], distance: usize, at: usize) -> $v {
                let centre = rows.len() / 2;
                // SAFETY: the caller's promise.
                unsafe {
                    let a = widened(rows.get_unchecked(centre - distance), at);
                    if distance == 0 {
                        return a;
                    }
                    $add16(a, widened(rows.get_unchecked(centre + distance), at))
                }
            }

            /// [`down`](super::super::taps::down) for 8-bit weights: 16-bit sums are exact.
            ///
            /// # Safety
            /// Every row is as long as `out`, at least [`LEAST`]; distances are within the rows.
            #[target_feature(enable = $features)]
            pub unsafe fn down_short(rows: &[&[u8]], taps: &[(usize, i32)], out: &mut [i16]) {
                for at in blocks(out.len()) {
                    // 32768 is taken away by turning the highest bit.
                    let mut sums = [$set16(i16::MIN); UNROLL];
                    for &(distance, weight) in taps {
                        let weight = $set16(weight as i16);
                        for i in 0..UNROLL {
                            // SAFETY: blocks lie within `out`, and the caller's promise.
                            let both = unsafe { pair(rows, distance, at + i * LANES) };
                            sums[i] = $add16(sums[i], $mul16(both, weight));
                        }
                    }
                    for i in 0..UNROLL {
                        // SAFETY: blocks lie within `out`.
                        unsafe { stored(out, at + i * LANES, sums[i]) };
                    }
                }
            }

            /// [`down`](super::super::taps::down).
            ///
            /// # Safety
            /// As for [`down_short`].
            #[target_feature(enable = $features)]
            pub unsafe fn down(rows: &[&[u8]], taps: &[(usize, i32)], bits: u32, out: &mut [i16]) {
                let shift = _mm_cvtsi32_si128(bits as i32 - 8);
                let start = $set32(((1 << (bits - 8)) >> 1) - (32768 << (bits - 8)));
                for at in blocks(out.len()) {
                    let mut sums = [[start; 2]; UNROLL];
                    for two in taps.chunks(2) {
                        let (first, second) = (two[0], two.get(1));
                        let weights = first.1 | second.map_or(0, |s| s.1 << 16);
                        let weights = $set32(weights);
                        for i in 0..UNROLL {
                            let at = at + i * LANES;
                            // SAFETY: blocks lie within `out`, and the caller's promise.
                            let a = unsafe { pair(rows, first.0, at) };
                            let b = match second {
                                // SAFETY: as above.
                                Some(second) => unsafe { pair(rows, second.0, at) },
                                None => $zero(),
                            };
                            sums[i][0] = $add32(sums[i][0], $madd($low(a, b), weights));
                            sums[i][1] = $add32(sums[i][1], $madd($high(a, b), weights));
                        }
                    }
                    for i in 0..UNROLL {
                        let [low, high] = sums[i].map(|sum| $shift(sum, shift));
                        // SAFETY: blocks lie within `out`.
                        unsafe { stored(out, at + i * LANES, $pack(low, high)) };
                    }
                }
            }

            /// [`along`](super::super::taps::along).
            ///
            /// # Safety
            /// `out` is at least [`LEAST`] long, `row` reaches `centre` beyond its end, and no
            /// `distance * step` exceeds `centre`.
            #[target_feature(enable = $features)]
            pub unsafe fn along(
                row: &[i16],
                centre: usize,
                step: usize,
                taps: &[(usize, i32)],
                bits: u32,
                out: &mut [i16],
            ) {
                let shift = _mm_cvtsi32_si128(bits as i32);
                for at in blocks(out.len()) {
                    let mut sums = [[$zero(); 2]; UNROLL];
                    for &(distance, weight) in taps {
                        let (reach, middle) = (distance * step, centre + at);
                        // The centre's second product is zero.
                        let weights = weight | if distance == 0 { 0 } else { weight << 16 };
                        let weights = $set32(weights);
                        for i in 0..UNROLL {
                            let middle = middle + i * LANES;
                            // SAFETY: the caller's promise about `row`.
                            let (a, b) = unsafe {
                                (loaded(row, middle - reach), loaded(row, middle + reach))
                            };
                            sums[i][0] = $add32(sums[i][0], $madd($low(a, b), weights));
                            sums[i][1] = $add32(sums[i][1], $madd($high(a, b), weights));
                        }
                    }
                    for i in 0..UNROLL {
                        let [low, high] = sums[i].map(|sum| $shift(sum, shift));
                        // SAFETY: blocks lie within `out`.
                        unsafe { stored(out, at + i * LANES, $pack(low, high)) };
                    }
                }
            }
        }
    };
}

kernels!(
    avx2,
    "avx2",
    __m256i,
    16,
    _mm256_setzero_si256,
    _mm256_set1_epi16,
    _mm256_set1_epi32,
    _mm256_cvtepu8_epi16,
    __m128i,
    _mm_loadu_si128,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_add_epi16,
    _mm256_add_epi32,
    _mm256_mullo_epi16,
    _mm256_madd_epi16,
    _mm256_unpacklo_epi16,
    _mm256_unpackhi_epi16,
    _mm256_packs_epi32,
    _mm256_sra_epi32
);
kernels!(
    avx512,
    "avx512f,avx512bw,avx512vl,avx2",
    __m512i,
    32,
    _mm512_setzero_si512,
    _mm512_set1_epi16,
    _mm512_set1_epi32,
    _mm512_cvtepu8_epi16,
    __m256i,
    _mm256_loadu_si256,
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_add_epi16,
    _mm512_add_epi32,
    _mm512_mullo_epi16,
    _mm512_madd_epi16,
    _mm512_unpacklo_epi16,
    _mm512_unpackhi_epi16,
    _mm512_packs_epi32,
    _mm512_sra_epi32
);
