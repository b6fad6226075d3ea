//! `sundog run`: a batch of images on this machine.

use crate::job_flags::{JobFlags, choice};
use crate::mpi::Start;
use crate::progress::{Show, Watcher};
use crate::{interrupt, mpi, output, receipts, resolve, world};
use clap::ValueEnum;
use client::exit::{Exit, Failure, Result};
use client::remote;
use client::settings::{self, Layers};
use protocol::Event;
use protocol::Size;
use protocol::name;
use protocol::state::{JobState, TaskState};
use serde_json::Value;
use std::path::{Path, PathBuf};
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

Exit codes: 0 all succeeded, 1 failed, 2 wrong usage, 3 some images failed,
4 a store cannot be reached, 5 refused by a limit, 130 interrupted. Operations: sundog ops")]
pub struct Args {
    /// Files, directories (recursive), globs; file://, s3:// and gs:// URLs of objects, prefixes, patterns
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Directory or URL prefix that keeps the relative path of each input; or, for one input, a file
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    job: JobFlags,
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
    /// Hard cap on memory, such as 512MiB
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// Leave outputs that exist alone
    #[arg(long)]
    skip_existing: bool,
    /// Outputs get the times of their inputs
    #[arg(long)]
    keep_times: bool,
    /// Outputs get the permissions of their inputs; without, they are never more readable
    #[arg(long)]
    keep_mode: bool,
    /// What a failed image means for the others [default: continue]
    #[arg(long, value_enum, value_name = "WHAT")]
    on_error: Option<OnError>,
    /// Run only what did not succeed according to this receipt
    #[arg(long, value_name = "RECEIPT", conflicts_with = "spec")]
    retry_failed: Option<PathBuf>,
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

#[derive(Clone, Copy, ValueEnum)]
enum OnError {
    /// The others go on
    Continue,
    /// No further image is begun
    Stop,
}

impl Args {
    /// The keys of a job that flags set.
    fn flags(&self) -> Vec<(&'static str, Value)> {
        let mut flags = self.job.flags();
        let own: [(&'static str, Option<Value>); 9] = [
            (
                "output",
                self.output.as_deref().map(|p| name::to_text(p).into()),
            ),
            ("threads", self.threads.map(Value::from)),
            ("ranks", self.ranks.map(Value::from)),
            ("thread_ranks", self.thread_ranks.map(Value::from)),
            ("limits.memory", self.memory.map(|v| v.to_string().into())),
            ("skip_existing", self.skip_existing.then_some(true.into())),
            ("keep_times", self.keep_times.then_some(true.into())),
            ("keep_mode", self.keep_mode.then_some(true.into())),
            ("on_error", self.on_error.map(choice)),
        ];
        flags.extend(own.into_iter().filter_map(|(k, v)| Some((k, v?))));
        if !self.inputs.is_empty() {
            let inputs = self.inputs.iter().map(|p| Value::from(name::to_text(p)));
            flags.push(("inputs", inputs.collect()));
        }
        flags
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
        spec: args.job.spec.as_deref(),
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
        true => receipts::read(&batch::receipt_path(&job.output)).ok(),
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
    let finish = |path: &Path| match &earlier {
        Some(earlier) => receipts::carry_over(earlier, path, retried.is_some()),
        None => Ok(()),
    };
    let outcome = drive(&request, &layers, &start, show, &finish)?;
    if show == Show::Human && !request.dry_run {
        summary(&outcome, began.elapsed());
    }
    Ok(exit(&outcome))
}

/// Runs a request on the world that its job asks for; `finish` completes its receipt.
pub fn drive(
    request: &Request,
    layers: &Layers,
    start: &Start,
    show: Show,
    finish: &dyn Fn(&Path) -> Result<()>,
) -> Result<Outcome> {
    let stop = interrupt::stop();
    let mut watcher = Watcher::new(show);
    let mut emit = |event: Event| watcher.event(&event);
    let mut go = |request: &Request, emit: &mut (dyn FnMut(Event) + Send)| match request.job.ranks {
        Some(ranks) => mpi::run(request, ranks, start, &stop, &mut |event| emit(event)),
        None => Ok(worker::here::run(request, &stop, emit)?),
    };
    let result = match remote::concerns(&request.job) {
        true => client::services(layers).and_then(|config| {
            let around = remote::Around {
                folder: &interrupt::remove_at_once,
                finish,
            };
            remote::run(request, &config, &stop, &mut go, &around, &mut emit)
        }),
        false => go(request, &mut emit).and_then(|outcome| {
            outcome.receipt.as_deref().map_or(Ok(()), finish)?;
            Ok(outcome)
        }),
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
    text += &output::warnings(counts.warnings);
    text += &output::passed_over(&outcome.passed_over);
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
