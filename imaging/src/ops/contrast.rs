//! contrast: spreads samples around mid-grey.

use crate::kernels::table::Table;
use crate::op::{Channels, Group, Op, Param, Step};

/// The operation.
pub static OP: Op = Op {
    name: "contrast",
    about: "Multiplies the distance of each sample from mid-grey.",
    params: &[Param::float(
        "factor",
        0.0..=10.0,
        1.0,
        "1 changes nothing, 0 gives mid-grey",
    )],
    example: "contrast(factor=1.5)",
    group: Group::Point,
    channels: Channels::Each,
    build: |args| {
        let factor = args.float("factor");
        Ok(vec![Step::local(Table::curve(move |v| {
            (v - 0.5) * factor + 0.5
        }))])
    },
};
