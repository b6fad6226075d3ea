//! The two middle values of every column of a matrix of keys.
//!
//! Keys of 8 to 32 bits are found bit by bit, for many columns at once: the answer's next bit is one
//! when at most `k` keys are below it. Longer keys are selected column by column.

use imaging::simd;

/// Something that is ordered as the values are.
pub trait Key: bytemuck::Pod + Ord + Send + Sync {
    /// Finds the keys of ranks `k.0` and `k.1 <= k.0 + 1` in each column. `matrix` holds rows of
    /// `columns` keys; `scratch` is reused between calls.
    fn select(
        matrix: &[Self],
        columns: usize,
        k: (usize, usize),
        low: &mut [Self],
        high: &mut [Self],
    );
}

/// A key that is found bit by bit.
trait Bits: bytemuck::Pod + Ord {
    /// Columns in one vector of 64 bytes.
    const COLUMNS: usize = 64 / size_of::<Self>();
    /// Rows that can be counted in a key.
    const ROWS: usize;
    const TOP: Self;
    const GREATEST: Self;
    fn half(self) -> Self;
    fn or(self, bit: Self) -> Self;
    fn is_zero(self) -> bool;
    fn counted(self, yes: bool) -> Self;
    fn count(self) -> u32;
}

macro_rules! bits {
    ($t:ty) => {
        impl Bits for $t {
            const ROWS: usize = if size_of::<$t>() == 1 { 255 } else { 65535 };
            const TOP: $t = 1 << (8 * size_of::<$t>() - 1);
            const GREATEST: $t = <$t>::MAX;
            #[inline(always)]
            fn half(self) -> $t {
                self >> 1
            }
            #[inline(always)]
            fn or(self, bit: $t) -> $t {
                self | bit
            }
            #[inline(always)]
            fn is_zero(self) -> bool {
                self == 0
            }
            #[inline(always)]
            fn counted(self, yes: bool) -> $t {
                self + <$t>::from(yes)
            }
            #[inline(always)]
            fn count(self) -> u32 {
                self.into()
            }
        }
        impl Key for $t {
            fn select(
                matrix: &[$t],
                columns: usize,
                k: (usize, usize),
                low: &mut [$t],
                high: &mut [$t],
            ) {
                tiles(matrix, columns, k, low, high);
            }
        }
    };
}
bits!(u8);
bits!(u16);
bits!(u32);

macro_rules! long {
    ($t:ty) => {
        impl Key for $t {
            fn select(
                matrix: &[$t],
                columns: usize,
                k: (usize, usize),
                low: &mut [$t],
                high: &mut [$t],
            ) {
                by_column(matrix, columns, k, low, high);
            }
        }
    };
}
long!(u64);
long!(u128);

/// Widest tile in keys.
const WIDEST: usize = 64;

/// Cuts the matrix into tiles of a vector's width; columns that are missing are filled with zeros.
fn tiles<T: Bits>(matrix: &[T], columns: usize, k: (usize, usize), low: &mut [T], high: &mut [T]) {
    let (width, rows) = (T::COLUMNS, matrix.len().checked_div(columns).unwrap_or(0));
    let mut tile = vec![T::zeroed(); rows * width];
    for at in (0..columns).step_by(width) {
        let n = width.min(columns - at);
        for (to, from) in tile
            .chunks_exact_mut(width)
            .zip(matrix.chunks_exact(columns))
        {
            to[..n].copy_from_slice(&from[at..at + n]);
        }
        let (mut a, mut b) = ([T::zeroed(); WIDEST], [T::zeroed(); WIDEST]);
        middle(&tile, k.0 as u32, k.1 as u32, &mut a, &mut b);
        low[at..at + n].copy_from_slice(&a[..n]);
        high[at..at + n].copy_from_slice(&b[..n]);
    }
}

/// Adds, per column, how many keys of the tile are below (or at) the trial.
#[inline(always)]
fn count<T: Bits>(tile: &[T], trial: &[T; WIDEST], at_too: bool, counts: &mut [u32; WIDEST]) {
    let width = T::COLUMNS;
    counts.fill(0);
    for rows in tile.chunks(width * T::ROWS) {
        let mut below = [T::zeroed(); WIDEST];
        for row in rows.chunks_exact(width) {
            for j in 0..width {
                let yes = (row[j] < trial[j]) | (at_too & (row[j] == trial[j]));
                below[j] = below[j].counted(yes);
            }
        }
        for j in 0..width {
            counts[j] += below[j].count();
        }
    }
}

simd! {
    fn middle<T: Bits>(tile: &[T], k1: u32, k2: u32, low: &mut [T; WIDEST], high: &mut [T; WIDEST]) {
        let width = T::COLUMNS;
        let mut counts = [0; WIDEST];
        let mut bit = T::TOP;
        while !bit.is_zero() {
            let mut trial = *low;
            for j in 0..width {
                trial[j] = low[j].or(bit);
            }
            count(tile, &trial, false, &mut counts);
            for j in 0..width {
                low[j] = if counts[j] <= k1 { trial[j] } else { low[j] };
            }
            bit = bit.half();
        }
        *high = *low;
        if k1 < k2 {
            count(tile, low, true, &mut counts);
            let mut next = [T::GREATEST; WIDEST];
            for row in tile.chunks_exact(width) {
                for j in 0..width {
                    let better = (row[j] > low[j]) & (row[j] < next[j]);
                    next[j] = if better { row[j] } else { next[j] };
                }
            }
            for j in 0..width {
                high[j] = if counts[j] > k2 { low[j] } else { next[j] };
            }
        }
    }
}

/// Columns gathered at once, so that whole cache lines are used.
const GATHERED: usize = 8;

fn by_column<T: Key>(
    matrix: &[T],
    columns: usize,
    k: (usize, usize),
    low: &mut [T],
    high: &mut [T],
) {
    let rows = matrix.len().checked_div(columns).unwrap_or(0);
    let mut gathered = vec![T::zeroed(); GATHERED * rows];
    for at in (0..columns).step_by(GATHERED) {
        let n = GATHERED.min(columns - at);
        for (y, row) in matrix.chunks_exact(columns).enumerate() {
            for j in 0..n {
                gathered[j * rows + y] = row[at + j];
            }
        }
        for j in 0..n {
            let column = &mut gathered[j * rows..(j + 1) * rows];
            let (below, &mut upper, _) = column.select_nth_unstable(k.1);
            high[at + j] = upper;
            low[at + j] = match k.0 < k.1 {
                true => below.iter().copied().max().unwrap_or(upper),
                false => upper,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<T: Key + std::fmt::Debug>(rows: usize, columns: usize, next: &mut dyn FnMut() -> T) {
        let matrix: Vec<T> = (0..rows * columns).map(|_| next()).collect();
        let k = ((rows - 1) / 2, rows / 2);
        let (mut low, mut high) = (vec![T::zeroed(); columns], vec![T::zeroed(); columns]);
        T::select(&matrix, columns, k, &mut low, &mut high);
        for j in 0..columns {
            let mut column: Vec<T> = (0..rows).map(|y| matrix[y * columns + j]).collect();
            column.sort_unstable();
            assert_eq!((low[j], high[j]), (column[k.0], column[k.1]));
        }
    }

    proptest! {
        #[test]
        fn as_by_sorting(rows in 1usize..600, columns in 1usize..140, seed: u64, few: bool) {
            let mut state = seed | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                if few { (state >> 62).wrapping_sub(1) } else { state }
            };
            check::<u8>(rows, columns, &mut || next() as u8);
            check::<u16>(rows, columns, &mut || next() as u16);
            check::<u32>(rows, columns, &mut || next() as u32);
            check::<u64>(rows, columns, &mut &mut next);
            check::<u128>(rows, columns, &mut || u128::from(next()) << 30);
        }
    }
}
