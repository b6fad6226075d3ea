//! From answers of the job system to the program's end: which exit code, and words that help.

use crate::exit::{Exit, Failure};
use crate::text;
use reqwest::StatusCode;
use serde::Deserialize;

/// A refusal in the form of RFC 9457, with what our gateways add.
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    detail: String,
    #[serde(default)]
    key: Option<String>,
}

/// Longest part of a message from elsewhere that is shown.
const MAX_SHOWN: usize = 2000;

/// What a gateway's refusal means.
pub fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let problem = serde_json::from_slice::<Problem>(body).ok();
    let code = problem.as_ref().map_or("", |p| p.code.as_str());
    let exit = match (code, status.as_u16()) {
        ("invalid" | "unauthorized" | "forbidden", _) | (_, 400 | 401 | 403 | 422) => Exit::Usage,
        ("too_large", _) | (_, 413) => Exit::Refused,
        ("busy" | "unavailable", _) | (_, 429 | 502..=504) => Exit::Unreachable,
        _ => Exit::Failed,
    };
    if status == StatusCode::UNAUTHORIZED {
        let message = "the gateway refuses the token (set SUNDOG_TOKEN to one that it knows)";
        return Failure {
            exit,
            message: message.into(),
        };
    }
    let message = match problem {
        Some(problem) => {
            let shown: String = problem.detail.chars().take(MAX_SHOWN).collect();
            let key = problem
                .key
                .filter(|key| !shown.contains(&format!("`{key}`")));
            match key {
                Some(key) => format!("`{}`: {shown}", key.chars().take(100).collect::<String>()),
                None => shown,
            }
        }
        None => format!("the gateway answered {status} (is SUNDOG_GATEWAY the address of one?)"),
    };
    Failure {
        exit,
        message: text::harmless(&message).into_owned(),
    }
}

/// What an error of the services means.
pub fn from_jobs(error: dispatcher::Error) -> Failure {
    ended(error.exit_code(), &error)
}

/// What an error of an adapter means.
pub fn from_cloud(error: &cloud::Error) -> Failure {
    ended(error.exit_code(), error)
}

/// The end of the program for an error that says how to end.
pub fn ended(code: u8, error: &dyn std::fmt::Display) -> Failure {
    Failure {
        exit: Exit::from_code(code),
        message: text::harmless(&error.to_string()).into_owned(),
    }
}

impl From<dispatcher::Error> for Failure {
    fn from(error: dispatcher::Error) -> Failure {
        from_jobs(error)
    }
}

impl From<service::telemetry::Error> for Failure {
    fn from(error: service::telemetry::Error) -> Failure {
        Failure::usage(error.to_string())
    }
}

impl From<service::program::Failed> for Failure {
    fn from(error: service::program::Failed) -> Failure {
        ended(error.code, &error)
    }
}

/// The cause at the bottom of an HTTP client's error, without an address and what may be in it.
pub fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let shown: String = cause.to_string().chars().take(MAX_SHOWN).collect();
    let shown = match shown.contains("://") {
        // The error itself, whose text names the address.
        true => "the request failed".to_owned(),
        false => shown,
    };
    text::harmless(&shown).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_exit_codes() {
        let exit = |status: u16, body: &str| {
            refused(StatusCode::from_u16(status).unwrap(), body.as_bytes()).exit
        };
        let problem = |code: &str| format!("{{\"code\":\"{code}\",\"detail\":\"m\"}}");
        assert_eq!(exit(422, &problem("invalid")), Exit::Usage);
        assert_eq!(exit(401, &problem("unauthorized")), Exit::Usage);
        assert_eq!(exit(404, &problem("not_found")), Exit::Failed);
        assert_eq!(exit(413, &problem("too_large")), Exit::Refused);
        assert_eq!(exit(503, &problem("unavailable")), Exit::Unreachable);
        assert_eq!(exit(502, "<html>"), Exit::Unreachable);
        assert_eq!(exit(500, ""), Exit::Failed);
    }

    #[test]
    fn messages_cannot_steer_the_terminal() {
        let body = r#"{"code":"invalid","detail":"bad \u001b[2J","key":"pipeline"}"#;
        let failure = refused(StatusCode::UNPROCESSABLE_ENTITY, body.as_bytes());
        assert_eq!(failure.message, "`pipeline`: bad \\u{1b}[2J");
    }
}
