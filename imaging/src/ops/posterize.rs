//! posterize: few grey levels.

use crate::kernels::table::Table;
use crate::op::{Channels, Group, Op, Param, Step};

/// The operation.
pub static OP: Op = Op {
    name: "posterize",
    about: "Reduces each channel to a few evenly spaced levels.",
    params: &[Param::int("levels", 2..=256, 4, "how many levels are left")],
    example: "posterize(levels=5)",
    group: Group::Point,
    channels: Channels::Each,
    build: |args| {
        let levels = args.int("levels") as f64;
        Ok(vec![Step::local(Table::curve(move |v| {
            libm::floor((v * levels).clamp(0.0, levels - 1.0)) / (levels - 1.0)
        }))])
    },
};
