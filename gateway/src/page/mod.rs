//! The web page: one document with its style and script in it, which the policy admits by their hashes.

mod module;

use crate::run::Gateway;
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::store::Store;
use http::{HeaderValue, header};
use ring::digest;
use service::{Api, Operation, Scope};
use std::time::Duration;

const DOCUMENT: &str = include_str!("page.html");
const STYLE: &str = concat!(
    include_str!("page.css"),
    include_str!("../../../wasm/web/viewer.css")
);
/// One scope, in this order.
const SCRIPTS: [&str; 21] = [
    include_str!("elements.js"),
    include_str!("../../../wasm/web/fields.js"),
    include_str!("../../../wasm/web/histogram.js"),
    include_str!("../../../wasm/web/compare.js"),
    include_str!("../../../wasm/web/studio.js"),
    include_str!("session.js"),
    include_str!("api.js"),
    include_str!("pipeline.js"),
    include_str!("formats.js"),
    include_str!("uploads.js"),
    include_str!("sending.js"),
    include_str!("reduce.js"),
    include_str!("numbers.js"),
    include_str!("preview.js"),
    include_str!("presets.js"),
    include_str!("share.js"),
    include_str!("results.js"),
    include_str!("jobs.js"),
    include_str!("monitor.js"),
    include_str!("signin.js"),
    include_str!("main.js"),
];

/// The page as it is sent. The module is compiled in a worker, whose own policy admits it; the page's does not.
#[derive(Debug)]
pub(crate) struct Page {
    document: String,
    policy: String,
}

impl Page {
    /// Puts the page together. Browsers may load images from, and send files to, where links of the store
    /// lead, and nowhere else.
    pub(crate) async fn new(store: &Store) -> cloud::Result<Page> {
        let link = store.link_get("page", Duration::from_secs(60)).await?;
        let origin = link.url.origin().ascii_serialization();
        let script = SCRIPTS.concat();
        let document = DOCUMENT
            .replacen("/*style*/", STYLE, 1)
            .replacen("/*script*/", &script, 1)
            .replacen("/*preview*/", if module::there() { "yes" } else { "no" }, 1);
        let (script, style) = (hash(&script), hash(STYLE));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; worker-src 'self'; \
             img-src 'self' blob: data: {origin}; connect-src 'self' {origin}; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
             trusted-types worker"
        );
        Ok(Page { document, policy })
    }
}

/// The page and what it loads.
pub(crate) fn add(api: Api<Gateway>) -> Api<Gateway> {
    let open = |path, id, summary| {
        Operation::get(path, id, summary)
            .scope(Scope::Open)
            .tag("page")
            .any_query()
    };
    api.add(
        open("/", "getPage", "The web page").answer_as(200, "the page", "text/html"),
        get,
    )
    .add(
        open(
            "/page/worker.js",
            "getWorker",
            "The script of the page's preview",
        )
        .answer_as(200, "the script", "text/javascript")
        .answer_empty(304, "it is the one that you have")
        .problem(404, "this gateway was built without it"),
        module::worker,
    )
    .add(
        open(
            "/page/sundog.wasm",
            "getModule",
            "The operations in WebAssembly, for the page's preview",
        )
        .answer_as(200, "the module", "application/wasm")
        .answer_empty(304, "it is the one that you have")
        .problem(404, "this gateway was built without it"),
        module::module,
    )
}

fn hash(text: &str) -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

async fn get(State(gateway): State<Gateway>) -> Response {
    let page = &gateway.page;
    let mut response = Html(page.document.clone()).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&page.policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
