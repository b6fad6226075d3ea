//! Reads JSON bodies; what is wrong with one is told with its key.

use crate::problem::{Code, Problem};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;

/// A JSON body. Bounded by the router's `DefaultBodyLimit`.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Json<T>, Problem> {
        parse(&json_bytes(request, state).await?).map(Json)
    }
}

/// The bytes of a body that says it is JSON.
pub async fn json_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    // Also keeps other pages of a browser from sending forms here.
    let kind = request.headers().get(http::header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            Code::Invalid,
            "expected a JSON body (hint: Content-Type: application/json)",
        )
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(Code::TooLarge, "the body is larger than is admitted here")
            }
            _ => Problem::new(Code::Invalid, "the body did not arrive whole"),
        })
}

/// Reads JSON; errors name the key.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let key = error.path().to_string();
        let message = error.inner().to_string();
        match key.as_str() {
            "." | "" => Problem::new(Code::Invalid, message),
            _ => Problem::invalid(key, message),
        }
    })?;
    reader
        .end()
        .map_err(|error| Problem::new(Code::Invalid, error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Files {
        files: Vec<u64>,
    }

    #[test]
    fn wrong_values_are_told_by_key() {
        let files: Files = parse(br#"{"files":[1]}"#).unwrap();
        assert_eq!(files.files, [1]);
        let wrong = parse::<Files>(br#"{"files":[1,"x"]}"#).unwrap_err();
        assert_eq!(wrong.key(), Some("files[1]"));
        for text in ["", "{", "[]", r#"{"files":[]} {}"#] {
            assert!(parse::<Files>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
