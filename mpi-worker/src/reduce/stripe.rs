//! The accumulators of some rows of images of 8 or 16 bits, and what they come to.

use super::lanes::{
    Lane, Sample, add, add_squares, add_weighted, keep_greatest, keep_least, keep_visible,
};
use super::spool::{Room, Store};
use super::{Job, Op, Results, double};
use imaging::comm::{Comm, Incoming, Outgoing};
use imaging::{Buffer, Error, Limit, Result, Shape};
use std::sync::Arc;

/// The accumulators of some rows; nothing is stored before the first image.
pub(super) struct Stripe<A: Lane, Q: Lane> {
    pub(super) images: usize,
    pub(super) sums: Option<Store<A>>,
    pub(super) squares: Option<Store<Q>>,
}

impl<A: Lane, Q: Lane> Default for Stripe<A, Q> {
    fn default() -> Self {
        Stripe {
            images: 0,
            sums: None,
            squares: None,
        }
    }
}

/// The greatest sample.
pub(super) fn top(shape: Shape) -> u64 {
    match shape.sample.bytes() {
        1 => 255,
        _ => 65535,
    }
}

/// Refuses more images with alpha than have exact weighted sums.
pub(super) fn check_count(op: Op, shape: Shape, files: u64) -> Result<()> {
    let most = top(shape).pow(if op == Op::Std { 3 } else { 2 });
    if shape.color.has_alpha() && most.checked_mul(files).is_none() {
        return Err(Limit::Count.exceeded(format!(
            "{files} images with alpha of {} bits are more than the {} whose weighted sums are exact \
             (hint: flatten them first, sundog run -p flatten)",
            shape.sample.bits(),
            u64::MAX / most
        )));
    }
    Ok(())
}

/// Samples of a pixel where the last is alpha.
pub(super) fn weighted(shape: Shape) -> Option<usize> {
    shape.color.has_alpha().then(|| shape.channels())
}

/// Results of sums that are weighted by alpha, of which `top` is the greatest. Colours that are seen nowhere are 0.
fn seen<A: Lane, Q: Lane>(
    op: Op,
    files: u64,
    top: u64,
    step: usize,
    sums: &[A],
    squares: &[Q],
) -> Vec<f64> {
    let mut results = Vec::with_capacity(sums.len());
    for (at, sums) in sums.chunks_exact(step).enumerate() {
        let weight = sums[step - 1].widest();
        for (c, sum) in sums.iter().enumerate() {
            let (sum, count) = (sum.widest(), if c < step - 1 { weight } else { files });
            results.push(match op {
                Op::Sum if c < step - 1 => sum as f64 / top as f64,
                Op::Sum => sum as f64,
                _ if count == 0 => 0.0,
                Op::Std => deviation(count, sum, squares[at * step + c].widest()),
                _ => sum as f64 / count as f64,
            });
        }
    }
    results
}

/// The standard deviation of `n` values with that sum and sum of squares.
fn deviation(n: u64, sum: u64, squares: u64) -> f64 {
    let (n, sum, squares) = (u128::from(n), u128::from(sum), u128::from(squares));
    let scaled = n * squares - sum * sum;
    let hi = scaled as f64;
    let lo = (scaled as i128 - hi as i128) as f64;
    let n = n as f64;
    double::square_root(double::divide(double::divide((hi, lo), n), n))
}

impl<A: Lane, Q: Lane> Stripe<A, Q> {
    pub(super) fn make(&mut self, room: &Arc<Room>, op: Op, len: usize) -> Result<()> {
        if self.sums.is_none() {
            self.sums = Some(room.store(len)?);
        }
        if self.squares.is_none() && op == Op::Std {
            self.squares = Some(room.store(len)?);
        }
        Ok(())
    }

    /// Results of so many images of that shape, for the stripe's `len` samples.
    pub(super) fn results(&self, op: Op, shape: Shape, files: u64, len: usize) -> Result<Results> {
        let (mut sums, mut squares) = (Vec::new(), Vec::new());
        let sums = match &self.sums {
            Some(store) => store.read(0, len, &mut sums)?,
            None => &[],
        };
        if let Some(step) = weighted(shape)
            && matches!(op, Op::Mean | Op::Std | Op::Sum)
        {
            let squares = match &self.squares {
                Some(store) => store.read(0, len, &mut squares)?,
                None => &[],
            };
            let results = seen(op, files, top(shape), step, sums, squares);
            return Ok(Results::Floats(results));
        }
        let sums = sums.iter().map(|s| s.widest());
        Ok(match (op, &self.squares) {
            (Op::Mean, _) => Results::Floats(sums.map(|s| s as f64 / files as f64).collect()),
            (Op::Std, Some(store)) => {
                let squares = store.read(0, len, &mut squares)?.iter().map(|q| q.widest());
                Results::Floats(
                    sums.zip(squares)
                        .map(|(s, q)| deviation(files, s, q))
                        .collect(),
                )
            }
            _ => Results::Integers(sums.map(i128::from).collect()),
        })
    }

    pub(super) fn fold<T: Sample>(
        &mut self,
        room: &Arc<Room>,
        op: Op,
        samples: &[T],
        weighted: Option<usize>,
        sums: &mut Vec<A>,
        squares: &mut Vec<Q>,
    ) -> Result<()> {
        let (len, first) = (samples.len(), self.images == 0);
        self.make(room, op, len)?;
        if let Some(store) = &mut self.sums {
            store.edit(0, len, first, sums, |sums| match op {
                Op::Min | Op::Max if weighted.is_some() => {
                    if first {
                        let none = if op == Op::Min { T::TOP as u32 } else { 0 };
                        sums.fill(A::of(none));
                    }
                    keep_visible(sums, samples, weighted.unwrap_or(1), op == Op::Min);
                }
                Op::Min | Op::Max if first => {
                    let all = sums.iter_mut().zip(samples);
                    all.for_each(|(kept, sample)| *kept = A::of(sample.widen()));
                }
                Op::Min => keep_least(sums, samples),
                Op::Max => keep_greatest(sums, samples),
                _ => {
                    if first {
                        sums.fill(A::zeroed());
                    }
                    match weighted {
                        Some(step) => add_weighted(sums, samples, step, false),
                        None => add(sums, samples),
                    }
                }
            })?;
        }
        if let Some(store) = &mut self.squares {
            store.edit(0, len, first, squares, |squares| {
                if first {
                    squares.fill(Q::zeroed());
                }
                match weighted {
                    Some(step) => add_weighted(squares, samples, step, true),
                    None => add_squares(squares, samples),
                }
            })?;
        }
        self.images += 1;
        Ok(())
    }

    /// Folds in rows of 8 or 16 bits.
    pub(super) fn fold_any(
        &mut self,
        room: &Arc<Room>,
        op: Op,
        rows: &Buffer,
        weighted: Option<usize>,
        (sums, squares): (&mut Vec<A>, &mut Vec<Q>),
    ) -> Result<()> {
        match rows {
            Buffer::U8(samples) => self.fold(room, op, samples, weighted, sums, squares),
            Buffer::U16(samples) => self.fold(room, op, samples, weighted, sums, squares),
            Buffer::F32(_) | Buffer::F64(_) => Err(Error::Unsuitable("no whole samples".into())),
        }
    }

    /// Merges what is known of the images after those of this one.
    pub(super) fn absorb(
        &mut self,
        room: &Arc<Room>,
        op: Op,
        len: usize,
        next: &Stripe<A, Q>,
    ) -> Result<()> {
        self.make(room, op, len)?;
        let first = self.images == 0;
        let (mut own, mut theirs) = (Vec::new(), Vec::new());
        if let (Some(sums), Some(next)) = (&mut self.sums, &next.sums) {
            let next = next.read(0, len, &mut theirs)?;
            sums.edit(0, len, first, &mut own, |all| {
                for (a, &b) in all.iter_mut().zip(next) {
                    *a = match op {
                        _ if first => b,
                        Op::Min => a.least(b),
                        Op::Max => a.greatest(b),
                        _ => a.merged(b),
                    };
                }
            })?;
        }
        let (mut own, mut theirs) = (Vec::new(), Vec::new());
        if let (Some(squares), Some(next)) = (&mut self.squares, &next.squares) {
            let next = next.read(0, len, &mut theirs)?;
            squares.edit(0, len, first, &mut own, |all| {
                for (a, &b) in all.iter_mut().zip(next) {
                    *a = if first { b } else { a.merged(b) };
                }
            })?;
        }
        self.images += next.images;
        Ok(())
    }

    /// All ranks: rank `from` hands its accumulators to rank 0.
    pub(super) fn gather(
        &mut self,
        comm: &dyn Comm,
        job: &Job<'_>,
        op: Op,
        from: usize,
        len: usize,
    ) -> Result<()> {
        let mut made = Ok(());
        if comm.rank() == 0 || comm.rank() == from {
            made = self.make(&job.room, op, len);
        }
        let empty = [u64::from(self.images == 0)];
        let mut theirs = [0u64];
        pass(
            comm,
            from,
            bytemuck::bytes_of(&empty),
            bytemuck::bytes_of_mut(&mut theirs),
        );
        let take = theirs[0] == 0;
        let first = self.images == 0;
        let sums = merge(
            comm,
            from,
            self.sums.as_mut(),
            len,
            first,
            |a: A, b| match op {
                _ if !take => a,
                _ if first => b,
                Op::Min => a.least(b),
                Op::Max => a.greatest(b),
                _ => a.merged(b),
            },
        );
        let mut squares = Ok(());
        if op == Op::Std {
            squares = merge(
                comm,
                from,
                self.squares.as_mut(),
                len,
                first,
                |a: Q, b| match () {
                    _ if !take => a,
                    _ if first => b,
                    _ => a.merged(b),
                },
            );
        }
        if comm.rank() == 0 && take {
            self.images += 1;
        }
        made.and(sums).and(squares)
    }
}

/// Bytes of rank `from` to rank 0; the others take part with nothing.
fn pass(comm: &dyn Comm, from: usize, own: &[u8], theirs: &mut [u8]) {
    let (mut sends, mut receives) = (Vec::new(), Vec::new());
    if comm.rank() == from {
        sends.push(Outgoing { to: 0, bytes: own });
    }
    if comm.rank() == 0 {
        receives.push(Incoming {
            from,
            bytes: theirs,
        });
    }
    comm.exchange(&sends, &mut receives, &mut || ());
}

fn merge<A: Lane>(
    comm: &dyn Comm,
    from: usize,
    store: Option<&mut Store<A>>,
    len: usize,
    first: bool,
    how: impl Fn(A, A) -> A,
) -> Result<()> {
    let concerned = comm.rank() == 0 || comm.rank() == from;
    let mut buffer = Vec::new();
    let mut theirs = vec![A::zeroed(); if comm.rank() == 0 { len } else { 0 }];
    let mut outcome = Ok(());
    let mut own = vec![A::zeroed(); if comm.rank() == from { len } else { 0 }];
    if comm.rank() == from
        && let Some(store) = &store
    {
        match store.read(0, len, &mut buffer) {
            Ok(read) => own.copy_from_slice(read),
            Err(error) => outcome = Err(error),
        }
    }
    pass(
        comm,
        from,
        bytemuck::cast_slice(&own),
        bytemuck::cast_slice_mut(&mut theirs),
    );
    if concerned
        && comm.rank() == 0
        && let Some(store) = store
    {
        let merged = store.edit(0, len, first, &mut buffer, |all| {
            for (a, &b) in all.iter_mut().zip(&theirs) {
                *a = how(*a, b);
            }
        });
        outcome = outcome.and(merged);
    }
    outcome
}

#[cfg(test)]
mod tests {
    #[test]
    fn deviations_are_exact() {
        assert_eq!(super::deviation(4, 4 * 65535, 4 * 65535 * 65535), 0.0);
        assert_eq!(super::deviation(2, 3, 5), 0.5);
        assert_eq!(super::deviation(8, 40, 232), 2.0);
    }
}
