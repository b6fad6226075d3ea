//! The HTTP API and the web page: jobs, uploads and results for those who have a token instead of
//! credentials of the broker and the store.
//!
//! [`Gateway`] is what the routes share, [`router`] the routes, [`run`] the service. Other routers can be
//! merged into it, such as the notifier's streams of events.

mod idempotency;
pub mod links;
mod names;
mod page;
pub mod program;
mod routes;
mod run;

pub use links::Secret;
pub use preview::registry as ops;
pub use routes::router;
pub use run::{Config, Gateway, Limits, run};
