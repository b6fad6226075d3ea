//! roberts: gradients along the two diagonals of 2 × 2 samples.

use crate::border::Border;
use crate::kernels::round;
use crate::kernels::stencil::{Stencil, Stenciled};
use crate::op::{Channels, Group, Op, Step};

/// The operation.
pub static OP: Op = Op {
    name: "roberts",
    about: "Roberts' cross: the magnitude of the two diagonal differences.",
    params: &[],
    example: "roberts",
    group: Group::Edges,
    channels: Channels::Each,
    build: |_| Ok(vec![Step::local(Stenciled(Roberts))]),
};

struct Roberts;

impl Stencil for Roberts {
    fn formula(&self) -> Option<(i32, [i32; 2])> {
        Some((6, [0, 0]))
    }
    const BORDER: Border = Border::Replicate;

    #[inline(always)]
    fn eight(&self, n: [i16; 9]) -> u8 {
        let (d, e) = ((n[4] - n[8]) as i32, (n[5] - n[7]) as i32);
        round::to_u8(((d * d + e * e) as f32).sqrt())
    }
    #[inline(always)]
    fn sixteen(&self, n: [i32; 9]) -> u16 {
        let (d, e) = ((n[4] - n[8]) as f32, (n[5] - n[7]) as f32);
        round::to_u16((d * d + e * e).sqrt())
    }
    #[inline(always)]
    fn float(&self, n: [f32; 9]) -> f32 {
        let (d, e) = (n[4] - n[8], n[5] - n[7]);
        (d * d + e * e).sqrt()
    }
}
