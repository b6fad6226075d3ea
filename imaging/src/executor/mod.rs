//! Runs a plan: on one thread or many, on one rank or many, from memory or row by row.
//!
//! It never names an operation. All ranks of a world call these functions together.

mod distribute;
mod file;
#[cfg(test)]
mod tests;

pub use distribute::{MESSAGE_BYTES, gather, scatter, share};
pub use file::run_file;

use crate::bands::{Memory, Walk, band_rows, forced_rows};
use crate::comm::{Comm, agree};
use crate::error::{Error, Result};
use crate::gpu::{Offload, place};
use crate::halo::{self, HaloStats, partition};
use crate::image::{Rows, Shape, Spare};
use crate::op::{Local, Measured, Tally};
use crate::plan::{Head, Plan, Segment, Stage, clip};
use crate::window::{Band, Scratch, Window};
use rayon::prelude::*;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag by which a caller ends a computation between two bands.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    own: Arc<AtomicBool>,
    parent: Option<Arc<Stop>>,
}

impl Stop {
    /// A flag of its own that also counts as set once `self` is.
    pub fn child(&self) -> Stop {
        Stop {
            own: Arc::default(),
            parent: Some(Arc::new(self.clone())),
        }
    }

    /// Ask the computation to end.
    pub fn set(&self) {
        self.own.store(true, Ordering::Relaxed);
    }

    /// Whether [`Stop::set`] was called here or on a parent.
    pub fn is_set(&self) -> bool {
        self.own.load(Ordering::Relaxed) || self.parent.as_ref().is_some_and(|p| p.is_set())
    }

    /// An error once the flag is set.
    pub fn check(&self) -> Result<()> {
        match self.is_set() {
            true => Err(Error::Stopped("stopped before it was done".into())),
            false => Ok(()),
        }
    }
}

/// What a computation runs on, and what it counted.
pub struct Context<'a> {
    /// The ranks that share the rows.
    pub comm: &'a dyn Comm,
    /// Threads of this rank; `None`: the calling thread alone.
    pub pool: Option<&'a rayon::ThreadPool>,
    /// Checked between bands.
    pub stop: Stop,
    /// Halo exchanges so far.
    pub halo: HaloStats,
    /// Buffers of earlier stages and images.
    pub spare: Arc<Spare>,
}

impl<'a> Context<'a> {
    /// A context on the calling thread.
    pub fn new(comm: &'a dyn Comm) -> Context<'a> {
        Context {
            comm,
            pool: None,
            stop: Stop::default(),
            halo: HaloStats::default(),
            spare: Arc::default(),
        }
    }

    /// A context on a pool of threads.
    pub fn with_pool(comm: &'a dyn Comm, pool: &'a rayon::ThreadPool) -> Context<'a> {
        Context {
            pool: Some(pool),
            ..Context::new(comm)
        }
    }

    /// Number of threads of this rank.
    pub fn threads(&self) -> usize {
        self.pool.map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// This rank's rows of an image.
    pub fn part(&self, shape: Shape) -> Range<usize> {
        partition(shape.rows, self.comm.size(), self.comm.rank())
    }

    /// Runs local steps on rows shared by all ranks, with one halo exchange; for collective steps.
    pub fn locals(&mut self, input: &Rows, locals: &[Arc<dyn Local>]) -> Result<Rows> {
        self.segment(&Segment::new(input.shape, locals)?, input)
    }

    /// One halo exchange, then all local steps of the segment; the interior is computed while the
    /// halo travels.
    pub fn segment(&mut self, segment: &Segment, own: &Rows) -> Result<Rows> {
        let size = self.comm.size();
        let rows = segment.output().rows;
        let part = self.part(segment.output());
        let need = |rank: usize| segment.rows_needed(partition(rows, size, rank));
        let inside = if size == 1 {
            part.clone()
        } else {
            interior(segment, part.clone(), &own.range())
        };
        let mut result = self.spare.rows(segment.output(), part.clone());
        let (pool, stop) = (self.pool, &self.stop);
        let (top, rest) = Band::of(&mut result).split(inside.start - part.start);
        let (middle, bottom) = rest.split(inside.len());
        let mut middle = Some(middle);
        let mut done = Ok(());
        let pieces = halo::fill(self.comm, own, &need, &mut self.halo, &mut || {
            if let Some(middle) = middle.take() {
                done = guarded(|| stream(segment, &[own], middle, pool, stop));
            }
        });
        let mut all: Vec<&Rows> = vec![own];
        all.extend(&pieces);
        for edge in [top, bottom] {
            if done.is_ok() {
                done = guarded(|| stream(segment, &all, edge, pool, stop));
            }
        }
        agree(self.comm, done)?;
        Ok(result)
    }

    /// The tally of a whole image shared by all ranks.
    pub fn measure(&mut self, measured: &dyn Measured, own: &Rows) -> Result<Tally> {
        self.measure_on(measured, own, None)
    }

    /// The same, counted by the device that is given.
    fn measure_on(
        &mut self,
        measured: &dyn Measured,
        own: &Rows,
        gpu: Option<&Offload>,
    ) -> Result<Tally> {
        let shape = own.shape;
        let size = self.comm.size();
        let need_of = |range: Range<usize>| match range.is_empty() {
            true => range,
            false => clip(measured.rows_needed(range, shape), shape.rows),
        };
        let need = |rank: usize| need_of(partition(shape.rows, size, rank));
        let pieces = halo_if_needed(self.comm, own, &need, &mut self.halo);
        let mut all: Vec<&Rows> = vec![own];
        all.extend(&pieces);
        let (pool, stop) = (self.pool, &self.stop);
        let counted = gpu.filter(|_| own.count > 0).and_then(|gpu| {
            gpu.tried(stop, |device| {
                device.tally(measured, &all, own.range(), pool, stop)
            })
        });
        let tally = match counted {
            Some(tally) => Ok(tally),
            None => guarded(|| tally(measured, shape, &all, own.range(), pool, stop)),
        };
        let mut tally = agree(self.comm, tally)?;
        tally.reduce(self.comm);
        Ok(tally)
    }
}

/// Turns a panic of a kernel into an error of this image.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied());
        Err(Error::Unsuitable(format!(
            "internal error: {} (please report it)",
            text.unwrap_or("a kernel panicked")
        )))
    })
}

fn halo_if_needed(
    comm: &dyn Comm,
    own: &Rows,
    need: &dyn Fn(usize) -> Range<usize>,
    stats: &mut HaloStats,
) -> Vec<Rows> {
    let covered = |rank: usize| {
        let (need, part) = (need(rank), partition(own.shape.rows, comm.size(), rank));
        need.is_empty() || (part.start <= need.start && need.end <= part.end)
    };
    match (0..comm.size()).all(covered) {
        true => Vec::new(),
        false => halo::fill(comm, own, need, stats, &mut || ()),
    }
}

/// Output rows of `part` that need only rows `held`.
fn interior(segment: &Segment, part: Range<usize>, held: &Range<usize>) -> Range<usize> {
    let inside = |range: Range<usize>| {
        let need = segment.rows_needed(range);
        need.is_empty() || (held.start <= need.start && need.end <= held.end)
    };
    let start = part.clone().find(|&y| inside(y..y + 1)).unwrap_or(part.end);
    let end = (start..part.end)
        .rev()
        .find(|&y| inside(y..y + 1))
        .map_or(start, |y| y + 1);
    match inside(start..end) {
        true => start..end,
        false => part.start..part.start,
    }
}

/// Computes `out` from rows in memory, on all threads of the pool.
pub fn stream(
    segment: &Segment,
    pieces: &[&Rows],
    mut out: Band<'_>,
    pool: Option<&rayon::ThreadPool>,
    stop: &Stop,
) -> Result<()> {
    if segment.gpu.is_some() && offloaded(segment, pieces, &mut out, pool, stop)? {
        return Ok(());
    }
    let walk = |band: Band<'_>| Walk::new(segment, stop).fill(band, &mut Memory(pieces));
    match pool {
        Some(pool) if pool.current_num_threads() > 1 => {
            let parts = parts(segment, out.count, pool.current_num_threads());
            let bands = split(out, parts);
            pool.install(|| bands.into_par_iter().with_max_len(1).try_for_each(walk))
        }
        _ => walk(out),
    }
}

/// Whether the segment's device computed `out`; not where there is nothing to compute, or where it failed.
fn offloaded(
    segment: &Segment,
    pieces: &[&Rows],
    out: &mut Band<'_>,
    pool: Option<&rayon::ThreadPool>,
    stop: &Stop,
) -> Result<bool> {
    let offload = match &segment.gpu {
        Some(offload) if out.count > 0 && !segment.locals.is_empty() => offload,
        _ => return Ok(false),
    };
    let all = out.range();
    let done = offload.tried(stop, |device| {
        device.stream(segment, pieces, out.part(all), pool, stop)
    });
    if done.is_none() {
        stop.check()?;
    }
    Ok(done.is_some())
}

/// Into how many parts rows of output are cut for some threads.
fn parts(segment: &Segment, rows: usize, threads: usize) -> usize {
    // Each part begins with the rows above it computed anew: parts much taller than that.
    let good = || (4 * segment.depth()).max(band_rows(segment)).max(16);
    let least = forced_rows().unwrap_or_else(good);
    (rows / least).clamp(1, 4 * threads)
}

/// Into how many parts rows are cut that some threads measure.
fn tally_parts(rows: usize, least: usize, threads: usize) -> usize {
    match threads {
        1 => 1,
        _ => (rows / least).clamp(1, 2 * threads),
    }
}

fn split(mut out: Band<'_>, parts: usize) -> Vec<Band<'_>> {
    let count = out.count;
    let mut bands = Vec::with_capacity(parts);
    for part in 0..parts {
        let (band, rest) = out.split(partition(count, parts, part).len());
        bands.push(band);
        out = rest;
    }
    bands
}

fn tally(
    measured: &dyn Measured,
    shape: Shape,
    pieces: &[&Rows],
    rows: Range<usize>,
    pool: Option<&rayon::ThreadPool>,
    stop: &Stop,
) -> Result<Tally> {
    let black = crate::Buffer::zeroed(shape.sample, shape.row_len());
    let window = Window::new(pieces, shape, measured.border(), &black);
    let least = forced_rows().unwrap_or(64);
    let part = |range: Range<usize>| {
        let mut tally = measured.empty(shape);
        let mut scratch = Scratch::default();
        let step = least;
        for at in range.clone().step_by(step) {
            stop.check()?;
            measured.measure(
                &window,
                at..(at + step).min(range.end),
                &mut tally,
                &mut scratch,
            );
        }
        Ok(tally)
    };
    let threads = pool.map_or(1, rayon::ThreadPool::current_num_threads);
    match (pool, tally_parts(rows.len(), least, threads)) {
        (Some(pool), parts @ 2..) => {
            let ranges = (0..parts)
                .map(|i| partition(rows.len(), parts, i))
                .map(|r| r.start + rows.start..r.end + rows.start);
            let ranges: Vec<_> = ranges.collect();
            let tallies: Vec<Tally> = pool.install(|| {
                ranges
                    .into_par_iter()
                    .with_max_len(1)
                    .map(part)
                    .collect::<Result<_>>()
            })?;
            let mut all = measured.empty(shape);
            tallies.iter().for_each(|t| all.merge(t));
            Ok(all)
        }
        _ => part(rows),
    }
}

/// Runs a plan on rows shared by all ranks: `rows` is this rank's part of the source as cut by
/// [`partition`], the result its part of the output.
pub fn run_rows(context: &mut Context<'_>, plan: &Plan, rows: Rows) -> Result<Rows> {
    run_stages(context, &plan.stages, rows)
}

fn run_stages(context: &mut Context<'_>, stages: &[Stage], rows: Rows) -> Result<Rows> {
    let mut chunk = rows;
    let mut at = 0;
    while at < stages.len() {
        let count = staying(context, stages, at);
        if count > 0
            && let Some(made) = stay(context, &stages[at..at + count], &chunk)?
        {
            context.spare.give(std::mem::replace(&mut chunk, made));
            at += count;
            continue;
        }
        chunk = run_stage(context, &stages[at], chunk)?;
        at += 1;
    }
    Ok(chunk)
}

/// The number of stages from `at` between which the image may stay on a device; 0 where that saves no way.
fn staying(context: &Context<'_>, stages: &[Stage], at: usize) -> usize {
    let count = place::run_from(stages, at);
    let first = match stages.get(at) {
        Some(stage) if count > 0 => stage,
        _ => return 0,
    };
    let Some(offload) = &first.segment.gpu else {
        return 0;
    };
    // A measured head whose tally is the processor's comes before the image goes anywhere.
    let whole = matches!(first.head, Head::Source) || first.gpu.is_some();
    let saves = count > 1 || first.gpu.is_some();
    let holds = || offload.device().holds(&stages[at..at + count]);
    match context.comm.size() == 1 && whole && saves && holds() {
        true => count,
        false => 0,
    }
}

/// Runs stages while the image stays on their device; `None` where the device failed.
fn stay(context: &Context<'_>, stages: &[Stage], chunk: &Rows) -> Result<Option<Rows>> {
    let (Some(first), Some(last)) = (stages.first(), stages.last()) else {
        return Ok(None);
    };
    let Some(offload) = &first.segment.gpu else {
        return Ok(None);
    };
    let output = last.segment.output();
    let mut result = context.spare.rows(output, 0..output.rows);
    let (pool, stop) = (context.pool, &context.stop);
    let done = offload.tried(stop, |device| {
        device.chain(stages, chunk, &mut result, pool, stop)
    });
    stop.check()?;
    Ok(done.map(|()| result))
}

/// The head of a stage and the segment behind it, ready to stream.
fn head(context: &mut Context<'_>, stage: &Stage, chunk: Rows) -> Result<(Rows, Segment)> {
    match &stage.head {
        Head::Source => Ok((chunk, stage.segment.clone())),
        Head::Measured(measured) => {
            let mut measured = measured.clone();
            let gpu = |measured: &dyn Measured| {
                let counts = measured.gpu(stage.input).is_some();
                stage.gpu.as_deref().filter(|_| counts)
            };
            let mut tally = context.measure_on(&*measured, &chunk, gpu(&*measured))?;
            while let Some(next) = measured.refine(stage.input, &tally) {
                measured = next;
                tally = context.measure_on(&*measured, &chunk, gpu(&*measured))?;
            }
            let mut locals = measured.finish(stage.input, &tally)?;
            locals.extend(stage.tail.iter().cloned());
            let mut segment = Segment::new(stage.input, &locals)?;
            segment.gpu = stage.segment.gpu.clone();
            Ok((chunk, segment))
        }
        Head::Collective(collective) => {
            context.spare.make_room();
            Ok((collective.run(context, chunk)?, stage.segment.clone()))
        }
    }
}

fn run_stage(context: &mut Context<'_>, stage: &Stage, chunk: Rows) -> Result<Rows> {
    let (chunk, segment) = head(context, stage, chunk)?;
    if segment.locals.is_empty() {
        return Ok(chunk);
    }
    let result = context.segment(&segment, &chunk)?;
    context.spare.give(chunk);
    Ok(result)
}
