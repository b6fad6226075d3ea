//! Pixels and what is done to them: images, operations, plans, bands, halo exchange and codecs.
//!
//! This crate is pure: it opens no file or socket, reads no environment variable and does not know
//! MPI. Its callers hand it bytes, readers and a [`comm::Comm`].

pub mod adapt;
#[cfg(feature = "arrays")]
pub mod arrays;
pub mod bands;
mod bands_parallel;
pub mod border;
pub mod codec;
pub mod color;
pub mod comm;
pub mod error;
pub mod executor;
pub mod gpu;
pub mod halo;
pub mod image;
pub mod kernels;
pub mod memory;
pub mod metadata;
pub mod op;
pub mod ops;
pub mod pipeline;
pub mod plan;
pub mod simd;
pub mod warning;
pub mod window;

pub use border::Border;
pub use error::{Error, Limit, Result};
pub use image::{Buffer, Color, Element, Image, Metadata, Rows, SampleType, Shape, Spare, Stored};
pub use pipeline::Pipeline;
pub use plan::Plan;
pub use warning::{Warning, WarningKind};
