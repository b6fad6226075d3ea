//! What the store says of a job that has not ended.

use super::{Done, Job};
use crate::error::Result;
use crate::jobs::count;
use crate::service::Node;
use crate::{names, records};
use jobs::JobId;
use jobs::conductor::{Flags, Input, Loaded, Loading};
use jobs::span::{End, PAGE, Span};
use protocol::message::{JobRound, PlannedTask};
use protocol::state::TaskState;
use protocol::{StoredJob, TaskReceipt};
use std::sync::{Arc, OnceLock};

/// Bytes of pixels for a byte of a file, on average.
const PIXELS: u64 = 6;
/// What an input is taken for whose size is not known.
const UNKNOWN: u64 = 1 << 20;

/// A job; `known`: the round that is known already.
pub(super) async fn job(node: &Arc<Node>, id: &JobId, known: Option<u32>) -> Done {
    let done = node.persist(|| load(node, id, known)).await;
    done.unwrap_or(Done::Nothing)
}

async fn load(node: &Arc<Node>, id: &JobId, known: Option<u32>) -> Result<Done> {
    let store = &node.jobs.store;
    let round = names::current_round(store, id).await?;
    let (cancelled, paused) = (names::cancelled(id, round), names::paused(id));
    let (cancelled, paused) = tokio::join!(
        names::exists(store, &cancelled),
        names::exists(store, &paused)
    );
    let flags = Flags {
        cancelled: cancelled?,
        paused: paused?,
    };
    if known == Some(round) {
        let job = id.clone();
        return Ok(Done::Input(Input::Flags { job, flags }));
    }
    let stored: Option<StoredJob> = names::read(store, &names::spec(id)).await?;
    let Some(stored) = stored else {
        // Its submitter died in the middle, it was deleted, or this node does not see it.
        node.is_sound().await;
        return Ok(Done::Nothing);
    };
    let end = names::end(id, round);
    let over = names::exists(store, &end).await?;
    let plan = records::plan(store, id).await?;
    let begun = match (round, &plan) {
        (1, Some(plan)) => plan.started.clone(),
        (1, None) => worker::batch::now(),
        _ => {
            let name = names::round(id, round);
            let found: Option<JobRound> = names::read(store, &name).await?;
            found.map_or_else(worker::batch::now, |round| round.time)
        }
    };
    let spec = &stored.spec;
    let mut loaded = Loaded {
        job: id.clone(),
        owner: stored.owner.as_str().into(),
        class: spec.schedule.priority as u8,
        round,
        flags,
        over,
        schedule: spec.schedule.clone(),
        stops: spec.on_error == protocol::job::OnError::Stop,
        capped: spec.limits.memory.is_some(),
        pages: None,
        tree: None,
    };
    let job = Arc::new(Job {
        round,
        begun,
        plan: OnceLock::new(),
        entries: Default::default(),
        counts: Default::default(),
        hopeless: Default::default(),
        trace: Default::default(),
        warnings: Default::default(),
        told: Default::default(),
        plan_failures: Default::default(),
        stored,
    });
    if let Some(plan) = plan {
        let mut pages = Vec::new();
        for number in 0..records::pages(plan.tasks) {
            pages.push(page(node, &job, number).await?);
        }
        let ended: usize = pages.iter().map(|page| page.ended.len()).sum();
        tracing::info!(job = %id, tasks = plan.tasks, ended, "a job goes on");
        let _ = job.plan.set(plan);
        loaded.pages = Some(pages);
        loaded.tree = job.tree();
    }
    Ok(Done::Loaded(job, Box::new(loaded)))
}

/// A page: what its inputs cost, and how those ended that have.
async fn page(node: &Node, job: &Job, number: u32) -> Result<Loading> {
    let store = &node.jobs.store;
    let plan = records::plan_page(store, job.id(), number).await?;
    let attempts = job.stored.spec.schedule.max_attempts;
    let rounds = records::rounds(&job.stored.spec, job.round);
    let mut ends = records::ends(store, job.id(), rounds, number, attempts).await?;
    for receipt in hopeless(node, number, &plan.tasks) {
        ends.entries
            .entry(Span::place(receipt.task).1)
            .or_insert(receipt);
    }
    let ended = ends
        .entries
        .iter()
        .map(|(input, receipt)| (*input, end_of(receipt)));
    let loading = Loading {
        costs: costs(job, &plan.tasks),
        ended: ended.collect(),
        again: ends.again.into_iter().collect(),
    };
    let single = loading.costs.len() < PAGE as usize && number == 0;
    let whole = loading.ended.len() == loading.costs.len();
    if single || !whole {
        let entries = ends.entries.into_values();
        job.entries()
            .extend(entries.map(|receipt| (receipt.task, receipt)));
    } else {
        let receipts: Vec<TaskReceipt> = ends.entries.into_values().collect();
        job.counts().insert(number, count(&receipts));
    }
    Ok(loading)
}

fn end_of(receipt: &TaskReceipt) -> End {
    match receipt.state {
        TaskState::Succeeded => End::Succeeded,
        TaskState::Rejected => End::Rejected,
        _ => End::Failed,
    }
}

/// The ends of those that cannot be processed.
pub(super) fn hopeless(node: &Node, page: u32, tasks: &[PlannedTask]) -> Vec<TaskReceipt> {
    let hopeless = (0..).zip(tasks).filter_map(|(input, task)| {
        let reason = task.reason.as_deref()?;
        let number = Span::number(page, input);
        Some(node.verdict(number, task, 1, TaskState::Failed, reason))
    });
    hopeless.collect()
}

/// What inputs cost by their bytes and the pipeline, in microseconds. The conductor learns how far off that is.
pub(super) fn costs(job: &Job, tasks: &[PlannedTask]) -> Vec<u32> {
    let steps = steps(&job.stored.spec.pipeline);
    let cost = |task: &PlannedTask| {
        let pixels = task.bytes.unwrap_or(UNKNOWN).saturating_mul(PIXELS);
        // Decoding, encoding and each step go through a hundred bytes or so in a microsecond.
        let us = 500 + pixels.saturating_mul(2 + steps) / 150;
        us.min(u64::from(u32::MAX)) as u32
    };
    tasks.iter().map(cost).collect()
}

fn steps(pipeline: &protocol::pipeline::Pipeline) -> u64 {
    match pipeline.to_value() {
        serde_json::Value::String(text) if !text.trim().is_empty() => {
            1 + text.matches('|').count() as u64
        }
        serde_json::Value::Array(steps) => steps.len() as u64,
        _ => 0,
    }
}
