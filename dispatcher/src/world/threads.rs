//! A world of one rank with several threads in this process.

use super::metrics::{Metrics, Times};
use super::{Lost, Task, World};
use async_trait::async_trait;
use imaging::comm::serial::Serial;
use imaging::executor::Stop;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use worker::planner;
use worker::task::Finished;
use worker::warm;
use worker::warm::wire::{Answer, Ask};

type Waiting = Arc<Mutex<BTreeMap<String, oneshot::Sender<Finished>>>>;

/// Threads of this process, an image each; a costly image on its own is shared by all of them.
pub struct Threads {
    asks: Mutex<Option<Sender<Ask>>>,
    waiting: Waiting,
    ended: Arc<AtomicBool>,
    times: Arc<Times>,
    served: Mutex<Option<oneshot::Receiver<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Threads {
    /// Starts `threads` threads.
    pub fn start(threads: usize) -> Threads {
        Threads::within(threads, warm::Budget::default())
    }

    /// The same with a bound of what all images take together.
    pub fn within(threads: usize, budget: warm::Budget) -> Threads {
        let threads = threads.max(1);
        let world = planner::World {
            ranks: 1,
            threads,
            processes: false,
        };
        let (entry, inbox) = warm::open(world, budget);
        let (asks, asked) = channel::<Ask>();
        std::thread::spawn(move || {
            asked.into_iter().for_each(|ask| entry.ask(ask));
            entry.close();
        });
        let (waiting, ended) = (Waiting::default(), Arc::new(AtomicBool::new(false)));
        let times = Arc::<Times>::default();
        let (done, served) = oneshot::channel();
        std::thread::spawn({
            let (waiting, ended, times) = (waiting.clone(), ended.clone(), times.clone());
            move || {
                let answer = |answer| {
                    let Answer::Finished { id, finished } = answer else {
                        return;
                    };
                    times.add(&finished);
                    if let Some(reply) = lock(&waiting).remove(&id) {
                        // Who asked may have gone.
                        let _ = reply.send(*finished);
                    }
                };
                let comm = Serial::default();
                warm::serve(&comm, threads, inbox, &Stop::default(), &answer);
                ended.store(true, Ordering::Release);
                lock(&waiting).clear();
                let _ = done.send(());
            }
        });
        Threads {
            asks: Mutex::new(Some(asks)),
            waiting,
            ended,
            times,
            served: Mutex::new(Some(served)),
        }
    }

    fn ask(&self, ask: Ask) -> Result<(), Lost> {
        let asks = lock(&self.asks);
        let asks = asks.as_ref().ok_or(Lost::Shutdown)?;
        asks.send(ask).map_err(|_| Lost::Shutdown)
    }
}

/// Cancels a task that nobody waits for any more.
struct Abandoned<'a>(&'a Threads, &'a str);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if lock(&self.0.waiting).contains_key(self.1) {
            self.0.cancel(self.1);
        }
    }
}

#[async_trait]
impl World for Threads {
    async fn submit(&self, task: Task) -> Result<Finished, Lost> {
        let (reply, answer) = oneshot::channel();
        let id = task.id.clone();
        {
            let mut waiting = lock(&self.waiting);
            if waiting.contains_key(&id) {
                return Err(Lost::Duplicate(id));
            }
            waiting.insert(id.clone(), reply);
        }
        let task = Box::new(task);
        if let Err(lost) = self.ask(Ask::Task { task }) {
            lock(&self.waiting).remove(&id);
            return Err(lost);
        }
        let _abandoned = Abandoned(self, &id);
        answer.await.map_err(|_| Lost::Shutdown)
    }

    fn cancel(&self, id: &str) {
        // A world that is gone has nothing to cancel.
        let _ = self.ask(Ask::Cancel { id: id.into() });
    }

    fn ranks_alive(&self) -> usize {
        usize::from(!self.ended.load(Ordering::Acquire))
    }

    fn restarts(&self) -> u64 {
        0
    }

    fn metrics(&self) -> Metrics {
        Metrics {
            ranks_alive: self.ranks_alive(),
            ..self.times.metrics()
        }
    }

    async fn shutdown(&self) {
        lock(&self.asks).take();
        let served = lock(&self.served).take();
        if let Some(served) = served {
            // An error means that the thread is gone, which is as good.
            let _ = served.await;
        }
    }
}
