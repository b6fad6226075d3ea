//! Leading: the conductor's rules (`jobs::Conductor`) with a queue, a store and a clock around them.
//!
//! Whoever is given messages of the control queue leads, which the queue gives to one consumer at a time. What a leader
//! knows it reads from the store when it begins, and all that it writes is created only if absent or the same whoever
//! writes it, so that two leaders for a moment do no harm.

mod act;
mod finish;
mod load;
mod outbox;
mod plan;

use crate::error::Result;
use crate::names;
use crate::observe;
use crate::proof::Whose;
use crate::service::Node;
use cloud::queue::{Consumer, Delivery, NodeId, QueueName};
use jobs::conductor::{Beat, Conductor, Input, Loaded, Loading, Settings};
use jobs::records::{SpanReceipt, Told};
use jobs::span::Order;
use jobs::{JobId, Ms, NodeName, Tree};
use outbox::Outbox;
use protocol::message::JobPlan;
use protocol::receipt::Counts;
use protocol::{JobMessage, StoredJob, TaskReceipt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How often is looked for what nobody told of.
const LOOK: Duration = Duration::from_millis(100);
/// How often it is looked how many spans wait in the queue.
const COUNT: Duration = Duration::from_millis(900);
/// How often all jobs that have not ended are looked for: messages of some may be lost.
const SWEEP: Duration = Duration::from_secs(60);
/// Whoever hears nothing from the control queue for longer leads no more.
const LAPSE: Duration = Duration::from_secs(10);
/// Messages taken at once.
const PREFETCH: u16 = 64;

/// A span for this node that goes through no queue.
pub(crate) type Own = (Order, Option<String>, Instant);

/// What is remembered of a job while it goes on.
pub(crate) struct Job {
    pub(crate) stored: StoredJob,
    pub(crate) round: u32,
    pub(crate) begun: String,
    pub(crate) plan: OnceLock<JobPlan>,
    /// How inputs ended, by number, until their page is folded.
    entries: Mutex<BTreeMap<u64, TaskReceipt>>,
    /// Pages all of whose inputs have ended, in numbers.
    counts: Mutex<BTreeMap<u32, Counts>>,
    /// Pages with inputs that cannot be processed and are not among `entries`.
    hopeless: Mutex<BTreeSet<u32>>,
    /// The trace that its spans belong to.
    trace: Mutex<Option<String>>,
    pub(crate) warnings: AtomicU64,
    /// Ends of tasks that were told and heard.
    pub(crate) told: AtomicU64,
    pub(crate) plan_failures: AtomicU32,
}

impl Job {
    pub(crate) fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, TaskReceipt>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, BTreeMap<u32, Counts>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hopeless(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.hopeless.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn trace(&self) -> MutexGuard<'_, Option<String>> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> &str {
        &self.stored.id
    }

    pub(crate) fn tasks(&self) -> u64 {
        self.plan.get().map_or(0, |plan| plan.tasks)
    }

    /// Of a reduction whose files are known.
    fn tree(&self) -> Option<Tree> {
        let reduce = self.stored.spec.reduce.as_ref()?;
        Some(crate::reduction::tree(reduce, self.plan.get()?.files?))
    }
}

/// What came of something that was done.
enum Done {
    Nothing,
    Input(Input),
    Loaded(Arc<Job>, Box<Loaded>),
    Planned(Arc<Job>, Vec<Loading>),
    Receipt(Box<SpanReceipt>),
}

/// Everything of a leader.
struct Lead {
    node: Arc<Node>,
    core: Conductor,
    begun: Instant,
    jobs: BTreeMap<JobId, Arc<Job>>,
    /// The trace of a message that a job came with.
    traces: BTreeMap<JobId, String>,
    work: JoinSet<Done>,
    planning: BTreeMap<JobId, AbortHandle>,
    outbox: Outbox,
    /// Jobs whose counts are to be told.
    changed: BTreeSet<JobId>,
    own: mpsc::UnboundedSender<Own>,
    heard: Instant,
    swept: Instant,
    ready: Option<u64>,
    /// When the queue was looked at.
    counted: Instant,
    /// Nodes that lived then.
    living: BTreeSet<NodeName>,
    /// Jobs that may be in another store than this node has.
    doubted: Vec<Delivery>,
}

/// Leads whenever it is this node's turn, until `stop`.
pub(crate) async fn run(
    node: Arc<Node>,
    mut control: Consumer,
    own: mpsc::UnboundedSender<Own>,
    stop: CancellationToken,
) -> Result<()> {
    let mut lead: Option<(Lead, Consumer, mpsc::UnboundedReceiver<Told>)> = None;
    let mut keeping: Option<AbortOnDropHandle<()>> = None;
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let Some((leading, jobs, told)) = &mut lead else {
            let delivery = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                delivery = control.next() => delivery,
            };
            let Some(delivery) = delivery else {
                return Ok(());
            };
            let opened = node.open_queue(&QueueName::Jobs, PREFETCH, &stop);
            let Some(jobs) = opened.await? else {
                return Ok(());
            };
            let (tell, told) = mpsc::unbounded_channel();
            node.lead_by(Some(tell));
            tracing::info!(node = %node.config.node, "this dispatcher leads");
            let mut leading = Lead::new(node.clone(), own.clone());
            leading.sweep();
            leading.heard(delivery).await;
            let kept = crate::keep::run(node.jobs.clone(), node.config.keep, node.config.clock);
            keeping = Some(AbortOnDropHandle::new(tokio::spawn(kept)));
            lead = Some((leading, jobs, told));
            continue;
        };
        let due = leading.due();
        tokio::select! {
            () = stop.cancelled() => break,
            delivery = control.next() => match delivery {
                Some(delivery) => leading.heard(delivery).await,
                None => break,
            },
            delivery = jobs.next() => match delivery {
                Some(delivery) => leading.job(delivery).await,
                None => break,
            },
            Some(told) = told.recv() => leading.told(told),
            Some(done) = leading.work.join_next(), if !leading.work.is_empty() => {
                if let Ok(done) = done {
                    leading.done(done);
                }
            }
            () = tokio::time::sleep(due) => leading.step(Input::Tick(None)),
            _ = look.tick() => leading.look().await,
        }
        if leading.heard.elapsed() > LAPSE.max(leading.node.config.heartbeat * 5) {
            tracing::warn!("this dispatcher hears nothing from the queue and leads no more");
            node.lead_by(None);
            (lead, keeping) = (None, None);
        }
    }
    node.lead_by(None);
    drop(keeping);
    if let Some((mut leading, _, mut told)) = lead {
        // What nodes said last is heard, and the ends of jobs are written.
        while let Ok(told) = told.try_recv() {
            leading.told(told);
        }
        while let Some(done) = leading.work.join_next().await {
            if let Ok(done) = done {
                leading.done(done);
            }
        }
        leading.outbox.flush().await;
    }
    Ok(())
}

impl Lead {
    fn new(node: Arc<Node>, own: mpsc::UnboundedSender<Own>) -> Lead {
        let ms = |duration: Duration| duration.as_millis() as Ms;
        let heartbeat = node.config.heartbeat;
        let settings = Settings {
            patience: ms(heartbeat * 3).max(3000),
            settle: ms(heartbeat),
            slow: ms(node.config.slow),
            seed: u64::from(std::process::id()) ^ ms(node.config.born.elapsed()),
            ..Settings::default()
        };
        Lead {
            core: Conductor::new(settings),
            begun: Instant::now(),
            jobs: BTreeMap::new(),
            traces: BTreeMap::new(),
            work: JoinSet::new(),
            planning: BTreeMap::new(),
            outbox: Outbox::start(node.jobs.clone()),
            changed: BTreeSet::new(),
            own,
            heard: Instant::now(),
            swept: Instant::now(),
            ready: None,
            counted: Instant::now(),
            living: BTreeSet::new(),
            doubted: Vec::new(),
            node,
        }
    }

    fn now(&self) -> Ms {
        self.begun.elapsed().as_millis() as Ms
    }

    /// How long until something is to be done by itself.
    fn due(&self) -> Duration {
        let due = self.core.next_due().map(|at| at.saturating_sub(self.now()));
        Duration::from_millis(due.unwrap_or(60_000).max(1))
    }

    fn step(&mut self, input: Input) {
        let effects = self.core.step(self.now(), input);
        if !effects.is_empty() {
            self.act(effects);
        }
    }

    /// Jobs that have not ended, by their marks.
    fn sweep(&mut self) {
        self.swept = Instant::now();
        let node = self.node.clone();
        let known: BTreeSet<JobId> = self.core.jobs().cloned().collect();
        self.work.spawn(async move {
            let found = match node.jobs.store.list(names::OPEN).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(%error, "looking for jobs that have not ended");
                    return Done::Nothing;
                }
            };
            let ids = found.iter().filter_map(|mark| mark.name.rsplit('/').next());
            for id in ids.filter(|id| !known.contains(*id)) {
                // Through the queue of jobs, so that it is taken like any other.
                if let Err(error) = node.jobs.publish_of(id, 1, None).await {
                    tracing::warn!(%error, job = id, "a job is looked for later");
                }
            }
            Done::Nothing
        });
    }

    async fn heard(&mut self, delivery: Delivery) {
        self.heard = Instant::now();
        match serde_json::from_slice::<Told>(&delivery.body) {
            Ok(told) => {
                self.told(told);
                if let Err(error) = delivery.ack().await {
                    tracing::debug!(%error, "a message comes again");
                }
            }
            Err(error) => {
                let _ = delivery.reject(&format!("not of a node: {error}")).await;
            }
        }
    }

    async fn job(&mut self, delivery: Delivery) {
        let message: JobMessage = match serde_json::from_slice(&delivery.body) {
            Ok(message) => message,
            Err(error) => {
                let _ = delivery
                    .reject(&format!("not a job message: {error}"))
                    .await;
                return;
            }
        };
        match self.node.whose(message.store.as_deref()).await {
            Whose::Ours => {
                if message.store.is_some() {
                    self.node.standing.back();
                }
            }
            Whose::Foreign => {
                let reason = "its job is in another store than this cluster's (hint: compare SUNDOG_STORE where it was submitted)";
                let _ = delivery.reject(reason).await;
                return;
            }
            // It goes back when this node leads no more, which is at once.
            Whose::Doubted => return self.doubted.push(delivery),
        }
        let id: JobId = message.job.as_str().into();
        if let Some(trace) = delivery.trace.clone()
            && !self.jobs.contains_key(&id)
        {
            self.traces.insert(id.clone(), trace);
        }
        // What is lost here is found by the job's mark.
        if let Err(error) = delivery.ack().await {
            tracing::debug!(%error, "a message comes again");
        }
        self.step(Input::Job(id));
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Beat {
                node,
                slots,
                load,
                hand,
            } => self.step(Input::Beat(Beat {
                node: node.as_str().into(),
                slots,
                load,
                hand,
            })),
            Told::Began { span, node, ms } => {
                self.step(Input::Began(span, node.as_str().into(), ms))
            }
            Told::Ended(receipt) => self.done(Done::Receipt(receipt)),
            Told::Returned { span } => self.step(Input::Returned(span)),
            Told::Refused { span, node } => self.step(Input::Refused(span, node.as_str().into())),
            Told::Crashed { order } => self.step(Input::Crashed(order)),
            Told::Back { order } => self.step(Input::Back(order.span)),
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Nothing => {}
            Done::Input(Input::Finished(id, round)) => {
                if self.jobs.get(&id).is_some_and(|job| job.round == round) {
                    self.jobs.remove(&id);
                    self.changed.remove(&id);
                    self.traces.remove(&id);
                }
                self.step(Input::Finished(id, round));
            }
            Done::Input(input) => self.step(input),
            Done::Loaded(job, loaded) => {
                let id = loaded.job.clone();
                if self
                    .jobs
                    .get(&id)
                    .is_none_or(|known| known.round < job.round)
                {
                    *job.trace() = self.traces.remove(&id);
                    if job.plan.get().is_some() {
                        // A further round, or nobody heard it; told twice it is one.
                        self.outbox.started(&job);
                        self.changed.insert(id.clone());
                    }
                    self.jobs.insert(id, job);
                }
                self.step(Input::Loaded(loaded));
            }
            Done::Planned(job, pages) => {
                let id: JobId = job.id().into();
                self.planning.remove(&id);
                let tree = job.tree();
                self.step(Input::Planned {
                    job: id,
                    pages,
                    tree,
                });
            }
            Done::Receipt(receipt) => {
                let span = &receipt.span;
                if let Some(job) = self.jobs.get(&span.job)
                    && self.core.runs(&span.job, span.round)
                {
                    let most = job.stored.spec.schedule.max_attempts;
                    let mut entries = job.entries();
                    for entry in &receipt.entries {
                        if !entry.passing || span.attempt >= most {
                            entries.entry(entry.receipt.task).or_insert_with(|| {
                                if entry.passing {
                                    // Nobody counted it while it could pass.
                                    observe::task_ended(
                                        &span.job,
                                        &entry.receipt,
                                        act::class(entry),
                                    );
                                }
                                entry.receipt.clone()
                            });
                        }
                    }
                }
                self.step(Input::Ended(receipt.report()));
            }
        }
    }

    /// Closes the queues of nodes that are dead, and gives what waits there to others.
    fn retire(&mut self) {
        let living: BTreeSet<NodeName> = self.core.living().cloned().collect();
        for dead in self.living.difference(&living) {
            let (queue, name) = (self.node.jobs.queue.clone(), dead.clone());
            tracing::info!(node = %name, "nothing is heard of a node");
            self.work.spawn(async move {
                if let Ok(node) = NodeId::new(&name)
                    && let Err(error) = queue.retire_node(&node).await
                {
                    tracing::debug!(%error, node = %name, "its queue stays");
                }
                Done::Nothing
            });
        }
        self.living = living;
    }

    /// Looks at what nobody tells of, and tells how far jobs have come.
    async fn look(&mut self) {
        for id in std::mem::take(&mut self.changed) {
            if let (Some(job), Some(counted)) = (self.jobs.get(&id), self.core.counted(&id)) {
                let warnings = job.warnings.load(Ordering::Relaxed);
                let counts = format!(
                    "{} {} {} 0 {warnings}",
                    counted.succeeded, counted.failed, counted.rejected
                );
                let done = (format!("done.{}.all", job.round), counts);
                let work = (
                    format!("work.{}", job.round),
                    format!("{} {}", counted.worked, counted.work),
                );
                self.outbox.fields(job, vec![done, work]);
            }
        }
        if self.swept.elapsed() > SWEEP {
            self.sweep();
        }
        self.retire();
        if self.core.in_flight() > 0 && self.counted.elapsed() > COUNT {
            self.counted = Instant::now();
            let stats = self.node.jobs.queue.stats(&QueueName::Tasks);
            self.ready = match tokio::time::timeout(LOOK, stats).await {
                Ok(Ok(stats)) => Some(stats.ready),
                _ => None,
            };
        }
        let ready = self.ready.take();
        self.step(Input::Tick(ready));
    }
}
