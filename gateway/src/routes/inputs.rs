//! What a job reads, in order: links to uploads, and the names of what lies elsewhere.

use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use dispatcher::names;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::api::{Limit, Number};
use service::{Api, Operation, Problem, User};
use std::time::Duration;

/// Inputs of one answer where no fewer are asked for.
const MOST: usize = 1000;

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    api.add(
        Operation::get(
            "/v1/jobs/{id}/inputs",
            "listInputs",
            "Lists what a job reads, in order",
        )
        .about("Uploads come with links; of what lies elsewhere there is the name alone.")
        .tag("results")
        .id("Id of a job.")
        .query::<Wanted>()
        .answer::<Inputs>(200, "inputs"),
        inputs,
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Seconds that links live; an hour by default, a week at most.
    #[serde(default = "hour")]
    #[schemars(range(min = 1, max = 604800))]
    expires: u64,
    /// At most so many, and no more than a thousand.
    limit: Option<Limit>,
    /// Those with numbers above this one.
    after: Option<Number>,
}

fn hour() -> u64 {
    3600
}

#[derive(Serialize, JsonSchema)]
struct Inputs {
    job: String,
    inputs: Vec<Input>,
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
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(wanted) = wanted.map_err(|error| super::wrong_query(&error))?;
    let week = cloud::links::MAX_LIFE.as_secs();
    if !(1..=week).contains(&wanted.expires) {
        let message = format!("{} seconds are outside 1..={week}", wanted.expires);
        return Err(Problem::invalid("expires", message));
    }
    let life = Duration::from_secs(wanted.expires);
    let limit = wanted.limit.map_or(MOST, Limit::get).min(MOST);
    let after = wanted.after.map(Number::get);
    let jobs = &gateway.jobs;
    let found = jobs.inputs(&user.name, &id, limit, after).await?;
    let mut inputs = Vec::with_capacity(found.len());
    for (number, task) in found {
        // Its owner's alone: the name begins with the owner's own prefix.
        let url = match task.input.strip_prefix("uploads/") {
            Some(below) if task.reason.is_none() => {
                let key = names::upload(&user.name, below);
                Some(jobs.store.link_get(&key, life).await?.url.to_string())
            }
            _ => None,
        };
        inputs.push(Input {
            number,
            input: task.input,
            url,
            bytes: task.bytes,
        });
    }
    Ok(axum::Json(Inputs { job: id, inputs }).into_response())
}
