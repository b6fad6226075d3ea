//! What all HTTP services of Sundog share: who may do what ([`access`]), how errors are told
//! ([`problem`]), reading bodies ([`body`]), and serving within limits ([`mod@listen`]). All services, also those
//! without HTTP, tell of themselves by [`telemetry`] and run as a [`program`] that ends by [`signals`].

pub mod access;
pub mod body;
pub mod listen;
pub mod problem;
pub mod program;
pub mod signals;
pub mod telemetry;

pub use access::{Tokens, User};
pub use listen::{Limits, listen, serve};
pub use problem::{Code, Problem};
