//! The dispatcher's loop: takes jobs and tasks, as many as it has room for, and hands back the rest at its end.

use crate::error::{Error, Result};
use crate::execute::Known;
use crate::expand::Sources;
use crate::in_hand::InHand;
use crate::jobs::Jobs;
use crate::lead;
use crate::names;
use crate::observe;
use crate::scratch::Scratch;
use crate::world::World;
use ::jobs::backoff::Dice;
use ::jobs::records::Told;
use cloud::events::Heartbeat;
use cloud::queue::{NodeId, QueueName};
use protocol::message::PlanPage;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{RwLock, Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Tasks that may wait for the store at most, so that no node takes many more than it can work on.
const STORING: usize = 16;

/// What nodes tell, taken at once by whoever leads.
const CONTROL: u16 = 64;

/// How long whoever leads goes on after its last span, so that the ends of jobs are told.
const ENDING: Duration = Duration::from_secs(5);

/// Tries to close the own queue at the end; whoever leads does it otherwise.
const RETIRE_TRIES: u32 = 10;

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
    /// When it began.
    pub born: Instant,
    /// How often a running image looks whether anybody still waits for it (1 s).
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
    /// What this node says that its load is, from 0 to 1, in place of what is measured, and with which probability a task
    /// is delayed; for trying out policies.
    pub simulate_load: Option<f64>,
    /// How long such a task is delayed.
    pub simulate_delay: Duration,
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
            born: Instant::now(),
            cancel_check: Duration::from_secs(1),
            slow: Duration::from_secs(1),
            heartbeat: Duration::from_secs(2),
            drain: Duration::from_secs(60),
            hurry: CancellationToken::new(),
            slots: 4,
            patience: Duration::from_secs(600),
            simulate_load: None,
            simulate_delay: Duration::ZERO,
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
    pub(crate) in_hand: InHand,
    /// Spans that may kill their node have it alone.
    pub(crate) turns: RwLock<()>,
    known: Mutex<BTreeMap<String, Arc<Known>>>,
    plans: Mutex<BTreeMap<(String, u32), Arc<PlanPage>>>,
    /// To the conductor, while that is here.
    conductor: Mutex<Option<mpsc::UnboundedSender<Told>>>,
    /// Spans that came from there through no queue.
    own: AtomicUsize,
    closing: AtomicBool,
    dice: Mutex<Dice>,
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

    pub(crate) fn plans(&self) -> MutexGuard<'_, BTreeMap<(String, u32), Arc<PlanPage>>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the conductor is told things, while it is here.
    pub(crate) fn own_conductor(&self) -> Option<mpsc::UnboundedSender<Told>> {
        let conductor = self.conductor.lock();
        conductor.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn lead_by(&self, conductor: Option<mpsc::UnboundedSender<Told>>) {
        let mut known = self
            .conductor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = conductor;
    }

    /// Whether a span could be begun at once, which then is as good as begun. `others`: there are other nodes, which also
    /// want some.
    pub(crate) fn takes_own(&self, others: bool) -> bool {
        let slots = self.config.slots.max(1);
        let most = if others { slots.div_ceil(2) } else { slots };
        let free = !self.closing.load(Ordering::Relaxed) && self.working.available_permits() > 0;
        let takes = free && self.own.load(Ordering::Relaxed) < most;
        if takes {
            self.own.fetch_add(1, Ordering::Relaxed);
        }
        takes
    }

    /// A span has ended that came through no queue.
    pub(crate) fn own_ended(&self) {
        self.own.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether this node refuses what it may refuse: with a probability that is its load.
    pub(crate) fn refuses(&self) -> bool {
        let load = self.load();
        self.chance() < load
    }

    /// Waits as a busy machine would let a task wait, where one is simulated.
    pub(crate) async fn be_busy(&self) {
        if let Some(load) = self.config.simulate_load
            && self.chance() < load
        {
            tokio::time::sleep(self.config.simulate_delay).await;
        }
    }

    fn chance(&self) -> f64 {
        let dice = self.dice.lock();
        dice.unwrap_or_else(PoisonError::into_inner).share()
    }

    /// Does something until it does not fail for a reason that passes by itself; what fails otherwise is given up.
    pub(crate) async fn persist<T, F>(&self, mut work: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut pause = self.config.pause / 8;
        loop {
            match work().await {
                Ok(done) => return Some(done),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "tried again soon");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(self.config.pause * 5);
                }
                Err(error) => {
                    tracing::error!(%error, "given up");
                    return None;
                }
            }
        }
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

    /// Says to the conductor that this node lives and what it has, through the queue, whoever leads.
    async fn live(self: Arc<Node>) {
        let slots = self.config.slots.max(1);
        let told = Told::Beat {
            node: self.config.node.clone(),
            slots: match self.closing.load(Ordering::Relaxed) {
                true => 0,
                false => slots as u32,
            },
            load: self.config.simulate_load.unwrap_or(0.0),
            hand: self.in_hand.all(),
        };
        let message = cloud::queue::Message::new(QueueName::Control, names::to_json(&told));
        if let Err(error) = self.jobs.queue.publish(vec![message]).await {
            tracing::warn!(%error, "a beat was not told");
        }
    }

    fn load(&self) -> f64 {
        if let Some(load) = self.config.simulate_load {
            return load;
        }
        let slots = self.config.slots.max(1);
        let busy = slots - self.working.available_permits().min(slots);
        busy as f64 / slots as f64
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
            "load": self.load(),
            "state": match self.closing.load(Ordering::Relaxed) {
                true => "draining",
                false => "working",
            },
            "in_hand": self.in_hand.all().len(),
            "leads": self.own_conductor().is_some(),
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
    let control = jobs.queue.consume(&QueueName::Control, CONTROL).await?;
    let mut tasks = jobs.queue.consume(&QueueName::Tasks, prefetch).await?;
    let own_queue = QueueName::Node(NodeId::new(&config.node)?);
    let mut mine = jobs.queue.consume(&own_queue, prefetch).await?;
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = seed.unwrap_or_default().as_nanos() as u64;
    let node = Arc::new(Node {
        sources: Sources {
            own: jobs.store.clone(),
            config: config.cloud.clone(),
            rules: jobs.rules.clone(),
        },
        scratch: Scratch::open(&config.scratch)
            .map_err(|error| Error::local("making a directory for temporary files", error))?,
        in_hand: InHand::default(),
        known: Mutex::default(),
        plans: Mutex::default(),
        turns: RwLock::new(()),
        conductor: Mutex::default(),
        own: AtomicUsize::new(0),
        closing: AtomicBool::new(false),
        dice: Mutex::new(Dice::new(u64::from(std::process::id()) << 20 | seed)),
        jobs,
        world,
        hand_back: CancellationToken::new(),
        working: Semaphore::new(slots),
        flights: AtomicU64::new(0),
        config,
    });
    let (own, mut owned) = mpsc::unbounded_channel();
    let stop_leading = CancellationToken::new();
    let leading = lead::run(node.clone(), control, own, stop_leading.clone());
    let mut leading = AbortOnDropHandle::new(tokio::spawn(leading));
    let mut running = JoinSet::new();
    let mut beating = JoinSet::new();
    let mut living = JoinSet::new();
    let mut beat = tokio::time::interval(node.config.heartbeat);
    let mut live = tokio::time::interval(node.config.heartbeat);
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
            delivery = tasks.next(), if running.len() < most => {
                running.spawn(node.clone().take(delivery.ok_or_else(closed)?));
            }
            delivery = mine.next(), if running.len() < most => {
                running.spawn(node.clone().take(delivery.ok_or_else(closed)?));
            }
            Some((order, trace)) = owned.recv() => {
                running.spawn(own_span(node.clone(), order, trace));
            }
            Some(_) = running.join_next() => {}
            ended = &mut leading => match ended {
                Ok(ended) => return ended.and_then(|()| Err(closed())),
                Err(error) => return Err(Error::State(format!("leading: {error}"))),
            },
            _ = live.tick(), if living.is_empty() => {
                living.spawn(node.clone().live());
            }
            Some(_) = living.join_next() => {}
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
    drop((tasks, mine, polling, tidying));
    node.closing.store(true, Ordering::Relaxed);
    beating.shutdown().await;
    let finish = async {
        loop {
            tokio::select! {
                Some((order, trace)) = owned.recv() => {
                    running.spawn(own_span(node.clone(), order, trace));
                }
                next = running.join_next() => if next.is_none() {
                    break;
                },
                // What is in hand is alive.
                _ = live.tick(), if living.is_empty() => {
                    living.spawn(node.clone().live());
                }
                Some(_) = living.join_next() => {}
            }
        }
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
    living.shutdown().await;
    running.shutdown().await;
    stop_leading.cancel();
    let _ = tokio::time::timeout(ENDING, leading).await;
    let name = NodeId::new(&node.config.node)?;
    let retire = async {
        for tried in 0..RETIRE_TRIES {
            match node.jobs.queue.retire_node(&name).await {
                Ok(_) => break,
                // The broker may not have heard yet that nobody consumes from it.
                Err(error) => tracing::debug!(%error, tried, "the queue of this node stays"),
            }
            tokio::time::sleep(COMING_UP).await;
        }
    };
    // A broker that is away keeps nobody from ending.
    let _ = tokio::time::timeout(ENDING, retire).await;
    Ok(())
}

async fn own_span(node: Arc<Node>, order: ::jobs::span::Order, trace: Option<String>) {
    node.clone().take_own(order, trace).await;
    node.own_ended();
}
