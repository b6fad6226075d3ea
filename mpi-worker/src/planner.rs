//! Which image goes where: a rank per image, or rows shared by all ranks, within the memory cap.

mod modes;
mod outputs;

use crate::device;
use crate::inputs::{Found, Skipped};
use crate::settings::Settings;
use crate::source;
use crate::task::{Finished, Order};
use imaging::codec::{self, Format, Header};
use imaging::memory::{self, Codecs};
use imaging::{Error, Plan, Result};
use protocol::Job;
use protocol::job::Mode;
use protocol::{Warning, name};
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The ranks that a batch runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// Number of ranks.
    pub ranks: usize,
    /// Threads of each rank.
    pub threads: usize,
    /// Whether each rank is a process of its own.
    pub processes: bool,
}

impl World {
    /// Images that can be worked on at once.
    pub fn slots(&self) -> usize {
        self.ranks * self.threads
    }

    /// Threads that one rank may use for an image which outlasts all others, when the cores of the others are idle:
    /// one decodes ahead and one encodes behind, so that many more are of little use.
    pub fn borrowed(&self) -> usize {
        const MOST: usize = 4;
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        self.slots().min(cores).clamp(1, MOST)
    }

    /// Bytes of all processes before any image is opened.
    pub fn base_bytes(&self) -> u64 {
        match self.processes {
            true => MPIRUN_BYTES + self.ranks as u64 * RANK_BYTES,
            false => PROCESS_BYTES,
        }
    }
}

/// Resident size of an idle process, of an idle MPI rank, and of `mpirun` with the command that
/// started it, as measured on x86-64 Linux.
const PROCESS_BYTES: u64 = 9 << 20;
const RANK_BYTES: u64 = 26 << 20;
const MPIRUN_BYTES: u64 = 22 << 20;

/// The plan of a batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// Images shared by all ranks, then those for a rank each, the costliest first.
    pub orders: Vec<Order>,
    /// Inputs that will not be processed, with the reason.
    pub failures: Vec<Finished>,
    /// Inputs left alone since their output exists.
    pub skipped: u64,
    /// Files of directories that were passed over.
    pub passed_over: Skipped,
    /// Predicted peak bytes of all processes.
    pub memory: u64,
    /// Images in flight at once in the images mode.
    pub in_flight: usize,
}

/// Where outputs go.
#[derive(Clone, Debug)]
pub enum Target {
    /// Below a directory, by relative path.
    Directory(PathBuf),
    /// One file for the only input.
    File(PathBuf),
}

/// What is known of one image before it is decoded.
pub(crate) struct Probed {
    path: PathBuf,
    header: Header,
    plan: Plan,
    format: Format,
    file_bytes: u64,
    /// What its header lets expect.
    warnings: Vec<Warning>,
}

impl Probed {
    /// Predicted nanoseconds of one core, without decoding and encoding.
    pub(crate) fn cost(&self) -> f64 {
        self.plan.cost()
    }
}

/// Probes all inputs and decides. An error if two inputs come to the same output.
///
/// With `only`, all inputs still claim their outputs, so that a retry writes to the same places, but
/// just those are processed.
pub fn plan(
    found: Found,
    target: &Target,
    settings: &Settings,
    world: World,
    job: &Job,
    only: Option<&HashSet<PathBuf>>,
) -> Result<Batch> {
    let (mode, skip_existing) = (job.mode, job.skip_existing);
    let mut batch = Batch {
        passed_over: found.skipped,
        ..Batch::default()
    };
    let mut number = 0;
    let mut next = || {
        number += 1;
        number - 1
    };
    let wanted = |path: &Path| only.is_none_or(|only| only.contains(path));
    let failures = found.failures.into_iter();
    let failures = failures.map(|(path, reason)| (path, Error::Io(reason)));
    let refused = found.refused.into_iter();
    let refused = refused.map(|(path, reason)| (path, Error::Limit(reason)));
    for (path, error) in failures.chain(refused) {
        if wanted(&path) {
            let text = name::to_text(&path);
            batch
                .failures
                .push(Finished::failed(next(), text, &settings.node, error));
        }
    }
    let probed: Vec<Result<Probed>> = found
        .inputs
        .par_iter()
        .map(|input| probe(&input.path, settings))
        .collect();
    let mut outputs = outputs::of(&found.inputs, &probed, target, settings);
    outputs::settle(&mut outputs, &found.inputs, &probed, job.on_clash)?;
    let originals = outputs::originals(&found.inputs, &outputs);
    let work = probed.iter().flatten().map(|image| image.plan.cost());
    let device = device::find(settings, work.sum::<f64>() / world.slots() as f64);
    for ((input, probed), output) in found.inputs.iter().zip(probed).zip(outputs) {
        if !wanted(&input.path) {
            continue;
        }
        let text = name::to_text(&input.path);
        let ready = probed.and_then(|image| {
            let output = output?;
            outputs::check(&output, input, &originals)?;
            Ok((image, output))
        });
        match ready {
            Err(error) => {
                batch
                    .failures
                    .push(Finished::failed(next(), text, &settings.node, error))
            }
            Ok((_, output)) if skip_existing && output.exists() => batch.skipped += 1,
            Ok((image, output)) => {
                match order(next(), text, &output, image, settings, world, mode, &device) {
                    Ok(order) => batch.orders.push(order),
                    Err(failed) => batch.failures.push(*failed),
                }
            }
        }
    }
    batch.choose_modes(world, mode, settings);
    batch.predict(world, settings);
    Ok(batch)
}

pub(crate) fn probe(path: &Path, settings: &Settings) -> Result<Probed> {
    let mut file = source::open(path)?;
    let file_bytes = file.metadata()?.len();
    let header = imaging::executor::guarded(|| codec::probe(&mut file, &settings.limits))?;
    let (plan, _) = settings.plan(&header)?;
    check_size(&plan, settings)?;
    let format = settings.format_for(header.kind);
    Ok(Probed {
        path: path.to_owned(),
        header,
        plan,
        format,
        file_bytes,
        warnings: Vec::new(),
    })
}

/// An output must obey the limit of an input: resize and pad can ask for anything.
fn check_size(plan: &Plan, settings: &Settings) -> Result<()> {
    let shapes = plan
        .stages
        .iter()
        .flat_map(|s| s.segment.shapes.iter().chain([&s.segment.input]));
    for shape in shapes {
        let pixels = shape.rows as u64 * shape.cols as u64;
        if pixels > settings.limits.max_pixels {
            return Err(Error::Limit(format!(
                "the pipeline makes {} x {} pixels, more than --max-pixels {} (raise it to {pixels})",
                shape.cols, shape.rows, settings.limits.max_pixels
            )));
        }
    }
    Ok(())
}

/// Bytes of one image on `ranks` ranks of `threads` threads, beside the base.
fn image_bytes(image: &Probed, ranks: usize, threads: usize) -> u64 {
    const STACKS: u64 = 256 << 10;
    // A block of the output file is filled as far as there are bytes; of large files some wait for the disk.
    let writer = match image.plan.output.bytes() as u64 {
        bytes if bytes < 16 << 20 => bytes.min(1 << 20),
        _ => 3 << 20,
    };
    let fetched = match image.file_bytes <= source::READ_WHOLE {
        true => image.file_bytes,
        false => 1 << 19,
    };
    let codecs = Codecs {
        decoder: codec::decoder_memory(&image.header),
        encoder: codec::encoder_memory(&image.format, image.plan.output) * threads.div_ceil(2),
    };
    let held = memory::plan_bytes(&image.plan, ranks, threads, codecs) as u64;
    let messages = if ranks > 1 {
        2 * imaging::executor::MESSAGE_BYTES as u64
    } else {
        0
    };
    fetched + held + messages + writer + STACKS
}

/// Rough nanoseconds per pixel of decoding and encoding, which ranks cannot share.
const CODEC_NS: f64 = 8.0;

pub(crate) fn order(
    task: u64,
    input: String,
    output: &Path,
    mut image: Probed,
    settings: &Settings,
    world: World,
    mode: Mode,
    device: &device::Found,
) -> std::result::Result<Order, Box<Finished>> {
    let (plan, decision) = device::decide(device, settings, &image.plan, world.slots());
    image.plan = plan;
    let image = &image;
    let alone = image_bytes(image, 1, 1);
    let shared = match world.ranks {
        1 => image_bytes(image, 1, world.threads),
        n => image_bytes(image, n, world.threads),
    };
    let (decode_ns, encode_ns) = (
        CODEC_NS * image.header.shape.pixels() as f64,
        CODEC_NS * image.plan.output.pixels() as f64,
    );
    let serial = match image.header.seekable {
        true => encode_ns,
        false => decode_ns + encode_ns,
    };
    let mut order = Order {
        task,
        input,
        output: name::to_text(output),
        mode: Mode::Images,
        reason: String::new(),
        ranks: 1,
        threads: 1,
        memory: alone,
        shared_memory: shared,
        borrowed_memory: image_bytes(image, 1, world.borrowed()),
        cost: image.plan.cost() + decode_ns + encode_ns,
        serial,
        size: (image.header.shape.cols, image.header.shape.rows),
        warnings: image.warnings.clone(),
        device_threads: decision.threads,
        device_reason: decision.reason,
    };
    let wanted = if mode == Mode::Rows { shared } else { alone };
    let least = world.base_bytes() + wanted;
    if let Some(cap) = settings.memory.filter(|&cap| least > cap) {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let error = Error::Limit(format!(
            "needs about {} MiB of memory, more than the cap of {} MiB (give --memory {}MiB)",
            mib(least),
            mib(cap),
            mib(least + least / 8)
        ));
        let mut failed = Finished::failed(
            task,
            std::mem::take(&mut order.input),
            &settings.node,
            error,
        );
        failed.refused = true;
        return Err(Box::new(failed));
    }
    let _ = &image.path;
    Ok(order)
}

impl Batch {
    /// The peak of memory, and how many images are in flight at that.
    fn predict(&mut self, world: World, settings: &Settings) {
        let budget = settings
            .memory
            .map(|cap| cap.saturating_sub(world.base_bytes()));
        let rows = self
            .orders
            .iter()
            .filter(|o| o.mode == Mode::Rows)
            .map(|o| o.memory)
            .max()
            .unwrap_or(0);
        // The order of handing out, with times by predicted cost: who is in flight together.
        let mut flying: Vec<(f64, u64)> = Vec::new();
        let (mut used, mut most) = (0, 0);
        for order in self.orders.iter().filter(|o| o.mode != Mode::Rows) {
            let mut now = 0.0;
            let fits =
                |used: u64| used == 0 || budget.is_none_or(|budget| used + order.memory <= budget);
            let mut sum: u64 = flying.iter().map(|f| f.1).sum();
            while flying.len() >= world.slots() || !fits(sum) {
                let first = (0..flying.len()).min_by(|&a, &b| flying[a].0.total_cmp(&flying[b].0));
                let Some(first) = first else { break };
                now = flying.swap_remove(first).0;
                sum = flying.iter().map(|f| f.1).sum();
            }
            flying.push((now + order.cost, order.memory));
            used = used.max(sum + order.memory);
            most = most.max(flying.len());
        }
        let flying = most;
        self.in_flight = flying.max(usize::from(rows > 0));
        self.memory = world.base_bytes() + used.max(rows);
    }
}
