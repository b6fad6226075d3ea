//! The routes, one file for each kind of thing. Each comes with its description, of which `/v1/openapi.json` is made.

mod account;
mod archive;
mod dead;
mod docs;
mod export;
mod health;
mod inputs;
mod jobs;
mod linked;
mod login;
mod looks;
mod nodes;
mod objects;
mod parts;
mod results;
mod uploads;

pub(crate) use docs::Description;
pub(crate) use health::Ready;

use crate::ops;
use crate::page;
use crate::run::Gateway;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde_json::{Map, Value};
use service::{Api, Code, Operation, Problem, telemetry};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

/// All routes of a gateway.
pub fn router(gateway: Gateway) -> Router {
    let none = Api::new(&gateway.entrance);
    router_with(gateway, none)
}

/// All routes of a gateway, and more that are served beside them, such as streams of events.
pub fn router_with(gateway: Gateway, extra: Api) -> Router {
    let limits = gateway.limits;
    let api = Api::new(&gateway.entrance);
    let quick = [
        uploads::add,
        jobs::add,
        inputs::add,
        results::add,
        archive::add,
        looks::add,
        dead::add,
        account::add,
        export::add,
        login::add,
        health::add,
        nodes::add,
        docs::add,
        operations,
    ];
    let api = quick.into_iter().fold(api, |api, add| add(api));
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits.request);
    let fresh = HeaderValue::from_static("no-store");
    let fresh = SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, fresh);
    let bounded = DefaultBodyLimit::max(limits.body_bytes);
    let api = api.map(|router| router.layer(bounded).layer(timeout).layer(fresh));
    let api = page::add(parts::add(objects::add(api)));
    let description = gateway.description.clone();
    let metrics = telemetry::metrics::api(&gateway.entrance);
    let api = api.with_state(gateway).merge(metrics).merge(extra);
    description.get_or_init(|| Description::new(api.operations()));
    api.into_router()
        .method_not_allowed_fallback(service::listen::no_method)
        .fallback(service::listen::no_route)
}

fn operations(api: Api<Gateway>) -> Api<Gateway> {
    api.add(
        Operation::get(
            "/v1/ops",
            "listOperations",
            "Lists the operations of pipelines",
        )
        .tag("operations")
        .answer::<Vec<OperationInfo>>(200, "operations with their parameters, ranges and defaults"),
        async || axum::Json(ops::all()),
    )
    .add(
        Operation::get("/v1/formats", "listFormats", "Lists the formats of images")
            .about("Those that this gateway reads; nodes may have other libraries.")
            .tag("operations")
            .answer::<Vec<FormatInfo>>(
                200,
                "formats, and what can be chosen of those that are written",
            ),
        async || axum::Json(ops::formats()),
    )
}

/// A format of images.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what another crate writes")]
struct FormatInfo {
    /// As in a job's `format`.
    name: String,
    title: String,
    /// Endings of its files, the usual one first.
    extensions: Vec<String>,
    media_type: String,
    /// Whether results can have it; else it is only read.
    written: bool,
    /// Options with type, range and default.
    options: Vec<Map<String, Value>>,
}

/// An operation of pipelines.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what another crate writes")]
struct OperationInfo {
    name: String,
    about: String,
    group: String,
    /// Parameters with type, range and default.
    params: Vec<Map<String, Value>>,
    example: String,
}

/// What a query does not say in the expected form.
fn wrong_query(error: &axum::extract::rejection::QueryRejection) -> Problem {
    Problem::new(Code::Invalid, error.body_text())
}
