//! What a job reads, in order: links to uploads, and the names of what lies elsewhere.

use super::linked::Linked;
use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;
use service::api::{Part, parts};
use service::{Api, Operation, Problem, User};

/// Inputs of one answer where no fewer are asked for.
const MOST: usize = 1000;

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    api.add(
        Operation::get(
            "/v1/jobs/{id}/inputs",
            "listInputs",
            "Lists what a job reads, in order",
        )
        .about("A thousand at most at a time. Uploads come with links; of what lies elsewhere there is the name alone.")
        .tag("results")
        .id("Id of a job.")
        .query::<Linked>()
        .answer::<Inputs>(200, "inputs"),
        inputs,
    )
}

#[derive(Serialize, JsonSchema)]
struct Inputs {
    job: String,
    inputs: Vec<Part<Input>>,
    /// The `after` of the next page, where there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Input {
    number: u64,
    input: String,
    /// Where it is an upload: a link to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

async fn inputs(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
    query: Result<Query<Linked>, QueryRejection>,
) -> Result<Response, Problem> {
    let wanted = Linked::wanted(query)?;
    let limit = wanted.limit.map_or(MOST, |limit| limit.min(MOST));
    let jobs = &gateway.jobs;
    let found = jobs.inputs(&user.name, &id, limit, wanted.after).await?;
    let next = found.last().filter(|_| found.len() >= limit);
    let next = next.map(|(number, _)| *number);
    let mut inputs = Vec::with_capacity(found.len());
    for (number, task) in found {
        let url = match dispatcher::jobs::object_of(&user.name, &task) {
            Some(key) => Some(
                jobs.store
                    .link_get(&key, wanted.life)
                    .await?
                    .url
                    .to_string(),
            ),
            None => None,
        };
        inputs.push(Input {
            number,
            input: task.input,
            url,
            bytes: task.bytes,
        });
    }
    let answer = Inputs {
        job: id,
        inputs: parts(inputs, wanted.fields.as_ref())?,
        next,
    };
    Ok(axum::Json(answer).into_response())
}
