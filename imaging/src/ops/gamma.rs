//! gamma: a power curve.

use crate::kernels::table::Table;
use crate::op::{Channels, Group, Op, Param, Step};

/// The operation.
pub static OP: Op = Op {
    name: "gamma",
    about: "Applies a power curve: output = v^(1/gamma).",
    params: &[Param::float(
        "gamma",
        0.05..=20.0,
        1.0,
        "above 1 brightens the mid-tones",
    )],
    example: "gamma(gamma=2.2)",
    group: Group::Point,
    channels: Channels::Each,
    build: |args| {
        let power = 1.0 / args.float("gamma");
        // Floats below black have no power; they become black.
        Ok(vec![Step::local(Table::curve(move |v| {
            libm::pow(v.max(0.0), power)
        }))])
    },
};
