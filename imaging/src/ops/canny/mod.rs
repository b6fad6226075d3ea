//! canny: thin edges by Canny's detector.

pub mod bits;
pub mod gradient;
pub mod hysteresis;

use crate::error::{Error, Result};
use crate::op::{Args, Channels, Group, Op, Param, Step};
use crate::ops::gray::Gray;

/// The operation.
pub static OP: Op = Op {
    name: "canny",
    about: "Finds thin edges (Canny): white on black. 16-bit and float images are rounded to 8 bits first.",
    params: &[LOW, HIGH, APERTURE, L2],
    example: "canny(low=20, high=60)",
    group: Group::Edges,
    channels: Channels::Mixed,
    build: |args| {
        let mut steps = vec![Step::local(Gray)];
        steps.push(Step::local(ridges(args, "canny", args.flag("l2"))?));
        steps.push(Step::collective(hysteresis::Hysteresis));
        Ok(steps)
    },
};

/// The low threshold, as other detectors that build on this one take it.
pub const LOW: Param = low(50.0);
/// The high threshold.
pub const HIGH: Param = high(150.0);
const APERTURE: Param = aperture(3);
const L2: Param = Param::flag(
    "l2",
    false,
    "Euclidean magnitude of the gradient instead of |dx| + |dy|",
);

/// The parameter `low` with that default.
pub const fn low(default: f64) -> Param {
    Param::float(
        "low",
        0.0..=1e6,
        default,
        "gradient, in 8-bit levels, above which a pixel goes on an edge",
    )
}

/// The parameter `high` with that default.
pub const fn high(default: f64) -> Param {
    Param::float(
        "high",
        0.0..=1e6,
        default,
        "gradient, in 8-bit levels, above which a pixel begins an edge",
    )
}

/// The parameter `aperture` with that default.
pub const fn aperture(default: i64) -> Param {
    Param::int(
        "aperture",
        3..=7,
        default,
        "size of Sobel's masks: 3, 5 or 7",
    )
}

/// The step that finds candidates, from the arguments `low`, `high` and `aperture` of `op`.
pub fn ridges(args: &Args, op: &str, l2: bool) -> Result<gradient::Ridges> {
    let aperture = args.size("aperture");
    if aperture.is_multiple_of(2) {
        return Err(Error::Pipeline(format!(
            "`{op}`: aperture = {aperture} is none of 3, 5, 7 (hint: sundog ops {op})"
        )));
    }
    let (low, high) = (args.float("low"), args.float("high"));
    Ok(gradient::Ridges::new(low, high, aperture, l2))
}
