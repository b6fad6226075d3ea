//! `sundog reduce`: many files of one shape into one, index by index.

use crate::mpi::Start;
use crate::progress::Show;
use crate::{output, resolve, world};
use clap::ValueEnum;
use client::exit::Result;
use client::settings;
use protocol::name;
use protocol::receipt::JobReceipt;
use protocol::state::JobState;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog reduce mean run1.npy run2.npy run3.npy -o mean.npy
  sundog reduce median frames/*.tif -o background.tif
  sundog reduce sum counts/*.csv -o total.csv --ranks 4")]
pub struct Args {
    /// What is computed at every index
    #[arg(value_enum)]
    op: Op,
    /// Text or CSV numbers, .npy arrays or images, all of one shape
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// .txt, .csv, .npy or an image
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Samples of an output that is an image: as the inputs' without; 32f keeps what a stack gains in depth
    #[arg(long, value_name = "8|16|32f", value_parser = ["8", "16", "32f"])]
    bits: Option<String>,
    /// Files or partial results that one step of the tree takes
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    fan_in: u32,
    /// Files held open at once
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_open_files: u32,
    /// Run on N ranks of mpirun
    #[arg(long, value_name = "N", conflicts_with = "thread_ranks")]
    ranks: Option<usize>,
    /// Run N ranks as threads of this process
    #[arg(long, value_name = "N")]
    thread_ranks: Option<usize>,
    /// Machines for mpirun
    #[arg(long, value_name = "FILE")]
    hostfile: Option<PathBuf>,
    /// The mpirun to use
    #[arg(long, value_name = "PATH")]
    mpirun: Option<PathBuf>,
    /// Threads of each rank
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Hard cap on memory, such as 512MiB
    #[arg(long, value_name = "SIZE")]
    memory: Option<protocol::Size>,
    /// Print one JSON object per line on stdout
    #[arg(long)]
    json: bool,
    /// Print failures alone
    #[arg(short, long)]
    quiet: bool,
}

/// What a reduction computes.
#[derive(Clone, Copy, ValueEnum)]
pub enum Op {
    /// Arithmetic mean
    Mean,
    /// Sum
    Sum,
    /// Least
    Min,
    /// Greatest
    Max,
    /// Population standard deviation
    Std,
    /// Median
    Median,
}

/// Runs the reduction.
pub fn run(args: Args) -> Result {
    let layers = settings::load()?;
    let inputs = args.files.iter().map(|p| Value::from(name::to_text(p)));
    let mut flags = vec![
        ("inputs", inputs.collect()),
        ("output", name::to_text(&args.output).into()),
        ("reduce.op", args.op.name().into()),
        ("reduce.fan_in", args.fan_in.into()),
        ("reduce.max_open_files", args.max_open_files.into()),
    ];
    flags.extend(args.bits.map(|bits| ("reduce.bits", bits.into())));
    flags.extend(args.ranks.map(|n| ("ranks", n.into())));
    flags.extend(args.thread_ranks.map(|n| ("thread_ranks", n.into())));
    flags.extend(args.threads.map(|n| ("threads", n.into())));
    flags.extend(args.memory.map(|m| ("limits.memory", m.to_string().into())));
    let job = resolve::job(&resolve::Request {
        layers: &layers,
        spec: None,
        base: None,
        flags,
    })?;
    let show = match (args.json, args.quiet) {
        (true, _) => Show::Json,
        (_, true) => Show::Quiet,
        _ => Show::Human,
    };
    let start = Start::new(&layers, args.mpirun, args.hostfile);
    let began = Instant::now();
    let outcome = super::run::drive(&world::request(job), &layers, &start, show, &|_| Ok(()))?;
    if let (Show::Human, JobState::Succeeded, Some(receipt)) =
        (show, outcome.state, &outcome.receipt)
    {
        output::message(&format!(
            "{} of {} in {:.2} s; receipt: {}",
            args.op.name(),
            entered(receipt),
            began.elapsed().as_secs_f64(),
            receipt.display()
        ));
    }
    Ok(super::run::exit(&outcome))
}

/// What entered, as the receipt says: a pattern or a directory may stand for many files, and a file for many pages.
fn entered(receipt: &Path) -> String {
    let task = std::fs::read(receipt)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<JobReceipt>(&bytes).ok())
        .and_then(|receipt| receipt.tasks.into_iter().next());
    task.map_or_else(|| "files".into(), |task| task.input)
}

impl Op {
    /// As job files call it.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or(String::new(), |v| v.get_name().to_owned())
    }
}
