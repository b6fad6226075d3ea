//! What an adapter reports, by what a caller decides on.

/// Why an adapter could not do what it was asked for. Holds no credentials.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service does not answer; the same call may succeed later.
    #[error("{service} cannot be reached: {reason} (hint: sundog doctor)")]
    Unreachable {
        /// Which service: `the broker`, `Redis`, `the store`.
        service: &'static str,
        /// What the connection said.
        reason: String,
    },
    /// The service answered and refuses; trying again changes nothing.
    #[error("{what}: {reason}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Why not, and the way out.
        reason: String,
    },
    /// Nothing is stored under that name.
    #[error("`{0}` does not exist")]
    NotFound(String),
    /// No queue takes the message, so it was not accepted.
    #[error("no queue takes messages for `{0}`")]
    Unroutable(String),
    /// The delivery's connection is gone: the broker gives the message out again.
    #[error("the connection that brought the message is gone; it will be delivered again")]
    Lost,
    /// A setting or argument that cannot work.
    #[error("{what}: {reason}")]
    Invalid {
        /// The setting or argument.
        what: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
}

/// A result of an adapter.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::Lost)
    }

    /// How a program ends because of it: 4 for a service that cannot be reached, 2 for settings, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Unreachable { .. } | Error::Lost => 4,
            Error::Invalid { .. } => 2,
            _ => 1,
        }
    }

    pub(crate) fn invalid(what: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Invalid {
            what: what.into(),
            reason: reason.into(),
        }
    }
}

/// A message without the queries of its addresses, where signatures would be.
pub(crate) fn without_queries(message: &str) -> String {
    let words = message.split(' ').map(|word| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => address,
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
