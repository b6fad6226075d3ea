//! rotate: by any angle; multiples of 90 degrees move pixels unchanged.

use super::flip::Flip;
use crate::kernels::quarter_turn::QuarterTurn;
use crate::kernels::turn::Turn;
use crate::op::{Channels, Group, Op, Param, Step};

/// The operation. Other angles than multiples of 90 are a quarter turn and at most 45 degrees more.
pub static OP: Op = Op {
    name: "rotate",
    about: "Rotates clockwise. Multiples of 90 are exact; others are bilinear on a canvas that holds the whole image, with corners of grey `fill` (transparent where there is alpha).",
    params: &[
        Param::float("degrees", -360.0..=360.0, 90.0, "the angle, clockwise"),
        Param::float(
            "fill",
            0.0..=255.0,
            0.0,
            "the grey of the corners in 8-bit levels",
        ),
    ],
    example: "rotate(degrees=270)",
    group: Group::Geometry,
    channels: Channels::Each,
    build: |args| {
        let degrees = args.float("degrees");
        let quarters = libm::floor(degrees / 90.0 + 0.5);
        let rest = degrees - 90.0 * quarters;
        let mut steps = match (quarters as i64).rem_euclid(4) {
            0 => vec![],
            1 => vec![Step::collective(QuarterTurn { clockwise: true })],
            2 => vec![Step::local(Flip {
                columns: true,
                rows: true,
            })],
            _ => vec![Step::collective(QuarterTurn { clockwise: false })],
        };
        if rest != 0.0 {
            steps.push(Step::local(Turn::new(rest, args.float("fill"))));
        }
        Ok(steps)
    },
};
