//! What a job reads, in order: links to uploads, and the names of what lies elsewhere.

use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use dispatcher::names;
use serde::{Deserialize, Serialize};
use service::{Problem, User};
use std::time::Duration;

/// Inputs of one answer where no fewer are asked for.
const MOST: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Seconds that links live.
    #[serde(default = "hour")]
    expires: u64,
    /// At most so many, and no more than a thousand.
    limit: Option<usize>,
    /// Those with numbers above this one.
    after: Option<u64>,
}

fn hour() -> u64 {
    3600
}

#[derive(Serialize)]
struct Inputs {
    job: String,
    inputs: Vec<Input>,
}

#[derive(Serialize)]
struct Input {
    number: u64,
    input: String,
    /// Where it is an upload: a link to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

pub(super) async fn inputs(
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
    let limit = wanted.limit.unwrap_or(MOST).min(MOST);
    let jobs = &gateway.jobs;
    let found = jobs.inputs(&user.name, &id, limit, wanted.after).await?;
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
