//! What came out of a job: links that are signed on demand, and the receipt.

use super::linked::{Linked, Wanted};
use crate::run::Gateway;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use dispatcher::names;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header;
use protocol::state::{JobState, TaskState};
use protocol::{JobReceipt, TaskReceipt};
use schemars::JsonSchema;
use serde::Serialize;
use service::api::{Part, names as fields_of};
use service::{Api, Code, Operation, Problem, User};
use std::time::Duration;

/// Links that are signed at once; some stores ask a service for each.
const AT_ONCE: usize = 16;
/// Images of one answer where no fewer are asked for.
const MOST: usize = 10_000;

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    let job = "Id of a job.";
    api.add(
        Operation::get(
            "/v1/jobs/{id}/results",
            "listResults",
            "Lists what came out of a job so far, with links",
        )
        .about("Whoever has a link can get the file until it expires. Ten thousand images at most at a time; `next` is the `after` of the next page.")
        .tag("results")
        .id(job)
        .query::<Linked>()
        .answer::<Results>(200, "outputs with their links, and images without an output"),
        results,
    )
    .add(
        Operation::get("/v1/jobs/{id}/receipt", "getReceipt", "Gets the receipt of a job that has ended")
            .tag("results")
            .id(job)
            .answer::<JobReceipt>(200, "what was asked, what ran and what came out, with hashes")
            .problem(409, "the job has not ended yet"),
        receipt,
    )
}

#[derive(Serialize, JsonSchema)]
struct Results {
    job: String,
    state: JobState,
    results: Vec<Part<Output>>,
    failed: Vec<Part<Failure>>,
    /// A link to all of it as one zip archive, for as long as the others.
    archive_url: String,
    /// The `after` of the next page, where there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The image's number in the job, from 0.
    task: u64,
    /// The page that it is of its input, where pages have outputs of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    input: String,
    /// Where the input is an upload: a link to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_url: Option<String>,
    output: String,
    /// Where to get it.
    url: String,
    /// When the link ends, RFC 3339 in UTC.
    expires: String,
    bytes: Option<u64>,
    sha256: Option<String>,
    width: Option<u64>,
    height: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Failure {
    /// The image's number in the job, from 0.
    task: u64,
    input: String,
    state: TaskState,
    reason: Option<String>,
}

async fn results(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
    query: Result<Query<Linked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Wanted {
        life,
        limit,
        after,
        fields,
    } = Linked::wanted(query)?;
    if let Some(fields) = &fields {
        fields.check(&[fields_of::<Output>(), fields_of::<Failure>()].concat())?;
    }
    let limit = limit.map_or(MOST, |limit| limit.min(MOST));
    // The state first: what it says has ended has its receipts.
    let state = gateway.jobs.status(&user.name, &id).await?.state;
    let jobs = &gateway.jobs;
    let receipts = jobs.some_tasks(&user.name, &id, limit, after).await?;
    let next = receipts.last().filter(|_| receipts.len() >= limit);
    let next = next.map(|last| last.task);
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
    let fields = fields.as_ref();
    let results = results.into_iter().flatten();
    let results = results.map(|output| Part::of(output, fields));
    let failed = open.into_iter().map(|receipt| {
        let failure = Failure {
            task: receipt.task,
            input: receipt.input,
            state: receipt.state,
            reason: receipt.reason,
        };
        Part::of(failure, fields)
    });
    let archive = super::archive::link(&gateway, &user.name, &id, life)?;
    let answer = Results {
        state,
        archive_url: archive.url.to_string(),
        results: results.collect::<Result<_, _>>()?,
        failed: failed.collect::<Result<_, _>>()?,
        next,
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
    let input_url = match names::uploaded(owner, &receipt.input) {
        Some(key) => Some(store.link_get(&key, life).await?.url.to_string()),
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

async fn receipt(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    match gateway.jobs.receipt_parts(&user.name, &id).await? {
        // In pieces: it may tell of a million images.
        Some(parts) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            Ok((json, Body::from_stream(parts)).into_response())
        }
        None => Err(Problem::new(
            Code::Conflict,
            "the job has not ended yet, so it has no receipt",
        )),
    }
}
