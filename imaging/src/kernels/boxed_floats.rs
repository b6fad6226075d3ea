//! Means of square windows of floats, of any magnitude: sums in 64 bits, added in an order that only depends on where a
//! window lies in the image.
//!
//! A running sum would depend on where a walk began, keep what a large value left behind, and never get rid of a value
//! that is no number. So rows and columns are cut into blocks that are anchored in the image: a window is the end of one
//! block, whole blocks, and the beginning of another (after van Herk, 1992, who did so for maxima).

use super::boxed::Boxed;
use super::padded::Padded;
use crate::image::Shape;
use crate::window::{Band, Scratch, Window};
use std::collections::VecDeque;

/// Windows up to this width are summed sample by sample, which is quicker.
const DIRECT: usize = 7;
/// Samples summed at a time.
const PIECE: usize = 64;

/// Calls `finish(source row, means, output row)` for each row of the band.
pub fn rows(
    boxed: &Boxed,
    input: &Window<'_>,
    out: &mut Band<'_>,
    scratch: &mut Scratch,
    mut finish: impl FnMut(&[f32], &[f32], &mut [f32]),
) {
    let (shape, radius) = (input.shape(), boxed.radius() as isize);
    let (state, goes_on) = scratch.state(out, || State::new(boxed, shape));
    if !goes_on {
        state.down.begin();
    }
    let row = |y: isize| input.row::<f32>(y);
    let width = 2 * boxed.radius() + 1;
    let scale = 1.0 / (width * width) as f64;
    for y in out.range() {
        let at = y as isize;
        (state.down).sums(at - radius..at + radius + 1, &row, state.columns.inner());
        let columns = state.columns.surrounded();
        match width {
            ..=DIRECT => add_columns(columns, width, shape.channels(), &mut state.totals),
            _ => (state.along).sums(columns, width, shape.channels(), &mut state.totals),
        }
        divide(&state.totals, scale, &mut state.means);
        finish(row(at), &state.means, out.row::<f32>(y));
    }
}

struct State {
    down: Down,
    columns: Padded<f64>,
    along: Along,
    totals: Vec<f64>,
    means: Vec<f32>,
}

impl State {
    fn new(boxed: &Boxed, shape: Shape) -> State {
        let (radius, channels) = (boxed.radius(), shape.channels());
        State {
            down: Down::new(2 * radius + 1, shape.row_len()),
            columns: Padded::new(shape.cols, channels, radius, boxed.border(), 0.0),
            along: Along::default(),
            totals: vec![0.0; shape.row_len()],
            means: vec![0.0; shape.row_len()],
        }
    }
}

/// Sums of columns, window after window down the image. Blocks are as high as the root of a window, so that only so many
/// rows of sums are held, however high the window.
struct Down {
    width: usize,
    /// Rows of a block.
    block: isize,
    /// The block in which the window begins.
    head: Option<isize>,
    /// Sums from each of its rows to its last one, as far as they were needed.
    ends: Vec<Vec<f64>>,
    /// Sums of whole blocks below it.
    blocks: VecDeque<(isize, Vec<f64>)>,
    /// Their sum.
    middle: Vec<f64>,
    /// From the beginning of the block in which the window ends.
    tail: Vec<f64>,
    /// Its last row.
    last: Option<isize>,
}

impl Down {
    fn new(width: usize, len: usize) -> Down {
        let root = (1..).find(|n| n * n >= width).unwrap_or(1);
        let direct = width <= DIRECT;
        let row = || vec![0.0; if direct { 0 } else { len }];
        Down {
            width,
            block: root as isize,
            head: None,
            ends: match direct {
                true => Vec::new(),
                false => (0..root).map(|_| row()).collect(),
            },
            blocks: VecDeque::new(),
            middle: row(),
            tail: row(),
            last: None,
        }
    }

    /// Forgets the walk so far.
    fn begin(&mut self) {
        self.head = None;
        self.last = None;
        self.blocks.clear();
    }

    /// The sums of the rows `window`, which lies one below that of the last call unless a walk begins.
    fn sums<'r>(
        &mut self,
        window: std::ops::Range<isize>,
        row: &impl Fn(isize) -> &'r [f32],
        sums: &mut [f64],
    ) {
        if self.width <= DIRECT {
            let rows: Vec<&[f32]> = window.map(row).collect();
            return add_rows(&rows, sums);
        }
        let (first, last) = (window.start, window.end - 1);
        let head = first.div_euclid(self.block);
        let tail = last.div_euclid(self.block);
        self.extend(last, tail * self.block, row);
        if self.head != Some(head) {
            self.fill_ends(first, head, row);
            self.fill_middle(head + 1..tail, row);
        } else if last == tail * self.block {
            self.fill_middle(head + 1..tail, row);
        }
        let end = &self.ends[(first - head * self.block) as usize];
        match head + 1 < tail {
            true => add_three(end, &self.middle, &self.tail, sums),
            false => add_two(end, &self.tail, sums),
        }
    }

    /// Makes the tail reach from row `start` to row `last`.
    fn extend<'r>(&mut self, last: isize, start: isize, row: &impl Fn(isize) -> &'r [f32]) {
        let goes_on = self.last == Some(last - 1);
        if goes_on && last == start {
            // The tail became a whole block.
            let spare = match self.blocks.front() {
                Some((block, _)) if (block + 1) * self.block <= last + 1 - self.width as isize => {
                    self.blocks.pop_front().map(|(_, sums)| sums)
                }
                _ => None,
            };
            let spare = spare.unwrap_or_else(|| vec![0.0; self.tail.len()]);
            let whole = std::mem::replace(&mut self.tail, spare);
            self.blocks.push_back((start / self.block - 1, whole));
        }
        if goes_on && last > start {
            add(&mut self.tail, row(last));
        } else {
            sum(start..last + 1, row, &mut self.tail);
        }
        self.last = Some(last);
    }

    fn fill_ends<'r>(&mut self, first: isize, head: isize, row: &impl Fn(isize) -> &'r [f32]) {
        let top = head * self.block;
        for at in (first..top + self.block).rev() {
            let (here, below) = self.ends.split_at_mut((at - top) as usize + 1);
            let here = &mut here[(at - top) as usize];
            match below.first() {
                Some(below) => add_to(below, row(at), here),
                None => widen(row(at), here),
            }
        }
        self.head = Some(head);
    }

    fn fill_middle<'r>(
        &mut self,
        blocks: std::ops::Range<isize>,
        row: &impl Fn(isize) -> &'r [f32],
    ) {
        for (nth, block) in blocks.enumerate() {
            let known = self.blocks.iter().position(|(known, _)| *known == block);
            let known = known.unwrap_or_else(|| {
                // A walk begins: those below are not known either.
                let mut sums = vec![0.0; self.middle.len()];
                let rows = block * self.block..(block + 1) * self.block;
                sum(rows, row, &mut sums);
                self.blocks.push_back((block, sums));
                self.blocks.len() - 1
            });
            match nth {
                0 => self.middle.copy_from_slice(&self.blocks[known].1),
                _ => add_wide(&mut self.middle, &self.blocks[known].1),
            }
        }
    }
}

/// Adds up rows from the first to the last.
fn sum<'r>(rows: std::ops::Range<isize>, row: &impl Fn(isize) -> &'r [f32], sums: &mut [f64]) {
    let first = rows.start;
    for y in rows {
        match y == first {
            true => widen(row(y), sums),
            false => add(sums, row(y)),
        }
    }
}

/// Sums along a row in blocks as wide as a window, from each pixel to the end of its block, and from the beginning of a
/// block to each pixel.
#[derive(Default)]
struct Along {
    ends: Vec<f64>,
    starts: Vec<f64>,
}

impl Along {
    /// The sums of `width` columns each, the first of them at `columns[0]`; pixels are `step` samples apart.
    fn sums(&mut self, columns: &[f64], width: usize, step: usize, totals: &mut [f64]) {
        self.ends.resize(columns.len(), 0.0);
        self.starts.resize(columns.len() + step, 0.0);
        match step {
            1 => self.fill::<1>(columns, width),
            2 => self.fill::<2>(columns, width),
            3 => self.fill::<3>(columns, width),
            4 => self.fill::<4>(columns, width),
            _ => self.fill_many(columns, width, step),
        }
        add_two(&self.ends, &self.starts[width * step..], totals);
    }

    /// The same of pixels of any number of samples.
    fn fill_many(&mut self, columns: &[f64], width: usize, step: usize) {
        for (at, block) in (0..)
            .step_by(width * step)
            .zip(columns.chunks(width * step))
        {
            for i in at..at + block.len() {
                self.starts[i] = match i - at < step {
                    true => 0.0,
                    false => self.starts[i - step] + columns[i - step],
                };
            }
            for i in (at..at + block.len()).rev() {
                let below = match i + step < at + block.len() {
                    true => self.ends[i + step],
                    false => 0.0,
                };
                self.ends[i] = below + columns[i];
            }
        }
        let end = columns.len();
        for i in end..end + step {
            self.starts[i] = match end % (width * step) {
                0 => 0.0,
                _ => self.starts[i - step] + columns[i - step],
            };
        }
    }

    fn fill<const N: usize>(&mut self, columns: &[f64], width: usize) {
        // What comes before a block's first pixel is nothing.
        let blocks = columns.chunks(width * N);
        let starts = self.starts.chunks_mut(width * N);
        let ends = self.ends.chunks_mut(width * N);
        for ((block, starts), ends) in blocks.zip(starts).zip(ends) {
            let mut sums = [0.0; N];
            for (start, pixel) in starts.chunks_exact_mut(N).zip(block.chunks_exact(N)) {
                start.copy_from_slice(&sums);
                for c in 0..N {
                    sums[c] += pixel[c];
                }
            }
            let mut sums = [0.0; N];
            let pixels = ends.chunks_exact_mut(N).zip(block.chunks_exact(N));
            for (end, pixel) in pixels.rev() {
                for c in 0..N {
                    sums[c] += pixel[c];
                }
                end.copy_from_slice(&sums);
            }
        }
        // The place behind the last pixel counts where it does not begin a block.
        let (pixels, last) = (columns.len() / N, columns.len() - N);
        for c in 0..N {
            self.starts[columns.len() + c] = match pixels.is_multiple_of(width) {
                true => 0.0,
                false => self.starts[last + c] + columns[last + c],
            };
        }
    }
}

crate::simd! {
    fn widen(row: &[f32], sums: &mut [f64]) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum = f64::from(*v);
        }
    }
}

crate::simd! {
    fn add(sums: &mut [f64], row: &[f32]) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum += f64::from(*v);
        }
    }
}

crate::simd! {
    fn add_to(below: &[f64], row: &[f32], sums: &mut [f64]) {
        for ((sum, below), v) in sums.iter_mut().zip(below).zip(row) {
            *sum = *below + f64::from(*v);
        }
    }
}

crate::simd! {
    fn add_wide(sums: &mut [f64], row: &[f64]) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum += *v;
        }
    }
}

crate::simd! {
    fn add_two(a: &[f64], b: &[f64], sums: &mut [f64]) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = *a + *b;
        }
    }
}

crate::simd! {
    fn add_three(a: &[f64], b: &[f64], c: &[f64], sums: &mut [f64]) {
        for (((sum, a), b), c) in sums.iter_mut().zip(a).zip(b).zip(c) {
            *sum = (*a + *b) + *c;
        }
    }
}

crate::simd! {
    /// Adds up few rows, some samples at a time.
    fn add_rows(rows: &[&[f32]], sums: &mut [f64]) {
        for (at, sums) in (0..).step_by(PIECE).zip(sums.chunks_mut(PIECE)) {
            let mut totals = [0.0f64; PIECE];
            for row in rows {
                for (total, v) in totals.iter_mut().zip(&row[at..at + sums.len()]) {
                    *total += f64::from(*v);
                }
            }
            sums.copy_from_slice(&totals[..sums.len()]);
        }
    }
}

crate::simd! {
    /// Adds up few columns for each sample.
    fn add_columns(columns: &[f64], width: usize, step: usize, totals: &mut [f64]) {
        for (at, totals) in (0..).step_by(PIECE).zip(totals.chunks_mut(PIECE)) {
            let mut sums = [0.0f64; PIECE];
            for k in 0..width {
                let from = at + k * step;
                for (sum, v) in sums.iter_mut().zip(&columns[from..from + totals.len()]) {
                    *sum += *v;
                }
            }
            totals.copy_from_slice(&sums[..totals.len()]);
        }
    }
}

crate::simd! {
    fn divide(totals: &[f64], scale: f64, means: &mut [f32]) {
        for (mean, total) in means.iter_mut().zip(totals) {
            *mean = (*total * scale) as f32;
        }
    }
}
