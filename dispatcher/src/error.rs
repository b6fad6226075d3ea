//! What callers of the job system decide on.

/// Why a call on jobs failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service failed; see its own kinds.
    #[error(transparent)]
    Cloud(#[from] cloud::Error),
    /// The job cannot work; the key at fault and what is wrong with it.
    #[error("`{key}`: {reason}")]
    Invalid {
        /// Key of the job file.
        key: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// There is no such job, or it is somebody else's.
    #[error("there is no job `{0}` (hint: sundog list)")]
    NoSuchJob(String),
    /// Not in the state that the job is in.
    #[error("{0}")]
    State(String),
    /// The dispatcher's own machine fails it.
    #[error("{what}: {source} (hint: is the disk full?)")]
    Local {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something stored cannot be read.
    #[error("`{name}` in the store is damaged: {reason}")]
    Damaged {
        /// Which object.
        name: String,
        /// What the reader said.
        reason: String,
    },
}

/// A result of the job system.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// How a program ends because of it: 4 for a service that cannot be reached, 2 for settings, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Cloud(error) => error.exit_code(),
            Error::Invalid { .. } => 2,
            _ => 1,
        }
    }

    pub(crate) fn local(what: &str, source: std::io::Error) -> Error {
        Error::Local {
            what: what.to_owned(),
            source,
        }
    }

    pub(crate) fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Invalid {
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Cloud(error) => error.is_transient(),
            Error::Local { .. } => true,
            _ => false,
        }
    }
}
