//! Medians of large windows of 8-bit samples by histograms of columns, in constant time per sample.
//!
//! Every column keeps a histogram of its rows within the window, the window's histogram is the sum of
//! its columns'. Both have two levels, 16 coarse bins of 16 grey levels; the fine bins of the window
//! are brought up to date only where the median lies (S. Perreault and P. Hébert, "Median filtering in
//! constant time", 2007).

use crate::window::{Band, Window};

/// Histograms of one column of one channel: 16 coarse bins, then 16 groups of 16 fine bins.
type Column = [[u16; 16]; 17];

/// The histograms of all columns, for the row that comes next.
#[derive(Default)]
pub struct Columns {
    columns: Vec<Column>,
}

/// Fills `out` with medians; `goes_on` when the columns are those of the row above.
pub fn fill(
    radius: usize,
    input: &Window<'_>,
    out: &mut Band<'_>,
    state: &mut Columns,
    goes_on: bool,
) {
    let shape = input.shape();
    let r = radius as isize;
    if !goes_on {
        state.columns.clear();
        state.columns.resize(shape.row_len(), [[0; 16]; 17]);
        for y in out.first as isize - r..out.first as isize + r {
            state.add(input.row::<u8>(y), 1);
        }
    }
    for y in out.range() {
        let at = y as isize;
        state.add(input.row::<u8>(at + r), 1);
        select(&state.columns, out.row::<u8>(y), shape.channels(), radius);
        state.add(input.row::<u8>(at - r), u16::MAX);
    }
}

impl Columns {
    /// Adds `by` (modulo 2^16) to the bins of a row's samples.
    fn add(&mut self, row: &[u8], by: u16) {
        for (column, &v) in self.columns.iter_mut().zip(row) {
            let (high, low) = ((v >> 4) as usize, (v & 15) as usize);
            column[0][high] = column[0][high].wrapping_add(by);
            column[1 + high][low] = column[1 + high][low].wrapping_add(by);
        }
    }
}

crate::simd! {
    /// The medians of one row.
    fn select(columns: &[Column], out: &mut [u8], channels: usize, radius: usize) {
        let cols = (out.len() / channels) as isize;
        let (r, side) = (radius as isize, 2 * radius + 1);
        let rank = (side * side / 2 + 1) as u16;
        for c in 0..channels {
            let column = |x: isize| &columns[x.clamp(0, cols - 1) as usize * channels + c];
            let mut coarse = [0u16; 16];
            let mut fine = [[0u16; 16]; 16];
            // The pixel for which each group of fine bins was last brought up to date.
            let mut fresh = [isize::MIN; 16];
            for x in -r..r {
                add(&mut coarse, &column(x)[0]);
            }
            for x in 0..cols {
                add(&mut coarse, &column(x + r)[0]);
                let (group, below) = find(&coarse, 0, rank);
                let bins = &mut fine[group];
                if x.saturating_sub(fresh[group]) >= side as isize {
                    *bins = [0; 16];
                    for k in x - r..=x + r {
                        add(bins, &column(k)[1 + group]);
                    }
                } else {
                    for k in fresh[group] + 1..=x {
                        exchange(bins, &column(k + r)[1 + group], &column(k - r - 1)[1 + group]);
                    }
                }
                fresh[group] = x;
                let (bin, _) = find(bins, below, rank);
                out[x as usize * channels + c] = (group * 16 + bin) as u8;
                let leaving = &column(x - r)[0];
                for i in 0..16 {
                    coarse[i] = coarse[i].wrapping_sub(leaving[i]);
                }
            }
        }
    }
}

#[inline(always)]
fn add(sum: &mut [u16; 16], more: &[u16; 16]) {
    for i in 0..16 {
        sum[i] = sum[i].wrapping_add(more[i]);
    }
}

#[inline(always)]
fn exchange(sum: &mut [u16; 16], more: &[u16; 16], less: &[u16; 16]) {
    for i in 0..16 {
        sum[i] = sum[i].wrapping_add(more[i]).wrapping_sub(less[i]);
    }
}

/// The first bin at which the running count, beginning with `below`, reaches `rank`, and the count
/// before it.
#[inline(always)]
fn find(bins: &[u16; 16], below: u16, rank: u16) -> (usize, u16) {
    let mut count = below;
    for (i, &n) in bins.iter().enumerate() {
        if count + n >= rank {
            return (i, count);
        }
        count += n;
    }
    (15, count)
}
