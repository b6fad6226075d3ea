//! What the page's preview loads: a worker and the operations in WebAssembly, where they were built in.

use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ring::digest;
use service::{Code, Problem};

#[cfg(page_module)]
const MODULE: Option<&[u8]> = Some(include_bytes!("../../../wasm/built/sundog.wasm.gz"));
#[cfg(not(page_module))]
const MODULE: Option<&[u8]> = None;

const WORKER: &str = concat!(
    include_str!("../../../wasm/web/engine.js"),
    include_str!("../../../wasm/web/worker.js")
);

/// A worker has a policy of its own: it compiles the module, and asks this gateway alone.
const POLICY: &str = "default-src 'none'; script-src 'wasm-unsafe-eval'; connect-src 'self'";

/// Whether there is a preview.
pub(super) const fn there() -> bool {
    MODULE.is_some()
}

/// The worker's script.
pub(super) async fn worker(headers: HeaderMap) -> Response {
    let mut response = file(&headers, WORKER.as_bytes(), "text/javascript");
    let policy = HeaderValue::from_static(POLICY);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// The module, packed as all browsers take it.
pub(super) async fn module(headers: HeaderMap) -> Response {
    let mut response = file(&headers, MODULE.unwrap_or_default(), "application/wasm");
    if there() {
        let gzip = HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
    }
    response
}

/// A file that is asked for again at each opening of the page, and sent only where it changed.
fn file(asked: &HeaderMap, bytes: &'static [u8], media_type: &'static str) -> Response {
    if !there() {
        let message = "this gateway was built without the module of the page's preview \
                       (hint: scripts/demo-page --module before cargo build)";
        return Problem::new(Code::NotFound, message).into_response();
    }
    let hash = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes));
    let tag = format!("\"{hash}\"");
    let known = asked.get(header::IF_NONE_MATCH).is_some_and(|t| *t == tag);
    let named = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    match known {
        true => (StatusCode::NOT_MODIFIED, named).into_response(),
        false => (named, bytes).into_response(),
    }
}
