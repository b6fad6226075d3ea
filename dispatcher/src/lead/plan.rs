//! A job's inputs are looked for, and become the pages of its plan.

use super::outbox::Outbox;
use super::{Done, Job, load};
use crate::error::{Error, Result};
use crate::expand::{Expanded, Wide};
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
use worker::inputs::Skipped;

/// How long somebody else's bucket may take, in all.
const PATIENCE: Duration = Duration::from_secs(900);
/// Pages whose hopeless inputs are kept in memory, and told of one by one.
const KEPT: u32 = 16;

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
    let find = async {
        let (owner, scratch) = (&job.stored.owner, &node.scratch);
        Ok(match node.sources.expand(owner, spec).await? {
            Some(few) => Inputs::Few(few),
            None => Inputs::Many(Box::new(node.sources.spread(owner, spec, scratch).await?)),
        })
    };
    let found = match foreign {
        false => find.await,
        true => match tokio::time::timeout(PATIENCE, find).await {
            Ok(found) => found,
            Err(_) => Err(Error::State(format!(
                "no answer within {} s",
                PATIENCE.as_secs()
            ))),
        },
    };
    let failures = job.plan_failures.load(Ordering::Relaxed) + 1;
    let found = match found {
        // There are too many, say.
        Err(Error::Invalid { reason, .. }) => {
            let first = spec.inputs.first().map_or("", String::as_str);
            Inputs::Few(Expanded::hopeless(first, reason))
        }
        // What is wrong lies with the bucket that the job names, and did not pass.
        Err(error) if foreign && failures >= spec.schedule.max_attempts => {
            let named = spec.inputs.iter().find(|input| Url::is_one(input));
            Inputs::Few(Expanded::hopeless(
                named.map_or("", String::as_str),
                format!("its inputs cannot be looked for: {error}"),
            ))
        }
        found => found?,
    };
    let mut written = Vec::new();
    let skipped = found.skipped().clone();
    let (found, files) = match (&spec.reduce, found) {
        (Some(reduce), Inputs::Few(Expanded { tasks: files, .. })) => {
            for (number, chunk) in (0..).zip(files.chunks(PAGE as usize)) {
                let name = names::plan_files(id, number);
                put_page(store, &name, chunk.to_vec()).await?;
                written.push(name);
            }
            let nodes = Expanded {
                tasks: crate::reduction::tasks(reduce, &files),
                skipped: Skipped::default(),
            };
            (Inputs::Few(nodes), Some(files.len() as u64))
        }
        (_, found) => (found, None),
    };
    let (mut pages, tasks) = (Vec::new(), found.len());
    for (number, from) in (0..).zip((0..tasks).step_by(PAGE as usize)) {
        let name = names::plan_page(id, number);
        let chunk = found.tasks(from, PAGE as usize)?;
        let page = put_page(store, &name, chunk).await?;
        written.push(name);
        let hopeless = load::hopeless(node, number, &page.tasks);
        let ended = hopeless
            .iter()
            .map(|receipt| (Span::place(receipt.task).1, End::Failed));
        pages.push(Loading {
            costs: load::costs(job, &page.tasks),
            ended: ended.collect(),
            again: Vec::new(),
        });
        if !hopeless.is_empty() && number >= KEPT {
            job.hopeless().insert(number);
        }
        for receipt in hopeless {
            observe::task_ended(id, &receipt, Reason::Unsuitable);
            if number < KEPT {
                job.entries().insert(receipt.task, receipt);
            }
        }
    }
    let plan = JobPlan {
        version: protocol::VERSION,
        job: id.to_owned(),
        started: now(),
        skipped,
        tasks: tasks as u64,
        files,
    };
    let plan = match names::create_hint(store, &names::plan(id), &plan).await? {
        true => plan,
        // By another who led.
        false => crate::records::plan(store, id).await?.unwrap_or(plan),
    };
    let (synced, head) = (store.clone(), names::plan(id));
    // Somebody waits for the end of a single image.
    let at_once = tasks == 1;
    // Where spans will write: a folder of which this is known is one less to wait for when they are done.
    let filled = [names::done_page(id, job.round, 0), names::outputs(id)];
    let filled = filled.map(|folder| folder + "/");
    // Work begins meanwhile: a plan that a loss of power takes is made again.
    tokio::spawn(async move {
        let all = written.iter().chain(&filled).map(String::as_str);
        let all: Vec<&str> = all.chain([head.as_str()]).collect();
        let safe = match at_once {
            true => synced.sync(&all).await,
            false => synced.sync_soon(&all).await,
        };
        if let Err(error) = safe {
            tracing::warn!(%error, "a plan is not safe yet");
        }
    });
    let _ = job.plan.set(plan);
    Ok(pages)
}

async fn put_page(store: &Store, name: &str, tasks: Vec<PlannedTask>) -> Result<PlanPage> {
    let page = PlanPage {
        version: protocol::VERSION,
        tasks,
    };
    let bytes = names::to_json(&page).into();
    store.put_hint(name, bytes, "application/json").await?;
    Ok(page)
}

/// The inputs of a job.
enum Inputs {
    /// In memory.
    Few(Expanded),
    /// In a file.
    Many(Box<Wide>),
}

impl Inputs {
    fn len(&self) -> usize {
        match self {
            Inputs::Few(few) => few.tasks.len(),
            Inputs::Many(many) => many.len(),
        }
    }

    fn skipped(&self) -> &Skipped {
        match self {
            Inputs::Few(few) => &few.skipped,
            Inputs::Many(many) => &many.skipped,
        }
    }

    /// Some of them, from one on.
    fn tasks(&self, from: usize, most: usize) -> Result<Vec<PlannedTask>> {
        match self {
            Inputs::Few(few) => {
                let to = few.tasks.len().min(from + most);
                Ok(few.tasks[from..to].to_vec())
            }
            Inputs::Many(many) => many.tasks(from, most),
        }
    }
}
