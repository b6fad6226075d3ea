//! Jobs: submitted, looked at, cancelled, tried again.

use crate::idempotency;
use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use dispatcher::jobs::JobStatus;
use http::{StatusCode, header};
use protocol::{Job, JobState};
use serde::Deserialize;
use serde_json::json;
use service::{Problem, User, body};

pub(super) async fn submit(
    State(gateway): State<Gateway>,
    user: User,
    request: Request,
) -> Result<Response, Problem> {
    let id = idempotency::id(&user.name, request.headers())?;
    let id = id.unwrap_or_else(worker::batch::new_job_id);
    let bytes = body::json_bytes(request, &gateway).await?;
    let job = read(&bytes)?;
    gateway.jobs.submit_as(&user.name, &id, job).await?;
    let location = [(header::LOCATION, format!("/v1/jobs/{id}"))];
    let answer = axum::Json(json!({ "job": id }));
    Ok((StatusCode::ACCEPTED, location, answer).into_response())
}

/// A job file in JSON. Its parser knows which names are near a wrong one.
fn read(bytes: &[u8]) -> Result<Job, Problem> {
    let parsed: Result<Job, Problem> = body::parse(bytes);
    parsed.map_err(|problem| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        match worker::jobfile::parse::<Job>("job.json", text) {
            Err(message) => match problem.key() {
                Some(key) => Problem::invalid(key, message),
                None => Problem::new(problem.code(), message),
            },
            Ok(_) => problem,
        }
    })
}

/// Which jobs are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    limit: Option<usize>,
    state: Option<JobState>,
    after: Option<String>,
}

pub(super) async fn list(
    State(gateway): State<Gateway>,
    user: User,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) = which.map_err(|error| super::wrong_query(&error))?;
    let limit = which.limit.unwrap_or(usize::MAX);
    let jobs = &gateway.jobs;
    let some = jobs.some(&user.name, limit, which.state, which.after.as_deref());
    let mut jobs = some.await?;
    if which.limit.is_none() {
        // Ids that come from a client's key do not tell the time.
        jobs.sort_by(|a, b| b.submitted.cmp(&a.submitted));
    }
    Ok(axum::Json(json!({ "jobs": jobs })).into_response())
}

pub(super) async fn status(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> Result<axum::Json<JobStatus>, Problem> {
    let status = gateway.jobs.status(&user.name, &id).await?;
    Ok(axum::Json(status))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Removal {
    /// Everything of the job goes, not only its work.
    #[serde(default)]
    purge: bool,
}

pub(super) async fn cancel(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
    removal: Result<Query<Removal>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(removal) = removal.map_err(|error| super::wrong_query(&error))?;
    if removal.purge {
        gateway.jobs.purge(&user.name, &id).await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let status = gateway.jobs.cancel(&user.name, &id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(status)).into_response())
}

pub(super) async fn pause(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> Result<axum::Json<JobStatus>, Problem> {
    let status = gateway.jobs.pause(&user.name, &id).await?;
    Ok(axum::Json(status))
}

pub(super) async fn resume(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> Result<axum::Json<JobStatus>, Problem> {
    let status = gateway.jobs.resume(&user.name, &id).await?;
    Ok(axum::Json(status))
}

pub(super) async fn retry(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let n = gateway.jobs.retry(&user.name, &id).await?;
    let answer = axum::Json(json!({ "job": id, "tasks": n }));
    Ok((StatusCode::ACCEPTED, answer).into_response())
}
