//! What `sundog serve` and `sundog dispatcher` are made of.

pub mod home;
pub mod signals;
pub mod telling;
