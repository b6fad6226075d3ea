//! What the API is, for programs and for people; made of the routes themselves.

use crate::run::Gateway;
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, header};
use ring::digest;
use schemars::JsonSchema;
use serde_json::{Map, Value};
use service::api::{self, Info, Operation, STYLE};
use service::{Api, Problem, Scope};

const ABOUT: &str = "\
Batches of images: files are uploaded, jobs submitted, results fetched by links that expire.

Requests show a token as `Authorization: Bearer sundog_…`. Errors are `application/problem+json` (RFC 9457): programs \
decide on `code`, people read `detail`, and `key` names what is at fault. Keys that would have no effect are refused by \
name, in bodies and in queries. Lists take `limit` and `after`; `next` in an answer is the `after` of its next page. \
Requests that make something take an `Idempotency-Key`. Where requests are counted, `RateLimit` and `RateLimit-Policy` \
tell how many are left, and 429 comes with `Retry-After`.

What /v1 answers stays: fields, parameters and operations may come, and none changes its meaning or goes. What is to go \
one day says so half a year before with the headers `Deprecation` (RFC 9745) and `Sunset` (RFC 8594), is marked \
`deprecated` here, and goes only with another version in the path. Programs should ignore fields that they do not know.";

/// The description in both forms, made once.
#[derive(Debug)]
pub(crate) struct Description {
    json: Bytes,
    page: String,
    policy: HeaderValue,
}

impl Description {
    pub(super) fn new(operations: &[Operation]) -> Description {
        let info = Info {
            title: "Sundog",
            about: ABOUT,
            version: env!("CARGO_PKG_VERSION"),
        };
        let document = api::document(info, operations);
        let style = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        Description {
            json: document.to_string().into(),
            page: api::page(&document),
            policy: HeaderValue::from_str(&policy)
                .unwrap_or(HeaderValue::from_static("default-src 'none'")),
        }
    }
}

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    api.add(
        Operation::get(
            "/v1/openapi.json",
            "getDescription",
            "Describes this API as OpenAPI 3.1",
        )
        .scope(Scope::Open)
        .answer::<Document>(200, "the description"),
        json,
    )
    .add(
        Operation::get(
            "/v1/docs",
            "getDocs",
            "Describes this API as a page to read",
        )
        .scope(Scope::Open)
        .answer_as(200, "the page", "text/html"),
        page,
    )
}

/// An OpenAPI document.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is made elsewhere")]
struct Document {
    openapi: String,
    info: Map<String, Value>,
    paths: Map<String, Value>,
}

fn described(gateway: &Gateway) -> Result<&Description, Problem> {
    let missing = || Problem::internal(&"the description of the API was not made");
    gateway.description.get().ok_or_else(missing)
}

async fn json(State(gateway): State<Gateway>) -> Result<Response, Problem> {
    let json = described(&gateway)?.json.clone();
    let kind = HeaderValue::from_static("application/json");
    let cached = HeaderValue::from_static("no-cache");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, cached),
    ];
    Ok((headers, json).into_response())
}

async fn page(State(gateway): State<Gateway>) -> Result<Response, Problem> {
    let described = described(&gateway)?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, described.policy.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, Html(described.page.clone())).into_response())
}
