//! One erosion or dilation: the least or greatest sample under an element.
//!
//! An element here is made of horizontal runs centred on the pixel. Rows with runs of the same length
//! are first joined vertically, then all runs are widened together from the longest to the shortest
//! (a run of half-width a + b is a run of half-width a over one of b), so that the work in x is that of
//! the longest run alone. Runs are found by doubling. What lies outside of the image counts as nothing:
//! for a centred run this equals repeating the edge.

use super::ranked::{Greatest, Key, Least, Ordered, Pick, Ranked};
use crate::border::Border;
use crate::image::Shape;
use crate::op::Local;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// Rows of an element whose runs are equally long: those with `inner <= |dy| <= outer`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Group {
    half: usize,
    inner: usize,
    outer: usize,
}

/// The least or greatest sample under an element, per channel.
#[derive(Clone, Debug)]
pub struct Extremum {
    /// Longest runs first; the first group holds the centre row.
    groups: Vec<Group>,
    greatest: bool,
}

impl Extremum {
    /// From the half-width of the element's run at each distance from its centre row. Half-widths
    /// never grow with the distance.
    pub fn new(halves: &[usize], greatest: bool) -> Extremum {
        let mut groups: Vec<Group> = Vec::new();
        for (dy, &half) in halves.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if group.half == half => group.outer = dy,
                _ => groups.push(Group {
                    half,
                    inner: dy,
                    outer: dy,
                }),
            }
        }
        // A vertical line through the centre may as well be whole: then its rows are joined in blocks.
        if let [_, line] = &mut groups[..] {
            line.inner = if line.half == 0 { 0 } else { line.inner };
        }
        Extremum { groups, greatest }
    }

    /// Rows that the element reaches above and below.
    pub fn reach(&self) -> usize {
        self.groups.last().map_or(0, |g| g.outer)
    }

    fn rows<T: Ranked, P: Pick>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
    ) {
        let (work, _) = scratch.state(out, Work::<T::Key>::default);
        let shape = input.shape();
        work.fit(shape, self.groups[0].half);
        let longest = self.groups.iter().filter(|g| g.inner == 0);
        let step = match longest.map(|g| g.outer).max() {
            None | Some(0) => 1,
            Some(1..=PAIRED) => 2,
            Some(reach) => reach.min(BLOCK),
        };
        let range = out.range();
        for at in range.clone().step_by(step) {
            let block = at..(at + step).min(range.end);
            self.block::<T, P>(input, out, block, work);
        }
    }

    fn block<T: Ranked, P: Pick>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        block: Range<usize>,
        work: &mut Work<T::Key>,
    ) {
        let mut half = self.groups[0].half;
        for (k, group) in self.groups.iter().enumerate() {
            let fresh = k == 0;
            if !fresh {
                for i in 0..block.len() {
                    work.widen::<P>(i, half - group.half);
                }
                half = group.half;
            }
            if group.inner == 0 {
                work.whole::<T, P>(input, block.clone(), group.outer, fresh);
            } else {
                work.sides::<T, P>(input, block.clone(), group);
            }
        }
        for (i, y) in block.enumerate() {
            work.finish::<T, P>(i, half, out.row::<T>(y));
        }
    }
}

impl Local for Extremum {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        let reach = self.reach() as isize;
        out.start as isize - reach..out.end as isize + reach
    }

    fn border(&self) -> Border {
        Border::Replicate
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.3 + 0.05 * self.groups.len() as f64
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        crate::by_sample!(input.shape().sample, T => match self.greatest {
            true => self.rows::<T, Greatest>(input, out, scratch),
            false => self.rows::<T, Least>(input, out, scratch),
        });
    }
}

/// Greatest reach for which rows are joined in pairs.
const PAIRED: usize = 3;
/// Rows joined together for a greater reach.
const BLOCK: usize = 16;

/// Working rows, each with room at both sides for the repeated edge.
#[derive(Default)]
struct Work<K> {
    rows: Vec<Vec<K>>,
    spare: [Vec<K>; 2],
    pad: usize,
    len: usize,
    channels: usize,
    cols: usize,
}

impl<K: Key> Work<K> {
    fn fit(&mut self, shape: Shape, half: usize) {
        self.len = shape.row_len();
        self.channels = shape.channels();
        self.cols = shape.cols;
        self.pad = half.min(shape.cols - 1) * self.channels;
        let padded = self.len + 2 * self.pad;
        self.rows.resize_with(BLOCK, Vec::new);
        for row in self.rows.iter_mut().chain(&mut self.spare) {
            row.resize(padded, K::default());
        }
    }

    /// Joins rows `y - reach..=y + reach` for each `y` of the block.
    fn whole<T: Ranked + Ordered<Key = K>, P: Pick>(
        &mut self,
        input: &Window<'_>,
        block: Range<usize>,
        reach: usize,
        fresh: bool,
    ) {
        let inside = self.pad..self.pad + self.len;
        let (first, last) = (block.start as isize, block.end as isize - 1);
        let reach = reach as isize;
        if fresh && block.len() == 2 && (1..=PAIRED as isize).contains(&reach) {
            let rows: [&[T]; 2 * PAIRED + 2] = std::array::from_fn(|i| {
                input.row::<T>((first - reach + i as isize).min(last + reach))
            });
            let (a, b) = self.rows.split_at_mut(1);
            let (a, b) = (&mut a[0][inside.clone()], &mut b[0][inside]);
            return pair::<T, P>(a, b, &rows[..2 * reach as usize + 2]);
        }
        let rows = input.shape().rows as isize;
        let held = |range: Range<isize>| range.start.max(0)..range.end.min(rows);
        if block.len() == 1 || last - reach > first + reach {
            for y in block.clone() {
                let range = held(y as isize - reach..y as isize + reach + 1);
                let target = &mut self.rows[y - block.start][inside.clone()];
                join::<T, P>(target, input, range, fresh);
            }
            return;
        }
        // Rows that all share, then those above from the last upwards, those below from the first down.
        let shared = &mut self.spare[0][inside.clone()];
        join::<T, P>(shared, input, held(last - reach..first + reach + 1), true);
        for row in &mut self.rows[..block.len()] {
            let row = &mut row[inside.clone()];
            merge::<K, P>(row, &self.spare[0][inside.clone()], fresh);
        }
        let count = block.len();
        for (order, range) in [
            (true, first - reach..last - reach),
            (false, first + reach + 1..last + reach + 1),
        ] {
            let mut begun = false;
            for i in 1..count {
                // The row that enters now, and the output row that reaches up to it.
                let (y, at) = match order {
                    true => (range.end - i as isize, count - 1 - i),
                    false => (range.start + i as isize - 1, i),
                };
                if (0..rows).contains(&y) {
                    join::<T, P>(&mut self.spare[1][inside.clone()], input, y..y + 1, !begun);
                    begun = true;
                }
                if begun {
                    let row = &mut self.rows[at][inside.clone()];
                    merge::<K, P>(row, &self.spare[1][inside.clone()], false);
                }
            }
        }
    }

    /// Joins the rows at a distance of `inner..=outer` above and below.
    fn sides<T: Ranked + Ordered<Key = K>, P: Pick>(
        &mut self,
        input: &Window<'_>,
        block: Range<usize>,
        group: &Group,
    ) {
        let rows = input.shape().rows as isize;
        let (inner, outer) = (group.inner as isize, group.outer as isize);
        for (i, y) in block.enumerate() {
            let y = y as isize;
            let target = &mut self.rows[i][self.pad..self.pad + self.len];
            let above = (y - outer).max(0)..(y - inner + 1).max(0);
            let below = (y + inner).min(rows)..(y + outer + 1).min(rows);
            if inner == outer && !above.is_empty() && !below.is_empty() {
                let (a, b) = (input.row::<T>(above.start), input.row::<T>(below.start));
                join_some::<T, P>(target, &[a, b], false);
            } else {
                join::<T, P>(target, input, above, false);
                join::<T, P>(target, input, below, false);
            }
        }
    }

    /// Replaces working row `i` by its runs of this half-width.
    fn widen<P: Pick>(&mut self, i: usize, half: usize) {
        let half = half.min(self.cols - 1);
        if half == 0 {
            return;
        }
        self.continue_edges(i);
        let spread = half * self.channels;
        let range = self.pad - spread..self.pad + self.len + spread;
        let inside = self.pad..self.pad + self.len;
        let [a, b] = &mut self.spare;
        if half <= DIRECT {
            taps::<K, K, P>(&mut a[inside], &self.rows[i][range], self.channels, half);
            std::mem::swap(a, &mut self.rows[i]);
            return;
        }
        let source = runs::<K, P>(&self.rows[i][range], a, b, self.channels, half);
        let (first, second, shift) = source;
        two::<K, K, P>(
            &mut self.rows[i][inside],
            &first[..self.len],
            &second[shift..shift + self.len],
        );
    }

    /// Writes the runs of this half-width of working row `i`.
    fn finish<T: Ranked + Ordered<Key = K>, P: Pick>(
        &mut self,
        i: usize,
        half: usize,
        out: &mut [T],
    ) {
        let half = half.min(self.cols - 1);
        if half > 0 {
            self.continue_edges(i);
        }
        let spread = half * self.channels;
        let range = self.pad - spread..self.pad + self.len + spread;
        if half <= DIRECT {
            taps::<K, T, P>(out, &self.rows[i][range], self.channels, half);
            return;
        }
        let [a, b] = &mut self.spare;
        let (first, second, shift) = runs::<K, P>(&self.rows[i][range], a, b, self.channels, half);
        two::<K, T, P>(out, &first[..self.len], &second[shift..shift + self.len]);
    }

    /// Repeats the first and last pixel of working row `i` into the room beside them.
    fn continue_edges(&mut self, i: usize) {
        let (row, pad, channels) = (&mut self.rows[i], self.pad, self.channels);
        let end = pad + self.len;
        for at in (0..pad).step_by(channels) {
            row.copy_within(pad..pad + channels, at);
            row.copy_within(end - channels..end, end + at);
        }
    }
}

/// Longest half-width whose runs are found tap by tap.
const DIRECT: usize = 3;

/// Doubles the runs that begin at each sample of `row` up to the largest power of two within
/// `2 half + 1`. The wanted run is the winner of the two slices, the second read from the shift on.
fn runs<'a, K: Key, P: Pick>(
    row: &[K],
    a: &'a mut [K],
    b: &'a mut [K],
    channels: usize,
    half: usize,
) -> (&'a [K], &'a [K], usize) {
    let want = 2 * half + 1;
    let mut len = row.len() - channels;
    two::<K, K, P>(&mut a[..len], &row[..len], &row[channels..]);
    let (mut from, mut to) = (a, b);
    let mut have = 2;
    while 2 * have <= want {
        let next = len - have * channels;
        two::<K, K, P>(&mut to[..next], &from[..next], &from[have * channels..len]);
        std::mem::swap(&mut from, &mut to);
        len = next;
        have *= 2;
    }
    let from: &'a [K] = from;
    (from, from, (want - have) * channels)
}

/// Joins window rows into `target` (replacing it when `fresh`), a few at a time.
fn join<T: Ranked, P: Pick>(
    target: &mut [T::Key],
    input: &Window<'_>,
    range: Range<isize>,
    mut fresh: bool,
) {
    for at in range.clone().step_by(4) {
        let rows: [&[T]; 4] =
            std::array::from_fn(|i| input.row::<T>((at + i as isize).min(range.end - 1)));
        let count = (range.end - at).min(4) as usize;
        join_some::<T, P>(target, &rows[..count], fresh);
        fresh = false;
    }
}

crate::simd! {
    /// Joins one to four rows into `target`, replacing it when `fresh`.
    fn join_some<T: Ranked, P: Pick>(target: &mut [T::Key], rows: &[&[T]], fresh: bool) {
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
    fn merge<K: Key, P: Pick>(target: &mut [K], row: &[K], fresh: bool) {
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
    fn two<K: Key, T: Ordered<Key = K>, P: Pick>(target: &mut [T], a: &[K], b: &[K]) {
        winners_of::<K, T, P, 2>(target, &[a, b]);
    }
}

crate::simd! {
    /// Two neighbouring working rows from 4, 6 or 8 window rows: all but the last, all but the first.
    fn pair<T: Ranked, P: Pick>(first: &mut [T::Key], second: &mut [T::Key], rows: &[&[T]]) {
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
    fn taps<K: Key, T: Ordered<Key = K>, P: Pick>(target: &mut [T], row: &[K], channels: usize, half: usize) {
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

#[cfg(test)]
#[path = "extremum_tests.rs"]
mod tests;
