//! The PNG filters (PNG specification, chapter 9), for encoding.

use crate::simd;

/// What a byte is predicted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Filter {
    /// Nothing.
    None = 0,
    /// The pixel to the left.
    Sub = 1,
    /// The pixel above.
    Up = 2,
    /// The mean of both.
    Average = 3,
    /// Whichever of left, above and above left is nearest to left + above - above left.
    Paeth = 4,
}

/// Appends the filter's number and the filtered `row` to `out`, taking that of `choices` whose
/// result has the least sum of absolute values (the first among equals). `above` is the row above or
/// zeros, `pixel` the bytes of a pixel, `trial` working memory.
pub fn append(
    choices: &[Filter],
    row: &[u8],
    above: &[u8],
    pixel: usize,
    trial: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let len = row.len();
    out.resize(start + 1 + len, 0);
    trial.resize(len, 0);
    let mut best = u64::MAX;
    for &filter in choices {
        let cost = if best == u64::MAX {
            apply(filter, row, above, pixel, &mut out[start + 1..])
        } else {
            apply(filter, row, above, pixel, trial)
        };
        if cost < best {
            if best != u64::MAX {
                out[start + 1..].copy_from_slice(trial);
            }
            out[start] = filter as u8;
            best = cost;
        }
    }
}

/// Filters one row and answers the sum of absolute values.
fn apply(filter: Filter, row: &[u8], above: &[u8], pixel: usize, out: &mut [u8]) -> u64 {
    let first = pixel.min(row.len());
    for x in 0..first {
        let predicted = match filter {
            Filter::None | Filter::Sub => 0,
            Filter::Up | Filter::Paeth => above[x],
            Filter::Average => above[x] / 2,
        };
        out[x] = row[x].wrapping_sub(predicted);
    }
    let rest = row.len() - first;
    let (here, left) = (&row[first..], &row[..rest]);
    let (up, corner) = (&above[first..row.len()], &above[..rest]);
    let to = &mut out[first..row.len()];
    match filter {
        Filter::None => to.copy_from_slice(here),
        Filter::Sub => difference(here, left, to),
        Filter::Up => difference(here, up, to),
        Filter::Average => average(here, left, up, to),
        Filter::Paeth => paeth(here, left, up, corner, to),
    }
    sum(&out[..row.len()])
}

simd! {
    fn difference(here: &[u8], from: &[u8], out: &mut [u8]) {
        for ((out, a), b) in out.iter_mut().zip(here).zip(from) {
            *out = a.wrapping_sub(*b);
        }
    }
}

simd! {
    fn average(here: &[u8], left: &[u8], up: &[u8], out: &mut [u8]) {
        for (((out, x), a), b) in out.iter_mut().zip(here).zip(left).zip(up) {
            *out = x.wrapping_sub(((u16::from(*a) + u16::from(*b)) / 2) as u8);
        }
    }
}

simd! {
    fn paeth(here: &[u8], left: &[u8], up: &[u8], corner: &[u8], out: &mut [u8]) {
        for ((((out, x), a), b), c) in out.iter_mut().zip(here).zip(left).zip(up).zip(corner) {
            let (wide_a, wide_b, wide_c) = (i16::from(*a), i16::from(*b), i16::from(*c));
            let from_a = (wide_b - wide_c).abs();
            let from_b = (wide_a - wide_c).abs();
            let from_c = (wide_a + wide_b - 2 * wide_c).abs();
            let of_both = if from_b <= from_c { *b } else { *c };
            let nearest = from_a <= from_b && from_a <= from_c;
            *out = x.wrapping_sub(if nearest { *a } else { of_both });
        }
    }
}

simd! {
    fn sum(bytes: &[u8]) -> u64 {
        // Pieces whose sums of at most 128 a byte stay within 32 bits.
        bytes
            .chunks(1 << 20)
            .map(|piece| u64::from(piece.iter().map(|&b| u32::from((b as i8).unsigned_abs())).sum::<u32>()))
            .sum()
    }
}
