//! Stacks of images of 8 or 16 bits: exact integer sums, squares and extremes per sample.
//!
//! Such sums do not depend on any order, so all threads of a rank add to one set of accumulators, a
//! band of rows at a time, and the ranks' accumulators are merged at the end.
//!
//! Of images with alpha, colours count as much as they are seen: sums, means and deviations are weighted by alpha, and
//! the least and greatest leave out what is wholly transparent. Alpha itself is reduced as any other channel.

use super::board::{Board, Failure};
use super::crew::{self, Done, Work};
use super::lanes::{
    Lane, Sample, add, add_squares, add_weighted, keep_greatest, keep_least, keep_visible,
};
use super::layout::name;
use super::output::Output;
use super::partial::Partial;
use super::spool::Store;
use super::{Job, Op, Results, double, picture};
use crate::atomic::Digested;
use imaging::comm::{Comm, Incoming, Outgoing, agree};
use imaging::window::Band;
use imaging::{Error, Limit, Result, Rows, Shape};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

/// Samples in one band of rows, about.
const BAND: usize = 1 << 16;

/// The accumulators of some rows; nothing is stored before the first image.
struct Stripe<A: Lane, Q: Lane> {
    images: usize,
    sums: Option<Store<A>>,
    squares: Option<Store<Q>>,
}

struct Stack<'a, A: Lane, Q: Lane> {
    job: &'a Job<'a>,
    shape: Shape,
    /// Rows of one stripe, the last being shorter.
    rows: usize,
    stripes: Vec<Mutex<Stripe<A, Q>>>,
}

impl<'a, A: Lane, Q: Lane> Stack<'a, A, Q> {
    fn new(job: &'a Job<'a>, shape: Shape) -> Stack<'a, A, Q> {
        let rows = picture::band_rows(shape, BAND);
        let stripe = || {
            Mutex::new(Stripe {
                images: 0,
                sums: None,
                squares: None,
            })
        };
        Stack {
            job,
            shape,
            rows,
            stripes: (0..shape.rows.div_ceil(rows)).map(|_| stripe()).collect(),
        }
    }

    fn range(&self, stripe: usize) -> Range<usize> {
        stripe * self.rows..((stripe + 1) * self.rows).min(self.shape.rows)
    }

    fn lock(&self, stripe: usize) -> MutexGuard<'_, Stripe<A, Q>> {
        self.stripes[stripe]
            .lock()
            .unwrap_or_else(|e| e.into_inner())
    }

    fn fold<T: Sample>(&self, index: usize) -> Result<()> {
        let job = self.job;
        let member = &job.members[index];
        let path = &member.path;
        let mut source = picture::source(&job.opener, job.request, job.layout, member)?;
        let mut rows = Rows::zeroed(self.shape, self.range(0));
        let (mut sums, mut squares) = (Vec::new(), Vec::new());
        for stripe in 0..self.stripes.len() {
            job.stop.check()?;
            let range = self.range(stripe);
            rows.data.resize(range.len() * self.shape.row_len());
            (rows.first, rows.count) = (range.start, range.len());
            let read = source.read(&mut Band::of(&mut rows));
            read.map_err(|error| name(path, error))?;
            let samples = T::of(&rows.data);
            let step = weighted(self.shape);
            self.lock(stripe)
                .fold(job, samples, step, &mut sums, &mut squares)?;
        }
        Ok(())
    }

    /// Adds the accumulators of all ranks to those of rank 0, stripe by stripe.
    fn gather(&self, comm: &dyn Comm) -> Result<()> {
        let op = self.job.request.op;
        let mut outcome = Ok(());
        for from in 1..comm.size() {
            for stripe in 0..self.stripes.len() {
                let len = self.range(stripe).len() * self.shape.row_len();
                let mut stripe = self.lock(stripe);
                let gathered = stripe.gather(comm, self.job, op, from, len);
                outcome = outcome.and(gathered);
            }
        }
        agree(comm, outcome)
    }

    fn results(&self, output: &mut Output) -> Result<()> {
        let op = self.job.request.op;
        let files = self.job.members.len() as u64;
        let (mut sums, mut squares) = (Vec::new(), Vec::new());
        for stripe in 0..self.stripes.len() {
            let len = self.range(stripe).len() * self.shape.row_len();
            let stripe = self.lock(stripe);
            let sums = match &stripe.sums {
                Some(store) => store.read(0, len, &mut sums)?,
                None => &[],
            };
            if let Some(step) = weighted(self.shape)
                && matches!(op, Op::Mean | Op::Std | Op::Sum)
            {
                let squares = match &stripe.squares {
                    Some(store) => store.read(0, len, &mut squares)?,
                    None => &[],
                };
                let top = if self.shape.sample.bytes() == 1 {
                    255
                } else {
                    65535
                };
                let results = seen(op, files, top, step, sums, squares);
                output.push(Results::Floats(results))?;
                continue;
            }
            let sums = sums.iter().map(|s| s.widest());
            output.push(match (op, &stripe.squares) {
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
            })?;
        }
        Ok(())
    }
}

/// Samples of a pixel where the last is alpha.
fn weighted(shape: Shape) -> Option<usize> {
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
    fn make(&mut self, job: &Job<'_>, len: usize) -> Result<()> {
        if self.sums.is_none() {
            self.sums = Some(job.room.store(len)?);
        }
        if self.squares.is_none() && job.request.op == Op::Std {
            self.squares = Some(job.room.store(len)?);
        }
        Ok(())
    }

    fn fold<T: Sample>(
        &mut self,
        job: &Job<'_>,
        samples: &[T],
        weighted: Option<usize>,
        sums: &mut Vec<A>,
        squares: &mut Vec<Q>,
    ) -> Result<()> {
        let (op, len, first) = (job.request.op, samples.len(), self.images == 0);
        self.make(job, len)?;
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

    /// All ranks: rank `from` hands its accumulators to rank 0.
    fn gather(
        &mut self,
        comm: &dyn Comm,
        job: &Job<'_>,
        op: Op,
        from: usize,
        len: usize,
    ) -> Result<()> {
        let mut made = Ok(());
        if comm.rank() == 0 || comm.rank() == from {
            made = self.make(job, len);
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

impl<A: Lane, Q: Lane> Work for Stack<'_, A, Q> {
    fn files(&self, group: usize) -> Range<usize> {
        group..group + 1
    }

    fn compute(&self, file: usize) -> Result<Done, Failure> {
        let folded = match self.shape.sample.bytes() {
            1 => self.fold::<u8>(file),
            _ => self.fold::<u16>(file),
        };
        folded.map_err(|error| Failure { file, error })?;
        Ok(Done {
            partial: None,
            integers: true,
        })
    }

    fn deliver(&self, _group: usize, _done: Done) -> Result<()> {
        Ok(())
    }

    fn receiving(&self) -> Result<Partial> {
        Err(Error::Io("sums of images are not sent in pieces".into()))
    }
}

fn reduce<A: Lane, Q: Lane>(
    comm: &dyn Comm,
    job: &Job<'_>,
    shape: Shape,
    output: Option<Output>,
) -> Result<(bool, Option<Digested>)> {
    let stack = Stack::<A, Q>::new(job, shape);
    let files = job.members.len();
    let board = Board::new(files, files);
    let ran = crew::run(
        comm,
        job.threads,
        job.request.max_open_files,
        &board,
        &stack,
        job.stop,
        job.progress,
    );
    agree(comm, ran)?;
    stack.gather(comm)?;
    let Some(mut output) = output else {
        return Ok((true, None));
    };
    stack.results(&mut output)?;
    Ok((true, Some(output.finish()?)))
}

/// Reduces images of 8 or 16 bits and writes the result.
pub fn run(
    comm: &dyn Comm,
    job: &Job<'_>,
    output: Option<Output>,
) -> Result<(bool, Option<Digested>)> {
    let Some(shape) = job.layout.picture else {
        return Err(Error::Unsuitable("no images".into()));
    };
    let top: u64 = if shape.sample.bytes() == 1 {
        255
    } else {
        65535
    };
    let files = job.members.len() as u64;
    let fits = |most: u64| {
        most.checked_mul(files)
            .is_some_and(|sum| sum <= u64::from(u32::MAX))
    };
    if shape.color.has_alpha() {
        let most = top.pow(if job.request.op == Op::Std { 3 } else { 2 });
        if most.checked_mul(files).is_none() {
            return Err(Limit::Count.exceeded(format!(
                "{files} images with alpha of {} bits are more than the {} whose weighted sums are exact \
                 (hint: flatten them first, sundog run -p flatten)",
                shape.sample.bits(),
                u64::MAX / most
            )));
        }
        return reduce::<u64, u64>(comm, job, shape, output);
    }
    match (fits(top), fits(top * top)) {
        (true, true) => reduce::<u32, u32>(comm, job, shape, output),
        (true, false) => reduce::<u32, u64>(comm, job, shape, output),
        _ => reduce::<u64, u64>(comm, job, shape, output),
    }
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
