//! A world of ranks under `mpirun`: kept warm, watched, and started afresh when it dies or hangs.

use super::flight::{self, Flight};
use super::life::{Life, Over};
use super::metrics::{Metrics, Times};
use super::{Lost, Task, World, processes};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use worker::mpirun::Launcher;
use worker::task::Finished;

/// How a world is started and watched.
#[derive(Clone, Debug)]
pub struct Config {
    /// Starts the ranks.
    pub launcher: Launcher,
    /// Threads of each rank.
    pub threads: usize,
    /// A rank with work that is not heard of for so long has hung, and the world with it.
    pub stall: Duration,
    /// How long a world may take to start, and to end in order.
    pub patience: Duration,
    /// Environment of the ranks beside that of this process.
    pub environment: Vec<(String, String)>,
}

impl Config {
    /// One thread a rank, a minute until a rank counts as hung.
    pub fn new(launcher: Launcher) -> Config {
        Config {
            launcher,
            threads: 1,
            stall: Duration::from_secs(60),
            patience: Duration::from_secs(10),
            environment: Vec::new(),
        }
    }
}

/// What the supervisor is told.
pub(super) enum Command {
    Submit(Box<Task>, oneshot::Sender<Result<Finished, Lost>>),
    Cancel(String),
    Shutdown,
}

/// What callers may look at.
#[derive(Default)]
pub(super) struct Status {
    pub alive: AtomicUsize,
    pub restarts: AtomicU64,
    pub times: Times,
    /// Process ids of the ranks on this machine.
    pub pids: Mutex<Vec<u32>>,
}

/// A warm world under `mpirun`.
pub struct Mpirun {
    commands: mpsc::UnboundedSender<Command>,
    status: Arc<Status>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl Mpirun {
    /// Starts the ranks in the background; call it within a tokio runtime. This process becomes the reaper
    /// of all orphans among its descendants. When it is dropped instead of shut down, the ranks end as
    /// their input closes.
    pub fn start(config: Config) -> Mpirun {
        processes::adopt_orphans();
        let (commands, receiver) = mpsc::unbounded_channel();
        let status = Arc::new(Status::default());
        let supervisor = Supervisor {
            config,
            commands: receiver,
            status: status.clone(),
            waiting: VecDeque::new(),
        };
        Mpirun {
            commands,
            status,
            supervisor: Mutex::new(Some(tokio::spawn(supervisor.run()))),
        }
    }

    /// Process ids of the ranks that run on this machine, in order of rank.
    pub fn pids(&self) -> Vec<u32> {
        let pids = self.status.pids.lock();
        pids.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl World for Mpirun {
    async fn submit(&self, task: Task) -> Result<Finished, Lost> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Submit(Box::new(task), reply);
        self.commands.send(command).map_err(|_| Lost::Shutdown)?;
        answer.await.unwrap_or(Err(Lost::Shutdown))
    }

    fn cancel(&self, id: &str) {
        // A world that is gone has nothing to cancel.
        let _ = self.commands.send(Command::Cancel(id.into()));
    }

    fn ranks_alive(&self) -> usize {
        self.status.alive.load(Ordering::Acquire)
    }

    fn restarts(&self) -> u64 {
        self.status.restarts.load(Ordering::Acquire)
    }

    fn metrics(&self) -> Metrics {
        Metrics {
            ranks_alive: self.ranks_alive(),
            restarts: self.restarts(),
            ..self.status.times.metrics()
        }
    }

    async fn shutdown(&self) {
        let _ = self.commands.send(Command::Shutdown);
        let supervisor = self.supervisor.lock();
        let supervisor = supervisor.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = match supervisor {
            Some(handle) => Some(handle.await),
            None => None,
        } {
            tracing::error!("the supervisor of the ranks ended: {error}");
        }
    }
}

/// Starts one life of the world after the other.
struct Supervisor {
    config: Config,
    commands: mpsc::UnboundedReceiver<Command>,
    status: Arc<Status>,
    waiting: VecDeque<Flight>,
}

/// Pauses between two starts, doubled with each world that ended nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Supervisor {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let life = Life::start(&self.config, &self.status);
            let over = match life {
                Ok(life) => life.run(&mut self.commands, &mut self.waiting).await,
                Err(error) => Over::Died {
                    flights: Vec::new(),
                    death: error,
                    useful: false,
                    ready: false,
                },
            };
            let (flights, death, useful, ready) = match over {
                Over::Shutdown => return,
                Over::Died {
                    flights,
                    death,
                    useful,
                    ready,
                } => (flights, death, useful, ready),
            };
            tracing::warn!("the world of ranks died: {}", death.reason);
            self.status.restarts.fetch_add(1, Ordering::AcqRel);
            let again = flight::judge(flights, &death);
            for flight in again.into_iter().rev() {
                self.waiting.push_front(flight);
            }
            if !ready {
                // Whoever waits should hear of ranks that do not even start.
                for flight in self.waiting.drain(..) {
                    let reason = death.reason.clone();
                    let _ = flight.reply.send(Err(Lost::World { reason }));
                }
            }
            if useful {
                pause = FIRST_PAUSE;
            }
            if self.rest(pause).await {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Collects what is submitted for a while. True: shut down.
    async fn rest(&mut self, pause: Duration) -> bool {
        let end = tokio::time::sleep(pause);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return false,
                command = self.commands.recv() => match command {
                    Some(Command::Submit(task, reply)) => {
                        self.waiting.push_back(Flight::new(task, reply));
                    }
                    Some(Command::Cancel(id)) => {
                        let at = self.waiting.iter().position(|f| f.task.id == id);
                        if let Some(flight) = at.and_then(|at| self.waiting.remove(at)) {
                            flight.end_cancelled();
                        }
                    }
                    Some(Command::Shutdown) | None => return true,
                },
            }
        }
    }
}
