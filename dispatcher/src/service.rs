//! The dispatcher's loop: takes jobs and tasks, as many as it has room for, and hands back the rest at its end.

use crate::beats;
pub use crate::config::Config;
use crate::error::{Error, Result};
use crate::execute::Known;
use crate::expand::Sources;
use crate::in_hand::InHand;
use crate::jobs::Jobs;
use crate::lead;
use crate::observe;
use crate::proof::Standing;
use crate::scratch::Scratch;
use crate::world::World;
use ::jobs::backoff::Dice;
use ::jobs::records::Told;
use cloud::queue::{NodeId, QueueName};
use protocol::message::PlanPage;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, RwLock, Semaphore, SemaphorePermit, mpsc};
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

/// Between two of them.
const AGAIN: Duration = Duration::from_millis(50);

/// How long handing back may take.
const HAND_BACK: Duration = Duration::from_secs(10);

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
    /// A permit for a span of somebody who has nothing else under way, beside those.
    pub(crate) beside: Semaphore,
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
    pub(crate) closing: AtomicBool,
    dice: Mutex<Dice>,
    /// Whether it may take anything.
    pub(crate) standing: Standing,
    /// Whether its queues are open.
    pub(crate) open: AtomicBool,
    /// What it says of itself has changed.
    pub(crate) said: Notify,
}

impl Node {
    pub(crate) fn memory(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a task may be fetched and computed; None where work is handed back instead.
    pub(crate) async fn room(&self, urgent: bool) -> Option<Room<'_>> {
        tokio::select! {
            biased;
            room = self.beside.acquire(), if urgent => room.ok(),
            room = self.working.acquire() => room.ok(),
            () = self.hand_back.cancelled() => None,
        }
    }

    /// Whether there is room now.
    pub(crate) fn has_room(&self, urgent: bool) -> bool {
        let beside = urgent && self.beside.available_permits() > 0;
        beside || self.working.available_permits() > 0
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

    /// Whether a span is taken here without a queue: what can be begun at once, and what follows on it where nobody else could
    /// take it. `others`: there are other nodes, which also want some.
    pub(crate) fn takes_own(&self, others: bool, urgent: bool) -> bool {
        let slots = self.config.slots.max(1);
        let (most, begins) = match others {
            true => (slots.div_ceil(2), self.has_room(urgent)),
            // Of the next for each slot none waits for long: it is given back then, see `take_own`.
            false => (slots * 2, true),
        };
        let open = begins && !self.closing.load(Ordering::Relaxed);
        let takes = open && (urgent || self.own.load(Ordering::Relaxed) < most);
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

    pub(crate) fn chance(&self) -> f64 {
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
                    // It may be that the store fails this node alone.
                    self.is_sound().await;
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
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = seed.unwrap_or_default().as_nanos() as u64;
    let failed = |error| Error::local("making a directory for temporary files", error);
    let scratch = Scratch::open(&config.scratch).map_err(failed)?;
    let (in_hand, left) = InHand::open(&config.scratch).map_err(failed)?;
    let node = Arc::new(Node {
        sources: Sources {
            own: jobs.store.clone(),
            config: config.cloud.clone(),
            rules: jobs.rules.clone(),
        },
        scratch,
        in_hand,
        known: Mutex::default(),
        plans: Mutex::default(),
        turns: RwLock::new(()),
        conductor: Mutex::default(),
        own: AtomicUsize::new(0),
        closing: AtomicBool::new(false),
        dice: Mutex::new(Dice::new(u64::from(std::process::id()) << 20 | seed)),
        standing: Standing::default(),
        open: AtomicBool::new(false),
        said: Notify::new(),
        jobs,
        world,
        hand_back: CancellationToken::new(),
        working: Semaphore::new(slots),
        beside: Semaphore::new(1),
        flights: AtomicU64::new(0),
        config,
    });
    let (own, mut owned) = mpsc::unbounded_channel();
    let mut running = JoinSet::new();
    let polled = {
        let (node, shutdown) = (node.clone(), shutdown.clone());
        async move {
            // Who consumes is seen at the first look.
            while !node.open.load(Ordering::Relaxed) && !node.standing.is_unsound() {
                tokio::time::sleep(AGAIN).await;
            }
            observe::watch_queues(node.jobs.queue.clone(), shutdown).await;
        }
    };
    let polling = AbortOnDropHandle::new(tokio::spawn(polled));
    for order in left {
        // Its job need not be known yet to whoever leads.
        tracing::warn!(job = %order.span.job, "a process that died here had this span in hand");
        node.announce(&Told::Crashed { order }).await;
    }
    let mut beating: Option<AbortOnDropHandle<()>> = None;
    let mut leading = None;
    while !shutdown.is_cancelled() {
        // What it says of itself begins once it knows how it stands.
        let proven = node.until_sound(&shutdown);
        let proven = std::pin::pin!(proven);
        let stands = async {
            tokio::select! {
                proven = proven => proven,
                () = begin_to_beat(&node, &mut beating) => false,
            }
        };
        if !stands.await {
            break;
        }
        beating.get_or_insert_with(|| beat(&node));
        let phase = Phase {
            prefetch,
            most,
            own: &own,
        };
        let worked = work(&node, phase, &mut running, &mut owned, &shutdown).await;
        node.open.store(false, Ordering::Relaxed);
        leading = worked?;
        if node.standing.is_unsound() {
            node.said.notify_one();
            hand_over(&node, &mut owned).await;
            if let Some(leading) = leading.take() {
                stop_leading(leading).await;
            }
            retire(&node).await;
        }
    }
    node.closing.store(true, Ordering::Relaxed);
    node.said.notify_one();
    let finish = async {
        loop {
            tokio::select! {
                Some(own) = owned.recv() => {
                    running.spawn(own_span(node.clone(), own));
                }
                next = running.join_next() => if next.is_none() {
                    break;
                },
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
    drop((polling, beating));
    running.shutdown().await;
    if let Some(leading) = leading {
        stop_leading(leading).await;
    }
    node.farewell().await;
    observe::ended(&node.config.node);
    // A broker that is away keeps nobody from ending.
    let _ = tokio::time::timeout(ENDING, retire(&node)).await;
    Ok(())
}

/// Someone who leads whenever it is this node's turn.
struct Leading {
    task: AbortOnDropHandle<Result<()>>,
    stop: CancellationToken,
}

async fn stop_leading(leading: Leading) {
    leading.stop.cancel();
    let _ = tokio::time::timeout(ENDING, leading.task).await;
}

fn beat(node: &Arc<Node>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(beats::run(node.clone())))
}

/// A node that does not prove itself at once says so; never returns.
async fn begin_to_beat(node: &Arc<Node>, beating: &mut Option<AbortOnDropHandle<()>>) {
    node.standing.fell().await;
    beating.get_or_insert_with(|| beat(node));
    std::future::pending().await
}

/// What a time of work needs.
struct Phase<'a> {
    prefetch: u16,
    most: usize,
    own: &'a mpsc::UnboundedSender<lead::Own>,
}

/// Takes spans until `shutdown` or until this node is in quarantine. Who leads here goes on until it is stopped.
async fn work(
    node: &Arc<Node>,
    phase: Phase<'_>,
    running: &mut JoinSet<()>,
    owned: &mut mpsc::UnboundedReceiver<lead::Own>,
    shutdown: &CancellationToken,
) -> Result<Option<Leading>> {
    let Phase {
        prefetch,
        most,
        own,
    } = phase;
    let own_queue = QueueName::Node(NodeId::new(&node.config.node)?);
    let mut opened = Vec::new();
    for (name, prefetch) in [
        (QueueName::Control, CONTROL),
        (QueueName::Tasks, prefetch),
        (own_queue, prefetch),
    ] {
        match node.open_queue(&name, prefetch, shutdown).await? {
            Some(consumer) => opened.push(consumer),
            None => return Ok(None),
        }
    }
    let (Some(mut mine), Some(mut tasks), Some(control)) =
        (opened.pop(), opened.pop(), opened.pop())
    else {
        return Ok(None);
    };
    let stop = CancellationToken::new();
    let task = lead::run(node.clone(), control, own.clone(), stop.clone());
    let mut leading = Leading {
        task: AbortOnDropHandle::new(tokio::spawn(task)),
        stop,
    };
    node.open.store(true, Ordering::Relaxed);
    node.said.notify_one();
    let tidied = crate::tidy::run(node.jobs.store.clone(), crate::tidy::DAY);
    let _tidying = AbortOnDropHandle::new(tokio::spawn(tidied));
    let mut prove = tokio::time::interval(node.config.proof);
    prove.reset();
    let mut proving = JoinSet::new();
    let closed = || Error::State("the queue was closed".into());
    loop {
        observe::in_hand(&node.config.node, running.len());
        tokio::select! {
            () = shutdown.cancelled() => return Ok(Some(leading)),
            () = node.standing.fell() => return Ok(Some(leading)),
            delivery = tasks.next(), if running.len() < most => {
                running.spawn(node.clone().take(delivery.ok_or_else(closed)?));
            }
            delivery = mine.next(), if running.len() < most => {
                running.spawn(node.clone().take(delivery.ok_or_else(closed)?));
            }
            Some(own) = owned.recv() => {
                running.spawn(own_span(node.clone(), own));
            }
            Some(_) = running.join_next() => {}
            _ = prove.tick(), if proving.is_empty() => {
                let node = node.clone();
                proving.spawn(async move { node.is_sound().await });
            }
            Some(_) = proving.join_next() => {}
            ended = &mut leading.task => match ended {
                Ok(ended) => return ended.and_then(|()| Err(closed())),
                Err(error) => return Err(Error::State(format!("leading: {error}"))),
            },
        }
    }
}

/// What came to this node through no queue goes to whoever takes it.
async fn hand_over(node: &Arc<Node>, owned: &mut mpsc::UnboundedReceiver<lead::Own>) {
    while let Ok((order, trace, _)) = owned.try_recv() {
        node.give_back(&order, trace).await;
        node.own_ended();
    }
}

/// Closes the own queue; what waits there goes to others. Where that fails, whoever leads does it.
async fn retire(node: &Arc<Node>) {
    let Ok(name) = NodeId::new(&node.config.node) else {
        return;
    };
    for tried in 0..RETIRE_TRIES {
        match node.jobs.queue.retire_node(&name).await {
            Ok(_) => break,
            // The broker may not have heard yet that nobody consumes from it.
            Err(error) => tracing::debug!(%error, tried, "the queue of this node stays"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn own_span(node: Arc<Node>, own: lead::Own) {
    node.clone().take_own(own).await;
    node.own_ended();
}
