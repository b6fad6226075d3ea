//! A job's inputs are looked for, and become the pages of its plan.

use super::outbox::Outbox;
use super::{Done, Job, load};
use crate::error::{Error, Result};
use crate::jobs::Url;
use crate::names;
use crate::observe::{self, Reason};
use crate::service::Node;
use cloud::store::Store;
use jobs::JobId;
use jobs::conductor::{Input, Loading};
use jobs::span::{End, PAGE, Span};
use protocol::message::{JobPlan, PlanPage, PlannedTask};
use service::telemetry::trace;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::Instrument as _;
use worker::batch::now;

/// How long somebody else's bucket may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Plans a job; holds no slot, and may be given up at any time.
pub(super) async fn run(node: &Arc<Node>, job: Arc<Job>, outbox: &Outbox) -> Done {
    let id: JobId = job.id().into();
    let span = observe::split(job.id(), job.round, &node.config.node);
    trace::follow(&span, job.trace().as_deref());
    let planned = plan(node, &job).instrument(span.clone()).await;
    let own = span.in_scope(trace::current);
    match planned {
        Ok(pages) => {
            if own.is_some() {
                *job.trace() = own;
            }
            let tasks = job.tasks();
            span.in_scope(|| tracing::info!(job = %id, tasks, "a job begins"));
            outbox.started(&job);
            Done::Planned(job, pages)
        }
        Err(error) => {
            tracing::warn!(%error, job = %id, "its inputs are looked for again");
            job.plan_failures.fetch_add(1, Ordering::Relaxed);
            Done::Input(Input::PlanFailed(id))
        }
    }
}

async fn plan(node: &Arc<Node>, job: &Arc<Job>) -> Result<Vec<Loading>> {
    let (store, id, spec) = (&node.jobs.store, job.id(), &job.stored.spec);
    let foreign = spec.inputs.iter().any(|input| Url::is_one(input));
    let expand = node.sources.expand(&job.stored.owner, spec);
    let found = match foreign {
        false => expand.await,
        true => match tokio::time::timeout(PATIENCE, expand).await {
            Ok(found) => found,
            Err(_) => Err(Error::State(format!(
                "no answer within {} s",
                PATIENCE.as_secs()
            ))),
        },
    };
    let failures = job.plan_failures.load(Ordering::Relaxed) + 1;
    let found = match found {
        // What is wrong lies with the bucket that the job names, and did not pass.
        Err(error) if foreign && failures >= spec.schedule.max_attempts => {
            let named = spec.inputs.iter().find(|input| Url::is_one(input));
            crate::expand::Expanded::hopeless(
                named.map_or("", String::as_str),
                format!("its inputs cannot be looked for: {error}"),
            )
        }
        found => found?,
    };
    let (mut pages, mut written) = (Vec::new(), Vec::new());
    let (tasks, files): (Vec<PlannedTask>, _) = match &spec.reduce {
        None => (found.tasks, None),
        Some(reduce) => {
            let files = found.tasks;
            for (number, chunk) in (0..).zip(files.chunks(PAGE as usize)) {
                let name = names::plan_files(id, number);
                put_page(store, &name, chunk).await?;
                written.push(name);
            }
            let nodes = crate::reduction::tasks(reduce, &files);
            (nodes, Some(files.len() as u64))
        }
    };
    for (number, chunk) in (0..).zip(tasks.chunks(PAGE as usize)) {
        let name = names::plan_page(id, number);
        put_page(store, &name, chunk).await?;
        written.push(name);
        let hopeless = load::hopeless(node, number, chunk);
        let ended = hopeless
            .iter()
            .map(|receipt| (Span::place(receipt.task).1, End::Failed));
        pages.push(Loading {
            costs: load::costs(job, chunk),
            ended: ended.collect(),
            again: Vec::new(),
        });
        for receipt in hopeless {
            observe::task_ended(id, &receipt, Reason::Unsuitable);
            job.entries().insert(receipt.task, receipt);
        }
    }
    let plan = JobPlan {
        version: protocol::VERSION,
        job: id.to_owned(),
        started: now(),
        skipped: found.skipped,
        tasks: tasks.len() as u64,
        files,
    };
    let plan = match names::create_hint(store, &names::plan(id), &plan).await? {
        true => plan,
        // By another who led.
        false => crate::records::plan(store, id).await?.unwrap_or(plan),
    };
    let (synced, head) = (store.clone(), names::plan(id));
    // Work begins meanwhile: a plan that a loss of power takes is made again.
    tokio::spawn(async move {
        let all = written.iter().map(String::as_str).chain([head.as_str()]);
        if let Err(error) = synced.sync_soon(&all.collect::<Vec<_>>()).await {
            tracing::warn!(%error, "a plan is not safe yet");
        }
    });
    let _ = job.plan.set(plan);
    Ok(pages)
}

async fn put_page(store: &Store, name: &str, tasks: &[PlannedTask]) -> Result<()> {
    let page = PlanPage {
        version: protocol::VERSION,
        tasks: tasks.to_vec(),
    };
    let bytes = names::to_json(&page).into();
    Ok(store.put_hint(name, bytes, "application/json").await?)
}
