//! Partial results of the tree: for each index two or four doubles, in blocks.
//!
//! Of images with alpha, colours count as much as they are seen, see [`super::seen`].

use super::double;
use super::spool::{Room, Store};
use super::values::Block;
use super::{Op, Results, seen};
use imaging::Result;
use std::sync::Arc;

/// Indices in one block of a partial result.
const SPAN: usize = 8192;

/// What is known of each index after some consecutive files.
pub struct Partial {
    op: Op,
    values: usize,
    /// Samples of a pixel where the last is alpha.
    alpha: Option<usize>,
    /// Files that went in.
    files: usize,
    store: Store<f64>,
    buffer: Vec<f64>,
}

fn lanes(op: Op) -> usize {
    if op == Op::Std { 4 } else { 2 }
}

fn span(values: usize) -> usize {
    values.clamp(1, SPAN)
}

impl Partial {
    /// Room for `values` indices of no file yet.
    pub fn new(op: Op, values: usize, alpha: Option<usize>, room: &Arc<Room>) -> Result<Partial> {
        let blocks = values.div_ceil(span(values));
        Ok(Partial {
            op,
            values,
            alpha,
            files: 0,
            store: room.store(blocks * span(values) * lanes(op))?,
            buffer: Vec::new(),
        })
    }

    /// Doubles held.
    pub fn len(&self) -> usize {
        self.values.div_ceil(span(self.values)) * span(self.values) * lanes(self.op)
    }

    /// Number of files that went in.
    pub fn files(&self) -> usize {
        self.files
    }

    /// Counts a file whose values were all folded.
    pub fn file_done(&mut self) {
        self.files += 1;
    }

    /// Folds in values of the next file, the first of which has index `start`.
    pub fn fold(&mut self, start: usize, block: &Block) -> Result<()> {
        let (op, files) = (self.op, self.files);
        let span = span(self.values);
        let mut done = 0;
        while done < block.hi.len() {
            let (number, within) = ((start + done) / span, (start + done) % span);
            let n = (span - within).min(block.hi.len() - done);
            let hi = &block.hi[done..done + n];
            let lo = block.lo.get(done..done + n).unwrap_or_default();
            let weights = block.weights.get(done..done + n).unwrap_or_default();
            let size = span * lanes(op);
            let fresh = files == 0 && n == span;
            self.store
                .edit(number * size, size, fresh, &mut self.buffer, |all| {
                    let mut lanes = all
                        .chunks_exact_mut(span)
                        .map(|lane| &mut lane[within..within + n]);
                    let mut lane = || lanes.next().unwrap_or_default();
                    let (s, c) = (lane(), lane());
                    if !weights.is_empty() {
                        let lanes = [s, c, lane(), lane()];
                        return seen::fold(op, files == 0, lanes, hi, weights);
                    }
                    if files == 0 {
                        s.copy_from_slice(hi);
                        match lo.is_empty() {
                            true => c.fill(0.0),
                            false => c.copy_from_slice(lo),
                        }
                        lane().fill(0.0);
                        lane().fill(0.0);
                        return;
                    }
                    match op {
                        Op::Min => double::keep_least(s, c, hi, lo),
                        Op::Max => double::keep_greatest(s, c, hi, lo),
                        Op::Std => double::fold_moments(s, c, lane(), lane(), hi, lo, files as f64),
                        Op::Mean | Op::Sum | Op::Median => double::fold_sums(s, c, hi, lo),
                    }
                })?;
            done += n;
        }
        Ok(())
    }

    /// Merges the partial result of the files after those of this one.
    pub fn merge(&mut self, next: &Partial) -> Result<()> {
        let (op, span, alpha) = (self.op, span(self.values), self.alpha);
        let (n1, n2) = (self.files as f64, next.files as f64);
        let mut other = Vec::new();
        let size = span * lanes(op);
        for at in (0..self.len()).step_by(size) {
            let from = next.store.read(at, size, &mut other)?;
            self.store.edit(at, size, false, &mut self.buffer, |all| {
                let mut to = all.chunks_exact_mut(span);
                let mut from = from.chunks_exact(span);
                let mut lane = || to.next().unwrap_or_default();
                let mut lane2 = || from.next().unwrap_or_default();
                let (s, c, s2, c2) = (lane(), lane(), lane2(), lane2());
                match op {
                    Op::Min => double::keep_least(s, c, s2, c2),
                    Op::Max => double::keep_greatest(s, c, s2, c2),
                    Op::Std if alpha.is_some() => {
                        double::merge_sums(s, c, s2, c2);
                        double::merge_sums(lane(), lane(), lane2(), lane2());
                    }
                    Op::Std => {
                        let (q, r, q2, r2) = (lane(), lane(), lane2(), lane2());
                        double::merge_moments(s, c, q, r, s2, c2, q2, r2, n1, n2);
                    }
                    Op::Mean | Op::Sum | Op::Median => double::merge_sums(s, c, s2, c2),
                }
            })?;
        }
        self.files += next.files;
        Ok(())
    }

    /// The doubles from `at` on, to be sent to another rank.
    pub fn piece<'a>(
        &'a self,
        at: usize,
        len: usize,
        buffer: &'a mut Vec<f64>,
    ) -> Result<&'a [f64]> {
        self.store.read(at, len, buffer)
    }

    /// Takes doubles that another rank sent, and the number of files that went into them.
    pub fn receive(&mut self, at: usize, piece: &[f64], files: usize) -> Result<()> {
        self.files = files;
        let buffer = &mut self.buffer;
        self.store.edit(at, piece.len(), true, buffer, |all| {
            all.copy_from_slice(piece)
        })
    }

    /// Results block by block, in order. `integers`: all values of all files were integers.
    pub fn results(
        &self,
        integers: bool,
        each: &mut dyn FnMut(Results) -> Result<()>,
    ) -> Result<()> {
        let (span, count) = (span(self.values), self.files as f64);
        let size = span * lanes(self.op);
        let mut buffer = Vec::new();
        for start in (0..self.values).step_by(span) {
            let all = self.store.read(start / span * size, size, &mut buffer)?;
            let n = span.min(self.values - start);
            let (s, c) = (&all[..n], &all[span..span + n]);
            let pairs = s.iter().copied().zip(c.iter().copied());
            if let Some(step) = self.alpha {
                let lanes = all.chunks_exact(span).map(|lane| &lane[..n]);
                let lanes: Vec<&[f64]> = lanes.collect();
                each(Results::Floats(seen::results(self.op, &lanes, step, count)))?;
                continue;
            }
            each(match self.op {
                Op::Std => {
                    let (q, r) = (&all[2 * span..][..n], &all[3 * span..][..n]);
                    let pairs = q.iter().copied().zip(r.iter().copied());
                    Results::Floats(
                        pairs
                            .map(|p| double::square_root(double::divide(p, count)))
                            .collect(),
                    )
                }
                Op::Mean => Results::Floats(pairs.map(|p| mean(p, count)).collect()),
                _ if integers => {
                    Results::Integers(pairs.map(|(s, c)| s as i128 + c as i128).collect())
                }
                _ => Results::Floats(pairs.map(whole).collect()),
            })?;
        }
        Ok(())
    }
}

/// The sum of both parts; the lower one says nothing beside an infinity, and would take a zero's sign.
pub fn whole((s, c): double::Double) -> f64 {
    if s.is_finite() && c != 0.0 { s + c } else { s }
}

pub fn mean(sum: double::Double, count: f64) -> f64 {
    let plain = sum.0 / count;
    let refined = double::divide(double::two_sum(sum.0, sum.1), count).0;
    match refined.is_finite() {
        true => refined,
        false => plain,
    }
}
