//! What a client is told of a failure in the job system.

use dispatcher::Error;
use service::{Code, Problem};

/// The error without anything internal.
pub fn problem(error: Error) -> Problem {
    match error {
        Error::Cloud(error) => error.into(),
        Error::Invalid { key, reason } => Problem::invalid(key, reason),
        Error::NoSuchJob(_) => Problem::not_found("there is no such job"),
        Error::State(message) => Problem::new(Code::Conflict, message),
        Error::Damaged { .. } | Error::Local { .. } => Problem::internal(&error),
    }
}
