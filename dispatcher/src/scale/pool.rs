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

/// Makes what the worker of that number works with; the first is 1.
type Make = Box<dyn Fn(usize) -> Result<(Config, Arc<dyn World>)> + Send + Sync>;

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
    /// Those that live, by number. What is cancelled finishes what it has.
    workers: BTreeMap<usize, CancellationToken>,
    failed: Option<crate::Error>,
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
        make: impl Fn(usize) -> Result<(Config, Arc<dyn World>)> + Send + Sync + 'static,
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

    /// Asks for so many workers. Needs a Tokio runtime.
    pub fn set(&self, workers: usize) -> Result<Scaled> {
        check(workers, MOST)?;
        let mut state = self.state();
        let before = std::mem::replace(&mut state.wanted, workers);
        let at_work = |state: &State| {
            let all = state.workers.iter();
            let at_work = all.filter(|(_, stop)| !stop.is_cancelled());
            at_work.map(|(number, _)| *number).collect::<Vec<_>>()
        };
        while at_work(&state).len() < workers {
            // One that ends still has its name.
            let free = (1..).find(|number| !state.workers.contains_key(number));
            let number = free.unwrap_or(usize::MAX);
            let (config, world) = match (self.0.make)(number) {
                Ok(made) => made,
                Err(error) => {
                    state.wanted = at_work(&state).len();
                    return Err(error);
                }
            };
            let stop = self.0.shutdown.child_token();
            state.workers.insert(number, stop.clone());
            let worker = self.clone().work(number, config, world, stop);
            self.0.tasks.spawn(worker);
        }
        // Those that came last go first.
        for number in at_work(&state).into_iter().skip(workers) {
            if let Some(stop) = state.workers.get(&number) {
                stop.cancel();
            }
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
