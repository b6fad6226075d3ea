//! The dispatcher's loop: takes jobs and tasks, as many as it has room for, and hands back the rest at its end.

use crate::error::{Error, Result};
use crate::expand::Sources;
use crate::finish::Known;
use crate::in_hand::InHand;
use crate::jobs::Jobs;
use crate::observe;
use crate::scratch::Scratch;
use crate::world::World;
use cloud::events::Heartbeat;
use cloud::queue::{Delivery, NodeId, QueueName};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

/// How often forgotten jobs are looked for.
const SWEEP: Duration = Duration::from_secs(300);

/// Tasks that may wait for the store at most, so that no node takes many more than it can work on.
const STORING: usize = 16;

/// Jobs that are split at once.
const SPLITTING: usize = 4;

/// How often it is looked for ranks that start.
const COMING_UP: Duration = Duration::from_millis(50);

/// How long handing back may take.
const HAND_BACK: Duration = Duration::from_secs(10);

/// How a dispatcher works.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name, for receipts and heartbeats.
    pub node: String,
    /// Where the buckets of input URLs are opened with credentials from.
    pub cloud: cloud::config::Config,
    /// Directory for temporary files; every rank must see it. On the disk of a store in a directory, outputs
    /// need not be copied.
    pub scratch: PathBuf,
    /// How often a running image looks whether its job was cancelled (2 s).
    pub cancel_check: Duration,
    /// How long a task runs before a copy of it may go to another node (1 s).
    pub slow: Duration,
    /// How often the node says that it lives (2 s); it is forgotten after three times that.
    pub heartbeat: Duration,
    /// How long work in hand may go on after the shutdown began (60 s); then it is handed back.
    pub drain: Duration,
    /// Cuts that time short.
    pub hurry: CancellationToken,
    /// Tasks being fetched and computed at once: enough that fetching of some hides behind the computing of others.
    /// As many, and sixteen at most, may wait for the store besides.
    pub slots: usize,
    /// How long a message is held while a service that it needs is away (10 min).
    pub patience: Duration,
    /// Wait after a service failed, before the message comes again (1 s).
    pub pause: Duration,
}

impl Config {
    /// The defaults for a node of that name.
    pub fn new(node: &str) -> Config {
        Config {
            node: node.to_owned(),
            cloud: cloud::config::Config::default(),
            scratch: std::env::temp_dir(),
            cancel_check: Duration::from_secs(2),
            slow: Duration::from_secs(1),
            heartbeat: Duration::from_secs(2),
            drain: Duration::from_secs(60),
            hurry: CancellationToken::new(),
            slots: 4,
            patience: Duration::from_secs(600),
            pause: Duration::from_secs(1),
        }
    }
}

/// The right to fetch and compute a task.
pub(crate) type Room<'a> = SemaphorePermit<'a>;

/// A dispatcher at work.
pub(crate) struct Node {
    pub(crate) jobs: Jobs,
    pub(crate) config: Config,
    pub(crate) world: Arc<dyn World>,
    /// Set when work in hand is to be handed back.
    pub(crate) hand_back: CancellationToken,
    /// A permit for each task that is fetched or computed.
    pub(crate) working: Semaphore,
    /// Names tasks in the world.
    pub(crate) flights: AtomicU64,
    pub(crate) sources: Sources,
    pub(crate) scratch: Scratch,
    /// Tells runs of the same node apart.
    pub(crate) boot: String,
    pub(crate) in_hand: InHand,
    known: Mutex<BTreeMap<String, Arc<Known>>>,
}

impl Node {
    pub(crate) fn memory(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a task may be fetched and computed; None where work is handed back instead.
    pub(crate) async fn room(&self) -> Option<Room<'_>> {
        tokio::select! {
            room = self.working.acquire() => room.ok(),
            () = self.hand_back.cancelled() => None,
        }
    }

    /// Whether a task could be begun at once.
    pub(crate) fn has_room(&self) -> bool {
        self.working.available_permits() > 0 && !self.hand_back.is_cancelled()
    }

    /// Does something until it does not fail for a reason that passes by itself, such as a store that is away,
    /// or until that took too long or the dispatcher gives its work back.
    pub(crate) async fn patiently<T, F>(&self, mut work: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let begun = Instant::now();
        let mut pause = self.config.pause / 8;
        loop {
            match work().await {
                Err(error) if error.is_transient() && begun.elapsed() < self.config.patience => {
                    tracing::warn!(%error, "tried again soon");
                    tokio::select! {
                        () = self.hand_back.cancelled() => return Err(error),
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(self.config.pause * 5);
                }
                other => return other,
            }
        }
    }

    /// Handles one delivery. A failure hands it back, after a pause. Returns what is to be handled next of it.
    async fn handle(self: Arc<Node>, delivery: Delivery) -> Option<Delivery> {
        let span = observe::handling(&delivery, &self.config.node);
        self.handle_within(delivery).instrument(span).await
    }

    async fn handle_within(self: Arc<Node>, delivery: Delivery) -> Option<Delivery> {
        let (queue, attempt) = (delivery.queue.clone(), delivery.attempt);
        let handled = match queue {
            QueueName::Jobs => self.split(delivery).await,
            _ => self.execute(delivery).await.map(|()| None),
        };
        match handled {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, %queue, attempt, "a message comes again");
                tokio::time::sleep(self.config.pause).await;
                None
            }
        }
    }

    async fn sweep(self: Arc<Node>) {
        match self.jobs.sweep().await {
            Ok(0) => {}
            Ok(n) => tracing::info!("{n} forgotten jobs were queued"),
            Err(error) => tracing::warn!(%error, "looking for forgotten jobs"),
        }
    }

    async fn beat(self: Arc<Node>, ttl: Duration) {
        let slots = self.config.slots.max(1);
        let busy = slots - self.working.available_permits().min(slots);
        observe::world(slots, self.world.ranks_alive(), self.world.restarts());
        // The first time a driver is loaded, which takes a while.
        let devices = tokio::task::spawn_blocking(devices).await.unwrap_or(&[]);
        let body = serde_json::json!({
            "version": protocol::VERSION,
            "node": self.config.node,
            "program": env!("CARGO_PKG_VERSION"),
            "slots": slots,
            "busy": busy,
            "load": busy as f64 / slots as f64,
            "ranks": self.world.ranks_alive(),
            "restarts": self.world.restarts(),
            "devices": devices,
        });
        let heartbeat = Heartbeat {
            node: self.config.node.clone(),
            body: body.to_string(),
        };
        if let Err(error) = self.jobs.events.beat(&heartbeat, ttl).await {
            tracing::warn!(%error, "a heartbeat was not told");
        }
    }
}

/// Names of this machine's graphics devices, looked for once; none in software.
fn devices() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let found = imaging::gpu::Device::list().into_iter();
        let real = found.filter(|info| !info.software);
        real.map(|info| info.name).collect()
    })
}

/// Works until `shutdown`; then takes nothing more, finishes what it has, and hands back the rest.
pub async fn run(
    config: Config,
    jobs: Jobs,
    world: Arc<dyn World>,
    shutdown: CancellationToken,
) -> Result<()> {
    NodeId::new(&config.node)?;
    let slots = config.slots.max(1);
    let most = slots + slots.min(STORING);
    let prefetch = u16::try_from(most).unwrap_or(u16::MAX);
    // A job of one task is held until that has ended.
    let jobs_held = u16::try_from(slots + SPLITTING).unwrap_or(u16::MAX);
    let mut splits = jobs.queue.consume(&QueueName::Jobs, jobs_held).await?;
    let mut tasks = jobs.queue.consume(&QueueName::Tasks, prefetch).await?;
    let node = Arc::new(Node {
        sources: Sources {
            own: jobs.store.clone(),
            config: config.cloud.clone(),
            rules: jobs.rules.clone(),
        },
        scratch: Scratch::open(&config.scratch)
            .map_err(|error| Error::local("making a directory for temporary files", error))?,
        boot: worker::batch::new_job_id(),
        in_hand: InHand::default(),
        known: Mutex::default(),
        jobs,
        world,
        hand_back: CancellationToken::new(),
        working: Semaphore::new(slots),
        flights: AtomicU64::new(0),
        config,
    });
    let mut splitting = JoinSet::new();
    let mut running = JoinSet::new();
    let mut sweeping = JoinSet::new();
    let mut beating = JoinSet::new();
    let mut sweep = tokio::time::interval(SWEEP);
    let mut beat = tokio::time::interval(node.config.heartbeat);
    // Whoever looks at the nodes sees ranks as soon as they are there.
    let (mut coming_up, mut is_up) = (tokio::time::interval(COMING_UP), false);
    let closed = || Error::State("the queue was closed".into());
    let polled = observe::watch_queues(node.jobs.queue.clone(), shutdown.clone());
    let polling = AbortOnDropHandle::new(tokio::spawn(polled));
    let tidied = crate::tidy::run(node.jobs.store.clone(), crate::tidy::DAY);
    let tidying = AbortOnDropHandle::new(tokio::spawn(tidied));
    loop {
        observe::in_hand(running.len());
        tokio::select! {
            () = shutdown.cancelled() => break,
            delivery = splits.next(), if splitting.len() < SPLITTING => {
                splitting.spawn(node.clone().handle(delivery.ok_or_else(closed)?));
            }
            delivery = tasks.next(), if running.len() < most => {
                running.spawn(node.clone().handle(delivery.ok_or_else(closed)?));
            }
            Some(next) = splitting.join_next() => {
                if let Ok(Some(task)) = next {
                    running.spawn(node.clone().handle(task));
                }
            }
            Some(_) = running.join_next() => {}
            _ = sweep.tick(), if sweeping.is_empty() => {
                sweeping.spawn(node.clone().sweep());
            }
            Some(_) = sweeping.join_next() => {}
            // Beside the work, which goes on where nobody hears it.
            _ = beat.tick(), if beating.is_empty() => {
                let ttl = node.config.heartbeat * 3;
                beating.spawn(node.clone().beat(ttl));
            }
            Some(_) = beating.join_next() => {}
            _ = coming_up.tick(), if !is_up => {
                is_up = node.world.ranks_alive() > 0;
                if is_up {
                    beat.reset_immediately();
                }
            }
        }
    }
    drop((splits, tasks, polling, tidying));
    sweeping.shutdown().await;
    beating.shutdown().await;
    let finish = async {
        while let Some(next) = splitting.join_next().await {
            if let Ok(Some(task)) = next {
                running.spawn(node.clone().handle(task));
            }
        }
        while running.join_next().await.is_some() {}
    };
    // What does not even get handed back in time is dropped, and its messages come again by themselves.
    let hand_back = async {
        tokio::select! {
            () = tokio::time::sleep(node.config.drain) => {}
            () = node.config.hurry.cancelled() => {}
        }
        tracing::warn!("work in hand is handed back");
        node.hand_back.cancel();
        tokio::time::sleep(HAND_BACK).await;
    };
    tokio::select! { () = finish => {}, () = hand_back => {} }
    splitting.shutdown().await;
    running.shutdown().await;
    Ok(())
}
