//! Objects of the server, and answers that carry or list them.

use super::signatures::Signed;
use bytes::Bytes;
use chrono::Utc;
use http::{Response, StatusCode};
use std::collections::BTreeMap;

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    pub(super) headers: Vec<(String, String)>,
    pub(super) version: u64,
}

/// An answer before the weather.
pub(super) type Answer = Response<Bytes>;

/// A plain answer.
pub(super) fn answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer
}

/// The headers that stay with an object.
pub(super) fn kept_headers(request: &Signed<'_>) -> Vec<(String, String)> {
    let kept = |name: &str| {
        name == "content-type"
            || name.starts_with("x-amz-meta-")
            || name.starts_with("x-goog-meta-")
    };
    let headers = request.headers.iter().filter(|(n, _)| kept(n));
    headers.map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// What is known of an object in headers, and a body.
pub(super) fn describe(object: &Object, body: Bytes) -> Answer {
    let mut answer = answer(StatusCode::OK, body);
    let fixed = [
        ("etag".to_owned(), format!("\"{}\"", object.version)),
        ("x-goog-generation".to_owned(), object.version.to_string()),
        (
            "last-modified".to_owned(),
            Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        ),
    ];
    for (name, value) in fixed.iter().chain(&object.headers) {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::try_from(name),
            http::HeaderValue::try_from(value),
        ) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// An object's bytes, or those of a range such as `bytes=10-19`.
pub(super) fn read(object: &Object, range: Option<&str>) -> Answer {
    let size = object.bytes.len();
    let bounds = range.and_then(|range| {
        let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
        let end = end.parse().map_or(size, |last: usize| size.min(last + 1));
        let start: usize = start.parse().ok()?;
        (start < end).then_some(start..end)
    });
    let Some(bounds) = bounds else {
        return describe(object, object.bytes.clone());
    };
    let text = format!("bytes {}-{}/{size}", bounds.start, bounds.end - 1);
    let mut answer = describe(object, object.bytes.slice(bounds));
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    if let Ok(value) = http::HeaderValue::try_from(text) {
        answer.headers_mut().insert("content-range", value);
    }
    answer
}

/// A page of a list.
pub(super) fn list(
    objects: &BTreeMap<String, Object>,
    page: usize,
    bucket: &str,
    query: &BTreeMap<String, String>,
) -> Answer {
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let start = format!("{}/", bucket.trim_end_matches('/'));
    let (prefix, token) = (text("prefix"), text("continuation-token"));
    let mut found = objects.iter().filter_map(|(name, object)| {
        let key = name.strip_prefix(&start)?;
        (key.starts_with(prefix) && key > token).then_some((key, object))
    });
    let mut body = String::from("<ListBucketResult>");
    let mut last = "";
    for (key, object) in found.by_ref().take(page) {
        last = key;
        let modified = Utc::now().to_rfc3339();
        body.push_str(&format!(
            "<Contents><Key>{}</Key><LastModified>{modified}</LastModified><ETag>\"{}\"</ETag><Size>{}</Size></Contents>",
            escape(key),
            object.version,
            object.bytes.len()
        ));
    }
    if found.next().is_some() {
        let token = escape(last);
        body.push_str(&format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        ));
    }
    body.push_str("</ListBucketResult>");
    answer(StatusCode::OK, body)
}

/// Text for XML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
