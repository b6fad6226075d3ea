//! One image on all ranks: each holds a chunk of rows and exchanges halos with its neighbours.

use crate::atomic::Pending;
use crate::batch::to_json;
use crate::device;
use crate::settings::Settings;
use crate::single::{late, ms};
use crate::source::{Hash, TimedSink, fetch, open};
use crate::task::{Done, Finished, Order, told};
use imaging::codec::{self, Header, OpenOptions, RowSink, RowSource};
use imaging::comm::{Comm, agree};
use imaging::executor::{Context, Stop, gather, guarded, run_rows, scatter};
use imaging::metadata::Change;
use imaging::window::Band;
use imaging::{Plan, Result, Rows};
use protocol::Warning;
use protocol::receipt::StageMs;
use std::time::{Duration, Instant};

/// Runs one image; all ranks call this together. Rank 0 gets the outcome.
pub fn run(
    comm: &dyn Comm,
    order: &Order,
    settings: &Settings,
    pool: &rayon::ThreadPool,
    stop: Stop,
) -> Option<Finished> {
    let start = Instant::now();
    let mut input_sha256 = None;
    let outcome = late(
        attempt(comm, order, settings, pool, &stop, &mut input_sha256),
        start,
        settings,
    );
    let elapsed = start.elapsed().as_millis() as u64;
    (comm.rank() == 0).then(|| Finished::new(order, &settings.node, input_sha256, elapsed, outcome))
}

fn attempt(
    comm: &dyn Comm,
    order: &Order,
    settings: &Settings,
    pool: &rayon::ThreadPool,
    stop: &Stop,
    input_sha256: &mut Option<String>,
) -> Result<Done> {
    let mut context = Context::with_pool(comm, pool);
    context.stop = stop.clone();
    let start = Instant::now();
    let prepared = agree(comm, guarded(|| prepare(order, settings, comm.rank())))?;
    let Prepared {
        mut plan,
        shrink,
        header,
        mut source,
        hash,
    } = prepared;
    let placed = device::place(order, settings, &mut plan);
    let fetched = start.elapsed();

    let decoding = Instant::now();
    let rows = if header.seekable {
        let part = context.part(plan.input);
        agree(comm, guarded(|| read_part(&mut source, plan.input, part)))?
    } else {
        let inner = source
            .as_mut()
            .map(|source| &mut **source as &mut dyn RowSource);
        scatter(&mut context, plan.input, inner)?
    };
    let decode = decoding.elapsed();

    let computing = Instant::now();
    let rows = run_rows(&mut context, &plan, rows)?;
    let compute = computing.elapsed().saturating_sub(context.halo.wait);

    let encoding = Instant::now();
    let mut output = agree(
        comm,
        guarded(|| {
            let source = source.as_deref().filter(|_| comm.rank() == 0);
            let begin = |source| begin_output(order, settings, &plan, &header, shrink, source);
            source.map(begin).transpose()
        }),
    )?;
    gather(
        &mut context,
        &rows,
        (output.as_mut()).map(|output| &mut output.sink as &mut dyn RowSink),
    )?;
    let mut warnings = everyones(comm, source.as_deref());
    if let Some(begun) = &output {
        let sink = begun.sink.warnings();
        warnings.extend(begun.warnings.iter().chain(&sink).map(told));
    }
    let strict = match comm.rank() {
        0 => settings.tolerate(&warnings),
        _ => Ok(()),
    };
    agree(comm, strict)?;
    let mut halo = [context.halo.bytes as i64];
    comm.all_reduce(&mut halo, imaging::comm::Reduce::Sum);
    let finished = match output {
        None => Ok(None),
        Some(Begun { pending, sink, .. }) => guarded(|| {
            Box::new(sink).finish()?;
            let encode = encoding.elapsed();
            *input_sha256 = hash.map(Hash::finish).transpose()?;
            let storing = Instant::now();
            let digested = pending.commit()?;
            Ok(Some((digested, encode, storing.elapsed())))
        }),
    };
    let finished = agree(comm, finished)?;
    let (sha256, bytes, encode, store) = match finished {
        Some((digested, encode, store)) => (digested.sha256, digested.bytes, encode, store),
        None => Default::default(),
    };
    Ok(Done {
        output_sha256: sha256,
        bytes,
        width: plan.output.cols as u64,
        height: plan.output.rows as u64,
        ms: StageMs {
            fetch: ms(fetched),
            decode: ms(decode),
            compute: ms(compute),
            halo: ms(context.halo.wait),
            encode: ms(encode),
            store: ms(store),
        },
        warnings,
        halo_bytes: halo[0] as u64,
        device: placed.told(),
    })
}

/// What the decoders of all ranks warn of, each thing once.
fn everyones(comm: &dyn Comm, source: Option<&dyn RowSource>) -> Vec<Warning> {
    let own: Vec<Warning> = source
        .map(|source| source.warnings().iter().map(told).collect())
        .unwrap_or_default();
    let mut others = [if comm.rank() == 0 {
        0
    } else {
        own.len() as i64
    }];
    comm.all_reduce(&mut others, imaging::comm::Reduce::Sum);
    if others[0] == 0 {
        return own;
    }
    let mut all: Vec<Warning> = Vec::new();
    for rank in 0..comm.size() {
        let mut bytes = match rank == comm.rank() {
            true => to_json(&own),
            false => Vec::new(),
        };
        comm.broadcast(rank, &mut bytes);
        let told: Vec<Warning> = serde_json::from_slice(&bytes).unwrap_or_default();
        for warning in told {
            if !all.contains(&warning) {
                all.push(warning);
            }
        }
    }
    all
}

struct Prepared {
    plan: Plan,
    shrink: u32,
    header: Header,
    /// On rank 0, and on all ranks where each can decode its own rows.
    source: Option<Box<dyn RowSource>>,
    hash: Option<Hash>,
}

fn prepare(order: &Order, settings: &Settings, rank: usize) -> Result<Prepared> {
    let path = order.input_path();
    if rank == 0 {
        let (mut input, hash) = fetch(&path)?;
        let header = codec::probe(&mut *input, &settings.limits)?;
        let (plan, shrink) = settings.plan(&header)?;
        let source = codec::open(input, &settings.limits, &OpenOptions { shrink, page: 0 })?;
        let source = settings.manage(source, &plan, &settings.format_for(header.kind))?;
        return Ok(Prepared {
            plan,
            shrink,
            header,
            source: Some(source),
            hash: Some(hash),
        });
    }
    let mut input = open(&path)?;
    let header = codec::probe(&mut input, &settings.limits)?;
    let (plan, shrink) = settings.plan(&header)?;
    let source = match header.seekable {
        true => {
            let options = OpenOptions::default();
            let source = codec::open(Box::new(input), &settings.limits, &options)?;
            let format = settings.format_for(header.kind);
            Some(settings.manage(source, &plan, &format)?)
        }
        false => None,
    };
    Ok(Prepared {
        plan,
        shrink,
        header,
        source,
        hash: None,
    })
}

fn read_part(
    source: &mut Option<Box<dyn RowSource>>,
    shape: imaging::Shape,
    part: std::ops::Range<usize>,
) -> Result<Rows> {
    let mut rows = Rows::zeroed(shape, part.clone());
    if let Some(source) = source.as_mut().filter(|_| !part.is_empty()) {
        source.seek_row(part.start)?;
        source.read(&mut Band::of(&mut rows))?;
    }
    Ok(rows)
}

/// An output being written.
struct Begun {
    pending: Pending,
    sink: TimedSink,
    warnings: Vec<imaging::Warning>,
}

fn begin_output(
    order: &Order,
    settings: &Settings,
    plan: &Plan,
    header: &Header,
    shrink: u32,
    source: &dyn RowSource,
) -> Result<Begun> {
    let pending = settings.pending(&order.output_path(), &order.input_path())?;
    let format = settings.format_for(header.kind);
    let change = Change::of(header.shape, plan, shrink);
    let (metadata, warnings) = settings.metadata(source.metadata(), &change, &format);
    let inner = codec::create(
        Box::new(pending.writer()),
        &format,
        plan.output,
        &metadata,
        settings.keep,
    )?;
    Ok(Begun {
        pending,
        sink: TimedSink {
            inner,
            spent: Duration::ZERO,
        },
        warnings,
    })
}
