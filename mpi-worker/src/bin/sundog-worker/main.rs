//! The worker: a rank under `mpirun` or `srun`. The only code that links MPI.
//!
//! `sundog-worker run JOBFILE` needs no service; `sundog-worker serve-one` is how `sundog` starts it,
//! `sundog-worker serve` how a dispatcher keeps a world warm.

mod comm;
mod serve;

use imaging::Error;
use imaging::comm::{Comm, agree};
use imaging::executor::Stop;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use worker::batch::{self, Request};
use worker::mpirun::{Ask, Line};
use worker::{bench, jobfile};

const USAGE: &str = "usage: mpirun -n RANKS sundog-worker run JOBFILE [--threads N] [--json]
       runs a job file on the ranks of this world, without any service; see `sundog run --help`";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--version"] => {
            say(concat!("sundog-worker ", env!("CARGO_PKG_VERSION")));
            return ExitCode::SUCCESS;
        }
        ["--help" | "-h"] => {
            say(USAGE);
            return ExitCode::SUCCESS;
        }
        ["serve-one"] | ["conformance"] | ["run", _, ..] => {}
        ["serve"] | ["serve", "--threads", _] | ["serve", "--threads", _, "--line", _] => {
            serve::die_with_parent();
        }
        _ => {
            complain(USAGE);
            return ExitCode::from(2);
        }
    }
    if let Err(error) = simd_override() {
        complain(&error);
        return ExitCode::from(2);
    }
    worker::atomic::survive_file_size_limit();
    let comm = comm::Mpi::start();
    let stop = Stop::default();
    stop_on_signals(&stop);
    let code = match arguments[0].as_str() {
        "conformance" => {
            imaging::comm::conformance::all(&comm);
            0
        }
        "serve-one" => serve_one(&comm, &stop),
        "serve" => match threads(arguments.get(2)) {
            Ok(threads) => serve::run(&comm, threads, arguments.get(4), &stop),
            Err(error) => {
                complain(&format!("error: {error}"));
                2
            }
        },
        _ => run(&comm, &arguments[1..], &stop),
    };
    ExitCode::from(code)
}

fn simd_override() -> Result<(), String> {
    match std::env::var("SUNDOG_SIMD") {
        Ok(name) => imaging::simd::force_named(&name),
        Err(_) => Ok(()),
    }
}

/// SIGINT and SIGTERM end the batch in order: files in work are cleaned up, the rest is cancelled.
fn stop_on_signals(stop: &Stop) {
    let stop = stop.clone();
    let signals = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
    if let Ok(mut signals) = signal_hook::iterator::Signals::new(signals) {
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                stop.set();
            }
        });
    }
}

fn serve_one(comm: &comm::Mpi, stop: &Stop) -> u8 {
    let mut text = Vec::new();
    if comm.rank() == 0 {
        text = first_line(stop);
    }
    comm.broadcast(0, &mut text);
    let ask: Ask = match serde_json::from_slice(&text) {
        Ok(ask) => ask,
        Err(error) => {
            if comm.rank() == 0 {
                answer(&Line::error(&Error::Io(format!(
                    "the request could not be read: {error}"
                ))));
            }
            return 2;
        }
    };
    let line = match ask {
        Ask::Bench(request) => bench::run(comm, &request).map(Line::Bench),
        Ask::Batch(request, threads) => {
            let mut emit = |event| {
                if comm.rank() == 0 {
                    answer(&Line::Event(event));
                }
            };
            batch::run(comm, Some(&request), threads, true, stop, &mut emit).map(Line::Outcome)
        }
    };
    if comm.rank() == 0 {
        answer(&line.unwrap_or_else(|error| Line::error(&error)));
    }
    0
}

/// The request; the end of the input after it means: stop.
fn first_line(stop: &Stop) -> Vec<u8> {
    let mut text = Vec::new();
    let _ = std::io::stdin().lock().read_until(b'\n', &mut text);
    let stop = stop.clone();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        while matches!(
            std::io::stdin().lock().read_until(b'\n', &mut rest),
            Ok(1..)
        ) {}
        stop.set();
    });
    text
}

fn answer(line: &Line) {
    if let Ok(text) = serde_json::to_string(line) {
        say(&text);
    }
}

fn run(comm: &comm::Mpi, arguments: &[String], stop: &Stop) -> u8 {
    let prepared = agree(comm, prepare(arguments));
    let (job, threads, json) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            if comm.rank() == 0 {
                complain(&format!("error: {error}"));
            }
            return 2;
        }
    };
    let request = Request {
        job_id: batch::new_job_id(),
        job,
        only: None,
        dry_run: false,
        elsewhere: None,
        commit: None,
    };
    let mut emit = |event: protocol::Event| {
        if comm.rank() != 0 {
        } else if json {
            say(&serde_json::to_string(&event).unwrap_or_default());
        } else if let protocol::Event::Warning(warned) = &event {
            complain(&format!("warning: {}: {}", warned.input, warned.text));
        } else if let protocol::Event::TaskFinished(task) = &event
            && let Some(reason) = &task.reason
        {
            complain(&format!("{}: {reason}", task.input));
        }
    };
    match batch::run(comm, Some(&request), threads, true, stop, &mut emit) {
        Err(error) => {
            if comm.rank() == 0 {
                complain(&format!("error: {error}"));
            }
            if matches!(error, Error::Pipeline(_)) {
                2
            } else {
                1
            }
        }
        Ok(outcome) => {
            if comm.rank() == 0 && !json {
                let counts = outcome.counts;
                let receipt = outcome
                    .receipt
                    .as_ref()
                    .map(|p| p.display().to_string())
                    .unwrap_or_default();
                say(&format!(
                    "{}: {} succeeded, {} failed on {} ranks; receipt: {receipt}",
                    outcome.state,
                    counts.succeeded,
                    counts.failed,
                    comm.size()
                ));
            }
            // mpirun reports a rank's code as a crash of the job; only rank 0 speaks for all.
            if comm.rank() == 0 {
                outcome.exit_code()
            } else {
                0
            }
        }
    }
}

fn prepare(arguments: &[String]) -> Result<(protocol::Job, usize, bool), Error> {
    let mut job = jobfile::read::<protocol::Job>(std::path::Path::new(&arguments[0]))
        .map_err(Error::Pipeline)?
        .typed;
    worker::color::embed(&mut job)?;
    let (mut threads, mut json) = (job.threads.unwrap_or(1), false);
    let mut rest = arguments[1..].iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--threads" => threads = self::threads(Some(rest.next().unwrap_or(&String::new())))?,
            other => {
                return Err(Error::Pipeline(format!(
                    "unexpected argument `{other}`\n{USAGE}"
                )));
            }
        }
    }
    Ok((job, threads, json))
}

/// The value of `--threads`; without the flag it is 1.
fn threads(text: Option<&String>) -> Result<usize, Error> {
    let Some(text) = text else { return Ok(1) };
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| Error::Pipeline("--threads takes a number of at least 1".into()))
}

fn say(text: &str) {
    // A reader that went away is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
