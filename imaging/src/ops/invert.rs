//! invert: the photographic negative.

use crate::kernels::table::Table;
use crate::op::{Channels, Group, Op, Step};

/// The operation.
pub static OP: Op = Op {
    name: "invert",
    about: "Replaces each sample by white minus the sample.",
    params: &[],
    example: "invert",
    group: Group::Point,
    channels: Channels::Each,
    build: |_| Ok(vec![Step::local(Table::curve(|v| 1.0 - v))]),
};
