//! The HTTP API and the web page: jobs, uploads and results for those who have a token instead of
//! credentials of the broker and the store.
//!
//! [`Gateway`] is what the routes share, [`router`] the routes, [`run`] the service. Other APIs can be
//! merged into it, such as the notifier's streams of events.

mod archive;
mod arriving;
pub mod links;
mod names;
mod page;
pub mod program;
mod quota;
mod ranges;
mod receiving;
mod routes;
mod run;
mod zip;

pub use links::Secret;
pub use preview::registry as ops;
pub use receiving::Pace;
pub use routes::{router, router_with};
pub use run::{Config, Gateway, Limits, run};
