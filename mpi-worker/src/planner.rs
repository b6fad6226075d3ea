//! Which image goes where: a rank per image, or rows shared by all ranks, within the memory cap.

mod modes;
mod outputs;

use crate::device;
use crate::inputs::{Found, Skipped};
use crate::names;
use crate::pages::{self, Selection};
use crate::settings::Settings;
use crate::source;
use crate::task::{Finished, Order, OutputFile, told};
use imaging::codec::{self, Format, FormatKind, Header};
use imaging::color::tables_bytes;
use imaging::memory::{self, Codecs};
use imaging::{Error, Limit, Plan, Result};
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

/// Resident size of an idle process (its pages of code come and go with the system's cache: 9 to 20 MiB), of an idle MPI rank, and of `mpirun` with the command that
/// started it, as measured on x86-64 Linux.
const PROCESS_BYTES: u64 = 14 << 20;
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
    /// Bytes of all processes whatever is in flight.
    pub base: u64,
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

/// What is known of one file before it is decoded.
pub(crate) struct Probed {
    kind: FormatKind,
    /// Pages or frames of the file.
    pages: u32,
    /// Those that are processed, in order, as far as their headers could be read.
    pictures: Vec<Picture>,
    selection: Selection,
    format: Format,
    file_bytes: u64,
    /// What its headers let expect.
    warnings: Vec<Warning>,
}

/// What is known of one picture.
struct Picture {
    page: u32,
    header: Header,
    plan: Plan,
}

impl Probed {
    /// The outputs of a file that is alone with its output's name: pages of their own get their number behind it.
    pub(crate) fn files(&self, output: &str) -> Vec<OutputFile> {
        let pages = self.selection.outputs.iter();
        let file = |pages: &Vec<u32>| OutputFile {
            output: match self.selection.numbered {
                true => names::paged(output, pages[0] + 1),
                false => output.to_owned(),
            },
            pages: pages.clone(),
        };
        pages.map(file).collect()
    }

    /// Predicted nanoseconds of one core, without decoding and encoding.
    pub(crate) fn cost(&self) -> f64 {
        self.pictures
            .iter()
            .map(|picture| picture.plan.cost())
            .sum()
    }

    /// Bytes of the tables by which its colours are converted, in all processes; images of one kind share them.
    fn tables(&self, settings: &Settings, world: World) -> u64 {
        let kind = self.format.kind();
        let of = |picture: &Picture| tables_bytes(&picture.header, kind, &settings.color) as u64;
        let each = self.pictures.iter().map(of).max().unwrap_or(0);
        match world.processes {
            true => each * world.ranks as u64,
            false => each,
        }
    }

    /// The picture of a page, if its header could be read.
    fn picture(&self, page: u32) -> Option<&Picture> {
        let at = self.pictures.binary_search_by_key(&page, |p| p.page).ok()?;
        Some(&self.pictures[at])
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
    let refused = refused.map(|(path, reason)| (path, Limit::Count.exceeded(reason)));
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
    let work: f64 = probed.iter().flatten().map(Probed::cost).sum();
    let device = device::find(settings, work / world.slots() as f64);
    let tables = probed.iter().flatten();
    let tables = tables.map(|image| image.tables(settings, world));
    let tables = tables.max().unwrap_or(0);
    for ((input, probed), output) in found.inputs.iter().zip(probed).zip(outputs) {
        if !wanted(&input.path) {
            continue;
        }
        let text = name::to_text(&input.path);
        let ready = probed.and_then(|image| {
            let files = output?;
            outputs::check(&files, input, &originals)?;
            Ok((image, files))
        });
        match ready {
            Err(error) => {
                batch
                    .failures
                    .push(Finished::failed(next(), text, &settings.node, error))
            }
            Ok((_, files)) if skip_existing && outputs::exist(&files) => batch.skipped += 1,
            Ok((image, files)) => {
                let task = next();
                let whole = order(
                    task,
                    (0, 1),
                    &text,
                    files,
                    &image,
                    settings,
                    world,
                    mode,
                    &device,
                );
                match whole {
                    Ok(whole) => batch
                        .orders
                        .extend(spread(whole, &image, settings, world, mode, &device)),
                    Err(failed) => batch.failures.push(*failed),
                }
            }
        }
    }
    batch.base = world.base_bytes() + tables;
    batch.choose_modes(world, mode, settings);
    batch.predict(world, settings);
    Ok(batch)
}

/// Cuts the work on a file whose pages become outputs of their own into parts for several ranks and threads.
fn spread(
    whole: Order,
    image: &Probed,
    settings: &Settings,
    world: World,
    mode: Mode,
    device: &device::Found,
) -> Vec<Order> {
    /// Parts of a file for each worker: more even out the work, and each opens the file once more.
    const EACH: usize = 2;
    let parts = whole.files.len().min(world.slots() * EACH);
    if parts < 2 || world.slots() < 2 || mode == Mode::Rows {
        return vec![whole];
    }
    let size = whole.files.len().div_ceil(parts);
    let chunks: Vec<Vec<OutputFile>> = whole.files.chunks(size).map(<[_]>::to_vec).collect();
    let count = chunks.len() as u32;
    let part = |(number, files): (u32, Vec<OutputFile>)| {
        let part = (number, count);
        order(
            whole.task,
            part,
            &whole.input,
            files,
            image,
            settings,
            world,
            mode,
            device,
        )
        .ok()
    };
    let parts: Option<Vec<Order>> = (0..count).zip(chunks).map(part).collect();
    // Each is smaller than the whole, which was taken.
    parts.unwrap_or_else(|| vec![whole])
}

pub(crate) fn probe(path: &Path, settings: &Settings) -> Result<Probed> {
    let (mut file, file_bytes) = source::open_to_probe(path)?;
    let header = imaging::executor::guarded(|| codec::probe(&mut file, &settings.limits))?;
    let format = settings.format_for(&header);
    let selection = pages::select(settings, &header, &format)?;
    let (kind, count) = (header.kind, header.pages.max(1));
    let mut pictures = Vec::new();
    let mut first = Some(header);
    for page in selection.outputs.iter().flatten() {
        let header = match (page, first.take()) {
            (0, Some(header)) => Ok(header),
            _ => {
                imaging::executor::guarded(|| codec::probe_page(&mut file, &settings.limits, *page))
            }
        };
        let picture = header.and_then(|header| {
            let (plan, _) = settings.plan(&header)?;
            Ok(Picture {
                page: *page,
                header,
                plan,
            })
        });
        match picture {
            Ok(picture) => pictures.push(picture),
            // Pages that are outputs of their own fail alone, when their turn comes.
            Err(_) if selection.outputs.len() > 1 => {}
            Err(error) => return Err(error),
        }
    }
    let mut warnings = selection.warnings.clone();
    if let Some(picture) = pictures.first() {
        warnings.extend(settings.units(picture.header.stored, &format, picture.plan.output));
        warnings.extend(picture.plan.warnings.iter().map(told));
    }
    settings.tolerate(&warnings)?;
    Ok(Probed {
        kind,
        pages: count,
        pictures,
        selection,
        format,
        file_bytes,
        warnings,
    })
}

/// Bytes of one picture on `ranks` ranks of `threads` threads, beside the base.
fn picture_bytes(image: &Probed, picture: &Picture, ranks: usize, threads: usize) -> u64 {
    const STACKS: u64 = 256 << 10;
    // A block of the output file is filled as far as there are bytes; of large files some wait for the disk.
    let writer = match picture.plan.output.bytes() as u64 {
        bytes if bytes < 16 << 20 => bytes.min(1 << 20),
        _ => 3 << 20,
    };
    let fetched = match image.file_bytes <= source::READ_WHOLE {
        true => image.file_bytes,
        false => 1 << 19,
    };
    let codecs = Codecs {
        decoder: codec::decoder_memory(&picture.header),
        decoders: match picture.header.decodes_apart(ranks) {
            true => ranks,
            false => 1,
        },
        encoder: codec::encoder_memory(&image.format, picture.plan.output) * threads.div_ceil(2),
    };
    let held = memory::plan_bytes(&picture.plan, ranks, threads, codecs) as u64;
    fetched + held + writer + STACKS * ranks as u64
}

/// Rough nanoseconds per pixel of decoding and encoding, which ranks cannot share.
const CODEC_NS: f64 = 8.0;

#[expect(clippy::too_many_arguments, reason = "each is a fact of its own")]
pub(crate) fn order(
    task: u64,
    (part, parts): (u32, u32),
    input: &str,
    files: Vec<OutputFile>,
    image: &Probed,
    settings: &Settings,
    world: World,
    mode: Mode,
    device: &device::Found,
) -> std::result::Result<Order, Box<Finished>> {
    let pages = files.iter().flat_map(|file| &file.pages);
    let pictures = pages.filter_map(|page| image.picture(*page));
    let mut decisions = Vec::new();
    let pictures: Vec<Picture> = pictures
        .map(|picture| {
            let (plan, decision) = device::decide(device, settings, &picture.plan, world.slots());
            decisions.push(decision);
            Picture {
                page: picture.page,
                header: picture.header.clone(),
                plan,
            }
        })
        .collect();
    // A device that computes any of the pictures is what counts.
    let decision = decisions
        .into_iter()
        .max_by_key(|decision| decision.threads);
    let decision = decision.unwrap_or_default();
    // Pictures of one file are worked on one after the other.
    let most = |ranks: usize, threads: usize| {
        let bytes = pictures.iter();
        let bytes = bytes.map(|picture| picture_bytes(image, picture, ranks, threads));
        bytes.max().unwrap_or(0)
    };
    let alone = most(1, 1);
    let shared = most(world.ranks, world.threads);
    let (mut cost, mut serial) = (0.0, 0.0);
    for picture in &pictures {
        let decode_ns = CODEC_NS * picture.header.shape.pixels() as f64;
        let encode_ns = CODEC_NS * picture.plan.output.pixels() as f64;
        cost += picture.plan.cost() + decode_ns + encode_ns;
        serial += match picture.header.decodes_apart(world.ranks) {
            true => encode_ns,
            false => decode_ns + encode_ns,
        };
    }
    let size = pictures.first().map_or((0, 0), |picture| {
        (picture.header.shape.cols, picture.header.shape.rows)
    });
    let order = Order {
        task,
        part,
        parts,
        input: input.to_owned(),
        files,
        pages: image.pages,
        mode: Mode::Images,
        reason: String::new(),
        ranks: 1,
        threads: 1,
        memory: alone,
        shared_memory: shared,
        borrowed_memory: most(1, world.borrowed()),
        cost,
        serial,
        size,
        warnings: image.warnings.clone(),
        device_threads: decision.threads,
        device_reason: decision.reason,
    };
    let wanted = if mode == Mode::Rows { shared } else { alone };
    let least = world.base_bytes() + image.tables(settings, world) + wanted;
    if let Some(cap) = settings.memory.filter(|&cap| least > cap) {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let error = Limit::Memory.exceeded(format!(
            "needs about {} MiB of memory, more than the cap of {} MiB (give --memory {}MiB)",
            mib(least),
            mib(cap),
            mib(least + least / 8)
        ));
        let mut failed = Finished::failed(task, order.input, &settings.node, error);
        failed.refused = true;
        return Err(Box::new(failed));
    }
    Ok(order)
}

impl Batch {
    /// The peak of memory, and how many images are in flight at that.
    fn predict(&mut self, world: World, settings: &Settings) {
        let budget = settings.memory.map(|cap| cap.saturating_sub(self.base));
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
        self.memory = self.base + used.max(rows);
    }
}
