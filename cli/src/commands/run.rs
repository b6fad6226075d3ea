//! `sundog run`: a batch of images on this machine.

use crate::exit::{Exit, Failure, Result};
use crate::mpi::Start;
use crate::progress::{Show, Watcher};
use crate::{interrupt, mpi, output, receipts, resolve, settings, world};
use clap::ValueEnum;
use protocol::Size;
use protocol::name;
use protocol::state::{JobState, TaskState};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use worker::batch::{self, Outcome, Request};

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog run photos/ -o out/ -p 'equalize | gaussian(sigma=2)'
  sundog run scan.tif -o scan.png
  sundog run --spec job.toml --ranks 4
  sundog run photos/ -o out/ --retry-failed out/sundog-receipt.json

Exit codes: 0 all succeeded, 1 failed, 2 wrong usage, 3 some images failed, 5 refused by a limit,
130 interrupted. Operations: sundog ops")]
pub struct Args {
    /// Files, directories (recursive), globs; file:// URLs
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Directory that keeps the relative path of each input; or, for one input, a file
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Operations in order: 'op(param=value, …) | op …'; without: only convert
    #[arg(short, long, value_name = "PIPELINE")]
    pipeline: Option<String>,
    /// A job file (TOML, YAML or JSON); flags override it
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// A name for the job
    #[arg(long)]
    name: Option<String>,
    /// jpeg(quality=90,subsampling=420), png(compression=fast), tiff(compression=deflate),
    /// webp(quality=80) or webp(lossless), bmp, pnm; default: the input's
    #[arg(long, value_name = "F")]
    format: Option<String>,
    /// Threads of each rank [default: all cores, shared by the ranks]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Run on N ranks of mpirun instead of threads
    #[arg(long, value_name = "N", conflicts_with = "thread_ranks")]
    ranks: Option<usize>,
    /// Machines for mpirun
    #[arg(long, value_name = "FILE")]
    hostfile: Option<PathBuf>,
    /// The mpirun to use
    #[arg(long, value_name = "PATH")]
    mpirun: Option<PathBuf>,
    /// Run N ranks as threads of this process (the same decomposition, no MPI)
    #[arg(long, value_name = "N")]
    thread_ranks: Option<usize>,
    /// How images are spread over ranks [default: auto]
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,
    /// Hard cap on memory, such as 512MiB
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// Largest number of pixels of one image [default: 500 million]
    #[arg(long, value_name = "N", value_parser = count)]
    max_pixels: Option<u64>,
    /// Largest input file, such as 64MiB
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<Size>,
    /// Longest time for one image, such as 30s, 500ms or 2m
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    timeout: Option<f64>,
    /// Leave outputs that exist alone
    #[arg(long)]
    skip_existing: bool,
    /// What a failed image means for the others [default: continue]
    #[arg(long, value_enum, value_name = "WHAT")]
    on_error: Option<OnError>,
    /// Run only what did not succeed according to this receipt
    #[arg(long, value_name = "RECEIPT", conflicts_with = "spec")]
    retry_failed: Option<PathBuf>,
    /// Metadata that outputs keep [default: all]
    #[arg(long, value_enum, value_name = "WHICH")]
    keep_metadata: Option<KeepMetadata>,
    /// Print the plan and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object per line on stdout
    #[arg(long)]
    json: bool,
    /// Print failures alone
    #[arg(short, long)]
    quiet: bool,
}

/// How images are spread over ranks.
#[derive(Clone, Copy, ValueEnum)]
pub enum Mode {
    /// Chosen per image
    Auto,
    /// A rank per image
    Images,
    /// All ranks share each image
    Rows,
}

#[derive(Clone, Copy, ValueEnum)]
enum OnError {
    /// The others go on
    Continue,
    /// No further image is begun
    Stop,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeepMetadata {
    /// ICC profile and EXIF
    All,
    /// None
    None,
    /// The ICC profile alone
    Icc,
}

/// The name of a choice, as in a job file.
fn choice(value: impl ValueEnum) -> Value {
    let name = value.to_possible_value().map(|v| v.get_name().to_owned());
    name.map_or(Value::Null, Value::String)
}

/// A whole number; underscores may group its digits.
fn count(text: &str) -> std::result::Result<u64, String> {
    let digits = text.replace('_', "");
    digits.parse().map_err(|_| "not a whole number".into())
}

/// A time with its unit; seconds without.
fn seconds(text: &str) -> std::result::Result<f64, String> {
    let units = [
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
        ("", 1.0),
    ];
    let found = units
        .iter()
        .find_map(|(u, scale)| Some((text.strip_suffix(u)?, scale)));
    let (number, scale) = found.unwrap_or((text, &1.0));
    match number.trim().parse::<f64>() {
        Ok(v) if v > 0.0 && v.is_finite() => Ok(v * scale),
        _ => Err("not a time above 0, such as 30s, 500ms or 2m".into()),
    }
}

impl Args {
    /// The keys of a job that flags set.
    fn flags(&self) -> Vec<(&'static str, Value)> {
        let mut flags: Vec<(&'static str, Option<Value>)> = vec![
            (
                "output",
                self.output.as_deref().map(|p| name::to_text(p).into()),
            ),
            ("pipeline", self.pipeline.clone().map(Value::from)),
            ("name", self.name.clone().map(Value::from)),
            ("format", self.format.clone().map(Value::from)),
            ("threads", self.threads.map(Value::from)),
            ("ranks", self.ranks.map(Value::from)),
            ("thread_ranks", self.thread_ranks.map(Value::from)),
            ("mode", self.mode.map(choice)),
            ("limits.memory", self.memory.map(|v| v.to_string().into())),
            ("limits.max_pixels", self.max_pixels.map(Value::from)),
            (
                "limits.max_bytes",
                self.max_bytes.map(|v| v.to_string().into()),
            ),
            ("limits.timeout_secs", self.timeout.map(Value::from)),
            ("skip_existing", self.skip_existing.then_some(true.into())),
            ("on_error", self.on_error.map(choice)),
            ("keep_metadata", self.keep_metadata.map(choice)),
        ];
        if !self.inputs.is_empty() {
            let inputs = self.inputs.iter().map(|p| Value::from(name::to_text(p)));
            flags.push(("inputs", Some(inputs.collect())));
        }
        flags
            .into_iter()
            .filter_map(|(k, v)| Some((k, v?)))
            .collect()
    }
}

/// Runs the batch.
pub fn run(args: Args) -> Result {
    let layers = settings::load()?;
    let retried = args
        .retry_failed
        .as_deref()
        .map(receipts::read)
        .transpose()?;
    let job = resolve::job(&resolve::Request {
        layers: &layers,
        spec: args.spec.as_deref(),
        base: retried.as_ref().map(|r| &r.spec),
        flags: args.flags(),
    })?;
    if job.inputs.is_empty() {
        return Err(Failure::usage(
            "no inputs are named (give files, directories or globs, or --spec FILE)",
        ));
    }
    if job.output.is_empty() {
        return Err(Failure::usage(
            "no output is named (give -o DIRECTORY or -o FILE)",
        ));
    }
    if job.ranks.is_none() {
        let unused = [
            ("--mpirun", args.mpirun.is_some()),
            ("--hostfile", args.hostfile.is_some()),
        ];
        if let Some((flag, _)) = unused.iter().find(|(_, given)| *given) {
            return Err(Failure::usage(format!(
                "{flag} is for ranks of mpirun, and no number of them is given (add --ranks N)"
            )));
        }
    }
    // What an earlier run did goes on being in the receipt.
    let earlier = match args.skip_existing {
        true => receipts::read(&batch::receipt_path(&job)).ok(),
        false => retried.clone(),
    };
    let mut request = world::request(job);
    request.dry_run = args.dry_run;
    if let Some(receipt) = &retried {
        let failed = receipt
            .tasks
            .iter()
            .filter(|t| t.state != TaskState::Succeeded);
        let only: Vec<String> = failed.map(|t| t.input.clone()).collect();
        if only.is_empty() {
            output::message("nothing to retry: every image of that receipt succeeded");
            return Ok(Exit::Ok);
        }
        request.only = Some(only);
    }
    let show = match (args.json, args.quiet) {
        (true, _) => Show::Json,
        (_, true) => Show::Quiet,
        _ => Show::Human,
    };
    let start = Start::new(&layers, args.mpirun, args.hostfile);
    let began = Instant::now();
    let outcome = drive(&request, &start, show)?;
    if let (Some(earlier), Some(path)) = (&earlier, &outcome.receipt) {
        receipts::carry_over(earlier, path, retried.is_some())?;
    }
    if show == Show::Human && !request.dry_run {
        summary(&outcome, began.elapsed());
    }
    Ok(exit(&outcome))
}

/// Runs a request on the world that its job asks for.
pub fn drive(request: &Request, start: &Start, show: Show) -> Result<Outcome> {
    let stop = interrupt::stop();
    let mut watcher = Watcher::new(show);
    let result = match request.job.ranks {
        Some(ranks) => mpi::run(request, ranks, start, &stop, &mut |e| watcher.event(&e)),
        None => world::run_here(request, &stop, &mut |e| watcher.event(&e)),
    };
    watcher.close();
    result
}

/// The exit code of a batch.
pub fn exit(outcome: &Outcome) -> Exit {
    match outcome.state {
        _ if interrupt::happened() => Exit::Interrupted,
        JobState::Succeeded => Exit::Ok,
        JobState::Partial => Exit::Some,
        JobState::Cancelled => Exit::Interrupted,
        _ if outcome.refused => Exit::Refused,
        _ => Exit::Failed,
    }
}

fn summary(outcome: &Outcome, elapsed: Duration) {
    let counts = &outcome.counts;
    let secs = elapsed.as_secs_f64();
    let done = counts.succeeded - counts.skipped;
    let mut text = match counts.tasks {
        0 => "nothing to do: no input is an image".to_owned(),
        1 if done == 1 => format!("1 image in {secs:.2} s"),
        n => format!(
            "{done} of {n} images in {secs:.2} s ({:.1}/s)",
            done as f64 / secs.max(1e-9)
        ),
    };
    let parts = [
        (counts.skipped, "left alone, as the output exists"),
        (counts.failed, "failed"),
        (counts.rejected, "refused by a limit"),
        (counts.cancelled, "not done"),
    ];
    for (count, what) in parts {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    if let Some(receipt) = &outcome.receipt {
        text += &format!("; receipt: {}", receipt.display());
    }
    output::message(&text);
    if let Some(receipt) = outcome
        .receipt
        .as_ref()
        .filter(|_| counts.failed + counts.cancelled > 0)
    {
        output::message(&format!(
            "run what is left again: sundog run --retry-failed {}",
            receipt.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("30"), Ok(30.0));
        assert_eq!(seconds("30s"), Ok(30.0));
        assert_eq!(seconds("500ms"), Ok(0.5));
        assert_eq!(seconds("2m"), Ok(120.0));
        for wrong in ["", "0", "-1s", "soon", "inf"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
