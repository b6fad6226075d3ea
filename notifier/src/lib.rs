//! Events to people: live as server-sent events, and by webhook.

mod entry;
mod everyone;
mod feed;
mod hub;
mod places;
mod problem;
pub mod program;
mod random;
mod replay;
mod seats;
mod server;
pub mod signin;
mod sse;
mod watch;
pub mod webhooks;

pub use server::{Config, Notifier, api, run};
