//! What the store says of a job: its plan, and how its inputs ended, page by page.

use crate::error::Result;
use crate::names;
use cloud::store::Store;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jobs::records::SpanReceipt;
use jobs::span::{PAGE, Span};
use protocol::message::{JobPlan, PlanPage, PlannedTask};
use protocol::receipt::StageMs;
use protocol::state::TaskState;
use protocol::{Job, StoredJob, TaskReceipt};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Objects read at once.
pub(crate) const AT_ONCE: usize = 16;

/// How the inputs of a page ended, and which are to be tried again as which attempt.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) entries: BTreeMap<u32, TaskReceipt>,
    pub(crate) again: BTreeMap<u32, u32>,
}

/// How many pages so many tasks have.
pub(crate) fn pages(tasks: u64) -> u32 {
    tasks.div_ceil(u64::from(PAGE)) as u32
}

/// A job's plan, if it has one.
pub(crate) async fn plan(store: &Store, id: &str) -> Result<Option<JobPlan>> {
    names::read(store, &names::plan(id)).await
}

/// A page of a job's plan; none of it where it is gone.
pub(crate) async fn plan_page(store: &Store, id: &str, page: u32) -> Result<PlanPage> {
    let found: Option<PlanPage> = names::read(store, &names::plan_page(id, page)).await?;
    found.ok_or_else(|| crate::Error::NoSuchJob(id.to_owned()))
}

/// The rounds whose results a round has, itself the last. A reduction begins anew: what its nodes left for each other is
/// gone with the round before.
pub(crate) fn rounds(spec: &Job, round: u32) -> RangeInclusive<u32> {
    match spec.reduce {
        Some(_) => round..=round,
        None => 1..=round,
    }
}

/// How inputs of a page ended in the last of these rounds, those included that earlier ones kept. `attempts`: the most
/// that there are.
pub(crate) async fn ends(
    store: &Store,
    id: &str,
    rounds: RangeInclusive<u32>,
    page: u32,
    attempts: u32,
) -> Result<Ends> {
    let mut ends = Ends::default();
    let round = *rounds.end();
    for earlier in *rounds.start()..round {
        let kept = of_round(store, id, earlier, page, attempts).await?;
        let kept = kept.entries.into_iter();
        ends.entries
            .extend(kept.filter(|(_, receipt)| receipt.state == TaskState::Succeeded));
    }
    let own = of_round(store, id, round, page, attempts).await?;
    ends.again = own.again;
    for (input, receipt) in own.entries {
        ends.entries.entry(input).or_insert(receipt);
    }
    ends.again
        .retain(|input, _| !ends.entries.contains_key(input));
    Ok(ends)
}

async fn of_round(store: &Store, id: &str, round: u32, page: u32, attempts: u32) -> Result<Ends> {
    let mut ends = Ends::default();
    let folded: Option<Vec<TaskReceipt>> =
        names::read(store, &names::folded(id, round, page)).await?;
    if let Some(folded) = folded {
        let place = |receipt: TaskReceipt| (Span::place(receipt.task).1, receipt);
        ends.entries = folded.into_iter().map(place).collect();
        return Ok(ends);
    }
    let found = store.list(&names::done_page(id, round, page)).await?;
    let reads = found.into_iter().map(|meta| async move {
        let receipt: Option<SpanReceipt> = names::read(store, &meta.name).await?;
        Ok::<_, crate::Error>(receipt)
    });
    let reads = stream::iter(reads.collect::<Vec<_>>());
    let mut spans: Vec<SpanReceipt> = reads
        .buffered(AT_ONCE)
        .try_filter_map(|receipt| async move { Ok(receipt) })
        .try_collect()
        .await?;
    spans.sort_by_key(|receipt| receipt.span.attempt);
    for receipt in spans {
        add(&mut ends, receipt, attempts);
    }
    ends.again
        .retain(|input, _| !ends.entries.contains_key(input));
    Ok(ends)
}

/// Adds a span's receipt to what is known; what came first counts.
pub(crate) fn add(ends: &mut Ends, receipt: SpanReceipt, attempts: u32) {
    let attempt = receipt.span.attempt;
    for entry in receipt.entries {
        let input = entry.input();
        if entry.passing && attempt < attempts {
            let next = ends.again.entry(input).or_insert(0);
            *next = (*next).max(attempt + 1);
        } else {
            ends.entries.entry(input).or_insert(entry.receipt);
        }
    }
}

/// How the inputs of a page ended in a round that is over, all of them.
pub(crate) async fn ended_page(
    store: &Store,
    stored: &StoredJob,
    round: u32,
    page: u32,
) -> Result<Vec<TaskReceipt>> {
    let folded: Option<Vec<TaskReceipt>> =
        names::read(store, &names::folded(&stored.id, round, page)).await?;
    match folded {
        // Of a page that nothing of was begun nothing is noted.
        Some(folded) if !folded.is_empty() => Ok(folded),
        _ => whole_page(store, stored, round, page, Vec::new(), "").await,
    }
}

/// How the inputs of a page ended, all of them: what nobody ran is cancelled. `known` counts; `node`: who says so.
pub(crate) async fn whole_page(
    store: &Store,
    stored: &StoredJob,
    round: u32,
    page: u32,
    known: Vec<TaskReceipt>,
    node: &str,
) -> Result<Vec<TaskReceipt>> {
    let plan = plan_page(store, &stored.id, page).await?;
    let attempts = stored.spec.schedule.max_attempts;
    let rounds = rounds(&stored.spec, round);
    let mut ends = ends(store, &stored.id, rounds, page, attempts).await?;
    for receipt in known {
        ends.entries.insert(Span::place(receipt.task).1, receipt);
    }
    let receipts = (0..).zip(&plan.tasks).map(|(input, task)| {
        ends.entries.remove(&input).unwrap_or_else(|| {
            let number = Span::number(page, input);
            let (state, reason) = match &task.reason {
                Some(reason) => (TaskState::Failed, reason.as_str()),
                None => (TaskState::Cancelled, "stopped before it was done"),
            };
            verdict(node, number, task, 1, state, reason)
        })
    });
    Ok(receipts.collect())
}

/// The receipt of a task that ends without a run.
pub(crate) fn verdict(
    node: &str,
    number: u64,
    task: &PlannedTask,
    attempt: u32,
    state: TaskState,
    reason: &str,
) -> TaskReceipt {
    TaskReceipt {
        version: protocol::VERSION,
        task: number,
        input: task.input.clone(),
        input_sha256: None,
        output: None,
        object: None,
        output_sha256: None,
        bytes: None,
        width: None,
        height: None,
        page: None,
        pages: Vec::new(),
        mode: None,
        mode_reason: String::new(),
        ranks: None,
        ms: StageMs::default(),
        attempt,
        rejections: 0,
        node: node.to_owned(),
        state,
        skipped: false,
        reason: Some(reason.to_owned()),
        warnings: Vec::new(),
        device: String::new(),
        device_reason: String::new(),
    }
}
