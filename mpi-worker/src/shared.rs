//! One image on all ranks: each holds a chunk of rows and exchanges halos with its neighbours.

use crate::atomic::Digested;
use crate::batch::to_json;
use crate::device;
use crate::pages::Pictures;
use crate::settings::Settings;
use crate::single::{late, ms};
use crate::source::{Hash, Input, fetch};
use crate::task::{Done, FileDone, Finished, Order, OutputFile, told};
use imaging::codec::{self, Header, OpenOptions, RowSink, RowSource};
use imaging::comm::{Comm, agree};
use imaging::executor::{Context, Stop, gather, guarded, run_rows, share};
use imaging::metadata::Change;
use imaging::{Error, Plan, Result, Spare};
use protocol::Warning;
use std::sync::Arc;
use std::time::Instant;

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
    let start = Instant::now();
    let path = order.input_path();
    let fetched = guarded(|| match (comm.rank(), order.part) {
        (0, 0) => fetch(&path).map(|(input, hash)| (input, Some(hash))),
        _ => Ok((Input::at(&path), None)),
    });
    let (input, hash) = agree(comm, fetched)?;
    let mut run = Run {
        comm,
        settings,
        pool,
        stop,
        input,
        hash,
        order,
        input_sha256,
        done: Done::new(ms(start.elapsed())),
    };
    run.done.warn(order.warnings.clone());
    settings.tolerate(&order.warnings)?;
    for file in &order.files {
        let mut sizes = Vec::new();
        // Where one rank fails, all do, so that they are at the same file.
        let stored = run.file(file, &mut sizes);
        match agree(comm, stored) {
            Err(error @ Error::Stopped(_)) => return Err(error),
            Err(error) if !order.is_apart() => return Err(error),
            stored => run.done.files.push(FileDone { sizes, stored }),
        }
    }
    let mut halo = [run.done.halo_bytes as i64];
    comm.all_reduce(&mut halo, imaging::comm::Reduce::Sum);
    run.done.halo_bytes = halo[0] as u64;
    Ok(run.done)
}

/// What is needed for each of an image's outputs.
struct Run<'a> {
    comm: &'a dyn Comm,
    settings: &'a Settings,
    pool: &'a rayon::ThreadPool,
    stop: &'a Stop,
    input: Input,
    /// On rank 0.
    hash: Option<Hash>,
    order: &'a Order,
    input_sha256: &'a mut Option<String>,
    done: Done,
}

impl Run<'_> {
    /// Makes one output; rank 0 writes it.
    fn file(&mut self, file: &OutputFile, sizes: &mut Vec<(u64, u64)>) -> Result<Digested> {
        let mut pictures = None;
        for page in &file.pages {
            let size = self.picture(file, *page, &mut pictures)?;
            sizes.push(size);
        }
        let storing = Instant::now();
        let stored = guarded(|| {
            let Some(pictures) = pictures else {
                return Ok(Digested::default());
            };
            if let Some(hash) = self.hash.take() {
                *self.input_sha256 = Some(hash.finish()?);
            }
            pictures.commit()
        });
        let stored = agree(self.comm, stored)?;
        self.done.ms.store += ms(storing.elapsed());
        Ok(stored)
    }

    /// Computes one picture on all ranks, and writes it on rank 0 into an output that is opened with the first.
    fn picture(
        &mut self,
        file: &OutputFile,
        page: u32,
        pictures: &mut Option<Pictures>,
    ) -> Result<(u64, u64)> {
        let (comm, settings) = (self.comm, self.settings);
        let mut context = Context::with_pool(comm, self.pool);
        context.stop = self.stop.clone();
        if settings.memory.is_some() {
            context.spare = Arc::new(Spare::strict());
        }
        let prepared = guarded(|| prepare(&self.input, settings, page, comm));
        let Prepared {
            mut plan,
            shrink,
            header,
            mut source,
        } = agree(comm, prepared)?;
        let placed = device::place(self.order, settings, &mut plan);

        let decoding = Instant::now();
        let rows = share(
            &mut context,
            plan.input,
            source
                .as_mut()
                .map(|source| &mut **source as &mut dyn RowSource),
            header.decodes_apart(comm.size()),
        )?;
        let decode = decoding.elapsed();

        let computing = Instant::now();
        let rows = run_rows(&mut context, &plan, rows)?;
        context.spare.clear();
        let compute = computing.elapsed().saturating_sub(context.halo.wait);

        let encoding = Instant::now();
        let mut own = Vec::new();
        let begun = guarded(|| {
            let Some(source) = source.as_deref().filter(|_| comm.rank() == 0) else {
                return Ok(None);
            };
            let format = settings.format_for(&header);
            let change = Change::of(header.shape, &plan, shrink);
            let (metadata, warnings) = settings.carried(source.metadata(), &change, &format, &plan);
            own = warnings;
            let pictures = match &mut *pictures {
                Some(pictures) => pictures,
                none => none.insert(Pictures::create(settings, file, self.input.path(), format)?),
            };
            pictures.begin(plan.output, &metadata).map(Some)
        });
        let mut sink = agree(comm, begun)?;
        gather(
            &mut context,
            &rows,
            sink.as_mut().map(|sink| &mut **sink as &mut dyn RowSink),
        )?;
        own.extend(everyones(comm, source.as_deref()));
        if let Some(sink) = &sink {
            own.extend(sink.warnings().iter().map(told));
        }
        let ended = guarded(|| {
            if comm.rank() == 0 {
                settings.tolerate(&own)?;
            }
            match (&mut *pictures, sink.take()) {
                (Some(pictures), Some(sink)) => pictures.end(sink),
                _ => Ok(()),
            }
        });
        agree(comm, ended)?;
        self.done.warn(own);
        self.done.computed_by(placed.told());
        self.done.halo_bytes += context.halo.bytes;
        let spent = &mut self.done.ms;
        spent.decode += ms(decode);
        spent.compute += ms(compute);
        spent.halo += ms(context.halo.wait);
        spent.encode += ms(encoding.elapsed());
        Ok((plan.output.cols as u64, plan.output.rows as u64))
    }
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
}

fn prepare(input: &Input, settings: &Settings, page: u32, comm: &dyn Comm) -> Result<Prepared> {
    let header = codec::probe_page(&mut *input.reader()?, &settings.limits, page)?;
    let (plan, shrink) = settings.plan(&header)?;
    let options = OpenOptions { shrink, page };
    let source = match comm.rank() == 0 || header.decodes_apart(comm.size()) {
        true => {
            let source = codec::open(input.reader()?, &settings.limits, &options)?;
            let format = settings.format_for(&header);
            Some(settings.manage(source, &plan, &format)?)
        }
        false => None,
    };
    Ok(Prepared {
        plan,
        shrink,
        header,
        source,
    })
}
