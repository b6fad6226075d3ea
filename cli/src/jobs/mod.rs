//! What the commands of the job system show and wait for.

pub mod board;
pub mod bytes;
pub mod session;
pub mod watch;
