//! levels: sets black, white and mid-tones.

use crate::error::Error;
use crate::kernels::table::Table;
use crate::op::{Channels, Group, Op, Param, Step};

/// The operation.
pub static OP: Op = Op {
    name: "levels",
    about: "Stretches black..white to the full range, then applies a power curve.",
    params: &[
        Param::float(
            "black",
            0.0..=1.0,
            0.0,
            "what becomes black, as a share of white",
        ),
        Param::float("white", 0.0..=1.0, 1.0, "what becomes white; above black"),
        Param::float("gamma", 0.05..=20.0, 1.0, "above 1 brightens the mid-tones"),
    ],
    example: "levels(black=0.1, white=0.9, gamma=1.2)",
    group: Group::Point,
    channels: Channels::Each,
    build: |args| {
        let (black, white) = (args.float("black"), args.float("white"));
        if black >= white {
            return Err(Error::Pipeline(format!(
                "`levels`: black = {black} must be below white = {white} (hint: sundog ops levels)"
            )));
        }
        let power = 1.0 / args.float("gamma");
        Ok(vec![Step::local(Table::curve(move |v| {
            libm::pow(((v - black) / (white - black)).clamp(0.0, 1.0), power)
        }))])
    },
};
