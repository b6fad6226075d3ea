//! One image on one rank: fetched, decoded, computed, encoded and stored, row by row where it can be.
//!
//! What is computed is stored apart, so that many outputs can wait for the disk together while others are computed.

use crate::atomic::{Digested, Sealed, commit_all};
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
    compute(order.clone(), settings, pool, stop, spare).store()
}

/// An image whose outputs are written, the last of them perhaps still without its name.
pub struct Computed {
    order: Order,
    node: String,
    input_sha256: Option<String>,
    spent: Duration,
    outcome: Result<Done>,
    /// The output of an order of one.
    waiting: Option<Sealed>,
}

/// As [`run`], but that an order's only output waits for [`store_all`].
pub fn compute(
    order: Order,
    settings: &Settings,
    pool: Option<&rayon::ThreadPool>,
    stop: Stop,
    spare: &Arc<Spare>,
) -> Computed {
    let start = Instant::now();
    let (mut input_sha256, mut waiting) = (None, None);
    let outcome = guarded(|| {
        let hash = &mut input_sha256;
        attempt(&order, settings, pool, &stop, spare, hash, &mut waiting)
    });
    let outcome = late(outcome, start, settings);
    Computed {
        waiting: waiting.filter(|_| outcome.is_ok()),
        order,
        node: settings.node.clone(),
        input_sha256,
        spent: start.elapsed(),
        outcome,
    }
}

impl Computed {
    /// Whether an output has no name yet.
    pub fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// The task and its part.
    pub fn key(&self) -> (u64, u32) {
        (self.order.task, self.order.part)
    }

    fn end(self) -> Finished {
        let ms = self.spent.as_millis() as u64;
        Finished::new(&self.order, &self.node, self.input_sha256, ms, self.outcome)
    }

    /// Gives the output its name, where that is left to do.
    pub fn store(self) -> Finished {
        match store_all(vec![self]).pop() {
            Some(finished) => finished,
            None => unreachable!("each has an end"),
        }
    }
}

/// Gives outputs their names, all in one go; each is safe before its end is told.
pub fn store_all(mut all: Vec<Computed>) -> Vec<Finished> {
    let begun = Instant::now();
    let waiting = all.iter_mut().enumerate();
    let (places, sealed): (Vec<usize>, Vec<Sealed>) = waiting
        .filter_map(|(at, computed)| Some((at, computed.waiting.take()?)))
        .unzip();
    let stored = commit_all(sealed);
    // They waited together: each has its share.
    let share = begun.elapsed() / places.len().max(1) as u32;
    for (at, stored) in places.into_iter().zip(stored) {
        let computed = &mut all[at];
        computed.spent += share;
        let Ok(done) = &mut computed.outcome else {
            continue;
        };
        done.ms.store += ms(share);
        match stored {
            Ok(()) => {}
            Err(error) if computed.order.is_apart() => done.files[0].stored = Err(error.into()),
            Err(error) => computed.outcome = Err(error.into()),
        }
    }
    all.into_iter().map(Computed::end).collect()
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
    waiting: &mut Option<Sealed>,
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
        waiting,
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
    waiting: &'a mut Option<Sealed>,
    done: Done,
}

impl Run<'_> {
    /// Makes one output. That of an order of one gets its name later; of many none stays open.
    fn file(&mut self, file: &OutputFile, sizes: &mut Vec<(u64, u64)>) -> Result<Digested> {
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
        let digested = match self.order.files.len() {
            1 => {
                let sealed = self.waiting.insert(pictures.seal()?);
                sealed.digested().clone()
            }
            _ => pictures.commit()?,
        };
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
