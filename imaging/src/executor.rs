//! Runs a plan: on one thread or many, on one rank or many, from memory or row by row.
//!
//! It never names an operation. All ranks of a world call these functions together.

use crate::bands::{Decoding, Memory, Walk, band_rows};
use crate::codec::{RowSink, RowSource};
use crate::comm::{Comm, Incoming, Outgoing, agree};
use crate::error::{Error, Result};
use crate::halo::{self, HaloStats, partition};
use crate::image::{Rows, Shape, Spare};
use crate::memory::superband_rows;
use crate::op::{Local, Measured, Tally};
use crate::plan::{Head, Plan, Segment, clip};
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
        let tally = guarded(|| tally(measured, shape, &all, own.range(), pool, stop));
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
    out: Band<'_>,
    pool: Option<&rayon::ThreadPool>,
    stop: &Stop,
) -> Result<()> {
    let walk = |band: Band<'_>| Walk::new(segment, stop).fill(band, &mut Memory(pieces));
    match pool {
        Some(pool) if pool.current_num_threads() > 1 => {
            // Each part begins with the rows above it computed anew: parts much taller than that.
            let least = (4 * segment.depth()).max(band_rows(segment)).max(16);
            let parts = (out.count / least).clamp(1, 4 * pool.current_num_threads());
            let bands = split(out, parts);
            pool.install(|| bands.into_par_iter().with_max_len(1).try_for_each(walk))
        }
        _ => walk(out),
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
    let part = |range: Range<usize>| {
        let mut tally = measured.empty(shape);
        let mut scratch = Scratch::default();
        let step = 64;
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
    match pool {
        Some(pool) if pool.current_num_threads() > 1 && rows.len() >= 64 => {
            let parts = (rows.len() / 64).clamp(1, 2 * pool.current_num_threads());
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
    let mut chunk = rows;
    for stage in &plan.stages {
        chunk = run_stage(context, stage, chunk)?;
    }
    Ok(chunk)
}

/// The head of a stage and the segment behind it, ready to stream.
fn head(
    context: &mut Context<'_>,
    stage: &crate::plan::Stage,
    chunk: Rows,
) -> Result<(Rows, Segment)> {
    match &stage.head {
        Head::Source => Ok((chunk, stage.segment.clone())),
        Head::Measured(measured) => {
            let tally = context.measure(measured.as_ref(), &chunk)?;
            let mut locals = measured.finish(stage.input, &tally)?;
            locals.extend(stage.tail.iter().cloned());
            let segment = Segment::new(stage.input, &locals)?;
            Ok((chunk, segment))
        }
        Head::Collective(collective) => {
            Ok((collective.run(context, chunk)?, stage.segment.clone()))
        }
    }
}

fn run_stage(context: &mut Context<'_>, stage: &crate::plan::Stage, chunk: Rows) -> Result<Rows> {
    let (chunk, segment) = head(context, stage, chunk)?;
    if segment.locals.is_empty() {
        return Ok(chunk);
    }
    let result = context.segment(&segment, &chunk)?;
    context.spare.give(chunk);
    Ok(result)
}

/// Runs a plan on one rank from a decoder to an encoder. Local plans stream; others hold the image
/// between their stages.
pub fn run_file(
    context: &mut Context<'_>,
    plan: &Plan,
    source: &mut dyn RowSource,
    sink: &mut dyn RowSink,
) -> Result<()> {
    assert_eq!(
        context.comm.size(),
        1,
        "files are run by one rank; see scatter and gather"
    );
    let (last, before) = match plan.stages.split_last() {
        Some(parts) => parts,
        None => unreachable!("a plan has a stage"),
    };
    if before.is_empty() {
        return through(context, &last.segment, source, sink);
    }
    let mut chunk = collect(context, &before[0].segment, source)?;
    for stage in &before[1..] {
        chunk = run_stage(context, stage, chunk)?;
    }
    let (chunk, segment) = head(context, last, chunk)?;
    emit(context, &segment, &chunk, sink)?;
    context.spare.give(chunk);
    Ok(())
}

/// Streams rows from memory to an encoder. With several threads a band is encoded while the next is
/// computed.
fn emit(
    context: &Context<'_>,
    segment: &Segment,
    chunk: &Rows,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let rows = segment.output().rows;
    let step = superband_rows(segment, context.threads());
    let mut band = Rows::zeroed(segment.output(), 0..0);
    let Some(pool) = context.pool.filter(|p| p.current_num_threads() > 1) else {
        let mut walk = Walk::new(segment, &context.stop);
        for at in (0..rows).step_by(step) {
            band.reset(at..(at + step).min(rows));
            walk.fill(Band::of(&mut band), &mut Memory(&[chunk]))?;
            sink.write(&band)?;
        }
        return Ok(());
    };
    let mut done = Rows::zeroed(segment.output(), 0..0);
    for at in (0..rows).step_by(step) {
        band.reset(at..(at + step).min(rows));
        let (mut computed, mut written) = (Ok(()), Ok(()));
        pool.in_place_scope(|scope| {
            if done.count > 0 {
                scope.spawn(|_| written = sink.write(&done));
            }
            computed = stream(
                segment,
                &[chunk],
                Band::of(&mut band),
                Some(pool),
                &context.stop,
            );
        });
        written?;
        computed?;
        std::mem::swap(&mut band, &mut done);
    }
    match done.count {
        0 => Ok(()),
        _ => pool.install(|| sink.write(&done)),
    }
}

/// Decodes and streams into memory.
fn collect(context: &Context<'_>, segment: &Segment, source: &mut dyn RowSource) -> Result<Rows> {
    let mut result = context
        .spare
        .rows(segment.output(), 0..segment.output().rows);
    if segment.locals.is_empty() {
        read_all(context, source, &mut result)?;
        return Ok(result);
    }
    if context.threads() == 1 {
        let mut feed = Decoding::new(source);
        Walk::new(segment, &context.stop).fill(Band::of(&mut result), &mut feed)?;
        feed.drain()?;
        return Ok(result);
    }
    let mut input = context.spare.rows(segment.input, 0..segment.input.rows);
    read_all(context, source, &mut input)?;
    let out = Band::of(&mut result);
    stream(segment, &[&input], out, context.pool, &context.stop)?;
    context.spare.give(input);
    Ok(result)
}

/// Decodes all of `rows`, some at a time so that a stop is noticed.
fn read_all(context: &Context<'_>, source: &mut dyn RowSource, rows: &mut Rows) -> Result<()> {
    let mut band = Band::of(rows);
    let (range, stop) = (band.range(), &context.stop);
    let mut read = || {
        for at in range.clone().step_by(256) {
            stop.check()?;
            source.read(&mut band.part(at..(at + 256).min(range.end)))?;
        }
        Ok(())
    };
    match context.pool {
        Some(pool) => pool.install(read),
        None => read(),
    }
}

/// Decodes, streams and encodes without the whole image in memory. With several threads the next rows
/// are decoded and the previous ones encoded while the present ones are computed.
fn through(
    context: &Context<'_>,
    segment: &Segment,
    source: &mut dyn RowSource,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let rows = segment.output().rows;
    let step = superband_rows(segment, context.threads());
    let bands = (0..rows)
        .step_by(step.max(1))
        .map(|at| at..(at + step).min(rows));
    let Some(pool) = context.pool.filter(|p| p.current_num_threads() > 1) else {
        let mut feed = Decoding::new(source);
        let mut walk = Walk::new(segment, &context.stop);
        let mut band = Rows::zeroed(segment.output(), 0..0);
        for range in bands {
            band.reset(range);
            walk.fill(Band::of(&mut band), &mut feed)?;
            sink.write(&band)?;
        }
        return feed.drain();
    };
    crate::bands_parallel::through(pool, segment, bands.collect(), source, sink, &context.stop)
}

/// Bytes moved at once when rank 0 hands rows out or collects them.
pub const MESSAGE_BYTES: usize = 8 << 20;

/// Hands a decoder's rows from rank 0 to the ranks that own them; for formats that only decode from
/// the top. Only rank 0 passes a source.
pub fn scatter(
    context: &mut Context<'_>,
    shape: Shape,
    mut source: Option<&mut dyn RowSource>,
) -> Result<Rows> {
    let comm = context.comm;
    let mut mine = Rows::zeroed(shape, context.part(shape));
    let mut failure = Ok(());
    for rank in 0..comm.size() {
        for range in pieces(shape, partition(shape.rows, comm.size(), rank)) {
            let mut band = None;
            if let (Some(source), Ok(())) = (source.as_deref_mut(), &failure) {
                let mut rows = Rows::zeroed(shape, range.clone());
                failure = context
                    .stop
                    .check()
                    .and_then(|()| guarded(|| source.read(&mut Band::of(&mut rows))));
                band = Some(rows);
            } else if comm.rank() == 0 {
                band = Some(Rows::zeroed(shape, range.clone()));
            }
            hand(comm, 0, rank, band.as_ref(), &mut mine, range);
        }
    }
    agree(comm, failure)?;
    Ok(mine)
}

/// Sends `band` from one rank to another's chunk.
fn hand(
    comm: &dyn Comm,
    from: usize,
    to: usize,
    band: Option<&Rows>,
    mine: &mut Rows,
    range: Range<usize>,
) {
    let len = mine.shape.row_bytes();
    if comm.rank() == from && from == to {
        if let Some(band) = band {
            let at = (range.start - mine.first) * len;
            mine.data.bytes_mut()[at..at + range.len() * len].copy_from_slice(band.data.bytes());
        }
    } else if comm.rank() == from {
        if let Some(band) = band {
            comm.exchange(
                &[Outgoing {
                    to,
                    bytes: band.data.bytes(),
                }],
                &mut [],
                &mut || (),
            );
        }
    } else if comm.rank() == to {
        let at = (range.start - mine.first) * len;
        let bytes = &mut mine.data.bytes_mut()[at..at + range.len() * len];
        comm.exchange(&[], &mut [Incoming { from, bytes }], &mut || ());
    }
}

fn pieces(shape: Shape, range: Range<usize>) -> Vec<Range<usize>> {
    let step = (MESSAGE_BYTES / shape.row_bytes().max(1)).max(1);
    range
        .clone()
        .step_by(step)
        .map(|at| at..(at + step).min(range.end))
        .collect()
}

/// Brings all rows in order to rank 0's encoder, a few at a time. Only rank 0 passes a sink.
pub fn gather(
    context: &mut Context<'_>,
    rows: &Rows,
    mut sink: Option<&mut dyn RowSink>,
) -> Result<()> {
    let (comm, shape) = (context.comm, rows.shape);
    let mut failure = Ok(());
    for rank in 0..comm.size() {
        for range in pieces(shape, partition(shape.rows, comm.size(), rank)) {
            if comm.rank() == rank && rank != 0 {
                comm.exchange(
                    &[Outgoing {
                        to: 0,
                        bytes: rows.bytes_of(range),
                    }],
                    &mut [],
                    &mut || (),
                );
            } else if comm.rank() == 0 {
                let mut band = Rows::zeroed(shape, range.clone());
                if rank == 0 {
                    band.data.bytes_mut().copy_from_slice(rows.bytes_of(range));
                } else {
                    comm.exchange(
                        &[],
                        &mut [Incoming {
                            from: rank,
                            bytes: band.data.bytes_mut(),
                        }],
                        &mut || (),
                    );
                }
                if let (Some(sink), Ok(())) = (sink.as_deref_mut(), &failure) {
                    failure = context
                        .stop
                        .check()
                        .and_then(|()| guarded(|| sink.write(&band)));
                }
            }
        }
    }
    agree(comm, failure)
}
