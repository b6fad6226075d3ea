//! A whole cluster on one machine: real RabbitMQ and Redis, a store, and Sundog's own programs as processes.

mod cluster;
mod front;
mod program;

pub use cluster::{Cluster, StoreKind};
pub use front::{Front, answers};
pub use program::{Program, find};
