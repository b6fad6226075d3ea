//! Webhooks over HTTP: made, listed, dropped, and what came of their deliveries.

use super::client::Client;
use super::delivery::Item;
use super::guard::Guard;
use super::position::Position;
use super::{Hook, KINDS, hook, hooks, is_id, now, state};
use crate::Notifier;
use crate::problem::problem;
use crate::random;
use crate::server::App;
use crate::watch::After;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatcher::names;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use service::body::Json;
use service::{Code, Problem, User};
use std::collections::VecDeque;

/// The kind of event that a test delivers.
const TEST: &str = "ping";
/// Jobs that one webhook may name.
const MAX_JOBS: usize = 100;
/// Bytes of a request.
const MAX_BODY: usize = 64 << 10;

/// The addresses below `/v1/webhooks`.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/v1/webhooks", get(list).post(create))
        .route("/v1/webhooks/{id}", get(one).delete(remove))
        .route("/v1/webhooks/{id}/test", post(test))
        .route("/v1/webhooks/{id}/rotate", post(rotate))
        .route("/v1/webhooks/{id}/deliveries", get(deliveries))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    url: String,
    #[serde(default)]
    events: Option<Vec<String>>,
    #[serde(default)]
    jobs: Option<Vec<String>>,
}

async fn create(
    State(notifier): State<Notifier>,
    user: User,
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
    let store = &notifier.jobs().store;
    let there = store.list(&hooks(&user.name)).await?.len();
    if there >= config.per_user {
        return Err(Problem::new(
            Code::Conflict,
            format!("{there} webhooks are all that a user may have (delete one)"),
        ));
    }
    let secret = secret()?;
    let id = ulid::Ulid::generate().to_string();
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
    let mut body = shown(&new);
    body["secret"] = new.secret.clone().into();
    let location = [(header::LOCATION, format!("/v1/webhooks/{id}"))];
    let fresh = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, location, fresh, axum::Json(body)))
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
fn shown(hook: &Hook) -> Value {
    json!({
        "id": hook.id,
        "url": hook.url,
        "events": hook.events,
        "jobs": hook.jobs,
        "created": hook.created,
    })
}

async fn list(State(notifier): State<Notifier>, user: User) -> Result<axum::Json<Value>, Problem> {
    let store = &notifier.jobs().store;
    let mut found = Vec::new();
    for meta in store.list(&hooks(&user.name)).await? {
        let hook = names::read::<Hook>(store, &meta.name).await;
        if let Some(hook) = hook.map_err(problem)? {
            found.push(shown(&hook));
        }
    }
    Ok(axum::Json(json!({ "webhooks": found })))
}

async fn one(
    State(notifier): State<Notifier>,
    user: User,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, Problem> {
    let hook = load(&notifier, &user, &id).await?;
    Ok(axum::Json(shown(&hook)))
}

/// Delivers a made event once, now, and says what came of it.
async fn test(
    State(notifier): State<Notifier>,
    user: User,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, Problem> {
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
    Ok(axum::Json(json!({
        "delivery": item.delivery,
        "delivered": delivered,
        "status": status,
        "reason": reason,
    })))
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
    let mut body = shown(&rotated);
    body["secret"] = rotated.secret.into();
    let fresh = [(header::CACHE_CONTROL, "no-store")];
    Ok((fresh, axum::Json(body)))
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
) -> Result<axum::Json<Value>, Problem> {
    load(&notifier, &user, &id).await?;
    let name = state(&user.name, &id);
    let position = names::read::<Position>(&notifier.jobs().store, &name).await;
    let position = position.map_err(problem)?.unwrap_or_default();
    let newest_first: Vec<_> = position.deliveries.iter().rev().collect();
    Ok(axum::Json(json!({ "deliveries": newest_first })))
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
