//! What is told of jobs, beside the work: bounded lines to the events, one for small jobs, whose ends are waited for, and one
//! for the others, of which there is much to tell. What does not fit, or is lost with a leader, is told before the end of its
//! job, from receipts.

use super::Job;
use crate::jobs::{Jobs, to_field};
use protocol::event::{Event, JobStarted};
use protocol::receipt::Counts;
use protocol::state::JobState;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Batches that wait, and events in them.
const WAITING: usize = 4096;
const EVENTS: usize = 50_000;
/// Between two tries while the events are away.
const PAUSE: Duration = Duration::from_millis(200);
/// Batches that are told together.
const TOGETHER: usize = 64;
/// Tasks of a small job at most.
const SMALL: u64 = 64;

enum Tell {
    /// Events of a job, and how many ends of tasks are among them.
    Events(Arc<Job>, Vec<(String, Event)>, u64),
    Fields(Arc<Job>, Vec<(String, String)>),
    Flush(oneshot::Sender<()>),
}

/// The lines.
#[derive(Clone)]
pub(super) struct Outbox {
    small: mpsc::Sender<Tell>,
    large: mpsc::Sender<Tell>,
    /// Events that wait.
    waiting: Arc<AtomicUsize>,
}

impl Outbox {
    pub(super) fn start(jobs: Jobs) -> Outbox {
        let waiting = Arc::new(AtomicUsize::new(0));
        let begin = || {
            let (line, told) = mpsc::channel(WAITING);
            tokio::spawn(run(jobs.clone(), told, waiting.clone()));
            line
        };
        Outbox {
            small: begin(),
            large: begin(),
            waiting: waiting.clone(),
        }
    }

    /// Where a job is told of, always the same: nothing is told before its tasks are known.
    fn line(&self, job: &Job) -> &mpsc::Sender<Tell> {
        match job.tasks() <= SMALL {
            true => &self.small,
            false => &self.large,
        }
    }

    /// Tells events; `ends`: how many ends of tasks are among them.
    pub(super) fn events(&self, job: &Arc<Job>, events: Vec<(String, Event)>, ends: u64) {
        let n = events.len();
        // A full line loses them, and the end of the job tells them.
        if n == 0 || self.waiting.load(Ordering::Relaxed) > EVENTS {
            return;
        }
        self.waiting.fetch_add(n, Ordering::Relaxed);
        let tell = Tell::Events(job.clone(), events, ends);
        let told = self.line(job).try_send(tell);
        if told.is_err() {
            self.waiting.fetch_sub(n, Ordering::Relaxed);
        }
    }

    pub(super) fn fields(&self, job: &Arc<Job>, fields: Vec<(String, String)>) {
        let _ = self.line(job).try_send(Tell::Fields(job.clone(), fields));
    }

    /// Tells that a job's tasks are known.
    pub(super) fn started(&self, job: &Arc<Job>) {
        let Some(plan) = job.plan.get() else {
            return;
        };
        let event = JobStarted {
            version: protocol::VERSION,
            seq: None,
            job: job.id().to_owned(),
            tasks: plan.tasks,
            cost: None,
            time: job.begun.clone(),
        };
        let key = format!("job-started-{}", job.round);
        self.events(job, vec![(key, Event::JobStarted(event))], 0);
        let fields = vec![
            ("state".to_owned(), JobState::Running.name().to_owned()),
            ("tasks".into(), plan.tasks.to_string()),
            ("round".into(), job.round.to_string()),
            (
                format!("done.{}.all", job.round),
                to_field(&Counts::default()),
            ),
        ];
        self.fields(job, fields);
    }

    /// Waits until all that was told before of a job is, or was lost.
    pub(super) async fn flush_of(&self, job: &Job) {
        flush(self.line(job)).await;
    }

    /// The same of all jobs.
    pub(super) async fn flush(&self) {
        flush(&self.small).await;
        flush(&self.large).await;
    }
}

async fn flush(line: &mpsc::Sender<Tell>) {
    let (done, flushed) = oneshot::channel();
    if line.send(Tell::Flush(done)).await.is_ok() {
        let _ = flushed.await;
    }
}

async fn run(jobs: Jobs, mut line: mpsc::Receiver<Tell>, waiting: Arc<AtomicUsize>) {
    let mut some = Vec::new();
    while line.recv_many(&mut some, TOGETHER).await > 0 {
        for tell in merged(std::mem::take(&mut some)) {
            match tell {
                Tell::Events(job, events, ends) => {
                    waiting.fetch_sub(events.len(), Ordering::Relaxed);
                    let append = || jobs.events.append_all(job.id(), &events);
                    if heard(job.id(), append).await {
                        job.told.fetch_add(ends, Ordering::Relaxed);
                    }
                }
                Tell::Fields(job, fields) => {
                    let fields: Vec<(&str, &str)> = fields
                        .iter()
                        .map(|(k, v)| (k.as_str(), v.as_str()))
                        .collect();
                    let id = job.id();
                    heard(id, || jobs.events.set_fields(id, &fields)).await;
                }
                Tell::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }
}

/// Events of one job that follow each other are told in one go.
fn merged(some: Vec<Tell>) -> Vec<Tell> {
    let mut all: Vec<Tell> = Vec::new();
    for tell in some {
        match (all.last_mut(), tell) {
            (Some(Tell::Events(last, events, ends)), Tell::Events(job, more, n))
                if Arc::ptr_eq(last, &job) =>
            {
                events.extend(more);
                *ends += n;
            }
            (_, tell) => all.push(tell),
        }
    }
    all
}

/// Tells until it is heard; a refusal is logged, since it would be the same again.
pub(super) async fn heard<T, F>(job: &str, mut tell: impl FnMut() -> F) -> bool
where
    F: Future<Output = cloud::Result<T>>,
{
    loop {
        match tell().await {
            Ok(_) => return true,
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, job, "told again soon");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(%error, job, "this is not told");
                return false;
            }
        }
    }
}
