//! Serves signed links to a local store: whoever has the link needs no token.

use super::archive;
use crate::arriving::{Absent, disk};
use crate::ranges::{self, Wanted};
use crate::receiving::Paced;
use crate::run::Gateway;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use cloud::links::{Access, LinkError};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use imaging::codec::FormatKind;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde_json::json;
use service::{Api, Code, Operation, Problem, Scope};
use std::time::SystemTime;
use tokio::io::AsyncWriteExt as _;

/// The type that a file's name stands for. Nothing but images and numbers, so that no browser runs what was uploaded.
pub(super) fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    // Numbers of reductions.
    match extension.to_ascii_lowercase().as_str() {
        "csv" => return "text/csv",
        "txt" => return "text/plain",
        _ => {}
    }
    FormatKind::from_extension(extension).map_or("application/octet-stream", FormatKind::media_type)
}

pub(super) fn allowed(
    gateway: &Gateway,
    method: &Method,
    name: &str,
    query: Option<String>,
) -> Result<Access, Problem> {
    let query = query.unwrap_or_default();
    let checked = gateway.key.verify(method, name, &query, SystemTime::now());
    checked.map_err(|error| match error {
        LinkError::Expired if *method == Method::PUT => Problem::new(
            Code::Forbidden,
            "the link has expired (hint: announce the upload again)",
        ),
        error => Problem::new(Code::Forbidden, error.to_string()),
    })
}

/// An operation behind a link.
pub(super) fn linked(operation: Operation) -> Operation {
    let name = json!({"type": "string", "minLength": 1});
    operation
        .scope(Scope::Link)
        .tag("objects")
        .query::<Signed>()
        .path("name", "Name of an object; it may hold slashes.", name)
        .problem(403, "the link has expired, or was not signed for this")
        .problem(404, "there is no such object")
        .problem(
            503,
            "a service behind this one does not answer; later it may go",
        )
}

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    let of = linked;
    let text = json!({"type": "string"});
    api.add(
        of(Operation::get(
            "/v1/objects/{*name}",
            "getObject",
            "Gets an object of a local store by its link",
        ))
        .header("Range", "One range of bytes.", text.clone())
        .header(
            "If-Range",
            "The ETag of what you have a part of.",
            text.clone(),
        )
        .header("If-None-Match", "The ETag of what you have.", text)
        .answer_as(200, "the object; its Content-Type tells its format", "*/*")
        .with("ETag", "What tells this state of it from others.")
        .answer_as(206, "a part of it", "*/*")
        .with("Content-Range", "Which part.")
        .answer_empty(304, "it is the one that you have")
        .problem(416, "it has no such bytes"),
        get,
    )
    .add(
        of(Operation::put(
            "/v1/objects/{*name}",
            "putObject",
            "Puts an uploaded file by its link",
        ))
        .bytes()
        .answer_empty(204, "it is kept")
        .problem(408, "it came too slowly")
        .problem(413, "it has more bytes than were announced")
        .problem(429, "too many files of yours arrive at once"),
        put,
    )
}

/// Where links of a local store lead.
pub(super) fn base(gateway: &Gateway) -> Result<String, Problem> {
    let base = gateway.public.join("v1/objects/");
    Ok(base.map_err(|error| Problem::internal(&error))?.into())
}

/// What a link holds.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the signature covers the query as it is written")]
struct Signed {
    /// The most bytes that may be put.
    bytes: Option<u64>,
    /// Until when, in seconds since 1970.
    expires: u64,
    signature: String,
}

pub(super) async fn get(
    State(gateway): State<Gateway>,
    method: Method,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    allowed(&gateway, &method, &name, query)?;
    if let Some(of) = name.strip_prefix(archive::LINKS) {
        return archive::linked(gateway, of).await;
    }
    let store = &gateway.jobs.store;
    let whole = store.whole(&name).await?;
    let wanted = ranges::wanted(&asked, whole.size, whole.etag.as_deref());
    let (status, range) = match wanted {
        Wanted::All => (StatusCode::OK, 0..whole.size),
        Wanted::Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Known => (StatusCode::NOT_MODIFIED, 0..0),
        Wanted::Never => {
            let problem = Problem::invalid("Range", format!("it has {} bytes", whole.size));
            let problem = problem.with_status(StatusCode::RANGE_NOT_SATISFIABLE);
            let all = format!("bytes */{}", whole.size);
            return Ok(([(header::CONTENT_RANGE, all)], problem).into_response());
        }
    };
    let body = match range.is_empty() || method == Method::HEAD {
        true => Body::empty(),
        false => Body::from_stream(store.part(&name, range.clone()).await?.stream),
    };
    let file = name.rsplit('/').next().unwrap_or_default();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    let mut set = |name, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    if status != StatusCode::NOT_MODIFIED {
        set(
            header::CONTENT_LENGTH,
            (range.end - range.start).to_string(),
        );
        set(header::CONTENT_TYPE, media_type(file).into());
        set(header::CONTENT_DISPOSITION, disposition(file));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let (first, last) = (range.start, range.end - 1);
        let text = format!("bytes {first}-{last}/{}", whole.size);
        set(header::CONTENT_RANGE, text);
    }
    if let Some(tag) = whole.etag {
        set(header::ETAG, tag);
    }
    set(header::ACCEPT_RANGES, "bytes".into());
    set(
        header::LAST_MODIFIED,
        httpdate::fmt_http_date(whole.modified),
    );
    set(header::CACHE_CONTROL, "private, max-age=300".into());
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox".into(),
    );
    Ok(response)
}

/// Images are shown; all else is kept.
fn disposition(file: &str) -> String {
    let shown = match media_type(file).starts_with("image/") {
        true => "inline",
        false => "attachment",
    };
    let file = utf8_percent_encode(file, NON_ALPHANUMERIC);
    format!("{shown}; filename*=UTF-8''{file}")
}

async fn put(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let max_bytes = most(&gateway, &name, query)?;
    let large = || too_large(max_bytes);
    let length = length(&headers);
    if length.is_some_and(|length| length > max_bytes) {
        return Err(large());
    }
    let owner = owner(&name);
    gateway.admit(owner, length.unwrap_or(max_bytes)).await?;
    let _place = gateway.receiving.enter(owner).await?;
    // Removed when it is dropped, also when the client goes away in the middle.
    let folder = gateway.scratch.path().to_owned();
    let file = tokio::task::spawn_blocking(move || tempfile::NamedTempFile::new_in(folder)).await;
    let file = file.map_err(std::io::Error::other).and_then(|file| file);
    let (file, path) = file.map_err(|error| disk(&error))?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let mut body = Paced::new(body.into_data_stream(), gateway.limits.pace);
    let mut received = 0;
    while let Some(part) = body.next().await? {
        received += part.len() as u64;
        if received > max_bytes {
            return Err(large());
        }
        file.write_all(&part).await.map_err(|error| disk(&error))?;
    }
    file.flush().await.map_err(|error| disk(&error))?;
    drop(file);
    let kind = media_type(&name);
    gateway.jobs.store.put_file(&name, &path, kind).await?;
    if let Some(part) = gateway.arriving.take(&name, Absent::Leave).await? {
        part.end().await;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// How many bytes a link to put takes.
pub(super) fn most(gateway: &Gateway, name: &str, query: Option<String>) -> Result<u64, Problem> {
    match allowed(gateway, &Method::PUT, name, query)? {
        Access::Put { max_bytes } => Ok(max_bytes),
        Access::Get => Err(Problem::new(Code::Forbidden, LinkError::Wrong.to_string())),
    }
}

/// Links to put are made for uploads alone: `uploads/<owner>/…`.
pub(super) fn owner(name: &str) -> &str {
    name.split('/').nth(1).unwrap_or_default()
}

/// The length of a body, where it is told.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

pub(super) fn too_large(max_bytes: u64) -> Problem {
    let message = format!("the file is larger than the {max_bytes} bytes that were announced");
    Problem::new(Code::TooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn what_is_no_image_is_never_shown_as_something_that_runs() {
        assert_eq!(media_type("x/a.JPG"), "image/jpeg");
        assert_eq!(media_type("a.csv"), "text/csv");
        for name in [
            "a.html",
            "a.svg",
            "a.xml",
            "a.js",
            "a.pdf",
            "html",
            "a.jpg.html",
            "",
        ] {
            assert_eq!(media_type(name), "application/octet-stream", "{name}");
        }
    }
}
