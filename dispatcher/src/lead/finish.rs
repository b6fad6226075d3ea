//! The end of a job: its receipt, composed page by page, then its last event.

use super::Job;
use super::outbox::{Outbox, heard};
use crate::dead::Letter;
use crate::error::{Error, Result};
use crate::jobs::{count, to_field};
use crate::service::Node;
use crate::{names, observe, records, tell};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jobs::span::Span;
use protocol::event::{Event, JobFinished};
use protocol::job::OnError;
use protocol::receipt::{Build, Counts, JobReceipt, TaskReceipt};
use protocol::state::{JobState, TaskState};
use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;
use worker::atomic::sha256;
use worker::batch::now;

/// Tasks of a job whose events are all kept, with room for their warnings.
const KEPT: u64 = 50_000;
/// Events of one reading of a history.
const PAGE: usize = 5000;

/// Writes how all inputs of a page ended, and forgets them here.
pub(super) async fn fold(node: &Node, job: &Job, page: u32) {
    node.persist(|| async {
        let receipts = page_receipts(node, job, page).await?;
        let store = &node.jobs.store;
        let name = names::folded(job.id(), job.round, page);
        names::create(store, &name, &receipts).await?;
        job.counts().insert(page, count(&receipts));
        let first = Span::number(page, 0);
        let mut entries = job.entries();
        let mut rest = entries.split_off(&first);
        entries.append(&mut rest.split_off(&Span::number(page + 1, 0)));
        Ok(())
    })
    .await;
}

/// The numbers of a page's inputs.
fn bounds(job: &Job, page: u32) -> Range<u64> {
    Span::number(page, 0)..Span::number(page + 1, 0).min(job.tasks())
}

/// How the inputs of a page ended, all of them: what nobody ran is cancelled.
async fn page_receipts(node: &Node, job: &Job, page: u32) -> Result<Vec<TaskReceipt>> {
    let bounds = bounds(job, page);
    let known: Vec<TaskReceipt> = {
        let entries = job.entries();
        let known = entries.range(bounds.clone());
        known.map(|(_, receipt)| receipt.clone()).collect()
    };
    if known.len() as u64 == bounds.end - bounds.start {
        return Ok(known);
    }
    let (store, name) = (&node.jobs.store, &node.config.node);
    records::whole_page(store, &job.stored, job.round, page, known, name).await
}

/// How a page of many ended, in numbers, noted so that it stays so: a commit that comes later is none.
async fn page_counts(node: &Node, job: &Job, page: u32) -> Result<Counts> {
    if let Some(known) = job.counts().get(&page) {
        return Ok(*known);
    }
    let (store, id, bounds) = (&node.jobs.store, job.id(), bounds(job, page));
    let name = names::folded(id, job.round, page);
    let earlier = *records::rounds(&job.stored.spec, job.round).start() < job.round;
    let known = earlier
        || job.hopeless().contains(&page)
        || job.entries().range(bounds.clone()).next().is_some();
    if !known
        && store
            .list(&names::done_page(id, job.round, page))
            .await?
            .is_empty()
        && names::create_hint(store, &name, &Vec::<TaskReceipt>::new()).await?
    {
        let tasks = bounds.end - bounds.start;
        return Ok(Counts {
            tasks,
            cancelled: tasks,
            ..Counts::default()
        });
    }
    let mut receipts = page_receipts(node, job, page).await?;
    if !names::create_hint(store, &name, &receipts).await? {
        receipts = records::ended_page(store, &job.stored, job.round, page).await?;
    }
    let counts = count(&receipts);
    job.counts().insert(page, counts);
    Ok(counts)
}

/// Brings a job to its end: receipt, events, marks.
pub(super) async fn job(node: &Arc<Node>, job: &Arc<Job>, outbox: &Outbox) {
    let Some(head) = node.persist(|| receipt(node, job)).await else {
        return;
    };
    if let Some(reduce) = &job.stored.spec.reduce
        && !reduce.keep_partials
    {
        let (store, id, round) = (&node.jobs.store, job.id(), job.round);
        node.persist(|| crate::reduction::remove_partials(store, id, round))
            .await;
    }
    outbox.flush_of(job).await;
    node.persist(|| async {
        tell_missing(node, job).await?;
        let end = Event::JobFinished(JobFinished::of(job.id(), &head));
        let events = vec![(format!("job-finished-{}", job.round), end)];
        heard(job.id(), || node.jobs.events.append_all(job.id(), &events)).await;
        let (tasks, round) = (head.counts.tasks.to_string(), job.round.to_string());
        let ended = to_field(&head.counts);
        let fields = [
            ("state", head.state.name()),
            ("tasks", &tasks),
            ("round", &round),
            ("ended", &ended),
        ];
        heard(job.id(), || node.jobs.events.set_fields(job.id(), &fields)).await;
        Ok(())
    })
    .await;
    node.persist(|| async {
        // Nobody waits for these: whoever reads the receipt of so many tasks reads their pages.
        if records::pages(job.tasks()) > 1 {
            write_whole(node, job, &head).await?;
        }
        Ok(node.jobs.store.delete(&names::open(job.id())).await?)
    })
    .await;
}

/// The job's receipt, written if it has none; without its tasks.
async fn receipt(node: &Arc<Node>, job: &Arc<Job>) -> Result<JobReceipt> {
    let (store, id, round) = (&node.jobs.store, job.id(), job.round);
    if job.plan.get().is_none()
        && let Some(plan) = records::plan(store, id).await?
    {
        let _ = job.plan.set(plan);
    }
    let (mut counts, mut single) = (Counts::default(), Vec::new());
    match records::pages(job.tasks()) {
        0 => {}
        1 => {
            single = page_receipts(node, job, 0).await?;
            counts = count(&single);
            let owner = job.stored.owner.as_str();
            Letter::write(store, owner, id, round, 0, &single).await?;
            cancelled(id, &single);
        }
        pages => {
            let each: Vec<_> = (0..pages)
                .map(|page| page_counts(node, job, page))
                .collect();
            let mut each = stream::iter(each).buffered(records::AT_ONCE);
            while let Some(some) = each.try_next().await? {
                counts.tasks += some.tasks;
                counts.succeeded += some.succeeded;
                counts.failed += some.failed;
                counts.rejected += some.rejected;
                counts.cancelled += some.cancelled;
                counts.warnings += some.warnings;
            }
        }
    }
    let spec = &job.stored.spec;
    let finished = now();
    let plan = job.plan.get();
    let head = JobReceipt {
        version: protocol::VERSION,
        job: id.to_owned(),
        name: spec.name.clone(),
        spec: spec.clone(),
        spec_sha256: sha256(&names::to_json(spec)),
        build: Build {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: option_env!("SUNDOG_COMMIT").map(str::to_owned),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        },
        ms: milliseconds(&job.begun, &finished),
        started: job.begun.clone(),
        finished,
        state: match plan {
            // Of a reduction there is a result or none.
            Some(_) if spec.reduce.is_some() => match state(&counts, OnError::Stop) {
                JobState::Partial => JobState::Failed,
                state => state,
            },
            Some(_) => state(&counts, spec.on_error),
            None => JobState::Cancelled,
        },
        counts,
        note: (counts.tasks == 0 && plan.is_some())
            .then(|| "there was nothing to do: no input is an image".into()),
        skipped: plan.map(|plan| plan.skipped.clone()).unwrap_or_default(),
        tasks: Vec::new(),
    };
    let name = names::end(id, round);
    let mut new = names::create_hint(store, &name, &head).await?;
    let mut there: Option<JobReceipt> = None;
    if !new {
        there = names::read(store, &name).await?;
        // One that was cut off is gone now.
        new = there.is_none() && names::create_hint(store, &name, &head).await?;
    }
    let head = there.unwrap_or(head);
    let mut written = vec![name];
    if records::pages(job.tasks()) <= 1 {
        let whole = JobReceipt {
            tasks: single,
            ..head.clone()
        };
        let (full, bytes) = (names::receipt(id), names::to_json(&whole).into());
        store.put_hint(&full, bytes, "application/json").await?;
        written.push(full);
    }
    let written: Vec<&str> = written.iter().map(String::as_str).collect();
    store.sync(&written).await?;
    if new {
        observe::job_ended(head.state);
        let (state, ms) = (head.state.name(), head.ms);
        let Counts {
            tasks, succeeded, ..
        } = head.counts;
        tracing::info!(job = id, state, tasks, succeeded, ms, node = %node.config.node, "a job has ended");
    }
    Ok(head)
}

/// Counts those that were cancelled.
fn cancelled(id: &str, receipts: &[TaskReceipt]) {
    let cancelled = (receipts.iter()).filter(|receipt| receipt.state == TaskState::Cancelled);
    for receipt in cancelled {
        observe::task_ended(id, receipt, observe::Reason::Cancelled);
    }
}

/// Writes the receipt of a job of many tasks, and what failed of it, page by page.
async fn write_whole(node: &Arc<Node>, job: &Arc<Job>, head: &JobReceipt) -> Result<()> {
    let (store, id, round) = (&node.jobs.store, job.id(), job.round);
    let failed = |error| Error::local("writing a receipt", error);
    let whole = node.scratch.name();
    let mut file = std::fs::File::create(whole.path()).map_err(failed)?;
    let text = names::to_json(head);
    // Its tasks come last, and there are none in it.
    let front = text.strip_suffix(b"]}").unwrap_or(&text);
    file.write_all(front).map_err(failed)?;
    for page in 0..records::pages(job.tasks()) {
        if !names::exists(store, &names::spec(id)).await? {
            // It was deleted meanwhile.
            return Ok(());
        }
        let receipts = records::ended_page(store, &job.stored, round, page).await?;
        cancelled(id, &receipts);
        Letter::write(store, job.stored.owner.as_str(), id, round, page, &receipts).await?;
        let text = names::to_json(&receipts);
        let inner = text.get(1..text.len() - 1).unwrap_or_default();
        let comma: &[u8] = if page == 0 { b"" } else { b"," };
        let written = file.write_all(comma).and_then(|()| file.write_all(inner));
        written.map_err(failed)?;
        // Others have their turn.
        tokio::task::yield_now().await;
    }
    file.write_all(b"]}").map_err(failed)?;
    drop(file);
    let full = names::receipt(id);
    store
        .put_file(&full, whole.path(), "application/json")
        .await?;
    Ok(store.sync(&[full.as_str()]).await?)
}

/// Tells of the tasks that nobody told of: another led then, or nobody could hear it. Their events have the same keys
/// whoever tells them, so that none comes twice.
async fn tell_missing(node: &Node, job: &Arc<Job>) -> Result<()> {
    let id = job.id();
    // What was told may have been lost since. Of very many only the last are kept, though, and their counts tell enough.
    if job.tasks() > KEPT {
        return Ok(());
    }
    let mut told = std::collections::BTreeSet::new();
    let mut after = 0;
    loop {
        let page = match node.jobs.events.read(id, after, PAGE).await {
            Ok(page) => page,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(_) => return Ok(()),
        };
        for record in &page.records {
            if let Event::TaskFinished(event) = &record.event {
                let this = record.key == tell::task_key(event.task, job.round);
                if this || event.state == TaskState::Succeeded {
                    told.insert(event.task);
                }
            }
        }
        match page.records.last() {
            Some(last) if last.seq < page.last => after = last.seq,
            _ => break,
        }
    }
    for page in 0..records::pages(job.tasks()) {
        let receipts = page_receipts(node, job, page).await?;
        let missing = receipts
            .iter()
            .filter(|receipt| !told.contains(&receipt.task));
        let events = missing.flat_map(|receipt| tell::task_events(id, job.round, receipt));
        let events: Vec<_> = events.collect();
        for some in events.chunks(500) {
            heard(id, || node.jobs.events.append_all(id, some)).await;
        }
    }
    Ok(())
}

fn state(counts: &Counts, on_error: OnError) -> JobState {
    match counts {
        Counts {
            failed: 1..,
            cancelled: 1..,
            ..
        } if on_error == OnError::Stop => JobState::Failed,
        Counts { cancelled: 1.., .. } => JobState::Cancelled,
        Counts {
            failed: 0,
            rejected: 0,
            ..
        } => JobState::Succeeded,
        Counts { succeeded: 1.., .. } => JobState::Partial,
        _ => JobState::Failed,
    }
}

fn milliseconds(from: &str, to: &str) -> u64 {
    let (from, to) = (from.parse(), to.parse());
    let (Ok(from), Ok(to)) = (from, to) else {
        return 0;
    };
    let (from, to): (jiff::Timestamp, jiff::Timestamp) = (from, to);
    to.duration_since(from).as_millis().max(0) as u64
}
