//! What all HTTP services of Sundog share: who may do what ([`access`]) and how much of it ([`rates`]), routes with their
//! descriptions ([`api`]), how errors are told
//! ([`problem`]), reading bodies ([`body`]), and serving within limits ([`mod@listen`]). All services, also those
//! without HTTP, tell of themselves by [`telemetry`] and run as a [`program`] that ends by [`signals`].

pub mod access;
pub mod api;
pub mod audit;
pub mod body;
mod front;
pub mod idempotency;
pub mod listen;
mod places;
pub mod problem;
pub mod program;
pub mod rates;
pub mod signals;
pub mod telemetry;
pub mod tls;

pub use access::{Entrance, Tokens, User};
pub use api::{Api, Operation, Scope};
pub use front::Front;
pub use listen::{Limits, listen, serve, serve_behind};
pub use problem::{Code, Problem};
pub use tls::Tls;
