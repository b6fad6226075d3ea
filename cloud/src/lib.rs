//! What Sundog needs from the outside, each behind a small trait with a twin in memory: queues of jobs and
//! tasks, events, the object store, and links to what is stored.

pub mod config;
mod error;
pub mod events;
pub mod links;
pub mod queue;
mod random;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

pub use error::{Error, Result};
