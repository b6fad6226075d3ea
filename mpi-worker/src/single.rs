//! One image on one rank: fetched, decoded, computed, encoded and stored, row by row where it can be.

use crate::device;
use crate::pages::Pictures;
use crate::settings::Settings;
use crate::source::{Hash, Input, TimedSink, TimedSource, fetch};
use crate::task::{Done, FileDone, Finished, Order, OutputFile, told};
use imaging::codec::{self, OpenOptions, RowSink, RowSource};
use imaging::comm::serial::Serial;
use imaging::executor::{Context, Stop, guarded, run_file};
use imaging::metadata::Change;
use imaging::{Error, Result, Spare};
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
            Err(Error::Late(format!(
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
    let path = order.input_path();
    // One part speaks for all.
    let (input, hash) = match order.part {
        0 => fetch(&path).map(|(input, hash)| (input, Some(hash)))?,
        _ => (Input::at(&path), None),
    };
    let mut run = Run {
        settings,
        pool,
        stop,
        spare,
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
        let stored = guarded(|| run.file(file, &mut sizes));
        match stored {
            Err(error @ Error::Stopped(_)) => return Err(error),
            Err(error) if !order.is_apart() => return Err(error),
            stored => run.done.files.push(FileDone { sizes, stored }),
        }
    }
    Ok(run.done)
}

/// What is needed for each of an image's outputs.
struct Run<'a> {
    settings: &'a Settings,
    pool: Option<&'a rayon::ThreadPool>,
    stop: &'a Stop,
    spare: &'a Arc<Spare>,
    input: Input,
    hash: Option<Hash>,
    order: &'a Order,
    input_sha256: &'a mut Option<String>,
    done: Done,
}

impl Run<'_> {
    /// Makes one output.
    fn file(
        &mut self,
        file: &OutputFile,
        sizes: &mut Vec<(u64, u64)>,
    ) -> Result<crate::atomic::Digested> {
        let mut pictures = None;
        for page in &file.pages {
            let size = self.picture(file, *page, &mut pictures)?;
            sizes.push(size);
        }
        let Some(pictures) = pictures else {
            return Err(Error::Unsuitable("there is no picture to write".into()));
        };
        if let Some(hash) = self.hash.take() {
            *self.input_sha256 = Some(hash.finish()?);
        }
        let storing = Instant::now();
        let digested = pictures.commit()?;
        self.done.ms.store += ms(storing.elapsed());
        Ok(digested)
    }

    /// Writes one picture into an output that is opened with the first.
    fn picture(
        &mut self,
        file: &OutputFile,
        page: u32,
        pictures: &mut Option<Pictures>,
    ) -> Result<(u64, u64)> {
        let settings = self.settings;
        let header = codec::probe_page(&mut *self.input.reader()?, &settings.limits, page)?;
        let (mut plan, shrink) = settings.plan(&header)?;
        let placed = device::place(self.order, settings, &mut plan);
        let begun = Instant::now();
        let options = OpenOptions { shrink, page };
        let source = codec::open(self.input.reader()?, &settings.limits, &options)?;
        let format = settings.format_for(&header);
        let mut source = settings.manage(source, &plan, &format)?;
        let opened = begun.elapsed();
        let change = Change::of(header.shape, &plan, shrink);
        let (metadata, mut warnings) = settings.carried(source.metadata(), &change, &format, &plan);
        let pictures = match pictures {
            Some(pictures) => pictures,
            none => none.insert(Pictures::create(settings, file, self.input.path(), format)?),
        };
        let sink = pictures.begin(plan.output, &metadata)?;

        let comm = Serial::default();
        let mut context = Context::new(&comm);
        context.pool = self.pool;
        context.stop = self.stop.clone();
        context.spare = match settings.memory {
            None => self.spare.clone(),
            // Under a cap nothing is kept beyond what the plan counts.
            Some(_) => Arc::new(Spare::strict()),
        };
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
        warnings.extend(source.warnings().iter().map(told));
        warnings.extend(sink.warnings().iter().map(told));
        settings.tolerate(&warnings)?;
        self.done.warn(warnings);
        self.done.computed_by(placed.told());
        let encoding = Instant::now();
        let (decode, encode) = (source.spent, sink.spent);
        pictures.end(sink)?;
        let encode = encode + encoding.elapsed();
        let compute = computing.saturating_sub(decode).saturating_sub(encode);
        let spent = &mut self.done.ms;
        spent.decode += ms(decode);
        spent.compute += ms(compute);
        spent.encode += ms(encode);
        Ok((plan.output.cols as u64, plan.output.rows as u64))
    }
}

/// Milliseconds with three digits.
pub fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}
