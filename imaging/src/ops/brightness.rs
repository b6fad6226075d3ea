//! brightness: adds a constant.

use crate::kernels::table::Table;
use crate::op::{Channels, Group, Op, Param, Step};

/// The operation.
pub static OP: Op = Op {
    name: "brightness",
    about: "Adds a constant to each sample.",
    params: &[Param::float(
        "delta",
        -1.0..=1.0,
        0.0,
        "what is added, as a share of white",
    )],
    example: "brightness(delta=0.2)",
    group: Group::Point,
    channels: Channels::Each,
    build: |args| {
        let delta = args.float("delta");
        Ok(vec![Step::local(Table::curve(move |v| v + delta))])
    },
};
