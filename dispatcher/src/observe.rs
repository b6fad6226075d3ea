//! What a dispatcher counts, and the spans of its work. Labels come from short fixed lists.

use crate::proof::Class;
use cloud::queue::{Queue, QueueName};
use protocol::receipt::TaskReceipt;
use protocol::state::{JobState, TaskState};
use service::telemetry::{metrics as recorder, trace};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::Span;
use worker::task::Fault;

/// How often queues are looked at.
const POLL: Duration = Duration::from_secs(10);

/// Why a task did not succeed, in few classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It did.
    None,
    /// The bytes are no sound image.
    DamagedInput,
    /// The pipeline or the format does not suit the image, or there is nothing to process.
    Unsuitable,
    /// A limit refused it.
    Limit,
    /// It took too long.
    Timeout,
    /// A rank died or hung over it.
    RankLost,
    /// Its nodes died over it.
    NodeLost,
    /// The store would not give the input.
    Store,
    /// Local files failed.
    Io,
    /// Its job was cancelled.
    Cancelled,
    /// Something else.
    Other,
}

impl Reason {
    /// The class of what a rank said.
    pub(crate) fn of(fault: Option<Fault>, state: TaskState) -> Reason {
        match (fault, state) {
            (_, TaskState::Succeeded) => Reason::None,
            (Some(Fault::Damaged), _) => Reason::DamagedInput,
            (Some(Fault::Unsuitable), _) => Reason::Unsuitable,
            (Some(Fault::Limit), _) => Reason::Limit,
            (Some(Fault::Io | Fault::Full), _) => Reason::Io,
            (Some(Fault::Timeout), _) => Reason::Timeout,
            (Some(Fault::Cancelled), _) => Reason::Cancelled,
            (None, _) => Reason::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Reason::None => "none",
            Reason::DamagedInput => "damaged_input",
            Reason::Unsuitable => "unsuitable",
            Reason::Limit => "limit",
            Reason::Timeout => "timeout",
            Reason::RankLost => "rank_lost",
            Reason::NodeLost => "node_lost",
            Reason::Store => "store",
            Reason::Io => "io",
            Reason::Cancelled => "cancelled",
            Reason::Other => "other",
        }
    }
}

/// The span in which a job's inputs are looked for; a child of the span that published it.
pub(crate) fn split(job: &str, round: u32, node: &str) -> Span {
    tracing::info_span!("split", otel.kind = "consumer", node, job, round)
}

/// The span of a task; a child of that of its job.
pub(crate) fn task(span: &jobs::Span, task: u64, node: &str) -> Span {
    let (job, round, attempt) = (&*span.job, span.round, span.attempt);
    tracing::info_span!(
        "task",
        otel.kind = "consumer",
        node,
        attempt,
        job,
        task,
        round
    )
}

/// The span in which the message of a span of inputs is acknowledged, or handed back.
pub(crate) fn ack(span: &jobs::Span, node: &str, back: bool) -> Span {
    let (job, round, page, first) = (&*span.job, span.round, span.page, span.first);
    let verdict = if back { "back" } else { "done" };
    tracing::debug_span!("ack", node, job, round, page, first, verdict)
}

/// How long a span waited in a queue, or for the node that fed it.
pub(crate) fn waited(time: Option<Duration>) {
    if let Some(waited) = time {
        metrics::histogram!("sundog_task_wait_seconds").record(waited.as_secs_f64());
    }
}

/// A job was accepted and queued.
pub(crate) fn submitted() {
    metrics::counter!("sundog_jobs_submitted_total").increment(1);
}

/// One attempt at a task has ended: `final`, `again`, `back` or `error`.
pub(crate) fn attempted(outcome: &'static str) {
    metrics::counter!("sundog_task_attempts_total", "outcome" => outcome).increment(1);
}

/// A slow task was offered to other nodes as well.
pub(crate) fn speculated() {
    metrics::counter!("sundog_task_copies_total").increment(1);
}

/// A task was handled to its end, or handed back.
pub(crate) fn handled(took: Duration) {
    metrics::histogram!("sundog_task_seconds").record(took.as_secs_f64());
}

/// What a rank said of the time in each stage becomes events of the span.
pub(crate) fn stages(receipt: &TaskReceipt) {
    if !trace::is_active() {
        return;
    }
    for (stage, ms) in of_ranks(receipt) {
        tracing::debug!(target: trace::STAGE, stage, ms, "stage");
    }
}

fn of_ranks(receipt: &TaskReceipt) -> [(&'static str, f64); 4] {
    let ms = &receipt.ms;
    [
        ("decode", ms.decode),
        ("compute", ms.compute),
        ("halo", ms.halo),
        ("encode", ms.encode),
    ]
}

/// The span of a commit; a child of that of its job.
pub(crate) fn commit(span: &jobs::Span, node: &str) -> Span {
    let (job, round, page) = (&*span.job, span.round, span.page);
    tracing::debug_span!("commit", node, job, round, page, first = span.first)
}

/// A task's receipt was written.
pub(crate) fn task_ended(job: &str, receipt: &TaskReceipt, reason: Reason) {
    let (state, why) = (receipt.state.name(), receipt.reason.as_deref());
    tracing::debug!(
        job,
        task = receipt.task,
        state,
        reason = why,
        "a task has ended"
    );
    let reason = reason.name();
    let ended = metrics::counter!("sundog_tasks_ended_total", "state" => state, "reason" => reason);
    ended.increment(1);
    if receipt.state != TaskState::Succeeded {
        return;
    }
    let ms = &receipt.ms;
    let own = [("fetch", ms.fetch), ("store", ms.store)];
    for (stage, ms) in own.into_iter().chain(of_ranks(receipt)) {
        metrics::histogram!("sundog_task_stage_seconds", "stage" => stage).record(ms / 1000.0);
    }
    let computing = ms.compute + ms.halo;
    if computing > 0.0 {
        metrics::histogram!("sundog_task_halo_ratio").record(ms.halo / computing);
    }
    let pixels = receipt.width.unwrap_or(0) * receipt.height.unwrap_or(0);
    metrics::counter!("sundog_images_total").increment(1);
    metrics::counter!("sundog_pixels_total").increment(pixels);
    metrics::counter!("sundog_output_bytes_total").increment(receipt.bytes.unwrap_or(0));
}

/// A job's receipt was written.
pub(crate) fn job_ended(state: JobState) {
    metrics::counter!("sundog_jobs_ended_total", "state" => state.name()).increment(1);
}

/// What a dispatcher of this process does. There may be several: gauges are of all of them.
#[derive(Default)]
struct Doing {
    slots: usize,
    ranks: usize,
    restarts: u64,
    in_hand: usize,
    unsound: Option<Class>,
}

#[derive(Default)]
struct Nodes {
    here: BTreeMap<String, Doing>,
    /// Restarts of worlds of those that have ended.
    restarts: u64,
}

static NODES: Mutex<Option<Nodes>> = Mutex::new(None);

fn change(node: &str, change: impl FnOnce(&mut Doing), tell: impl FnOnce(&Nodes)) {
    let mut nodes = NODES.lock().unwrap_or_else(PoisonError::into_inner);
    let nodes = nodes.get_or_insert_default();
    if !nodes.here.contains_key(node) {
        nodes.here.insert(node.to_owned(), Doing::default());
    }
    if let Some(doing) = nodes.here.get_mut(node) {
        change(doing);
    }
    tell(nodes);
}

/// What a dispatcher has in hand.
pub(crate) fn in_hand(node: &str, tasks: usize) {
    change(node, |doing| doing.in_hand = tasks, tell_in_hand);
}

fn tell_in_hand(nodes: &Nodes) {
    let tasks: usize = nodes.here.values().map(|doing| doing.in_hand).sum();
    metrics::gauge!("sundog_tasks_in_hand").set(tasks as f64);
}

/// How a dispatcher's world is.
pub(crate) fn world(node: &str, slots: usize, ranks: usize, restarts: u64) {
    let world = |doing: &mut Doing| {
        (doing.slots, doing.ranks, doing.restarts) = (slots, ranks, restarts);
    };
    change(node, world, tell_worlds);
}

fn tell_worlds(nodes: &Nodes) {
    let all = || nodes.here.values();
    let slots: usize = all().map(|doing| doing.slots).sum();
    let ranks: usize = all().map(|doing| doing.ranks).sum();
    let restarts: u64 = all().map(|doing| doing.restarts).sum();
    metrics::gauge!("sundog_task_slots").set(slots as f64);
    metrics::gauge!("sundog_ranks_alive").set(ranks as f64);
    metrics::counter!("sundog_world_restarts_total").absolute(nodes.restarts + restarts);
}

/// What keeps a dispatcher from taking anything, while something does.
pub(crate) fn quarantined(node: &str, class: Option<Class>) {
    change(node, |doing| doing.unsound = class, tell_unsound);
}

fn tell_unsound(nodes: &Nodes) {
    for class in Class::ALL {
        let all = nodes.here.values();
        let there = all.filter(|doing| doing.unsound == Some(class)).count();
        let gauge = metrics::gauge!("sundog_node_quarantined", "reason" => class.name());
        gauge.set(there as f64);
    }
}

/// A dispatcher has ended.
pub(crate) fn ended(node: &str) {
    let mut nodes = NODES.lock().unwrap_or_else(PoisonError::into_inner);
    let nodes = nodes.get_or_insert_default();
    if let Some(gone) = nodes.here.remove(node) {
        nodes.restarts += gone.restarts;
    }
    tell_in_hand(nodes);
    tell_worlds(nodes);
    tell_unsound(nodes);
}

/// Looks at the queues now and then, whoever asks for metrics and how often, until `shutdown`. Does nothing
/// where nobody could ask.
pub async fn watch_queues(queue: Arc<dyn Queue>, shutdown: CancellationToken) {
    if !recorder::is_installed() {
        return;
    }
    let names = [
        (QueueName::Jobs, "jobs"),
        (QueueName::Control, "control"),
        (QueueName::Tasks, "tasks"),
        (QueueName::DeadLetters, "dead-letters"),
    ];
    let mut tick = tokio::time::interval(POLL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        for (name, label) in &names {
            let stats = shutdown.run_until_cancelled(queue.stats(name)).await;
            let Some(stats) = stats else { return };
            let (messages, consumers, age) = match stats {
                Ok(stats) => {
                    let age = stats.oldest_age.map_or(f64::NAN, |age| age.as_secs_f64());
                    (stats.ready as f64, stats.consumers as f64, age)
                }
                Err(error) => {
                    tracing::debug!(%error, queue = %name, "looking at a queue");
                    metrics::counter!("sundog_queue_poll_failures_total").increment(1);
                    (f64::NAN, f64::NAN, f64::NAN)
                }
            };
            let set = |metric: &'static str, value: f64| {
                metrics::gauge!(metric, "queue" => *label).set(value);
            };
            set("sundog_queue_messages", messages);
            set("sundog_queue_consumers", consumers);
            set("sundog_queue_oldest_age_seconds", age);
        }
    }
}
