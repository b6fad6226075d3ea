//! One rank's way from a decoder to an encoder.

use super::{Context, head, run_stages, staying, stream};
use crate::bands::{Decoding, Memory, Walk};
use crate::codec::{RowSink, RowSource};
use crate::error::Result;
use crate::image::Rows;
use crate::memory::superband_rows;
use crate::plan::{Plan, Segment};
use crate::window::Band;

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
    if staying(context, &plan.stages, 0) > 0 {
        let mut input = context.spare.rows(plan.input, 0..plan.input.rows);
        read_all(context, source, &mut input)?;
        source.release();
        let result = run_stages(context, &plan.stages, input)?;
        emit(context, &Segment::new(plan.output, &[])?, &result, sink)?;
        context.spare.give(result);
        return Ok(());
    }
    let chunk = collect(context, &before[0].segment, source)?;
    source.release();
    let chunk = run_stages(context, &before[1..], chunk)?;
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
    context.spare.make_room();
    let rows = segment.output().rows;
    let step = superband_rows(segment, context.threads());
    let mut band = Rows::zeroed(segment.output(), 0..0);
    let Some(pool) = context.pool.filter(|p| p.current_num_threads() > 1) else {
        if segment.gpu.is_some() {
            let pieces = &[chunk];
            for at in (0..rows).step_by(step) {
                band.reset(at..(at + step).min(rows));
                stream(segment, pieces, Band::of(&mut band), None, &context.stop)?;
                sink.write(&band)?;
            }
            return Ok(());
        }
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
    let output = segment.output();
    let result = || context.spare.rows(output, 0..output.rows);
    if segment.locals.is_empty() {
        let mut result = result();
        read_all(context, source, &mut result)?;
        return Ok(result);
    }
    if context.threads() == 1 && segment.gpu.is_none() {
        let mut result = result();
        let mut feed = Decoding::new(source);
        Walk::new(segment, &context.stop).fill(Band::of(&mut result), &mut feed)?;
        feed.drain()?;
        return Ok(result);
    }
    let mut input = context.spare.rows(segment.input, 0..segment.input.rows);
    read_all(context, source, &mut input)?;
    // Its place is for the result.
    source.release();
    let mut result = result();
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
        if segment.gpu.is_some() {
            let bands = bands.collect();
            return crate::bands_parallel::by_turns(segment, bands, source, sink, &context.stop);
        }
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
