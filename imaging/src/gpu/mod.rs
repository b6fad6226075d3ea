//! Work on a graphics device, with the same bytes as on the processor.
//!
//! A step may say how it runs there ([`crate::op::Local::gpu`]); the planner sends segments whose steps all can
//! ([`place`]), where they win with the way there and back, and the executor falls back to the processor when a
//! device is lost. Everything there is computed in integers, so that no driver's rounding shows.
//!
//! Without the feature `gpu` there is no device, and everything stays as it was.

pub mod kernel;
pub mod place;

#[cfg(feature = "gpu")]
mod buffers;
#[cfg(feature = "gpu")]
mod calibrate;
#[cfg(feature = "gpu")]
mod chain;
#[cfg(feature = "gpu")]
mod device;
#[cfg(feature = "gpu")]
mod encode;
#[cfg(feature = "gpu")]
mod run;
#[cfg(feature = "gpu")]
pub use device::Device;

#[cfg(not(feature = "gpu"))]
mod absent;
#[cfg(not(feature = "gpu"))]
pub use absent::Device;

pub use kernel::{Count, Kernel, Pass, programs};
pub use place::{Choice, Offload, Placement};

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The device's name.
    pub name: String,
    /// Its driver and that one's version.
    pub driver: String,
    /// Computes on the processor (a software implementation): right, but never faster.
    pub software: bool,
}

/// Why a device did not do what it was asked to; the processor does it instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

/// What a device was found to take, by timing it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Nanoseconds for each piece of work, whatever its size.
    pub fixed: f64,
    /// Nanoseconds to bring a byte there.
    pub up: f64,
    /// Nanoseconds to bring a byte back.
    pub down: f64,
    /// Nanoseconds for each sample that a pass reads.
    pub read: f64,
    /// How many times what steps say they cost this machine's processor takes, on all of its cores.
    pub processor: f64,
}
