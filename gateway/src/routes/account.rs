//! Who is asking, what they may have, and what they use of it.

use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use dispatcher::jobs::Usage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::{Api, Code, Operation, Problem, Scope, User};

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    api.add(
        Operation::get("/v1/me", "getMe", "Tells who you are, what you may have, and what you use")
            .tag("account")
            .answer::<Me>(200, "you"),
        me,
    )
    .add(
        Operation::get("/v1/usage", "getUsage", "Tells how much of the job system is yours")
            .tag("account")
            .query::<Whose>()
            .answer::<Usage>(200, "jobs, uploads and bytes"),
        usage,
    )
    .add(
        Operation::delete("/v1/users/{name}", "eraseUser", "Removes everything of a user")
            .about("Jobs are ended first; outputs, uploads, dead letters and webhooks go with them. Events go in their time.")
            .scope(Scope::Admin)
            .tag("account")
            .path("name", "Name of a user.", json!({"type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}$"}))
            .answer::<Erased>(200, "how much there was"),
        erase,
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// Another user's, for administrators.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}$"))]
    user: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Erased {
    jobs: usize,
    uploads: usize,
}

/// Whoever asks.
#[derive(Serialize, JsonSchema)]
struct Me {
    user: String,
    /// Whether you may see to everybody's affairs.
    admin: bool,
    /// What your token is good for: `read`, `submit`, `admin`.
    scopes: Vec<&'static str>,
    /// When your token ends, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    limits: Bounds,
    usage: Usage,
    /// Requests that you have left in this minute, where there is a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_left: Option<u32>,
}

/// The most that there may be of something; what has no bound is left out.
#[derive(Serialize, JsonSchema)]
struct Bounds {
    /// Requests in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_a_minute: Option<u32>,
    /// Requests that are answered at once.
    requests_at_once: usize,
    /// Jobs that have not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_jobs: Option<u64>,
    /// Bytes of uploads and jobs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
    /// Files of one upload.
    upload_files: usize,
    /// Bytes of one upload.
    upload_bytes: u64,
    /// Bytes of one file.
    file_bytes: u64,
    /// Entries in `inputs` of a job.
    job_inputs: usize,
    /// Images of a job.
    job_tasks: usize,
    /// `limits.max_pixels` of a job.
    max_pixels: u64,
    /// `limits.max_bytes` of a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
    /// `limits.timeout_secs` of a job.
    timeout_secs: f64,
}

async fn me(State(gateway): State<Gateway>, user: User) -> Result<axum::Json<Me>, Problem> {
    let (rules, limits) = (&gateway.jobs.rules, &gateway.limits);
    let rates = gateway.entrance.rates();
    let shares = rates.shares();
    let limits = Bounds {
        requests_a_minute: shares.requests_a_minute,
        requests_at_once: shares.at_once,
        open_jobs: rules.open_jobs,
        stored_bytes: rules.stored_bytes,
        upload_files: limits.files,
        upload_bytes: limits.upload_bytes,
        file_bytes: limits.file_bytes,
        job_inputs: rules.max_inputs,
        job_tasks: rules.max_tasks,
        max_pixels: rules.max_pixels,
        max_bytes: rules.max_bytes,
        timeout_secs: rules.timeout_secs,
    };
    let usage = used(&gateway, &user.name).await?;
    Ok(axum::Json(Me {
        requests_left: rates.left(&user.name),
        scopes: user.scopes(),
        expires: user.expires.map(service::access::rfc3339),
        user: user.name,
        admin: user.admin,
        limits,
        usage,
    }))
}

/// Whose affairs are asked for: one's own, or another's by an administrator.
pub(super) fn whose(
    query: Result<Query<Whose>, QueryRejection>,
    user: User,
) -> Result<String, Problem> {
    let Query(whose) = query.map_err(|error| super::wrong_query(&error))?;
    match whose.user {
        Some(other) if other != user.name && !user.admin => {
            let message = "only an administrator may look at another user's";
            Err(Problem::new(Code::Forbidden, message))
        }
        Some(other) => Ok(other),
        None => Ok(user.name),
    }
}

async fn usage(
    State(gateway): State<Gateway>,
    user: User,
    whose: Result<Query<Whose>, QueryRejection>,
) -> Result<axum::Json<Usage>, Problem> {
    let whose = self::whose(whose, user)?;
    Ok(axum::Json(used(&gateway, &whose).await?))
}

/// With files that have arrived in part.
async fn used(gateway: &Gateway, owner: &str) -> Result<Usage, Problem> {
    let mut usage = gateway.jobs.usage(owner, &gateway.weights).await?;
    usage.upload_bytes += gateway.arriving.bytes(owner, None).await?;
    Ok(usage)
}

async fn erase(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
) -> Result<axum::Json<Erased>, Problem> {
    let (jobs, uploads) = gateway.jobs.erase(&name).await?;
    gateway.arriving.remove(&name, None).await?;
    Ok(axum::Json(Erased { jobs, uploads }))
}
