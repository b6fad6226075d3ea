//! The rows that an erosion or dilation works on: joining them downwards, widening them sideways.

use super::extremum::Group;
use super::extremum_lanes::{join_some, merge, pair, taps, two};
use super::ranked::{Key, Ordered, Pick, Ranked};
use crate::image::Shape;
use crate::window::Window;
use std::ops::Range;

/// Greatest reach for which rows are joined in pairs.
pub const PAIRED: usize = 3;
/// Rows joined together for a greater reach.
pub const BLOCK: usize = 16;

/// Working rows, each with room at both sides for the repeated edge.
#[derive(Default)]
pub struct Work<K> {
    rows: Vec<Vec<K>>,
    spare: [Vec<K>; 2],
    pad: usize,
    len: usize,
    channels: usize,
    cols: usize,
}

impl<K: Key> Work<K> {
    /// Makes room for rows of this shape and runs of this half-width.
    pub fn fit(&mut self, shape: Shape, half: usize) {
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
    pub fn whole<T: Ranked + Ordered<Key = K>, P: Pick>(
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
    pub fn sides<T: Ranked + Ordered<Key = K>, P: Pick>(
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
    pub fn widen<P: Pick>(&mut self, i: usize, half: usize) {
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
    pub fn finish<T: Ranked + Ordered<Key = K>, P: Pick>(
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
