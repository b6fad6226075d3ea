//! The routes, one file for each kind of thing.

mod dead;
mod health;
mod inputs;
mod jobs;
mod looks;
mod objects;
mod results;
mod uploads;

pub(crate) use health::Ready;

use crate::ops;
use crate::page;
use crate::run::Gateway;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use service::{Code, Problem, User, telemetry};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

/// All routes of a gateway.
pub fn router(gateway: Gateway) -> Router {
    let limits = gateway.limits;
    let answers = Router::new()
        .route("/v1/uploads", post(uploads::announce))
        .route("/v1/jobs", get(jobs::list).post(jobs::submit))
        .route("/v1/jobs/{id}", get(jobs::status).delete(jobs::cancel))
        .route("/v1/jobs/{id}/retry", post(jobs::retry))
        .route("/v1/jobs/{id}/pause", post(jobs::pause))
        .route("/v1/jobs/{id}/resume", post(jobs::resume))
        .route("/v1/jobs/{id}/inputs", get(inputs::inputs))
        .route("/v1/jobs/{id}/results", get(results::results))
        .route("/v1/jobs/{id}/receipt", get(results::receipt))
        .route(
            "/v1/jobs/{id}/results/{number}/histogram",
            get(looks::histogram),
        )
        .route(
            "/v1/jobs/{id}/results/{number}/thumbnail",
            get(looks::thumbnail),
        )
        .route("/v1/nodes", get(health::nodes))
        .route("/v1/ops", get(operations))
        .route("/v1/dead-letters", get(dead::list))
        .route("/v1/dead-letters/replay", post(dead::replay))
        .route("/readyz", get(health::ready))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            limits.request,
        ));
    let metrics = telemetry::metrics::router(Some(gateway.tokens.clone()));
    answers
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .route("/v1/objects/{*name}", get(objects::get).put(objects::put))
        .route("/", get(page::get))
        .route("/page/worker.js", get(page::module::worker))
        .route("/page/sundog.wasm", get(page::module::module))
        .with_state(gateway)
        .merge(metrics)
        .method_not_allowed_fallback(service::listen::no_method)
        .fallback(service::listen::no_route)
}

async fn operations(_: User) -> Response {
    axum::Json(ops::all()).into_response()
}

/// What a query does not say in the expected form.
fn wrong_query(error: &axum::extract::rejection::QueryRejection) -> Problem {
    Problem::new(Code::Invalid, error.body_text())
}
