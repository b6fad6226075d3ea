//! Stacks of images of 8 or 16 bits: exact integer sums, squares and extremes per sample.
//!
//! Such sums do not depend on any order, so all threads of a rank add to one set of accumulators, a
//! band of rows at a time, and the ranks' accumulators are merged at the end.
//!
//! Of images with alpha, colours count as much as they are seen: sums, means and deviations are weighted by alpha, and
//! the least and greatest leave out what is wholly transparent. Alpha itself is reduced as any other channel.

use super::board::{Board, Failure};
use super::crew::{self, Done, Work};
use super::lanes::{Lane, Sample};
use super::layout::name;
use super::output::Output;
use super::partial::Partial;
use super::stripe::{Stripe, check_count, top, weighted};
use super::{Job, picture};
use crate::atomic::Digested;
use imaging::comm::{Comm, agree};
use imaging::window::Band;
use imaging::{Error, Result, Rows, Shape};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

/// Samples in one band of rows, about.
const BAND: usize = 1 << 16;

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
        Stack {
            job,
            shape,
            rows,
            stripes: (0..shape.rows.div_ceil(rows))
                .map(|_| Mutex::default())
                .collect(),
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
            let (step, op) = (weighted(self.shape), job.request.op);
            self.lock(stripe)
                .fold(&job.room, op, samples, step, &mut sums, &mut squares)?;
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
        for stripe in 0..self.stripes.len() {
            let len = self.range(stripe).len() * self.shape.row_len();
            output.push(self.lock(stripe).results(op, self.shape, files, len)?)?;
        }
        Ok(())
    }
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
    let top = top(shape);
    let files = job.members.len() as u64;
    let fits = |most: u64| {
        most.checked_mul(files)
            .is_some_and(|sum| sum <= u64::from(u32::MAX))
    };
    if shape.color.has_alpha() {
        check_count(job.request.op, shape, files)?;
        return reduce::<u64, u64>(comm, job, shape, output);
    }
    match (fits(top), fits(top * top)) {
        (true, true) => reduce::<u32, u32>(comm, job, shape, output),
        (true, false) => reduce::<u32, u64>(comm, job, shape, output),
        _ => reduce::<u64, u64>(comm, job, shape, output),
    }
}
