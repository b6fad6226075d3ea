//! The inner sums of smoothing 8-bit samples, in integers: written out plainly here, and with the
//! processor's own instructions for it in `taps_x86` where it has them.

use super::separable::Fixed;
#[cfg(target_arch = "x86_64")]
use super::taps_x86::{avx2, avx512};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Level, level};

/// Samples summed at a time.
const BLOCK: usize = 256;

/// The weighted sum of rows (their number is odd, the middle one is the centre): 256 times the value,
/// rounded to nearest, less 32768.
pub fn down(rows: &[&[u8]], weights: &Fixed, out: &mut [i16]) {
    let (taps, bits) = (&weights.taps[..], weights.bits);
    assert!(rows.iter().all(|row| row.len() == out.len()));
    assert!(taps.iter().all(|&(d, _)| d <= rows.len() / 2));
    #[cfg(target_arch = "x86_64")]
    match (level(), bits) {
        // SAFETY: the level is never above what the processor has; lengths and distances are as asserted.
        (Level::Avx512, 8) if out.len() >= avx512::LEAST => unsafe {
            return avx512::down_short(rows, taps, out);
        },
        // SAFETY: as above.
        (Level::Avx512, _) if out.len() >= avx512::LEAST => unsafe {
            return avx512::down(rows, taps, bits, out);
        },
        // SAFETY: as above.
        (Level::Avx2, 8) if out.len() >= avx2::LEAST => unsafe {
            return avx2::down_short(rows, taps, out);
        },
        // SAFETY: as above.
        (Level::Avx2, _) if out.len() >= avx2::LEAST => unsafe {
            return avx2::down(rows, taps, bits, out);
        },
        _ => {}
    }
    down_plain(rows, taps, bits, out);
}

/// The weighted sum along a row, `centre` being the first output's place in it and `step` the
/// distance of two pixels: rounded down. All samples carry the offset of [`down`].
pub fn along(row: &[i16], centre: usize, step: usize, weights: &Fixed, out: &mut [i16]) {
    let (taps, bits) = (&weights.taps[..], weights.bits);
    assert!(row.len() >= 2 * centre + out.len());
    assert!(taps.iter().all(|&(d, _)| d * step <= centre));
    #[cfg(target_arch = "x86_64")]
    match level() {
        // SAFETY: the level is never above what the processor has; the length is as asserted.
        Level::Avx512 if out.len() >= avx512::LEAST => unsafe {
            return avx512::along(row, centre, step, taps, bits, out);
        },
        // SAFETY: as above.
        Level::Avx2 if out.len() >= avx2::LEAST => unsafe {
            return avx2::along(row, centre, step, taps, bits, out);
        },
        _ => {}
    }
    along_plain(row, centre, step, taps, bits, out);
}

crate::simd! {
    fn down_plain(rows: &[&[u8]], taps: &[(usize, i32)], bits: u32, out: &mut [i16]) {
        let centre = rows.len() / 2;
        let shift = bits - 8;
        let half = (1 << shift) >> 1;
        let mut sums = [0i32; BLOCK];
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let at = block * BLOCK..block * BLOCK + out.len();
            let sums = &mut sums[..out.len()];
            sums.fill(half);
            for &(distance, weight) in taps {
                let a = &rows[centre - distance][at.clone()];
                if distance == 0 {
                    for (sum, a) in sums.iter_mut().zip(a) {
                        *sum += *a as i32 * weight;
                    }
                } else {
                    let b = &rows[centre + distance][at.clone()];
                    for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                        *sum += (*a as i32 + *b as i32) * weight;
                    }
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = ((*sum >> shift) - 32768) as i16;
            }
        }
    }
}

crate::simd! {
    fn along_plain(row: &[i16], centre: usize, step: usize, taps: &[(usize, i32)], bits: u32, out: &mut [i16]) {
        let mut sums = [0i32; BLOCK];
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let (at, len) = (centre + block * BLOCK, out.len());
            let sums = &mut sums[..len];
            sums.fill(0);
            for &(distance, weight) in taps {
                let a = &row[at - distance * step..][..len];
                if distance == 0 {
                    for (sum, a) in sums.iter_mut().zip(a) {
                        *sum += *a as i32 * weight;
                    }
                } else {
                    let b = &row[at + distance * step..][..len];
                    for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                        *sum += (*a as i32 + *b as i32) * weight;
                    }
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = (*sum >> bits) as i16;
            }
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::simd::best;

    fn noise(len: usize, mut state: u64) -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            match state >> 62 {
                0 => 255,
                _ => (state >> 40) as u8,
            }
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn instructions_equal_plain_code() {
        for bits in [8, 14, 16] {
            for radius in [0usize, 1, 2, 5, 18] {
                let shares: Vec<f64> = (0..=radius).map(|d| 1.0 / (1 + d) as f64).collect();
                let sum = 2.0 * shares.iter().sum::<f64>() - 1.0;
                let weights: Vec<f64> = shares.iter().map(|s| s / sum).collect();
                let fixed = Fixed::new(&weights, bits);
                if fixed.taps.iter().any(|&(_, w)| w > 32767) {
                    continue;
                }
                for len in [128, 129, 191, 192, 300, 511] {
                    let samples = noise(len * (2 * radius + 1), (len * 7 + radius) as u64);
                    let rows: Vec<&[u8]> = samples.chunks_exact(len).collect();
                    let mut plain = vec![0i16; len];
                    down_plain(&rows, &fixed.taps, bits, &mut plain);
                    let wide: Vec<i16> = noise(2 * (len + 6 * radius), 5)
                        .chunks_exact(2)
                        .map(|b| i16::from_ne_bytes([b[0], b[1]]))
                        .collect();
                    let (centre, mut plain_along) = (3 * radius, vec![0i16; len]);
                    along_plain(&wide, centre, 3, &fixed.taps, bits, &mut plain_along);
                    let what = format!("{bits} bits, radius {radius}, {len} samples");
                    let mut got = vec![0i16; len];
                    // SAFETY: the level was found; rows are of one length, `wide` reaches `centre` beyond.
                    unsafe {
                        if best() >= Level::Avx2 {
                            avx2::down(&rows, &fixed.taps, bits, &mut got);
                            assert!(got == plain, "down, {what}");
                            if bits == 8 {
                                avx2::down_short(&rows, &fixed.taps, &mut got);
                                assert!(got == plain, "down_short, {what}");
                            }
                            avx2::along(&wide, centre, 3, &fixed.taps, bits, &mut got);
                            assert!(got == plain_along, "along, {what}");
                        }
                        if best() >= Level::Avx512 {
                            avx512::down(&rows, &fixed.taps, bits, &mut got);
                            assert!(got == plain, "wide down, {what}");
                            if bits == 8 {
                                avx512::down_short(&rows, &fixed.taps, &mut got);
                                assert!(got == plain, "wide down_short, {what}");
                            }
                            avx512::along(&wide, centre, 3, &fixed.taps, bits, &mut got);
                            assert!(got == plain_along, "wide along, {what}");
                        }
                    }
                }
            }
        }
    }
}
