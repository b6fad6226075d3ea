//! The threads of a rank, each at work on an image of its own, and its pool for images shared by rows.

use super::wire::Task;
use crate::reduce::step::Step;
use crate::settings::Settings;
use crate::task::{Done, FileDone, Finished, Order};
use crate::watch::Watch;
use crate::{reduce, shared, single};
use imaging::comm::{Comm, agree};
use imaging::executor::{Stop, guarded};
use imaging::{Error, Result, Spare};
use protocol::name;
use serde::{Deserialize, Serialize};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A task with its order, as rank 0 hands it to a rank.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assignment {
    /// The task as it was asked for.
    pub task: Task,
    /// What was made of it.
    pub order: Order,
}

impl Assignment {
    /// The end of the task without a run.
    pub fn unrun(&self, node: &str, error: Error) -> Finished {
        let mut finished = Finished::new(&self.order, node, None, 0, Err(error));
        finished.receipt.attempt = self.task.attempt;
        finished
    }
}

/// Buffers of an image larger than this are given back when it is done.
const KEPT_BYTES: u64 = 256 << 20;

/// Where work for the threads goes. They end when this is dropped.
pub struct Crew {
    work: Sender<(Assignment, Stop)>,
}

impl Crew {
    /// Starts `threads` threads; `done` is called on them with the end of each task.
    pub fn start<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        threads: usize,
        done: impl Fn(String, Finished) + Clone + Send + 'scope,
    ) -> Crew {
        let (work, queue) = channel::<(Assignment, Stop)>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let (queue, done) = (queue.clone(), done.clone());
            scope.spawn(move || work_through(&queue, &done));
        }
        Crew { work }
    }

    /// Gives a free thread an image.
    pub fn take(&self, assignment: Assignment, stop: Stop) {
        // The threads live as long as this sender.
        let _ = self.work.send((assignment, stop));
    }
}

fn work_through(queue: &Mutex<Receiver<(Assignment, Stop)>>, done: &dyn Fn(String, Finished)) {
    let spare: Arc<Spare> = Arc::default();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((assignment, stop)) = next else { break };
        let finished = image(&assignment, None, stop, &spare);
        if assignment.order.memory > KEPT_BYTES {
            spare.clear();
        }
        done(assignment.task.id, finished);
    }
}

/// Runs a whole image on the calling thread, or on a pool.
fn image(
    assignment: &Assignment,
    pool: Option<&rayon::ThreadPool>,
    stop: Stop,
    spare: &Arc<Spare>,
) -> Finished {
    #[cfg(feature = "testing")]
    abort_if_asked(&assignment.order);
    let mut finished = match assignment.task.settings() {
        Err(error) => return assignment.unrun("", error),
        Ok(settings) => {
            let watch = Watch::start(settings.timeout);
            let _watched = watch.add(&stop);
            match &assignment.task.step {
                Some(step) => run_step(step, assignment, &settings, &stop),
                None => single::run(&assignment.order, &settings, pool, stop.clone(), spare),
            }
        }
    };
    finished.receipt.attempt = assignment.task.attempt;
    finished
}

/// Runs a step of a reduction on the calling thread.
fn run_step(step: &Step, assignment: &Assignment, settings: &Settings, stop: &Stop) -> Finished {
    let start = Instant::now();
    let output = name::to_path(&assignment.task.output);
    let outcome = guarded(|| reduce::step::run(step, &output, settings, stop));
    let spent = start.elapsed();
    let outcome = single::late(outcome, start, settings).map(|digested| {
        let mut done = Done::new(0.0);
        done.ms.compute = single::ms(spent);
        done.files.push(FileDone {
            sizes: Vec::new(),
            stored: Ok(digested),
        });
        done
    });
    let ms = spent.as_millis() as u64;
    Finished::new(&assignment.order, &settings.node, None, ms, outcome)
}

/// The threads that share an image's rows, started when the first such image comes.
pub struct Pool {
    threads: usize,
    pool: Option<rayon::ThreadPool>,
}

impl Pool {
    /// A pool of that many threads on each rank.
    pub fn new(threads: usize) -> Pool {
        Pool {
            threads,
            pool: None,
        }
    }

    /// Runs an image by rows. All ranks call this together; rank 0 gets the end.
    pub fn run(
        &mut self,
        comm: &dyn Comm,
        assignment: &Assignment,
        stop: Stop,
    ) -> Option<Finished> {
        let ready = self.start().and_then(|()| assignment.task.settings());
        let settings = match agree(comm, ready) {
            Ok(settings) => settings,
            Err(error) => return (comm.rank() == 0).then(|| assignment.unrun("", error)),
        };
        let Some(pool) = &self.pool else {
            unreachable!("it was just started")
        };
        if comm.size() == 1 {
            return Some(image(assignment, Some(pool), stop, &Arc::default()));
        }
        #[cfg(feature = "testing")]
        abort_if_asked(&assignment.order);
        let watch = Watch::start(settings.timeout);
        let _watched = watch.add(&stop);
        let mut finished = shared::run(comm, &assignment.order, &settings, pool, stop.clone())?;
        finished.receipt.attempt = assignment.task.attempt;
        Some(finished)
    }

    fn start(&mut self) -> Result<()> {
        if self.pool.is_none() {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(self.threads)
                .build()
                .map_err(|error| Error::Io(format!("cannot start threads: {error}")))?;
            self.pool = Some(pool);
        }
        Ok(())
    }
}

/// A test names the image that kills its rank.
#[cfg(feature = "testing")]
fn abort_if_asked(order: &Order) {
    let name = std::env::var_os("SUNDOG_TEST_ABORT_ON");
    if name.is_some() && order.input_path().file_name() == name.as_deref() {
        std::process::abort();
    }
}
