//! Errors as HTTP tells them, in the form of RFC 9457 (`application/problem+json`), without anything internal:
//! `{"type":"about:blank","title":"Bad Request","status":400,"detail":…,"code":…,"key":…}`.
//!
//! `code` is what a client decides on, `key` the key or field at fault where there is one.

use axum::response::{IntoResponse, Response};
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{StatusCode, header};
use serde_json::json;
use std::fmt;

/// What went wrong, by what a client decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request cannot work as it is.
    Invalid,
    /// No token, or none that is known.
    Unauthorized,
    /// Not with this token, or not with this link.
    Forbidden,
    /// There is no such thing, or it is somebody else's.
    NotFound,
    /// Not in the state that the thing is in.
    Conflict,
    /// More bytes, files or entries than are admitted.
    TooLarge,
    /// Too much at once; later it may go.
    Busy,
    /// A service behind this one does not answer; later it may go.
    Unavailable,
    /// A defect or a damaged store; the log tells more.
    Internal,
}

impl Code {
    /// All of them.
    pub const ALL: [Code; 9] = [
        Code::Invalid,
        Code::Unauthorized,
        Code::Forbidden,
        Code::NotFound,
        Code::Conflict,
        Code::TooLarge,
        Code::Busy,
        Code::Unavailable,
        Code::Internal,
    ];

    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Code::Invalid => "invalid",
            Code::Unauthorized => "unauthorized",
            Code::Forbidden => "forbidden",
            Code::NotFound => "not_found",
            Code::Conflict => "conflict",
            Code::TooLarge => "too_large",
            Code::Busy => "busy",
            Code::Unavailable => "unavailable",
            Code::Internal => "internal",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Code::Invalid => StatusCode::BAD_REQUEST,
            Code::Unauthorized => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Conflict => StatusCode::CONFLICT,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::Busy => StatusCode::TOO_MANY_REQUESTS,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The media type of problems.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error that goes to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    message: String,
    key: Option<String>,
    status: Option<StatusCode>,
    retry: u64,
}

/// Seconds after which it may go, where nobody knows better.
const RETRY: u64 = 2;

impl Problem {
    /// An error of that code. The message goes to the client as it is.
    pub fn new(code: Code, message: impl Into<String>) -> Problem {
        Problem {
            code,
            message: message.into(),
            key: None,
            status: None,
            retry: RETRY,
        }
    }

    /// A request that cannot work, and the key or field at fault.
    pub fn invalid(key: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem {
            key: Some(key.into()),
            ..Problem::new(Code::Invalid, message)
        }
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Problem {
        Problem::new(Code::NotFound, message)
    }

    /// A defect: the client learns that there is one, the log what it is.
    pub fn internal(error: &dyn fmt::Display) -> Problem {
        tracing::error!(%error, "a request failed");
        Problem::new(
            Code::Internal,
            "something went wrong here (the service's log tells what)",
        )
    }

    /// The same error with another status of its class, such as 405 for an invalid method.
    pub fn with_status(mut self, status: StatusCode) -> Problem {
        self.status = Some(status);
        self
    }

    /// The same error with the seconds after which it may go.
    pub fn with_retry(mut self, secs: u64) -> Problem {
        self.retry = secs.max(1);
        self
    }

    /// What went wrong.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the client is told.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The key at fault.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "`{key}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status.unwrap_or_else(|| self.code.status());
        let mut problem = json!({
            // The status alone says what kind it is; `code` tells more.
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.message,
            "code": self.code.name(),
        });
        if let Some(key) = self.key {
            problem["key"] = key.into();
        }
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.code {
            Code::Unauthorized => {
                let challenge = HeaderValue::from_static("Bearer realm=\"sundog\"");
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            Code::Busy | Code::Unavailable => {
                headers.insert(header::RETRY_AFTER, self.retry.into());
            }
            _ => {}
        }
        response
    }
}

impl From<cloud::Error> for Problem {
    fn from(error: cloud::Error) -> Problem {
        use cloud::Error as E;
        match error {
            E::Unreachable { service, .. } => {
                tracing::warn!(%error, "a request waits for a service");
                Problem::new(
                    Code::Unavailable,
                    format!("{service} does not answer (try again soon)"),
                )
            }
            E::Lost | E::Unroutable(_) => {
                tracing::warn!(%error, "a request waits for the broker");
                Problem::new(
                    Code::Unavailable,
                    "the broker takes no messages now (try again soon)",
                )
            }
            E::NotFound(_) => Problem::not_found("there is no such object"),
            E::Invalid { what, reason } => Problem::new(Code::Invalid, format!("{what}: {reason}")),
            // Its reason may name addresses, directories and accounts.
            E::Refused { .. } => Problem::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(problem: Problem) -> (StatusCode, String) {
        let response = problem.into_response();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await;
        (status, String::from_utf8(body.unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn errors_have_one_form() {
        let (status, body) = text(Problem::invalid("pipeline", "there is no `<b>`")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = json!({
            "type": "about:blank", "title": "Bad Request", "status": 400,
            "detail": "there is no `<b>`", "code": "invalid", "key": "pipeline",
        });
        assert_eq!(body, expected);
        let problem = Problem::new(Code::Invalid, "x").with_status(StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(text(problem).await.0, StatusCode::METHOD_NOT_ALLOWED);
        let response = Problem::new(Code::Unauthorized, "x").into_response();
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
    }

    #[tokio::test]
    async fn what_services_say_is_not_passed_on() {
        let errors = [
            cloud::Error::Unreachable {
                service: "the store",
                reason: "10.1.2.3:9000 swordfish".into(),
            },
            cloud::Error::Refused {
                what: "`x` in s3://swordfish/".into(),
                reason: "swordfish".into(),
            },
            cloud::Error::NotFound("uploads/swordfish".into()),
            cloud::Error::Unroutable("swordfish".into()),
        ];
        for error in errors {
            let (_, body) = text(error.into()).await;
            assert!(!body.contains("swordfish"), "{body}");
        }
    }
}
