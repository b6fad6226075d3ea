//! What came out of a job: links that are signed on demand, and the receipt.

use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use dispatcher::names;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::TaskReceipt;
use protocol::state::{JobState, TaskState};
use serde::{Deserialize, Serialize};
use service::{Code, Problem, User};
use std::time::Duration;

/// Links that are signed at once; some stores ask a service for each.
const AT_ONCE: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Life {
    /// Seconds that links live; an hour by default.
    #[serde(default = "hour")]
    expires: u64,
    /// At most so many tasks.
    limit: Option<usize>,
    /// Those with numbers above this one.
    after: Option<u64>,
}

fn hour() -> u64 {
    3600
}

#[derive(Serialize)]
struct Results {
    job: String,
    state: JobState,
    results: Vec<Output>,
    failed: Vec<Failure>,
}

#[derive(Serialize)]
struct Output {
    task: u64,
    /// The page that it is of its input, where pages have outputs of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    input: String,
    /// Where the input is an upload: a link to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_url: Option<String>,
    output: String,
    url: String,
    expires: String,
    bytes: Option<u64>,
    sha256: Option<String>,
    width: Option<u64>,
    height: Option<u64>,
}

#[derive(Serialize)]
struct Failure {
    task: u64,
    input: String,
    state: TaskState,
    reason: Option<String>,
}

pub(super) async fn results(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
    life: Result<Query<Life>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(life) = life.map_err(|error| super::wrong_query(&error))?;
    let week = cloud::links::MAX_LIFE.as_secs();
    if !(1..=week).contains(&life.expires) {
        let message = format!("{} seconds are outside 1..={week}", life.expires);
        return Err(Problem::invalid("expires", message));
    }
    let (limit, after) = (life.limit.unwrap_or(usize::MAX), life.after);
    let life = Duration::from_secs(life.expires);
    // The state first: what it says has ended has its receipts.
    let state = gateway.jobs.status(&user.name, &id).await?.state;
    let jobs = &gateway.jobs;
    let receipts = jobs.some_tasks(&user.name, &id, limit, after).await?;
    let (done, open): (Vec<_>, Vec<_>) = receipts
        .into_iter()
        .partition(|receipt| receipt.state == TaskState::Succeeded);
    let signed = done.into_iter().map(|receipt| {
        let (gateway, owner, id) = (&gateway, &user.name, &id);
        async move { output(gateway, owner, id, receipt, life).await }
    });
    let signed: Vec<_> = signed.collect();
    let signed = stream::iter(signed).buffered(AT_ONCE);
    let results: Vec<Vec<Output>> = signed.try_collect().await?;
    let failed = open.into_iter().map(|receipt| Failure {
        task: receipt.task,
        input: receipt.input,
        state: receipt.state,
        reason: receipt.reason,
    });
    let answer = Results {
        state,
        results: results.into_iter().flatten().collect(),
        failed: failed.collect(),
        job: id,
    };
    Ok(axum::Json(answer).into_response())
}

/// The outputs of a task with their links.
async fn output(
    gateway: &Gateway,
    owner: &str,
    id: &str,
    receipt: TaskReceipt,
    life: Duration,
) -> Result<Vec<Output>, Problem> {
    let store = &gateway.jobs.store;
    // Its owner's alone: the name begins with the owner's own prefix.
    let input_url = match receipt.input.strip_prefix("uploads/") {
        Some(below) => {
            let key = names::upload(owner, below);
            Some(store.link_get(&key, life).await?.url.to_string())
        }
        None => None,
    };
    let mut outputs = Vec::new();
    for (name, output) in names::outputs_of(id, &receipt) {
        let link = store.link_get(&name, life).await?;
        outputs.push(Output {
            task: receipt.task,
            page: output.page,
            input: receipt.input.clone(),
            input_url: input_url.clone(),
            output: output.output.to_owned(),
            expires: link.expires_text(),
            url: link.url.to_string(),
            bytes: output.bytes,
            sha256: output.sha256.map(str::to_owned),
            width: output.size.map(|size| size.0),
            height: output.size.map(|size| size.1),
        });
    }
    Ok(outputs)
}

pub(super) async fn receipt(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    match gateway.jobs.receipt(&user.name, &id).await? {
        Some(receipt) => Ok(axum::Json(receipt).into_response()),
        None => Err(Problem::new(
            Code::Conflict,
            "the job has not ended yet, so it has no receipt",
        )),
    }
}
