//! Files that arrive in parts, by the links to put them: how far one is, and the bytes that come next.
//!
//! In the manner of the draft of resumable uploads for HTTP (draft-ietf-httpbis-resumable-upload): `Upload-Offset` and
//! `Upload-Complete`, of which `?1` is true in the form of RFC 9651.

use super::objects::{self, length, linked, most, owner, too_large};
use crate::arriving::{Absent, Part, disk};
use crate::receiving::Paced;
use crate::run::Gateway;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::json;
use service::{Api, Code, Operation, Problem};
use tokio::io::AsyncWriteExt as _;

const OFFSET: &str = "upload-offset";
const COMPLETE: &str = "upload-complete";

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    let path = "/v1/objects/{*name}";
    let offset = "How many bytes are there.";
    let complete = "`?1` where that is the whole file.";
    api.add(
        linked(Operation::new(Method::HEAD, path, "headObject", "Tells how far an upload is, by the link to put it, or about an object, by its link"))
            .about("Whoever sends the file at that moment is ended, so that the answer stays true.")
            .problem(429, "somebody still adds to it")
            .answer_empty(200, "what getObject would answer, without the body")
            .answer_empty(204, "how far the upload is")
            .with("Upload-Offset", offset)
            .with("Upload-Complete", complete),
        head,
    )
    .add(
        linked(Operation::new(Method::PATCH, path, "appendObject", "Sends more of an uploaded file by the link to put it"))
            .about("What arrives is kept when the connection breaks; HEAD tells how much that is, and another PATCH goes on there. A part that nobody goes on with for a day is removed. At stores that sign their own links there is no such thing: see `resumable`.")
            .header("Upload-Offset", "Where the body begins: how many bytes are there already.", json!({"type": "string", "pattern": "^(0|[1-9][0-9]{0,15})$"}))
            .header("Upload-Complete", "`?1` where the file ends with this body, `?0` where more comes.", json!({"type": "string", "enum": ["?0", "?1"]}))
            .bytes()
            .answer_empty(204, "it is kept")
            .with("Upload-Offset", offset)
            .with("Upload-Complete", complete)
            .problem(408, "it came too slowly; what has come is kept")
            .problem(409, "there are more or fewer bytes than Upload-Offset says; the answer's says how many")
            .problem(413, "it has more bytes than were announced, or than you may keep")
            .problem(429, "too many files of yours arrive at once"),
        append,
    )
}

/// `?1` and `?0`.
fn boolean(value: bool) -> HeaderValue {
    HeaderValue::from_static(if value { "?1" } else { "?0" })
}

fn told(mut response: Response, offset: u64, complete: bool) -> Response {
    let headers = response.headers_mut();
    headers.insert(OFFSET, offset.into());
    headers.insert(COMPLETE, boolean(complete));
    let fresh = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, fresh);
    response
}

async fn head(
    state: State<Gateway>,
    method: Method,
    name: Path<String>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let puts = |query: &String| query.split('&').any(|pair| pair.starts_with("bytes="));
    if !query.as_ref().is_some_and(puts) {
        return objects::get(state, method, name, RawQuery(query), asked).await;
    }
    let (State(gateway), Path(name)) = (state, name);
    most(&gateway, &name, query)?;
    let part = gateway.arriving.take(&name, Absent::Leave).await?;
    let (offset, complete) = match part {
        Some(part) => (part.offset, false),
        None => match gateway.jobs.store.whole(&name).await {
            Ok(whole) => (whole.size, true),
            Err(cloud::Error::NotFound(_)) => (0, false),
            Err(error) => return Err(error.into()),
        },
    };
    let none = StatusCode::NO_CONTENT.into_response();
    Ok(told(none, offset, complete))
}

async fn append(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let most = most(&gateway, &name, query)?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let offset: u64 = text(OFFSET)
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Problem::invalid("Upload-Offset", "expected a number of bytes"))?;
    let complete = match text(COMPLETE) {
        Some("?1") => true,
        Some("?0") => false,
        _ => return Err(Problem::invalid("Upload-Complete", "expected ?1 or ?0")),
    };
    let end = offset.saturating_add(length(&headers).unwrap_or(0));
    if end > most {
        return Err(too_large(most));
    }
    let owner = owner(&name);
    if offset == 0 {
        gateway.admit(owner, most).await?;
    }
    let absent = if offset == 0 {
        Absent::Make
    } else {
        Absent::Leave
    };
    let part = gateway.arriving.take(&name, absent).await?;
    let there = part.as_ref().map_or(0, |part| part.offset);
    let Some(part) = part.filter(|_| there == offset) else {
        let message = format!("there are {there} bytes of it, not {offset} (go on there)");
        let problem = Problem::invalid("Upload-Offset", message).with_status(StatusCode::CONFLICT);
        return Ok(told(problem.into_response(), there, false));
    };
    let taken_over = part.taken_over.clone();
    let received = tokio::select! {
        received = receive(&gateway, owner, &part, most, body) => received,
        () = taken_over.cancelled() => {
            let message = "another request goes on with this file";
            Err(Problem::new(Code::Conflict, message))
        }
    }?;
    if complete {
        let kind = objects::media_type(&name);
        gateway.jobs.store.put_file(&name, &part.path, kind).await?;
        part.end().await;
    }
    let none = StatusCode::NO_CONTENT.into_response();
    Ok(told(none, offset + received, complete))
}

/// Adds a body to a part; returns how many bytes it had. What has come stays, however it ends.
async fn receive(
    gateway: &Gateway,
    owner: &str,
    part: &Part,
    most: u64,
    body: Body,
) -> Result<u64, Problem> {
    let _place = gateway.receiving.enter(owner).await?;
    let mut file = part.writer().map_err(|error| disk(&error))?;
    let mut body = Paced::new(body.into_data_stream(), gateway.limits.pace);
    let mut received = 0;
    let ended = loop {
        match body.next().await {
            Ok(Some(bytes)) if part.offset + received + bytes.len() as u64 > most => {
                break Err(too_large(most));
            }
            Ok(Some(bytes)) => {
                received += bytes.len() as u64;
                file.write_all(&bytes).await.map_err(|error| disk(&error))?;
            }
            Ok(None) => break Ok(received),
            Err(problem) => break Err(problem),
        }
    };
    file.flush().await.map_err(|error| disk(&error))?;
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_how_far_it_is() {
        let answer = told(StatusCode::NO_CONTENT.into_response(), 7, true);
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            (header(OFFSET), header(COMPLETE)),
            ("7".into(), "?1".into())
        );
    }
}
