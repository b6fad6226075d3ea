//! A whole cluster on one machine: real RabbitMQ and Redis, a store, and Sundog's own programs as processes.
//! On it, trials by fire: something breaks while a job runs, and then all of it is looked at.

pub mod cases;
mod cluster;
mod front;
mod program;
mod remains;
mod trial;
mod verdict;
mod watcher;
mod work;

pub use cluster::{Cluster, StoreKind};
pub use front::{Front, answers};
pub use program::{Program, find};
pub use trial::Trial;
pub use verdict::{Expect, Problems, judge};
pub use work::Work;

/// What keeps a trial from being carried out at all.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
