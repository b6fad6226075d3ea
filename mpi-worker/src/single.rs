//! One image on one rank: fetched, decoded, computed, encoded and stored, row by row where it can be.

use crate::device;
use crate::settings::Settings;
use crate::source::{TimedSink, TimedSource, fetch};
use crate::task::{Done, Finished, Order, told};
use imaging::codec::{self, OpenOptions, RowSink, RowSource};
use imaging::comm::serial::Serial;
use imaging::executor::{Context, Stop, guarded, run_file};
use imaging::metadata::Change;
use imaging::{Error, Result, Spare};
use protocol::receipt::StageMs;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs one image on the calling thread, or on a pool; `spare` holds buffers of earlier images. Never fails: what goes wrong is in the receipt.
pub fn run(
    order: &Order,
    settings: &Settings,
    pool: Option<&rayon::ThreadPool>,
    stop: Stop,
    spare: &Arc<Spare>,
) -> Finished {
    let start = Instant::now();
    let mut input_sha256 = None;
    let outcome = guarded(|| attempt(order, settings, pool, &stop, spare, &mut input_sha256));
    let outcome = late(outcome, start, settings);
    Finished::new(
        order,
        &settings.node,
        input_sha256,
        start.elapsed().as_millis() as u64,
        outcome,
    )
}

/// Names the time limit where it was what stopped the image.
pub fn late<T>(outcome: Result<T>, start: Instant, settings: &Settings) -> Result<T> {
    match (outcome, settings.timeout) {
        (Err(Error::Stopped(_)), Some(timeout)) if start.elapsed() >= timeout => {
            let secs = timeout.as_secs_f64();
            Err(Error::Stopped(format!(
                "took longer than {secs} s (raise it with --timeout)"
            )))
        }
        (outcome, _) => outcome,
    }
}

fn attempt(
    order: &Order,
    settings: &Settings,
    pool: Option<&rayon::ThreadPool>,
    stop: &Stop,
    spare: &Arc<Spare>,
    input_sha256: &mut Option<String>,
) -> Result<Done> {
    let start = Instant::now();
    stop.check()?;
    let (mut input, hash) = fetch(&order.input_path())?;
    let fetched = start.elapsed();
    let header = codec::probe(&mut *input, &settings.limits)?;
    let (mut plan, shrink) = settings.plan(&header)?;
    let placed = device::place(order, settings, &mut plan);
    let begun = Instant::now();
    let source = codec::open(input, &settings.limits, &OpenOptions { shrink, page: 0 })?;
    let format = settings.format_for(header.kind);
    let mut source = settings.manage(source, &plan, &format)?;
    let opened = begun.elapsed();
    let pending = settings.pending(&order.output_path(), &order.input_path())?;
    let change = Change::of(header.shape, &plan, shrink);
    let (metadata, noted) = settings.metadata(source.metadata(), &change, &format);
    let sink = codec::create(
        Box::new(pending.writer()),
        &format,
        plan.output,
        &metadata,
        settings.keep,
    )?;

    let comm = Serial::default();
    let mut context = Context::new(&comm);
    context.pool = pool;
    context.stop = stop.clone();
    if settings.memory.is_none() {
        // Under a cap nothing is kept beyond what the plan counts.
        context.spare = spare.clone();
    }
    let mut source = TimedSource {
        inner: &mut *source,
        spent: opened,
    };
    let mut sink = Box::new(TimedSink {
        inner: sink,
        spent: Duration::ZERO,
    });
    let computing = Instant::now();
    run_file(&mut context, &plan, &mut source, &mut *sink)?;
    let computing = computing.elapsed();
    let warnings = noted.iter().chain(source.warnings());
    let warnings: Vec<_> = warnings.map(told).collect();
    let warnings = [warnings, sink.warnings().iter().map(told).collect()].concat();
    settings.tolerate(&warnings)?;
    let encoding = Instant::now();
    let (decode, encode) = (source.spent, sink.spent);
    sink.finish()?;
    let encode = encode + encoding.elapsed();
    *input_sha256 = Some(hash.finish()?);
    let storing = Instant::now();
    let digested = pending.commit()?;
    let compute = computing.saturating_sub(decode).saturating_sub(encode);
    Ok(Done {
        output_sha256: digested.sha256,
        bytes: digested.bytes,
        width: plan.output.cols as u64,
        height: plan.output.rows as u64,
        ms: StageMs {
            fetch: ms(fetched),
            decode: ms(decode),
            compute: ms(compute),
            halo: 0.0,
            encode: ms(encode),
            store: ms(storing.elapsed()),
        },
        warnings,
        halo_bytes: 0,
        device: placed.told(),
    })
}

/// Milliseconds with three digits.
pub fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}
