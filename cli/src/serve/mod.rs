//! What `sundog serve` and the other services of the command line are made of.

pub mod home;
pub mod program;
