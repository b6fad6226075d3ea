//! Metrics: the recorder behind the facade's macros, what each metric means, and `/metrics` in Prometheus' text form.
//!
//! Labels come from short fixed lists: never an id, a user, a file or a path.

use super::{Error, variable};
use crate::access::{Entrance, Tokens, User};
use crate::api::{Api, Operation};
use crate::listen::Limits;
use axum::Router;
use axum::extract::FromRef;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::net::SocketAddr;
use std::sync::OnceLock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Seconds, counted by size.
    Seconds,
    /// A share of 0 to 1, counted by size.
    Ratio,
}

/// Every metric of Sundog's services: its name, what kind it is, and what it means. docs/observability.md says
/// the same with labels.
#[rustfmt::skip]
pub const METRICS: &[(&str, Kind, &str)] = &[
    ("sundog_build_info", Kind::Gauge, "1, with the version and the service as labels."),
    ("sundog_jobs_submitted_total", Kind::Counter, "Jobs accepted and queued by this process."),
    ("sundog_jobs_ended_total", Kind::Counter, "Jobs whose receipt this process wrote, by end state."),
    ("sundog_tasks_ended_total", Kind::Counter, "Tasks whose receipt this process wrote, by end state and class of reason."),
    ("sundog_task_attempts_total", Kind::Counter, "Attempts at tasks by how they ended: final, again, back or error."),
    ("sundog_task_copies_total", Kind::Counter, "Slow tasks that were offered to other nodes as well."),
    ("sundog_task_seconds", Kind::Seconds, "Time from taking a task's message to settling it."),
    ("sundog_task_wait_seconds", Kind::Seconds, "Time from publishing a task's message to taking it."),
    ("sundog_task_stage_seconds", Kind::Seconds, "Time of a task in each stage; stages overlap."),
    ("sundog_task_halo_ratio", Kind::Ratio, "Share of a task's computing that was waiting for rows of other ranks."),
    ("sundog_images_total", Kind::Counter, "Images processed and stored."),
    ("sundog_pixels_total", Kind::Counter, "Pixels of these images' outputs."),
    ("sundog_output_bytes_total", Kind::Counter, "Bytes of these images' outputs."),
    ("sundog_task_slots", Kind::Gauge, "Tasks that the dispatchers of this process take at once."),
    ("sundog_tasks_in_hand", Kind::Gauge, "Tasks that the dispatchers of this process have in hand."),
    ("sundog_ranks_alive", Kind::Gauge, "Ranks that can work now."),
    ("sundog_node_quarantined", Kind::Gauge, "Dispatchers of this process that take nothing, by reason: they have not proven that they are sound."),
    ("sundog_world_restarts_total", Kind::Counter, "How often the world of ranks died and was started afresh."),
    ("sundog_queue_messages", Kind::Gauge, "Messages that wait in a queue; NaN while the broker does not answer."),
    ("sundog_queue_oldest_age_seconds", Kind::Gauge, "Age of the message that has waited longest; NaN where it is not known."),
    ("sundog_queue_consumers", Kind::Gauge, "Consumers of a queue."),
    ("sundog_queue_poll_failures_total", Kind::Counter, "Times a queue could not be looked at."),
    ("sundog_store_calls_total", Kind::Counter, "Calls of a remote store, by call and outcome."),
    ("sundog_store_call_seconds", Kind::Seconds, "Time of a remote store's calls, by call."),
    ("sundog_http_requests_total", Kind::Counter, "Requests answered, by method, route and status."),
    ("sundog_http_request_seconds", Kind::Seconds, "Time until a request's answer began, by method and route."),
    ("sundog_watchers", Kind::Gauge, "Clients that watch events now."),
    ("sundog_watchers_cut_off_total", Kind::Counter, "Clients that were cut off since they took nothing for too long."),
    ("sundog_webhook_attempts_total", Kind::Counter, "Attempts at delivering webhooks, by outcome."),
    ("sundog_trace_exports_total", Kind::Counter, "Batches of spans for the collector, by result."),
];

/// From half a millisecond to ten minutes.
const SECONDS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 180.0, 600.0,
];
const RATIOS: [f64; 9] = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8];

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

pub(super) fn install(service: &'static str) -> Result<PrometheusHandle, Error> {
    let mut builder = PrometheusBuilder::new();
    for (name, kind, _) in METRICS {
        let buckets: &[f64] = match kind {
            Kind::Seconds => &SECONDS,
            Kind::Ratio => &RATIOS,
            Kind::Counter | Kind::Gauge => continue,
        };
        let matcher = Matcher::Full((*name).to_owned());
        // An error means that there are no buckets.
        builder = builder
            .set_buckets_for_metric(matcher, buckets)
            .map_err(|_| Error::Twice)?;
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| Error::Twice)?;
    for (name, kind, help) in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *help),
            Kind::Seconds | Kind::Ratio => metrics::describe_histogram!(*name, *help),
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    metrics::gauge!("sundog_build_info", "version" => version, "service" => service).set(1.0);
    Ok(RECORDER.get_or_init(|| handle).clone())
}

/// Whether this process keeps metrics.
pub fn is_installed() -> bool {
    RECORDER.get().is_some()
}

/// `GET /metrics`, to be merged into a service's router. With tokens, whoever asks must show one: numbers of
/// all users' work are no secret among them, but none of a stranger's concern.
pub fn router(tokens: Option<Tokens>) -> Router {
    match tokens {
        None => Router::new().route("/metrics", get(async || render())),
        Some(tokens) => Router::new()
            .route("/metrics", get(async |_user: User| render()))
            .with_state(Guard(tokens)),
    }
}

/// `/metrics` of an API.
pub fn api(entrance: &Entrance) -> Api {
    let operation = Operation::get("/metrics", "getMetrics", "Counts, for Prometheus");
    let operation = operation.answer_as(200, "the counts", "text/plain");
    Api::new(entrance).add(operation, async || render())
}

/// Serves `/metrics`, and `/healthz` and `/readyz` without a token, for programs without an HTTP service, until
/// `shutdown`.
pub async fn serve(listener: TcpListener, tokens: Option<Tokens>, shutdown: CancellationToken) {
    let limits = Limits {
        connections: 16,
        body_bytes: 0,
        ..Limits::default()
    };
    let router = router(tokens)
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .fallback(crate::listen::no_route)
        .method_not_allowed_fallback(crate::listen::no_method);
    crate::listen::serve(listener, router, limits, shutdown).await;
}

/// Listens on an address of its own and serves `/metrics` there in the background, until `shutdown`. Where
/// `SUNDOG_TOKENS` names a tokens file, whoever asks must show a token; off loopback there must be one.
pub async fn start(addr: SocketAddr, shutdown: CancellationToken) -> Result<(), Error> {
    let failed = |name: &'static str, reason: String| Error::Setting { name, reason };
    let tokens = variable("SUNDOG_TOKENS").map(|path| Tokens::file(path.as_ref()));
    let tokens = tokens.transpose();
    let tokens = tokens.map_err(|error| failed("SUNDOG_TOKENS", error.to_string()))?;
    let listener = crate::listen(addr, tokens.is_some()).await;
    let listener = listener.map_err(|error| failed("SUNDOG_METRICS_LISTEN", error.to_string()))?;
    // With port 0 the system chose one.
    let addr = listener.local_addr().unwrap_or(addr);
    tracing::info!(%addr, "metrics are at /metrics");
    tokio::spawn(serve(listener, tokens, shutdown));
    Ok(())
}

#[derive(Clone)]
struct Guard(Tokens);

impl FromRef<Guard> for Tokens {
    fn from_ref(guard: &Guard) -> Tokens {
        guard.0.clone()
    }
}

/// Whether a dispatcher can work, by what it last counted: it has ranks, and the broker answers.
async fn ready() -> impl IntoResponse {
    let text = RECORDER.get().map(PrometheusHandle::render);
    let (ranks, queue) = can_work(&text.unwrap_or_default());
    let status = match ranks && queue {
        true => http::StatusCode::OK,
        false => http::StatusCode::SERVICE_UNAVAILABLE,
    };
    let word = |ok: bool| if ok { "ok" } else { "no answer" };
    let checks = serde_json::json!({"ranks": word(ranks), "queue": word(queue)});
    (
        status,
        axum::Json(serde_json::json!({"ready": ranks && queue, "checks": checks})),
    )
}

/// Whether there are ranks, and whether the queue of tasks is seen.
fn can_work(metrics: &str) -> (bool, bool) {
    let value = |series: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series))?;
        line.trim().parse::<f64>().ok()
    };
    let ranks = value("sundog_ranks_alive ").is_some_and(|ranks| ranks > 0.0);
    let queue = value("sundog_queue_messages{queue=\"tasks\"} ").is_some_and(|n| !n.is_nan());
    (ranks, queue)
}

fn render() -> impl IntoResponse {
    // Nothing was counted where nothing was started.
    let text = RECORDER.get().map(PrometheusHandle::render);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_dispatcher_is_ready_with_ranks_and_a_broker() {
        let queue = |n: &str| format!("sundog_queue_messages{{queue=\"tasks\"}} {n}\n");
        assert_eq!(can_work(""), (false, false));
        assert_eq!(
            can_work("# TYPE sundog_ranks_alive gauge\nsundog_ranks_alive 0\n"),
            (false, false)
        );
        assert_eq!(
            can_work(&(queue("NaN") + "sundog_ranks_alive 4\n")),
            (true, false)
        );
        assert_eq!(
            can_work(&(queue("0") + "sundog_ranks_alive 4\n")),
            (true, true)
        );
    }

    #[test]
    fn the_documentation_names_each_metric_and_no_other() {
        let docs = include_str!("../../../docs/observability.md");
        let rows = docs.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `sundog_")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`');
            Some((format!("sundog_{name}"), cells.next()?.to_owned()))
        });
        let told: BTreeSet<_> = rows.collect();
        let kind = |kind: &Kind| match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Seconds | Kind::Ratio => "histogram",
        };
        let known = METRICS
            .iter()
            .map(|(name, k, _)| ((*name).to_owned(), kind(k).to_owned()));
        assert_eq!(told, known.collect());
        for (name, k, help) in METRICS {
            assert_eq!(name.ends_with("_total"), *k == Kind::Counter, "{name}");
            assert!(help.ends_with('.'), "{name}");
        }
    }
}
