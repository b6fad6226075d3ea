//! What callers over HTTP are told of errors.

use crate::error::Error;
use service::{Code, Problem};

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Cloud(error) => error.into(),
            Error::Invalid { key, reason } => Problem::invalid(key, reason),
            Error::NoSuchJob(_) => Problem::not_found("there is no such job"),
            Error::State(text) => Problem::new(Code::Conflict, text),
            Error::Local { .. } | Error::Damaged { .. } => Problem::internal(&error),
        }
    }
}
