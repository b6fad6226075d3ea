//! Which image goes where: a rank per image, or rows shared by all ranks, within the memory cap.

use crate::inputs::{Found, Input};
use crate::settings::Settings;
use crate::source;
use crate::task::{Finished, Order};
use imaging::codec::{self, Format, Header};
use imaging::memory::{self, Codecs};
use imaging::{Error, Plan, Result};
use protocol::job::Mode;
use protocol::name;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
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
}

/// Probes all inputs and decides.
///
/// With `only`, all inputs still claim their outputs, so that a retry writes to the same places, but
/// just those are processed.
pub fn plan(
    found: Found,
    target: &Target,
    settings: &Settings,
    world: World,
    mode: Mode,
    skip_existing: bool,
    only: Option<&HashSet<PathBuf>>,
) -> Batch {
    let mut batch = Batch::default();
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
    let outputs: Vec<Option<PathBuf>> = (found.inputs.iter().zip(&probed))
        .map(|(input, image)| Some(output_path(target, input, image.as_ref().ok()?)))
        .collect();
    let owners = claim(&found.inputs, &outputs);
    for ((input, probed), output) in found.inputs.iter().zip(probed).zip(outputs) {
        if !wanted(&input.path) {
            continue;
        }
        let text = name::to_text(&input.path);
        let ready = probed.and_then(|image| {
            let Some(output) = output else {
                unreachable!("what was probed has an output")
            };
            check_output(&output, input, &owners)?;
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
                match order(next(), text, &output, &image, settings, world, mode) {
                    Ok(order) => batch.orders.push(order),
                    Err(failed) => batch.failures.push(*failed),
                }
            }
        }
    }
    batch.choose_modes(world, mode, settings);
    batch.predict(world, settings);
    batch
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

fn output_path(target: &Target, input: &Input, image: &Probed) -> PathBuf {
    let directory = match target {
        Target::File(path) => return path.clone(),
        Target::Directory(path) => path,
    };
    let path = directory.join(&input.relative);
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    match extension {
        Some(e) if image.format.kind().extensions().contains(&e.as_str()) => path,
        _ => path.with_extension(image.format.kind().extensions()[0]),
    }
}

/// Which input each output belongs to: first those that keep their name, then in order.
fn claim(inputs: &[Input], outputs: &[Option<PathBuf>]) -> HashMap<PathBuf, PathBuf> {
    let mut owners = HashMap::new();
    for keeps_name in [true, false] {
        for (input, output) in inputs.iter().zip(outputs) {
            if let Some(output) = output
                && (output.extension() == input.path.extension()) == keeps_name
            {
                owners
                    .entry(output.clone())
                    .or_insert_with(|| input.path.clone());
            }
        }
    }
    owners
}

fn check_output(output: &Path, input: &Input, owners: &HashMap<PathBuf, PathBuf>) -> Result<()> {
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if same(output, &input.path) {
        return Err(Error::Io(
            "the output would replace this input (give another -o, so that the original stays)"
                .into(),
        ));
    }
    match owners.get(output) {
        Some(owner) if *owner != input.path => {
            let (output, owner) = (name::to_text(output), name::to_text(owner));
            Err(Error::Io(format!(
                "its output {output} is already that of {owner} (rename one, or run them apart)"
            )))
        }
        _ => Ok(()),
    }
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
    image: &Probed,
    settings: &Settings,
    world: World,
    mode: Mode,
) -> std::result::Result<Order, Box<Finished>> {
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
        memory: alone,
        shared_memory: shared,
        cost: image.plan.cost() + decode_ns + encode_ns,
        serial,
        size: (image.header.shape.cols, image.header.shape.rows),
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

impl Order {
    /// Whether all is done sooner when all ranks share this image, the costliest of what is left.
    /// `rest` is the work left with it, in nanoseconds of one core.
    pub(crate) fn gains(&self, rest: f64, world: World) -> bool {
        /// Rows also travel between the ranks.
        const TRAVEL: f64 = 1.25;
        /// Least gain for which it is worth it, as predictions are rough.
        const LEAST: f64 = 0.9;
        let slots = world.slots() as f64;
        let shared = match world.ranks {
            // Threads decode ahead and encode behind while others compute.
            1 => (self.serial / 2.0).max(self.cost / slots),
            _ => TRAVEL * self.serial + (self.cost - self.serial) / slots,
        };
        let alone = self.cost.max(rest / slots);
        shared + (rest - self.cost) / slots < LEAST * alone
    }
}

impl Batch {
    /// Costly images whose turn alone would outlast the rest go to all ranks together.
    fn choose_modes(&mut self, world: World, mode: Mode, settings: &Settings) {
        self.orders
            .sort_by(|a, b| b.cost.total_cmp(&a.cost).then(a.task.cmp(&b.task)));
        let slots = world.slots();
        let budget = settings
            .memory
            .map(|cap| cap.saturating_sub(world.base_bytes()));
        let mut rest: f64 = self.orders.iter().map(|o| o.cost).sum();
        let images = self.orders.len();
        let mut sharing = true;
        for order in &mut self.orders {
            let share = rest / slots as f64;
            let fits = budget.is_none_or(|budget| order.shared_memory <= budget);
            let (rows, reason) = match mode {
                Mode::Rows => (true, "asked for by --mode rows".into()),
                Mode::Images => (false, "asked for by --mode images".into()),
                Mode::Auto if slots == 1 => (false, "one rank with one thread".into()),
                Mode::Auto if !fits => {
                    (false, "sharing its rows would not fit into --memory".into())
                }
                Mode::Auto if sharing && order.cost > share && !order.gains(rest, world) => {
                    let what = match images {
                        1 => "the only image".to_owned(),
                        _ => format!("one of {images} images that would outlast the rest"),
                    };
                    let codec = 100.0 * order.serial / order.cost;
                    (
                        false,
                        format!(
                            "{what}, but decoding and encoding, {codec:.0} % of its work, cannot be shared"
                        ),
                    )
                }
                Mode::Auto if sharing && order.cost > share => {
                    let reason = match images {
                        1 => format!("the only image: its rows keep all {slots} workers busy"),
                        _ => format!(
                            "one of {images} images, but {:.0} % of the remaining work: alone it would outlast the rest",
                            100.0 * order.cost / rest
                        ),
                    };
                    (true, reason)
                }
                Mode::Auto => (
                    false,
                    format!("{images} images for {slots} workers: one image each"),
                ),
            };
            order.reason = reason;
            if rows {
                order.mode = Mode::Rows;
                order.memory = order.shared_memory;
                order.ranks = world.ranks;
                rest -= order.cost;
            } else {
                sharing = false;
            }
        }
        // Images by rows first: then the others fill up all ranks to the end.
        self.orders.sort_by_key(|o| o.mode != Mode::Rows);
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of `compute` and `serial` seconds among `others` seconds of small ones.
    fn gains(compute: f64, serial: f64, others: f64, ranks: usize, threads: usize) -> bool {
        let order = Order {
            task: 0,
            input: String::new(),
            output: String::new(),
            mode: Mode::Auto,
            reason: String::new(),
            ranks: 1,
            memory: 0,
            shared_memory: 0,
            cost: compute + serial,
            serial,
            size: (1, 1),
        };
        let world = World {
            ranks,
            threads,
            processes: ranks > 1,
        };
        order.gains(order.cost + others, world)
    }

    #[test]
    fn ranks_share_an_image_only_where_computing_is_what_takes_long() {
        assert!(gains(10.0, 1.0, 0.5, 2, 1));
        assert!(gains(10.0, 1.0, 0.0, 4, 1));
        // The others would wait for the decoder and the encoder of one rank.
        assert!(!gains(0.5, 3.0, 0.3, 2, 1));
        assert!(!gains(0.0, 1.0, 0.0, 2, 1));
    }

    #[test]
    fn threads_decode_and_encode_at_once_so_they_share_sooner() {
        assert!(gains(0.5, 3.0, 0.3, 1, 2));
        assert!(!gains(1.0, 1.0, 20.0, 1, 2));
    }
}
