//! Runs of this computer: the batch of `sundog run`, on threads or under `mpirun`.

use super::objects::{Services, url_of};
use super::{News, Post, spawn};
use crate::state::run::{Ended, Run};
use client::remote;
use imaging::executor::{Stop, guarded};
use imaging::{Error, Result};
use protocol::event::TaskFinished;
use protocol::state::TaskState;
use protocol::{Event, Job, name};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use worker::batch::{Outcome, Request};
use worker::here;
use worker::mpirun::{Ask, Launcher, Line};

/// Whether a run begins nothing more for now. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Hold(Arc<(Mutex<bool>, Condvar)>);

impl Hold {
    /// Begins nothing more, or goes on.
    pub fn set(&self, held: bool) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = held;
        self.0.1.notify_all();
    }

    /// Waits until it goes on, or is to end. Whoever hands out images waits here, so those that are being worked on come to
    /// their end, and no other begins.
    fn wait(&self, stop: &Stop) {
        const LOOK: Duration = Duration::from_millis(100);
        let mut held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *held && !stop.is_set() {
            let waited = self.0.1.wait_timeout(held, LOOK);
            held = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A request for a whole job.
pub fn request(job: Job) -> Request {
    here::request(job, option_env!("SUNDOG_COMMIT"))
}

/// Runs a job on `ranks` ranks of `mpirun`.
fn under_mpirun(
    request: &Request,
    ranks: usize,
    stop: &Stop,
    emit: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let each = here::threads_each(request.job.threads, ranks);
    let ask = Ask::Batch(Box::new(request.clone()), each);
    let (mut outcome, mut wrong) = (None, None);
    let world = Launcher::find(None, ranks, None)?.start(&ask)?;
    world.follow(&|| stop.is_set(), &mut |line| match line {
        Line::Event(event) => emit(event),
        Line::Outcome(end) => outcome = Some(end),
        Line::Error { message, .. } => wrong = Some(message),
        Line::Bench(_) => {}
    })?;
    match (outcome, wrong) {
        (Some(outcome), None) => Ok(outcome),
        (_, Some(message)) => Err(Error::Io(message)),
        (None, None) => Err(Error::Io(
            "the ranks ended without an answer (check the set-up: sundog doctor)".into(),
        )),
    }
}

/// Runs a request on this computer, as `sundog run` does: objects behind URLs are fetched first, and outputs of a store
/// are sent there.
pub fn carry_out(
    request: &Request,
    services: &Services,
    stop: &Stop,
    emit: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome> {
    let go = |request: &Request, emit: &mut (dyn FnMut(Event) + Send)| match request.job.ranks {
        Some(ranks) => under_mpirun(request, ranks, stop, &mut |event| emit(event)),
        None => here::run(request, stop, emit),
    };
    if !remote::concerns(&request.job) {
        return go(request, emit);
    }
    let config = services.config().map_err(Error::Io)?;
    let around = remote::Around {
        folder: &|_| {},
        finish: &|_| Ok(()),
    };
    let mut go = |request: &Request, emit: &mut (dyn FnMut(Event) + Send)| Ok(go(request, emit)?);
    let outcome = remote::run(request, &config, stop, &mut go, &around, emit);
    outcome.map_err(|failure| Error::Io(failure.message))
}

/// Starts a run; `only` are the inputs of a retry.
pub fn start(
    post: &Post,
    job: Job,
    only: Option<Vec<String>>,
    by_path: Arc<HashMap<String, u64>>,
    stop: Stop,
    hold: Hold,
    services: Services,
) {
    spawn(post, "run", move |post| {
        worker::atomic::survive_file_size_limit();
        let mut request = request(job);
        request.only = only;
        let mut emit = |event: Event| {
            let news = match event {
                Event::JobStarted(e) => News::Started(e.tasks, e.cost),
                Event::TaskStarted(e) => News::TaskStarted(e.task, e.input, e.cost),
                Event::TaskFinished(e) => News::TaskEnded(e.task, Box::new(ended(e, &by_path))),
                _ => return,
            };
            post.send(news);
            hold.wait(&stop);
        };
        let outcome = guarded(|| carry_out(&request, &services, &stop, &mut emit));
        post.send(News::Ended(match outcome {
            Ok(outcome) => Ok((outcome.state, outcome.receipt)),
            Err(error) => Err(error.to_string()),
        }));
    });
}

fn ended(event: TaskFinished, by_path: &HashMap<String, u64>) -> Ended {
    let outputs = match event.outputs.is_empty() {
        true => event.output.iter().collect::<Vec<_>>(),
        false => event.outputs.iter().collect(),
    };
    let reason = match event.state {
        TaskState::Succeeded => None,
        state => Some(event.reason.unwrap_or_else(|| state.name().into())),
    };
    Ended {
        file: by_path.get(&event.input).copied(),
        input: Run::shown(&event.input),
        path: name::to_path(&event.input),
        outputs: outputs.into_iter().map(|o| name::to_path(o)).collect(),
        reason,
        ms: event.ms.unwrap_or(0),
        warnings: event.warnings.into_iter().map(|w| w.text).collect(),
    }
}

/// Compares the outputs of a receipt with its hashes.
pub fn verify(post: &Post, receipt: std::path::PathBuf) {
    spawn(post, "verify", move |post| {
        post.send(News::Verified(compare(&receipt)));
    });
}

/// The bytes of a receipt, in a file or behind a URL.
pub(super) fn read_receipt(path: &Path) -> std::result::Result<Vec<u8>, String> {
    match url_of(path) {
        Some(url) => remote::read(&url).map_err(|failure| failure.message),
        None => std::fs::read(path).map_err(|e| format!("{}: {e}", path.display())),
    }
}

/// The SHA-256 of a file or an object.
pub(super) fn digest(path: &Path) -> std::result::Result<String, String> {
    match url_of(path) {
        Some(url) => remote::digest(&url).map_err(|failure| failure.message),
        None => match worker::atomic::digest_file(path) {
            Ok(digest) => Ok(digest.sha256),
            Err(error) => Err(format!("{}: {error}", path.display())),
        },
    }
}

fn compare(path: &Path) -> std::result::Result<String, String> {
    let text = read_receipt(path)?;
    let receipt: protocol::JobReceipt =
        serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut right = 0;
    for output in receipt.tasks.iter().flat_map(|task| task.outputs()) {
        let at = name::to_path(output.output);
        if Some(digest(&at)?.as_str()) != output.sha256 {
            return Err(format!("{} was changed since the run", at.display()));
        }
        right += 1;
    }
    Ok(format!(
        "{} match the receipt",
        crate::text::count(right, "output")
    ))
}
