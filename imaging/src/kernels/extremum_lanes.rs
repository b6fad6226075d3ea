//! Inner loops of erosions and dilations: the winners of several rows, sample by sample.

use super::ranked::{Key, Ordered, Pick, Ranked};

crate::simd! {
    /// Joins one to four rows into `target`, replacing it when `fresh`.
    pub fn join_some<T: Ranked, P: Pick>(target: &mut [T::Key], rows: &[&[T]], fresh: bool) {
        let n = target.len();
        let row = |i: usize| &rows[i][..n];
        match (rows.len(), fresh) {
            (1, true) => {
                let a = row(0);
                for i in 0..n {
                    target[i] = a[i].key();
                }
            }
            (1, false) => {
                let a = row(0);
                for i in 0..n {
                    target[i] = P::pick(target[i], a[i].key());
                }
            }
            (2, true) => {
                let (a, b) = (row(0), row(1));
                for i in 0..n {
                    target[i] = P::pick(a[i].key(), b[i].key());
                }
            }
            (2, false) => {
                let (a, b) = (row(0), row(1));
                for i in 0..n {
                    target[i] = P::pick(target[i], P::pick(a[i].key(), b[i].key()));
                }
            }
            _ => {
                let (a, b, c, d) = (row(0), row(1), row(2), row(rows.len() - 1));
                for i in 0..n {
                    let four = P::pick(P::pick(a[i].key(), b[i].key()), P::pick(c[i].key(), d[i].key()));
                    target[i] = if fresh { four } else { P::pick(target[i], four) };
                }
            }
        }
    }
}

crate::simd! {
    /// Joins a working row into another, replacing it when `fresh`.
    pub fn merge<K: Key, P: Pick>(target: &mut [K], row: &[K], fresh: bool) {
        if fresh {
            return target.copy_from_slice(row);
        }
        for (t, v) in target.iter_mut().zip(row) {
            *t = P::pick(*t, *v);
        }
    }
}

/// Samples computed at a time. The last group of a row overlaps the one before, since what remains of a
/// loop would cost far more.
const LANES: usize = 64;

/// Beginnings of the groups that cover `n >= LANES` samples.
#[inline(always)]
fn groups(n: usize) -> impl Iterator<Item = usize> {
    let whole = (0..n - LANES).step_by(LANES);
    whole.chain(std::iter::once(n - LANES))
}

#[inline(always)]
fn part<T, const L: usize>(row: &[T], at: usize) -> &[T; L] {
    match row[at..at + L].try_into() {
        Ok(part) => part,
        Err(_) => unreachable!("the slice has this length"),
    }
}

/// The winners of `N` rows at `L` samples, by way of a local array that cannot overlap with the rows.
#[inline(always)]
fn winners<K: Key, T: Ordered<Key = K>, P: Pick, const N: usize, const L: usize>(
    target: &mut [T],
    rows: &[&[K]; N],
    at: usize,
) {
    let rows: [&[K; L]; N] = rows.map(|row| part(row, at));
    let mut won = [T::default(); L];
    for i in 0..L {
        let mut winner = rows[0][i];
        for row in &rows[1..] {
            winner = P::pick(winner, row[i]);
        }
        won[i] = T::of_key(winner);
    }
    target[at..at + L].copy_from_slice(&won);
}

#[inline(always)]
fn winners_of<K: Key, T: Ordered<Key = K>, P: Pick, const N: usize>(
    target: &mut [T],
    rows: &[&[K]; N],
) {
    let n = target.len();
    if n < LANES {
        return (0..n).for_each(|at| winners::<K, T, P, N, 1>(target, rows, at));
    }
    for at in groups(n) {
        winners::<K, T, P, N, LANES>(target, rows, at);
    }
}

crate::simd! {
    /// The winners of two rows.
    pub fn two<K: Key, T: Ordered<Key = K>, P: Pick>(target: &mut [T], a: &[K], b: &[K]) {
        winners_of::<K, T, P, 2>(target, &[a, b]);
    }
}

crate::simd! {
    /// Two neighbouring working rows from 4, 6 or 8 window rows: all but the last, all but the first.
    pub fn pair<T: Ranked, P: Pick>(first: &mut [T::Key], second: &mut [T::Key], rows: &[&[T]]) {
        match rows.len() {
            4 => pair_of::<T, P, 4>(first, second, rows),
            6 => pair_of::<T, P, 6>(first, second, rows),
            _ => pair_of::<T, P, 8>(first, second, rows),
        }
    }
}

#[inline(always)]
fn pair_of<T: Ranked, P: Pick, const N: usize>(
    first: &mut [T::Key],
    second: &mut [T::Key],
    rows: &[&[T]],
) {
    let n = first.len();
    let rows: [&[T]; N] = std::array::from_fn(|k| rows[k]);
    if n < LANES {
        return (0..n).for_each(|at| pair_at::<T, P, N, 1>(first, second, &rows, at));
    }
    for at in groups(n) {
        pair_at::<T, P, N, LANES>(first, second, &rows, at);
    }
}

#[inline(always)]
fn pair_at<T: Ranked, P: Pick, const N: usize, const L: usize>(
    first: &mut [T::Key],
    second: &mut [T::Key],
    rows: &[&[T]; N],
    at: usize,
) {
    let rows: [&[T; L]; N] = rows.map(|row| part(row, at));
    let (mut a, mut b) = ([T::Key::default(); L], [T::Key::default(); L]);
    for i in 0..L {
        let mut shared = rows[1][i].key();
        for row in &rows[2..N - 1] {
            shared = P::pick(shared, row[i].key());
        }
        a[i] = P::pick(shared, rows[0][i].key());
        b[i] = P::pick(shared, rows[N - 1][i].key());
    }
    first[at..at + L].copy_from_slice(&a);
    second[at..at + L].copy_from_slice(&b);
}

crate::simd! {
    /// Runs of half-width 0 to 3 over `row`, which is longer than `target` by two half-widths.
    pub fn taps<K: Key, T: Ordered<Key = K>, P: Pick>(target: &mut [T], row: &[K], channels: usize, half: usize) {
        match half {
            0 => taps_of::<K, T, P, 1>(target, row, channels),
            1 => taps_of::<K, T, P, 3>(target, row, channels),
            2 => taps_of::<K, T, P, 5>(target, row, channels),
            _ => taps_of::<K, T, P, 7>(target, row, channels),
        }
    }
}

#[inline(always)]
fn taps_of<K: Key, T: Ordered<Key = K>, P: Pick, const N: usize>(
    target: &mut [T],
    row: &[K],
    channels: usize,
) {
    let n = target.len();
    let rows: [&[K]; N] = std::array::from_fn(|k| &row[k * channels..][..n]);
    winners_of::<K, T, P, N>(target, &rows);
}
