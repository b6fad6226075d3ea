//! Hands a request to ranks under `mpirun`.

use client::exit::{Exit, Failure, Result};
use client::settings::Layers;
use imaging::executor::Stop;
use protocol::Event;
use std::path::{Path, PathBuf};
use worker::batch::{Outcome, Request};
use worker::bench;
use worker::here::threads_each;
use worker::mpirun::{Ask, Launcher, Line, in_path, is_executable};

/// What starts the ranks, from flags over settings.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The `mpirun` to use; the one on the PATH without.
    pub mpirun: Option<PathBuf>,
    /// Machines to run on; this one without.
    pub hostfile: Option<PathBuf>,
}

impl Start {
    /// Flags over settings.
    pub fn new(layers: &Layers, mpirun: Option<PathBuf>, hostfile: Option<PathBuf>) -> Start {
        let setting = |key| layers.text(key).map(PathBuf::from);
        Start {
            mpirun: mpirun.or_else(|| setting("mpirun")),
            hostfile: hostfile.or_else(|| setting("hostfile")),
        }
    }

    /// A launcher for that many ranks.
    pub fn launcher(&self, ranks: usize) -> Result<Launcher> {
        if let Some(hostfile) = self.hostfile.as_ref().filter(|f| !f.is_file()) {
            let name = hostfile.display();
            return Err(Failure::usage(format!(
                "--hostfile {name}: there is no such file"
            )));
        }
        if let Some(mpirun) = self.mpirun.as_ref().filter(|f| !is_program(f)) {
            return Err(Failure::usage(format!(
                "--mpirun {}: there is no such program (name Open MPI's mpirun, or use --thread-ranks, which needs no MPI)",
                mpirun.display()
            )));
        }
        Ok(Launcher::find(
            self.mpirun.clone(),
            ranks,
            self.hostfile.clone(),
        )?)
    }

    /// Threads of each rank: on several machines one, unless asked for more.
    fn threads(&self, asked: Option<usize>, ranks: usize) -> usize {
        match self.hostfile {
            Some(_) => asked.unwrap_or(1),
            None => threads_each(asked, ranks),
        }
    }
}

/// A path of an executable file, or a bare name that the PATH may know.
fn is_program(path: &Path) -> bool {
    match path.components().count() {
        1 => path.to_str().is_some_and(|name| in_path(name).is_some()),
        _ => is_executable(path),
    }
}

/// Runs a job on `ranks` ranks.
pub fn run(
    request: &Request,
    ranks: usize,
    start: &Start,
    stop: &Stop,
    emit: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let threads = start.threads(request.job.threads, ranks);
    let mut outcome = None;
    ask(
        start,
        ranks,
        &Ask::Batch(Box::new(request.clone()), threads),
        stop,
        &mut |line| match line {
            Line::Event(event) => emit(event),
            Line::Outcome(end) => outcome = Some(end),
            _ => {}
        },
    )?;
    outcome.ok_or_else(no_answer)
}

/// Times a pipeline on `ranks` ranks.
pub fn bench(
    mut request: bench::Request,
    threads: Option<usize>,
    ranks: usize,
    start: &Start,
    stop: &Stop,
) -> Result<bench::Report> {
    request.threads = start.threads(threads, ranks);
    let mut report = None;
    ask(start, ranks, &Ask::Bench(request), stop, &mut |line| {
        if let Line::Bench(figures) = line {
            report = Some(figures);
        }
    })?;
    report.ok_or_else(no_answer)
}

fn ask(
    start: &Start,
    ranks: usize,
    ask: &Ask,
    stop: &Stop,
    line: &mut dyn FnMut(Line),
) -> Result<()> {
    let mut error = None;
    let followed = start
        .launcher(ranks)?
        .start(ask)?
        .follow(&|| stop.is_set(), &mut |answer| match answer {
            Line::Error { message, usage } => {
                let exit = if usage { Exit::Usage } else { Exit::Failed };
                error = Some(Failure { exit, message });
            }
            answer => line(answer),
        });
    match error {
        Some(failure) => Err(failure),
        None => Ok(followed?),
    }
}

fn no_answer() -> Failure {
    Failure::failed("the ranks ended without an answer (check the set-up: sundog doctor)")
}
