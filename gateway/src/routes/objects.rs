//! Serves signed links to a local store: whoever has the link needs no token.

use crate::run::Gateway;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use cloud::links::{Access, LinkError};
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use imaging::codec::FormatKind;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::{Code, Problem};
use std::time::SystemTime;
use tokio::io::AsyncWriteExt as _;

/// The type that a file's name stands for. Nothing but images, so that no browser runs what was uploaded.
pub(super) fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    FormatKind::from_extension(extension).map_or("application/octet-stream", FormatKind::media_type)
}

fn allowed(
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

pub(super) async fn get(
    State(gateway): State<Gateway>,
    method: Method,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    allowed(&gateway, &method, &name, query)?;
    let (size, stream) = gateway.jobs.store.get_stream(&name).await?;
    let file = name.rsplit('/').next().unwrap_or_default();
    let kind = media_type(file);
    let shown = match kind {
        "application/octet-stream" => "attachment",
        _ => "inline",
    };
    let file = utf8_percent_encode(file, NON_ALPHANUMERIC);
    let disposition = format!("{shown}; filename*=UTF-8''{file}");
    let mut response = match method {
        Method::HEAD => Body::empty(),
        _ => Body::from_stream(stream),
    }
    .into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, size.into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    let private = HeaderValue::from_static("private, max-age=300");
    headers.insert(header::CACHE_CONTROL, private);
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

pub(super) async fn put(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Access::Put { max_bytes } = allowed(&gateway, &Method::PUT, &name, query)? else {
        return Err(Problem::new(Code::Forbidden, LinkError::Wrong.to_string()));
    };
    let large = || {
        let message = format!("the file is larger than the {max_bytes} bytes that were announced");
        Problem::new(Code::TooLarge, message)
    };
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max_bytes) {
        return Err(large());
    }
    let place = gateway.receiving.acquire().await;
    let _place = place.map_err(|error| Problem::internal(&error))?;
    // Removed when it is dropped, also when the client goes away in the middle.
    let folder = gateway.scratch.path().to_owned();
    let file = tokio::task::spawn_blocking(move || tempfile::NamedTempFile::new_in(folder)).await;
    let file = file.map_err(std::io::Error::other).and_then(|file| file);
    let (file, path) = file.map_err(|error| disk(&error))?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let (mut body, mut received) = (body.into_data_stream(), 0);
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| {
            tracing::debug!(%error, "an upload ended early");
            Problem::new(Code::Invalid, "the file did not arrive whole")
        })?;
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
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn disk(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "receiving a file");
    let message = "the file cannot be kept (is the disk full?)";
    Problem::new(Code::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn what_is_no_image_is_never_shown_as_something_that_runs() {
        assert_eq!(media_type("x/a.JPG"), "image/jpeg");
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
