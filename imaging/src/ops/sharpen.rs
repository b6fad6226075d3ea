//! sharpen: adds the difference between a sample and its four neighbours.

use crate::kernels::round;
use crate::kernels::stencil::{Stencil, Stenciled};
use crate::op::{Channels, Group, Op, Param, Step};

/// The operation.
pub static OP: Op = Op {
    name: "sharpen",
    about: "Adds the differences to the four neighbours, times an amount.",
    params: &[Param::float("amount", 0.0..=10.0, 1.0, "strength")],
    example: "sharpen(amount=0.7)",
    group: Group::Filter,
    channels: Channels::Each,
    build: |args| {
        let amount = args.float("amount");
        Ok(vec![if amount == libm::trunc(amount) {
            Step::local(Stenciled(Whole(amount as i16)))
        } else {
            Step::local(Stenciled(Fraction(amount as f32)))
        }])
    },
};

/// A whole amount, in integers.
struct Whole(i16);

impl Stencil for Whole {
    fn formula(&self) -> Option<(i32, [i32; 2])> {
        Some((5, [self.0.into(), 0]))
    }
    #[inline(always)]
    fn eight(&self, n: [i16; 9]) -> u8 {
        (n[4] + self.0 * (4 * n[4] - n[1] - n[3] - n[5] - n[7])).clamp(0, 255) as u8
    }
    #[inline(always)]
    fn sixteen(&self, n: [i32; 9]) -> u16 {
        (n[4] + self.0 as i32 * (4 * n[4] - n[1] - n[3] - n[5] - n[7])).clamp(0, 65535) as u16
    }
    #[inline(always)]
    fn float(&self, n: [f32; 9]) -> f32 {
        Fraction(self.0 as f32).float(n)
    }
}

/// Any amount.
struct Fraction(f32);

impl Stencil for Fraction {
    #[inline(always)]
    fn eight(&self, n: [i16; 9]) -> u8 {
        let difference = 4 * n[4] - n[1] - n[3] - n[5] - n[7];
        round::to_u8(n[4] as f32 + self.0 * difference as f32)
    }
    #[inline(always)]
    fn sixteen(&self, n: [i32; 9]) -> u16 {
        let difference = 4 * n[4] - n[1] - n[3] - n[5] - n[7];
        round::to_u16(n[4] as f32 + self.0 * difference as f32)
    }
    #[inline(always)]
    fn float(&self, n: [f32; 9]) -> f32 {
        n[4] + self.0 * (4.0 * n[4] - n[1] - n[3] - n[5] - n[7])
    }
}
