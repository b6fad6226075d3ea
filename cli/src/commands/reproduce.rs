//! `sundog reproduce`: the same job again from its inputs, every hash compared.

use crate::mpi::Start;
use crate::progress::Show;
use crate::{output, receipts, world};
use client::exit::{Exit, Failure, Result};
use client::settings;
use protocol::state::TaskState;
use protocol::{TaskReceipt, name};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Options.
#[derive(clap::Args)]
#[command(
    after_help = "The number of ranks and threads may differ from the first run: the bytes do not depend on it."
)]
pub struct Args {
    /// A job's receipt, or the directory that holds it
    receipt: PathBuf,
    /// Threads of each rank
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Run on N ranks of mpirun
    #[arg(long, value_name = "N", conflicts_with = "thread_ranks")]
    ranks: Option<usize>,
    /// Run N ranks as threads of this process
    #[arg(long, value_name = "N")]
    thread_ranks: Option<usize>,
    /// Print one JSON object per output
    #[arg(long)]
    json: bool,
}

/// Runs the job into a temporary directory; exit code 1 names the outputs that differ.
pub fn run(args: Args) -> Result {
    let layers = settings::load()?;
    let first = receipts::read(&args.receipt)?;
    let scratch = tempfile::Builder::new()
        .prefix("sundog-reproduce-")
        .tempdir()
        .map_err(|e| {
            Failure::failed(format!(
                "cannot make a temporary directory: {e} (hint: set TMPDIR)"
            ))
        })?;
    let mut job = first.spec.clone();
    job.output = name::to_text(&place(&first.spec.output, &first.tasks, scratch.path()));
    job.skip_existing = false;
    if args.ranks.is_some() || args.thread_ranks.is_some() {
        (job.ranks, job.thread_ranks) = (args.ranks, args.thread_ranks);
    }
    job.threads = args.threads.or(job.threads);
    let mut request = world::request(job);
    request.only = Some(first.tasks.iter().map(|t| t.input.clone()).collect());
    let start = Start::new(&layers, None, None);
    let show = if args.json { Show::Silent } else { Show::Human };
    let outcome = super::run::drive(&request, &layers, &start, show, &|_| Ok(()))?;
    if crate::interrupt::happened() {
        return Ok(Exit::Interrupted);
    }
    let Some(path) = outcome.receipt else {
        return Err(Failure::failed("the second run left no receipt"));
    };
    let second = receipts::read(&path)?;
    let again: BTreeMap<&str, &TaskReceipt> =
        second.tasks.iter().map(|t| (t.input.as_str(), t)).collect();
    let (mut same, mut wrong) = (0, 0);
    for task in first
        .tasks
        .iter()
        .filter(|t| t.state == TaskState::Succeeded && !t.skipped)
    {
        let reason = difference(task, again.get(task.input.as_str()).copied());
        if args.json {
            output::json(
                &json!({"input": task.input, "output": task.output, "same": reason.is_none(), "reason": reason}),
            );
        }
        match reason {
            None => same += 1,
            Some(reason) => {
                wrong += 1;
                if !args.json {
                    output::message(&format!(
                        "{}: {}: {reason}",
                        output::red("differs"),
                        task.input
                    ));
                }
            }
        }
    }
    if !args.json {
        output::message(&format!(
            "{same} of {} outputs came out the same",
            same + wrong
        ));
    }
    Ok(if wrong == 0 { Exit::Ok } else { Exit::Failed })
}

/// Where the second run writes: a file where the first one did.
fn place(output: &str, tasks: &[TaskReceipt], scratch: &Path) -> PathBuf {
    let single = tasks.len() == 1 && tasks[0].output.as_deref() == Some(output);
    let file = single
        .then(|| name::to_path(output))
        .and_then(|p| Some(p.file_name()?.to_owned()));
    match file {
        Some(file) => scratch.join(file),
        None => scratch.to_owned(),
    }
}

/// How what came of a task differs from what came of it before.
pub fn difference(first: &TaskReceipt, second: Option<&TaskReceipt>) -> Option<String> {
    let Some(second) = second else {
        return Some("the input is no longer there".into());
    };
    if second.state != TaskState::Succeeded {
        let reason = second.reason.as_deref().unwrap_or("no reason is known");
        return Some(format!("it failed this time: {reason}"));
    }
    if first.input_sha256.is_some() && first.input_sha256 != second.input_sha256 {
        return Some("the input was changed since".into());
    }
    let hashes = |task: &TaskReceipt| -> Vec<Option<String>> {
        let outputs = task.outputs().into_iter();
        outputs.map(|o| o.sha256.map(str::to_owned)).collect()
    };
    let (first, second) = (hashes(first), hashes(second));
    if first.len() != second.len() {
        let (before, now) = (first.len(), second.len());
        return Some(format!("it came to {now} outputs instead of {before}"));
    }
    (first != second).then(|| "the output's bytes differ".into())
}
