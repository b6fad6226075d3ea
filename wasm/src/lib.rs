//! What a browser shows and computes of Sundog.
//!
//! [`screen`] brings samples of any type to 8 bits, [`histogram`] counts them, [`registry`] lists the operations and
//! formats, and [`studio`] holds a picture before and after its pipeline. Compiled to WebAssembly, `abi` is what the page
//! calls; natively, the gateway uses the rest, so that both show the same.

#[cfg(target_arch = "wasm32")]
mod abi;
pub mod histogram;
pub mod registry;
pub mod screen;
pub mod studio;

pub use histogram::Histograms;
pub use studio::{Side, Studio};
