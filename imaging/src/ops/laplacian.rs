//! laplacian: how far a sample lies from the mean of its four neighbours.

use crate::kernels::stencil::{Stencil, Stenciled};
use crate::op::{Channels, Group, Op, Step};

/// The operation.
pub static OP: Op = Op {
    name: "laplacian",
    about: "The absolute value of the 4-neighbour Laplacian.",
    params: &[],
    example: "laplacian",
    group: Group::Edges,
    channels: Channels::Each,
    build: |_| Ok(vec![Step::local(Stenciled(Laplacian))]),
};

struct Laplacian;

impl Stencil for Laplacian {
    fn formula(&self) -> Option<(i32, [i32; 2])> {
        Some((3, [0, 0]))
    }
    #[inline(always)]
    fn eight(&self, n: [i16; 9]) -> u8 {
        (n[1] + n[3] + n[5] + n[7] - 4 * n[4]).abs().min(255) as u8
    }
    #[inline(always)]
    fn sixteen(&self, n: [i32; 9]) -> u16 {
        (n[1] + n[3] + n[5] + n[7] - 4 * n[4]).abs().min(65535) as u16
    }
    #[inline(always)]
    fn float(&self, n: [f32; 9]) -> f32 {
        (n[1] + n[3] + n[5] + n[7] - 4.0 * n[4]).abs()
    }
}
