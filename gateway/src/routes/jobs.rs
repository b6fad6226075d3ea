//! Jobs: submitted, looked at, cancelled, tried again.

use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use dispatcher::jobs::JobStatus;
use http::{StatusCode, header};
use protocol::{Job, JobState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::api::{Fields, Id, Limit, Part, parts};
use service::{Api, Code, Operation, Problem, User, body, idempotency};

/// Jobs of one answer where it is not said how many.
const A_PAGE: usize = 100;

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    let job = "Id of a job.";
    let jobs = |operation: Operation| operation.tag("jobs");
    let example = json!({
        "name": "holiday",
        "inputs": ["uploads/01JABCDEFGHJKMNPQRSTVWXYZ0/"],
        "pipeline": "equalize | gaussian(sigma=2)",
        "format": "jpeg(quality=90)",
    });
    api.add(
        jobs(Operation::get("/v1/jobs", "listJobs", "Lists your jobs, the newest first"))
            .about("A hundred at a time where no `limit` is given; `next` is the `after` of the next page, which may be the id of a job, too.")
            .query::<Which>()
            .answer::<JobList>(200, "jobs")
            .problem(404, "there is no such job to come after"),
        list,
    )
    .add(
        jobs(Operation::post("/v1/jobs", "submitJob", "Submits a job"))
            .about("The body is a job file in JSON. Limits can only lower what the operator allows.")
            .idempotent()
            .body::<Job>(example)
            .answer::<Accepted>(202, "the job is queued and durable")
            .with("Location", "Its address.")
            .problem(429, "you have as many jobs under way as you may, or sent too many requests"),
        submit,
    )
    .add(
        jobs(Operation::get("/v1/jobs/{id}", "getJob", "Tells where a job is, and what was asked for"))
            .id(job)
            .answer::<Detailed>(200, "the job"),
        status,
    )
    .add(
        jobs(Operation::delete("/v1/jobs/{id}", "deleteJob", "Cancels a job, or removes everything of it"))
            .about("A job that has ended stays as it is, unless `purge` removes it with its outputs.")
            .id(job)
            .query::<Removal>()
            .answer::<JobStatus>(202, "where the job is; it ends soon")
            .answer_empty(204, "everything of it is gone"),
        cancel,
    )
    .add(
        jobs(Operation::post("/v1/jobs/{id}/retry", "retryJob", "Runs what did not succeed again"))
            .id(job)
            .answer::<Retried>(202, "how many images are tried again")
            .problem(409, "the job has not ended yet"),
        retry,
    )
    .add(
        jobs(Operation::post("/v1/jobs/{id}/pause", "pauseJob", "Begins nothing more of a job for now"))
            .id(job)
            .answer::<JobStatus>(200, "where the job is")
            .problem(409, "the job has ended already"),
        pause,
    )
    .add(
        jobs(Operation::post("/v1/jobs/{id}/resume", "resumeJob", "Goes on with a job that was paused"))
            .id(job)
            .answer::<JobStatus>(200, "where the job is"),
        resume,
    )
}

#[derive(Serialize, JsonSchema)]
struct Accepted {
    /// Its id.
    job: String,
}

#[derive(Serialize, JsonSchema)]
struct Retried {
    /// The job's id.
    job: String,
    /// Images that are tried again.
    tasks: usize,
}

#[derive(Serialize, JsonSchema)]
struct JobList {
    jobs: Vec<Part<JobStatus>>,
    /// The `after` of the next page, where there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Where a job is, and the job as it was accepted.
#[derive(Serialize, JsonSchema)]
struct Detailed {
    #[serde(flatten)]
    status: JobStatus,
    /// The job as it was accepted.
    spec: Job,
}

async fn submit(
    State(gateway): State<Gateway>,
    user: User,
    request: Request,
) -> Result<Response, Problem> {
    let id = idempotency::id("job", &user.name, request.headers())?;
    let id = id.unwrap_or_else(worker::batch::new_job_id);
    let bytes = body::json_bytes(request, &gateway).await?;
    let job = read(&bytes)?;
    room(&gateway, &user.name, &id).await?;
    gateway.jobs.submit_as(&user.name, &id, job).await?;
    let location = [(header::LOCATION, format!("/v1/jobs/{id}"))];
    let answer = axum::Json(Accepted { job: id });
    Ok((StatusCode::ACCEPTED, location, answer).into_response())
}

/// Refuses a job of a user who has as many under way as the operator allows, or as many bytes.
async fn room(gateway: &Gateway, owner: &str, id: &str) -> Result<(), Problem> {
    let rules = &gateway.jobs.rules;
    if rules.open_jobs.is_none() && rules.stored_bytes.is_none() {
        return Ok(());
    }
    // The same job again, as after a lost answer, is none more.
    if gateway.jobs.load(owner, id).await.is_ok() {
        return Ok(());
    }
    if let Some(most) = rules.open_jobs
        && gateway.jobs.open_jobs(owner).await? as u64 >= most
    {
        let message = format!(
            "{most} jobs that have not ended are all that a user may have (wait for one, or cancel it)"
        );
        return Err(Problem::new(Code::Busy, message).with_retry(10));
    }
    gateway.room(owner, 0, 0).await
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
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// At most so many; 100 where not given.
    limit: Option<Limit>,
    /// Those in this state alone.
    state: Option<JobState>,
    /// Those that come after a page, by its `next`, or after a job, by its id.
    after: Option<Id>,
    /// Fields of the entries, with commas between; all where not given.
    fields: Option<Fields>,
}

async fn list(
    State(gateway): State<Gateway>,
    user: User,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<axum::Json<JobList>, Problem> {
    let Query(which) = which.map_err(|error| super::wrong_query(&error))?;
    let limit = which.limit.map_or(A_PAGE, Limit::get);
    let after = which.after.as_ref().map(Id::as_str);
    let (jobs, known) = (&gateway.jobs, &gateway.known);
    let found = jobs.page(&user.name, limit, which.state, after, known);
    let (jobs, next) = found.await?;
    let jobs = parts(jobs, which.fields.as_ref())?;
    Ok(axum::Json(JobList { jobs, next }))
}

async fn status(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> Result<axum::Json<Detailed>, Problem> {
    let status = gateway.jobs.status(&user.name, &id).await?;
    let spec = gateway.jobs.load(&user.name, &id).await?.spec;
    Ok(axum::Json(Detailed { status, spec }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Removal {
    /// Everything of the job goes, not only its work.
    #[serde(default)]
    purge: bool,
}

async fn cancel(
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

async fn pause(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> Result<axum::Json<JobStatus>, Problem> {
    let status = gateway.jobs.pause(&user.name, &id).await?;
    Ok(axum::Json(status))
}

async fn resume(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> Result<axum::Json<JobStatus>, Problem> {
    let status = gateway.jobs.resume(&user.name, &id).await?;
    Ok(axum::Json(status))
}

async fn retry(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let tasks = gateway.jobs.retry(&user.name, &id).await?;
    gateway.weights.forget(&id);
    let answer = axum::Json(Retried { job: id, tasks });
    Ok((StatusCode::ACCEPTED, answer).into_response())
}
