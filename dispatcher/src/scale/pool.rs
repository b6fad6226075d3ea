//! Dispatchers of this process, as many as somebody asks for.

use super::{Scale, Scaled, check};
use crate::error::Result;
use crate::jobs::Jobs;
use crate::service::{self, Config};
use crate::world::World;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// More make no sense on one machine.
const MOST: usize = 64;

/// Makes what the worker of that number works with, where there are so many; the first is 1.
type Make = Box<dyn Fn(usize, usize) -> Result<(Config, Arc<dyn World>)> + Send + Sync>;

/// The dispatchers. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    jobs: Jobs,
    make: Make,
    shutdown: CancellationToken,
    state: Mutex<State>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct State {
    wanted: usize,
    /// Those that live, by number.
    workers: BTreeMap<usize, Worker>,
    failed: Option<crate::Error>,
}

struct Worker {
    /// Once that is cancelled it finishes what it has.
    stop: CancellationToken,
    /// How many there were to be when it was made: it has that share of the process.
    of: usize,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.state().wanted).finish()
    }
}

impl Pool {
    /// None yet; all end with `shutdown`, which happens, too, when one of them fails.
    pub fn new(
        jobs: Jobs,
        shutdown: CancellationToken,
        make: impl Fn(usize, usize) -> Result<(Config, Arc<dyn World>)> + Send + Sync + 'static,
    ) -> Pool {
        Pool(Arc::new(Shared {
            jobs,
            make: Box::new(make),
            shutdown,
            state: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is complete before anything could panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for so many workers. Each has its share of the process: those that have another finish what they have, and
    /// others come in their places. Needs a Tokio runtime.
    pub fn set(&self, workers: usize) -> Result<Scaled> {
        check(workers, MOST)?;
        let mut state = self.state();
        let before = std::mem::replace(&mut state.wanted, workers);
        let at_work = |state: &State| {
            let all = state.workers.values();
            let fit = all.filter(|worker| worker.of == workers && !worker.stop.is_cancelled());
            fit.count()
        };
        while at_work(&state) < workers {
            // One that ends still has its name.
            let free = (1..).find(|number| !state.workers.contains_key(number));
            let number = free.unwrap_or(usize::MAX);
            let (config, world) = match (self.0.make)(number, workers) {
                Ok(made) => made,
                Err(error) => {
                    state.wanted = before;
                    // Those that were there go on.
                    for worker in state.workers.values().filter(|worker| worker.of == workers) {
                        worker.stop.cancel();
                    }
                    return Err(error);
                }
            };
            let stop = self.0.shutdown.child_token();
            let worker = Worker {
                stop: stop.clone(),
                of: workers,
            };
            state.workers.insert(number, worker);
            let worker = self.clone().work(number, config, world, stop);
            self.0.tasks.spawn(worker);
        }
        for worker in state.workers.values().filter(|worker| worker.of != workers) {
            worker.stop.cancel();
        }
        Ok(Scaled {
            workers,
            before: Some(before),
        })
    }

    async fn work(
        self,
        number: usize,
        config: Config,
        world: Arc<dyn World>,
        stop: CancellationToken,
    ) {
        let node = config.node.clone();
        let worked = service::run(config, self.0.jobs.clone(), world.clone(), stop).await;
        world.shutdown().await;
        // At the end of the process all do, which needs no telling.
        if !self.0.shutdown.is_cancelled() {
            tracing::info!(node, "a worker has ended");
        }
        let mut state = self.state();
        state.workers.remove(&number);
        if let Err(error) = worked {
            state.failed.get_or_insert(error);
            self.0.shutdown.cancel();
        }
    }

    /// Waits until all have ended after `shutdown`; the first failure of one.
    pub async fn ended(&self) -> Result<()> {
        self.0.shutdown.cancelled().await;
        self.0.tasks.close();
        self.0.tasks.wait().await;
        match self.state().failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Scale for Pool {
    async fn scale(&self, workers: usize) -> Result<Scaled> {
        self.set(workers)
    }

    fn wanted(&self) -> Option<usize> {
        Some(self.state().wanted)
    }

    fn most(&self) -> usize {
        MOST
    }
}
