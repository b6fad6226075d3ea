//! Runs a batch of images on a world of ranks.
//!
//! The library knows ranks only through [`imaging::comm::Comm`]; MPI is linked by the binary alone.

pub mod atomic;
pub mod batch;
pub mod bench;
pub mod check;
pub mod color;
pub mod device;
mod direct;
pub mod dispense;
pub mod elsewhere;
pub mod generate;
pub mod here;
pub mod inputs;
pub mod jobfile;
pub mod leftovers;
mod log;
mod mail;
pub mod mpirun;
pub mod names;
pub mod pages;
pub mod planner;
pub mod reduce;
mod reduction;
pub mod settings;
pub mod shared;
pub mod single;
pub mod source;
pub mod task;
pub mod warm;
pub mod watch;
