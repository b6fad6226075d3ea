//! What the commands of the job system share: watching, uploading, downloading.

pub mod board;
pub mod download;
pub mod session;
pub mod upload;
pub mod watch;
