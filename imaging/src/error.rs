//! Errors of the crate, by what a caller decides on: wrong request, bad image, refused by a limit.

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Messages name the thing, the limit and the way out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The pipeline's text or JSON is wrong: exit code 2 at the command line.
    #[error("{0}")]
    Pipeline(String),
    /// The bytes are not a sound image: this image fails, others go on.
    #[error("{0}")]
    Decode(String),
    /// The image cannot be written in the format asked for.
    #[error("{0}")]
    Encode(String),
    /// The image or the plan is larger than a limit allows: refused before decoding.
    #[error("{0}")]
    Limit(String),
    /// The operation cannot be applied to this image (a crop beyond its edge, say).
    #[error("{0}")]
    Unsuitable(String),
    /// Reading or writing failed below the codec.
    #[error("{0}")]
    Io(String),
    /// Stopped by the caller: cancelled or out of time.
    #[error("{0}")]
    Stopped(String),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::Io(error.to_string())
    }
}
