//! Medians of 3 × 3 and 5 × 5 windows, two rows at a time, all in registers.
//!
//! Columns are sorted once for both rows and for all windows that hold them; the windows then merge
//! sorted columns. Working rows hold a piece of the sorted columns with the repeated edge.

use super::ranked::{Key, Ranked};
use crate::window::{Band, Window};

/// Samples per piece: all working rows of a piece fit the first cache.
const PIECE: usize = 1536;

/// Windows are computed for a multiple of so many samples, since what remains of a loop costs far more.
const LANES: usize = 64;

/// Room for the widest window of four channels, and its neighbours.
const MARGIN: usize = 32;

/// Working rows: the sorted columns of a piece.
pub struct Columns<K> {
    rows: [Vec<K>; 6],
    /// Medians of the two rows.
    medians: [Vec<K>; 2],
}

impl<K: Key> Default for Columns<K> {
    fn default() -> Columns<K> {
        Columns {
            rows: std::array::from_fn(|_| vec![K::default(); PIECE + LANES + MARGIN]),
            medians: std::array::from_fn(|_| vec![K::default(); PIECE + LANES]),
        }
    }
}

/// Fills `out` with medians; `radius` is 1 or 2.
pub fn fill<T: Ranked>(
    radius: usize,
    input: &Window<'_>,
    out: &mut Band<'_>,
    work: &mut Columns<T::Key>,
) {
    let shape = input.shape();
    let (channels, cols) = (shape.channels(), shape.cols);
    let (range, reach) = (out.range(), radius as isize);
    let step = PIECE / channels;
    for y in range.clone().step_by(2) {
        let last = (range.end - 1) as isize + reach;
        let rows: [&[T]; 6] =
            std::array::from_fn(|i| input.row::<T>((y as isize - reach + i as isize).min(last)));
        for x in (0..cols).step_by(step) {
            let width = step.min(cols - x);
            let inside = x.saturating_sub(radius)..(x + width + radius).min(cols);
            let left = (inside.start + radius - x) * channels;
            let samples = inside.start * channels..inside.end * channels;
            let pieces: [&[T]; 6] = rows.map(|row| &row[samples.clone()]);
            match radius {
                1 => columns_of_3::<T>(&pieces, &mut work.rows, left),
                _ => columns_of_5::<T>(&pieces, &mut work.rows, left),
            }
            let end = left + samples.len();
            let whole = (width + 2 * radius) * channels;
            for row in &mut work.rows {
                for at in (0..left).step_by(channels) {
                    row.copy_within(left..left + channels, at);
                }
                for at in (end..whole).step_by(channels) {
                    row.copy_within(end - channels..end, at);
                }
            }
            let place = x * channels..(x + width) * channels;
            let n = place.len().next_multiple_of(LANES);
            let [a, b] = work.medians.each_mut().map(|row| &mut row[..n]);
            match radius {
                1 => windows_of_3::<T::Key>(&work.rows, a, b, channels),
                _ => windows_of_5::<T::Key>(&work.rows, a, b, channels),
            }
            for (y, medians) in (y..range.end).zip(&work.medians) {
                let target = &mut out.row::<T>(y)[place.clone()];
                for (sample, key) in target.iter_mut().zip(medians) {
                    *sample = T::of_key(*key);
                }
            }
        }
    }
}

/// Sorts pairs of places of an array, one after the other.
macro_rules! exchange {
    ($v:ident: $($i:literal $j:literal),+ $(,)?) => {
        $(
            let (a, b) = ($v[$i], $v[$j]);
            $v[$i] = a.min(b);
            $v[$j] = a.max(b);
        )+
    };
}

crate::simd! {
    /// Sorted columns of rows 0 to 2 and of rows 1 to 3, beginning at `left` of the working rows.
    fn columns_of_3<T: Ranked>(rows: &[&[T]; 6], columns: &mut [Vec<T::Key>; 6], left: usize) {
        let n = rows[0].len();
        let [a, b, c, d, _, _] = rows.map(|row| &row[..n]);
        let [l, m, h, s, t, u] = columns.each_mut().map(|row| &mut row[left..][..n]);
        for i in 0..n {
            let (b, c) = (b[i].key(), c[i].key());
            let (low, high) = (b.min(c), b.max(c));
            for (other, l, m, h) in [(a[i].key(), &mut l[i], &mut m[i], &mut h[i]), (d[i].key(), &mut s[i], &mut t[i], &mut u[i])] {
                let upper = other.max(low);
                (*l, *m, *h) = (other.min(low), upper.min(high), upper.max(high));
            }
        }
    }
}

#[inline(always)]
fn middle<K: Key>(a: K, b: K, c: K) -> K {
    a.min(b).max(a.max(b).min(c))
}

crate::simd! {
    /// The middle of the greatest least, the middle middle and the least greatest of three columns.
    fn windows_of_3<K: Key>(columns: &[Vec<K>; 6], first: &mut [K], second: &mut [K], channels: usize) {
        for at in (0..first.len()).step_by(LANES) {
            let row = |row: usize, shift: usize| lanes(&columns[row], at + shift * channels);
            let three = |of: usize| [row(of, 0), row(of, 1), row(of, 2)];
            let (l, m, h) = (three(0), three(1), three(2));
            let (s, t, u) = (three(3), three(4), three(5));
            let mut medians = [[K::default(); LANES]; 2];
            for i in 0..LANES {
                medians[0][i] = of_sorted_columns(l.map(|r| r[i]), m.map(|r| r[i]), h.map(|r| r[i]));
                medians[1][i] = of_sorted_columns(s.map(|r| r[i]), t.map(|r| r[i]), u.map(|r| r[i]));
            }
            first[at..at + LANES].copy_from_slice(&medians[0]);
            second[at..at + LANES].copy_from_slice(&medians[1]);
        }
    }
}

/// The median of three sorted columns, given as their least, middle and greatest elements.
#[inline(always)]
fn of_sorted_columns<K: Key>(low: [K; 3], mid: [K; 3], high: [K; 3]) -> K {
    let low = low[0].max(low[1]).max(low[2]);
    let high = high[0].min(high[1]).min(high[2]);
    middle(low, middle(mid[0], mid[1], mid[2]), high)
}

crate::simd! {
    /// Sorted columns of rows 1 to 4, and rows 0 and 5 as they are.
    fn columns_of_5<T: Ranked>(rows: &[&[T]; 6], columns: &mut [Vec<T::Key>; 6], left: usize) {
        let n = rows[0].len();
        let rows = rows.map(|row| &row[..n]);
        let [p, q, r, s, above, below] = columns.each_mut().map(|row| &mut row[left..][..n]);
        for i in 0..n {
            let mut v = [rows[1][i].key(), rows[2][i].key(), rows[3][i].key(), rows[4][i].key()];
            exchange!(v: 0 1, 2 3, 0 2, 1 3, 1 2);
            (p[i], q[i], r[i], s[i]) = (v[0], v[1], v[2], v[3]);
            (above[i], below[i]) = (rows[0][i].key(), rows[5][i].key());
        }
    }
}

crate::simd! {
    /// Of the 20 elements that both windows share only the six middle ones can be medians; they meet
    /// the five elements of the row above or below.
    fn windows_of_5<K: Key>(columns: &[Vec<K>; 6], first: &mut [K], second: &mut [K], channels: usize) {
        for at in (0..first.len()).step_by(LANES) {
            let row = |row: usize, shift: usize| lanes(&columns[row], at + shift * channels);
            let column = |shift: usize| [row(0, shift), row(1, shift), row(2, shift), row(3, shift)];
            let line = |of: usize| [row(of, 0), row(of, 1), row(of, 2), row(of, 3), row(of, 4)];
            let (c, d, e, f, g) = (column(0), column(1), column(2), column(3), column(4));
            let (a, b) = (line(4), line(5));
            let mut medians = [[K::default(); LANES]; 2];
            for i in 0..LANES {
                let v = six_of_20([
                    c[0][i], c[1][i], c[2][i], c[3][i],
                    d[0][i], d[1][i], d[2][i], d[3][i],
                    e[0][i], e[1][i], e[2][i], e[3][i],
                    f[0][i], f[1][i], f[2][i], f[3][i],
                    g[0][i], g[1][i], g[2][i], g[3][i],
                ]);
                medians[0][i] = median_with(v, [a[0][i], a[1][i], a[2][i], a[3][i], a[4][i]]);
                medians[1][i] = median_with(v, [b[0][i], b[1][i], b[2][i], b[3][i], b[4][i]]);
            }
            first[at..at + LANES].copy_from_slice(&medians[0]);
            second[at..at + LANES].copy_from_slice(&medians[1]);
        }
    }
}

/// One group of samples. Results go to local arrays first, which cannot overlap with these.
#[inline(always)]
fn lanes<K>(row: &[K], at: usize) -> &[K; LANES] {
    match row[at..at + LANES].try_into() {
        Ok(lanes) => lanes,
        Err(_) => unreachable!("the slice has this length"),
    }
}

/// Elements 8 to 13 in order of five sorted columns of four.
#[inline(always)]
fn six_of_20<K: Key>(mut v: [K; 20]) -> [K; 6] {
    // Columns 0 and 1, columns 2 and 3.
    exchange!(v: 0 4, 2 6, 2 4, 1 5, 3 7, 3 5, 1 2, 3 4, 5 6);
    exchange!(v: 8 12, 10 14, 10 12, 9 13, 11 15, 11 13, 9 10, 11 12, 13 14);
    // These pairs; the three least and the three greatest are out.
    exchange!(v: 0 8, 4 12, 4 8, 2 10, 6 14, 6 10, 2 4, 6 8, 10 12);
    exchange!(v: 1 9, 5 13, 5 9, 3 11, 7 15, 7 11, 3 5, 7 9, 11 13);
    exchange!(v: 3 4, 5 6, 7 8, 9 10, 11 12);
    // The rest and column 4.
    exchange!(v: 3 16, 11 16, 7 11, 5 18, 9 18, 5 7, 9 11, 18 16);
    exchange!(v: 4 17, 12 17, 8 12, 6 19, 10 19, 6 8, 10 12);
    exchange!(v: 6 7, 8 9, 10 11, 12 18);
    [v[7], v[8], v[9], v[10], v[11], v[12]]
}

/// The middle of six sorted elements and five others.
#[inline(always)]
fn median_with<K: Key>(v: [K; 6], mut w: [K; 5]) -> K {
    exchange!(w: 0 3, 1 4, 0 2, 1 3, 0 1, 2 4, 1 2, 3 4, 2 3);
    let a = v[0].max(w[4]).min(v[1].max(w[3]));
    let b = v[2].max(w[2]).min(v[3].max(w[1]));
    a.min(b).min(v[4].max(w[0])).min(v[5])
}
