//! Errors of the crate, by what a caller decides on: wrong request, bad image, refused by a limit.

use std::io::ErrorKind;

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
    #[error("{text}")]
    Limit {
        /// Which.
        limit: Limit,
        /// What exceeds it, by how much, and the way out.
        text: String,
    },
    /// The operation cannot be applied to this image (a crop beyond its edge, say).
    #[error("{0}")]
    Unsuitable(String),
    /// Reading or writing failed below the codec.
    #[error("{0}")]
    Io(String),
    /// There is no room on the disk, which says nothing of the image: it goes when there is. Without the way out, which
    /// only the caller knows: see [`Error::NO_ROOM`].
    #[error("{0}")]
    Full(String),
    /// Stopped by the caller.
    #[error("{0}")]
    Stopped(String),
    /// Stopped since it took longer than it may.
    #[error("{0}")]
    Late(String),
}

/// What was more than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Pixels of an image, that is read or made.
    Pixels,
    /// Bytes of a file, or of its pixels.
    Bytes,
    /// Profiles, EXIF and texts.
    Metadata,
    /// Frames, images or levels of folders.
    Count,
    /// Memory: of a cap, or of the machine.
    Memory,
}

impl Limit {
    /// All of them.
    pub const ALL: [Limit; 5] = [
        Limit::Pixels,
        Limit::Bytes,
        Limit::Metadata,
        Limit::Count,
        Limit::Memory,
    ];

    /// The error that says so.
    pub fn exceeded(self, text: impl Into<String>) -> Error {
        Error::Limit {
            limit: self,
            text: text.into(),
        }
    }
}

impl Error {
    /// The way out of [`Error::Full`] where outputs go where the user said.
    pub const NO_ROOM: &str = "free some space, or give another -o";

    /// The same of a part of the work that `what` names.
    pub fn of_part(self, what: &str) -> Error {
        match self {
            Error::Full(text) => Error::Full(format!("{what}: {text}")),
            error => Error::Io(format!("{what}: {error}")),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::Full(error.to_string()),
            _ => Error::Io(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comm::{pack, unpack};

    #[test]
    fn a_full_disk_is_told_from_other_failures_also_by_other_ranks() {
        for (kind, full) in [
            (ErrorKind::StorageFull, true),
            (ErrorKind::QuotaExceeded, true),
            (ErrorKind::PermissionDenied, false),
        ] {
            let error = Error::from(std::io::Error::new(kind, "writing it"));
            assert_eq!(matches!(error, Error::Full(_)), full, "{kind:?}");
            assert_eq!(unpack(&pack(&error)), error);
            let part = error.of_part("the receipt");
            assert_eq!(part.to_string(), "the receipt: writing it");
            assert_eq!(matches!(part, Error::Full(_)), full);
        }
        let late = Error::Late("took longer than 1 s".into());
        assert_eq!(unpack(&pack(&late)), late);
        for limit in Limit::ALL {
            let error = limit.exceeded("more than 3");
            assert_eq!(error.to_string(), "more than 3");
            assert_eq!(unpack(&pack(&error)), error);
        }
    }
}
