//! The inner sums of smoothing 8-bit samples: pairs of samples times 16-bit weights in 32-bit sums.

use super::separable::Fixed;

/// Samples summed at a time.
const BLOCK: usize = 256;

/// The weighted sum of rows (their number is odd, the middle one is the centre): 256 times the value,
/// rounded to nearest, less 32768.
pub fn down(rows: &[&[u8]], weights: &Fixed, out: &mut [i16]) {
    down_plain(rows, &weights.taps, weights.bits, out);
}

/// The weighted sum along a row, `centre` being the first output's place in it and `step` the
/// distance of two pixels: rounded down. All samples carry the offset of [`down`].
pub fn along(row: &[i16], centre: usize, step: usize, weights: &Fixed, out: &mut [i16]) {
    along_plain(row, centre, step, &weights.taps, weights.bits, out);
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
