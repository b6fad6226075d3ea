//! Webhooks over HTTP: made, listed, dropped, and what came of their deliveries.

use super::client::Client;
use super::delivery::{Item, Report};
use super::guard::Guard;
use super::position::Position;
use super::{Hook, KINDS, hook, hooks, is_id, now, state};
use crate::Notifier;
use crate::problem::problem;
use crate::random;
use crate::server::App;
use crate::watch::After;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatcher::names;
use http::{HeaderMap, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::api::{Fields, Id, Limit, Part, parts};
use service::body::Json;
use service::{Api, Code, Operation, Problem, User, idempotency};
use std::collections::VecDeque;

/// The kind of event that a test delivers.
const TEST: &str = "ping";
/// Jobs that one webhook may name.
const MAX_JOBS: usize = 100;
/// Bytes of a request.
const MAX_BODY: usize = 64 << 10;

/// The addresses below `/v1/webhooks`.
pub(crate) fn add(api: Api<App>) -> Api<App> {
    let hook = "Id of a webhook.";
    let hooks = |operation: Operation| operation.tag("webhooks");
    let example = json!({"url": "https://example.org/sundog", "events": ["job_finished"]});
    api.add(
        hooks(Operation::get(
            "/v1/webhooks",
            "listWebhooks",
            "Lists your webhooks",
        ))
        .query::<Which>()
        .answer::<HookList>(200, "webhooks without their secrets"),
        list,
    )
    .add(
        hooks(Operation::post(
            "/v1/webhooks",
            "createWebhook",
            "Has events posted to an address",
        ))
        .about("Deliveries are signed with the secret, which is told here and never again.")
        .idempotent()
        .body::<Wish>(example)
        .answer::<Shown>(201, "the webhook with its secret")
        .with("Location", "Its address."),
        create,
    )
    .add(
        hooks(Operation::get(
            "/v1/webhooks/{id}",
            "getWebhook",
            "Tells of a webhook",
        ))
        .id(hook)
        .answer::<Shown>(200, "the webhook without its secret"),
        one,
    )
    .add(
        hooks(Operation::delete(
            "/v1/webhooks/{id}",
            "deleteWebhook",
            "Posts nothing more to an address",
        ))
        .id(hook)
        .answer_empty(204, "it is gone"),
        remove,
    )
    .add(
        hooks(Operation::post(
            "/v1/webhooks/{id}/test",
            "testWebhook",
            "Delivers an event `ping`, now",
        ))
        .id(hook)
        .answer::<Tested>(200, "what came of it"),
        test,
    )
    .add(
        hooks(Operation::post(
            "/v1/webhooks/{id}/rotate",
            "rotateWebhook",
            "Draws another secret",
        ))
        .id(hook)
        .answer::<Shown>(200, "the webhook with its new secret"),
        rotate,
    )
    .add(
        hooks(Operation::get(
            "/v1/webhooks/{id}/deliveries",
            "listDeliveries",
            "Lists the last deliveries of a webhook",
        ))
        .id(hook)
        .query::<Last>()
        .answer::<Deliveries>(200, "deliveries, the newest first"),
        deliveries,
    )
    .map(|router| router.layer(DefaultBodyLimit::max(MAX_BODY)))
}

/// An address that is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// Where events go: https://….
    url: String,
    /// Kinds of events; `job_finished` where not given.
    #[serde(default)]
    events: Option<Vec<String>>,
    /// Only of these jobs; of all where not given.
    #[serde(default)]
    jobs: Option<Vec<String>>,
}

/// A webhook.
#[derive(Serialize, JsonSchema)]
struct Shown {
    id: String,
    url: String,
    events: Vec<String>,
    /// Only of these jobs; of all where there are none.
    jobs: Vec<String>,
    /// When it was made, RFC 3339 in UTC.
    created: String,
    /// What deliveries are signed with; told where it was drawn just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Which webhooks are listed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// At most so many.
    limit: Option<Limit>,
    /// Those that come after this one in the order of ids.
    after: Option<Id>,
    /// Fields of the entries, with commas between; all where not given.
    fields: Option<Fields>,
}

#[derive(Serialize, JsonSchema)]
struct HookList {
    webhooks: Vec<Part<Shown>>,
    /// The `after` of the next page, where there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What came of a test.
#[derive(Serialize, JsonSchema)]
struct Tested {
    delivery: String,
    /// Whether the other side accepted it.
    delivered: bool,
    /// The answer's status, if there was an answer.
    status: Option<u16>,
    /// Why it was not accepted.
    reason: Option<String>,
}

/// Which of the last deliveries are listed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Last {
    /// At most so many; no more are kept than a hundred or so.
    limit: Option<Limit>,
    /// Fields of the entries, with commas between; all where not given.
    fields: Option<Fields>,
}

#[derive(Serialize, JsonSchema)]
struct Deliveries {
    deliveries: Vec<Part<Report>>,
}

async fn create(
    State(notifier): State<Notifier>,
    user: User,
    headers: HeaderMap,
    Json(wish): Json<Wish>,
) -> Result<impl IntoResponse, Problem> {
    let config = &notifier.config().webhooks;
    let guard = Guard::new(&config.allow, config.http, config.names.clone());
    guard
        .check(&wish.url)
        .map_err(|refused| Problem::invalid("url", refused.to_string()))?;
    let events = wish.events.unwrap_or_else(|| vec!["job_finished".into()]);
    check_events(&events)?;
    let jobs = wish.jobs.unwrap_or_default();
    check_jobs(&notifier, &user, &jobs).await?;
    let key = idempotency::id("webhook", &user.name, &headers)?;
    let known = match &key {
        Some(id) => names::read::<Hook>(&notifier.jobs().store, &hook(&user.name, id)).await,
        None => Ok(None),
    };
    if let Some(known) = known.map_err(problem)? {
        // The answer was lost, perhaps, and the secret with it.
        return match (&known.url, &known.events, &known.jobs) == (&wish.url, &events, &jobs) {
            true => Ok(created(known)),
            false => Err(Problem::new(
                Code::Conflict,
                "there is another webhook of this Idempotency-Key (draw a new key)",
            )),
        };
    }
    let store = &notifier.jobs().store;
    let there = store.list(&hooks(&user.name)).await?.len();
    if there >= config.per_user {
        return Err(Problem::new(
            Code::Conflict,
            format!("{there} webhooks are all that a user may have (delete one)"),
        ));
    }
    let secret = secret()?;
    let id = key.unwrap_or_else(|| ulid::Ulid::generate().to_string());
    let new = Hook {
        version: protocol::VERSION,
        id: id.clone(),
        owner: user.name.clone(),
        url: wish.url,
        events,
        jobs,
        created: now(),
        secret,
    };
    // From here on: whatever happens while nobody delivers yet is delivered later.
    let watch = notifier.hub().user(&user.name, After::Now).await?;
    let places = watch.begin().map(|(places, _)| places.clone());
    let position = Position::new(&places.unwrap_or_default(), VecDeque::new());
    let put = |name: String, bytes: Vec<u8>| async move {
        store.put(&name, bytes.into(), "application/json").await
    };
    put(state(&user.name, &id), names::to_json(&position)).await?;
    put(hook(&user.name, &id), names::to_json(&new)).await?;
    notifier.hooks().changed.notify_one();
    Ok(created(new))
}

fn created(hook: Hook) -> impl IntoResponse {
    let location = [(header::LOCATION, format!("/v1/webhooks/{}", hook.id))];
    let fresh = [(header::CACHE_CONTROL, "no-store")];
    let body = axum::Json(with_secret(hook));
    (StatusCode::CREATED, location, fresh, body)
}

/// What deliveries of a new webhook are signed with.
fn secret() -> Result<String, Problem> {
    let secret = random::bytes::<32>().map_err(|error| Problem::internal(&error))?;
    Ok(format!("whsec_{}", URL_SAFE_NO_PAD.encode(secret)))
}

fn check_events(events: &[String]) -> Result<(), Problem> {
    if events.is_empty() {
        return Err(Problem::invalid("events", "expected at least one kind"));
    }
    for event in events {
        if !KINDS.contains(&event.as_str()) || events.len() > KINDS.len() {
            let kinds = KINDS.join(", ");
            let message = format!("expected kinds among {kinds}, each once");
            return Err(Problem::invalid("events", message));
        }
    }
    Ok(())
}

async fn check_jobs(notifier: &Notifier, user: &User, jobs: &[String]) -> Result<(), Problem> {
    if jobs.len() > MAX_JOBS {
        let message = format!("{} jobs are more than {MAX_JOBS}", jobs.len());
        return Err(Problem::invalid("jobs", message));
    }
    for job in jobs {
        let load = notifier.jobs().load(&user.name, job).await;
        match load {
            Ok(_) => {}
            Err(dispatcher::Error::NoSuchJob(_)) => {
                return Err(Problem::invalid("jobs", "there is no such job"));
            }
            Err(error) => return Err(problem(error)),
        }
    }
    Ok(())
}

/// Without its secret.
fn shown(hook: Hook) -> Shown {
    Shown {
        id: hook.id,
        url: hook.url,
        events: hook.events,
        jobs: hook.jobs,
        created: hook.created,
        secret: None,
    }
}

/// With its secret, which was drawn just now.
fn with_secret(hook: Hook) -> Shown {
    let secret = Some(hook.secret.clone());
    Shown {
        secret,
        ..shown(hook)
    }
}

async fn list(
    State(notifier): State<Notifier>,
    user: User,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<axum::Json<HookList>, Problem> {
    let Query(which) = which.map_err(|error| Problem::new(Code::Invalid, error.body_text()))?;
    let limit = which.limit.map_or(usize::MAX, Limit::get);
    let store = &notifier.jobs().store;
    let mut found = Vec::new();
    for meta in store.list(&hooks(&user.name)).await? {
        let id = meta.name.rsplit('/').next().unwrap_or_default();
        let id = id.strip_suffix(".json").unwrap_or(id);
        if which
            .after
            .as_ref()
            .is_some_and(|after| id <= after.as_str())
        {
            continue;
        }
        if found.len() >= limit {
            break;
        }
        let hook = names::read::<Hook>(store, &meta.name).await;
        if let Some(hook) = hook.map_err(problem)? {
            found.push(shown(hook));
        }
    }
    let next = found.last().filter(|_| found.len() >= limit);
    let next = next.map(|last: &Shown| last.id.clone());
    let webhooks = parts(found, which.fields.as_ref())?;
    Ok(axum::Json(HookList { webhooks, next }))
}

async fn one(
    State(notifier): State<Notifier>,
    user: User,
    Path(id): Path<String>,
) -> Result<axum::Json<Shown>, Problem> {
    let hook = load(&notifier, &user, &id).await?;
    Ok(axum::Json(shown(hook)))
}

/// Delivers a made event once, now, and says what came of it.
async fn test(
    State(notifier): State<Notifier>,
    user: User,
    Path(id): Path<String>,
) -> Result<axum::Json<Tested>, Problem> {
    let hook = load(&notifier, &user, &id).await?;
    let client = Client::new(&notifier.config().webhooks);
    let client = client.map_err(|error| Problem::internal(&error))?;
    let body = json!({
        "version": protocol::VERSION,
        "event": TEST,
        "webhook": hook.id,
        "time": now(),
    });
    // Each test is a delivery of its own.
    let key = ulid::Ulid::generate().to_string();
    let item = Item::new(&hook, TEST, "", &key, body.to_string().into());
    let (delivered, status, reason) = match client.post(&hook, &item).await {
        Ok(status) => (true, Some(status), None),
        Err(failure) => (false, failure.status, Some(failure.reason)),
    };
    Ok(axum::Json(Tested {
        delivery: item.delivery,
        delivered,
        status,
        reason,
    }))
}

/// Draws another secret; deliveries are signed with it from now on, in other notifiers within their next look.
async fn rotate(
    State(notifier): State<Notifier>,
    user: User,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let mut rotated = load(&notifier, &user, &id).await?;
    rotated.secret = secret()?;
    let store = &notifier.jobs().store;
    let bytes = names::to_json(&rotated).into();
    let name = hook(&user.name, &id);
    store.put(&name, bytes, "application/json").await?;
    notifier.hooks().changed.notify_one();
    let fresh = [(header::CACHE_CONTROL, "no-store")];
    Ok((fresh, axum::Json(with_secret(rotated))))
}

async fn remove(
    State(notifier): State<Notifier>,
    user: User,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    load(&notifier, &user, &id).await?;
    let store = &notifier.jobs().store;
    store.delete(&hook(&user.name, &id)).await?;
    store.delete(&state(&user.name, &id)).await?;
    notifier.hooks().changed.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

async fn deliveries(
    State(notifier): State<Notifier>,
    user: User,
    Path(id): Path<String>,
    last: Result<Query<Last>, QueryRejection>,
) -> Result<axum::Json<Deliveries>, Problem> {
    let Query(last) = last.map_err(|error| Problem::new(Code::Invalid, error.body_text()))?;
    load(&notifier, &user, &id).await?;
    let name = state(&user.name, &id);
    let position = names::read::<Position>(&notifier.jobs().store, &name).await;
    let position = position.map_err(problem)?.unwrap_or_default();
    let limit = last.limit.map_or(usize::MAX, Limit::get);
    let deliveries = position.deliveries.into_iter().rev().take(limit);
    let deliveries = parts(deliveries.collect(), last.fields.as_ref())?;
    Ok(axum::Json(Deliveries { deliveries }))
}

/// A user's webhook.
async fn load(notifier: &Notifier, user: &User, id: &str) -> Result<Hook, Problem> {
    let missing = || Problem::not_found("there is no such webhook");
    if !is_id(id) {
        return Err(missing());
    }
    let name = hook(&user.name, id);
    let found = names::read::<Hook>(&notifier.jobs().store, &name).await;
    found.map_err(problem)?.ok_or_else(missing)
}
