//! Whether the services behind the gateway answer.

use crate::run::Gateway;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use service::{Api, Operation, Scope};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long what it answered stands.
const FRESH: Duration = Duration::from_secs(1);

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    api.add(
        Operation::get(
            "/readyz",
            "getReadiness",
            "Tells whether the services behind answer",
        )
        .scope(Scope::Open)
        .answer::<Readiness>(200, "all answer")
        .answer::<Readiness>(503, "some do not")
        .problem(429, "too much at once"),
        ready,
    )
    .add(
        Operation::get("/healthz", "getHealth", "Tells that the gateway lives")
            .scope(Scope::Open)
            .answer_as(200, "it lives", "text/plain"),
        async || "ok\n",
    )
}

#[derive(Serialize, JsonSchema)]
struct Readiness {
    ready: bool,
    checks: Checks,
}

/// `ok` or `no answer`.
#[derive(Serialize, JsonSchema)]
struct Checks {
    queue: &'static str,
    events: &'static str,
    store: &'static str,
}

/// What the services behind answered last, and when. Who asks meanwhile waits for the one who asks them.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<Option<(Instant, [bool; 3])>>);

/// Says no more than which service does not answer: it asks for no token. So many ask as they like, the services are
/// asked once a second.
async fn ready(State(gateway): State<Gateway>) -> Response {
    let mut last = gateway.ready.0.lock().await;
    let known = last.filter(|(when, _)| when.elapsed() < FRESH);
    let [queue, events, store] = match known {
        Some((_, known)) => known,
        None => {
            let found = ask(&gateway).await;
            *last = Some((Instant::now(), found));
            found
        }
    };
    drop(last);
    let word = |ok: bool| if ok { "ok" } else { "no answer" };
    let ready = queue && events && store;
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let checks = Checks {
        queue: word(queue),
        events: word(events),
        store: word(store),
    };
    (status, axum::Json(Readiness { ready, checks })).into_response()
}

/// Whether queue, events and store answer.
async fn ask(gateway: &Gateway) -> [bool; 3] {
    let silent = gateway.jobs.silent().await;
    [silent.queue, silent.events, silent.store].map(|why| why.is_none())
}
