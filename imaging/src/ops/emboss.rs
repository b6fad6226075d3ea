//! emboss: light from the upper left.

use crate::kernels::stencil::{Stencil, Stenciled};
use crate::op::{Channels, Group, Op, Step};

/// The operation.
pub static OP: Op = Op {
    name: "emboss",
    about: "Shows edges as a relief lit from the upper left.",
    params: &[],
    example: "emboss",
    group: Group::Filter,
    channels: Channels::Each,
    build: |_| Ok(vec![Step::local(Stenciled(Emboss))]),
};

/// The kernel [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]].
struct Emboss;

impl Stencil for Emboss {
    fn formula(&self) -> Option<(i32, [i32; 2])> {
        Some((4, [0, 0]))
    }
    #[inline(always)]
    fn eight(&self, n: [i16; 9]) -> u8 {
        (n[4] + n[5] + n[7] - n[1] - n[3] + 2 * (n[8] - n[0])).clamp(0, 255) as u8
    }
    #[inline(always)]
    fn sixteen(&self, n: [i32; 9]) -> u16 {
        (n[4] + n[5] + n[7] - n[1] - n[3] + 2 * (n[8] - n[0])).clamp(0, 65535) as u16
    }
    #[inline(always)]
    fn float(&self, n: [f32; 9]) -> f32 {
        n[4] + n[5] + n[7] - n[1] - n[3] + 2.0 * (n[8] - n[0])
    }
}
