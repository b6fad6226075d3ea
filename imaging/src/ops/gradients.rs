//! sobel, scharr and prewitt: the gradient of 3 × 3 samples, three weightings of one formula.

use crate::kernels::round;
use crate::kernels::stencil::{Stencil, Stenciled};
use crate::op::{Args, Channels, Group, Op, Param, Step};

const DIRECTION: Param = Param::word(
    "direction",
    &["magnitude", "x", "y"],
    "length of the gradient, or the absolute value of one component",
);

/// Weights 1, 2, 1 across the direction.
pub static SOBEL: Op = Op {
    name: "sobel",
    about: "Sobel's gradient, channel by channel.",
    params: &[DIRECTION],
    example: "sobel",
    group: Group::Edges,
    channels: Channels::Each,
    build: |args| Ok(vec![step(args, 1, 2)]),
};

/// Weights 3, 10, 3 across the direction.
pub static SCHARR: Op = Op {
    name: "scharr",
    about: "Scharr's gradient, channel by channel: truer to the angle than sobel.",
    params: &[DIRECTION],
    example: "scharr(direction=x)",
    group: Group::Edges,
    channels: Channels::Each,
    build: |args| Ok(vec![step(args, 3, 10)]),
};

/// Weights 1, 1, 1 across the direction.
pub static PREWITT: Op = Op {
    name: "prewitt",
    about: "Prewitt's gradient, channel by channel.",
    params: &[DIRECTION],
    example: "prewitt(direction=y)",
    group: Group::Edges,
    channels: Channels::Each,
    build: |args| Ok(vec![step(args, 1, 1)]),
};

fn step(args: &Args, corner: i16, side: i16) -> Step {
    let weights = Weights { corner, side };
    match args.word("direction") {
        "x" => Step::local(Stenciled(Along::<true>(weights))),
        "y" => Step::local(Stenciled(Along::<false>(weights))),
        _ => Step::local(Stenciled(Magnitude(weights))),
    }
}

#[derive(Clone, Copy)]
struct Weights {
    corner: i16,
    side: i16,
}

macro_rules! gradient {
    ($name:ident, $t:ty) => {
        #[inline(always)]
        fn $name(self, n: [$t; 9]) -> ($t, $t) {
            let (corner, side) = (self.corner as $t, self.side as $t);
            let (down, up) = (n[8] - n[0], n[2] - n[6]);
            (
                corner * (down + up) + side * (n[5] - n[3]),
                corner * (down - up) + side * (n[7] - n[1]),
            )
        }
    };
}

impl Weights {
    fn numbers(self) -> [i32; 2] {
        [self.corner.into(), self.side.into()]
    }

    gradient!(eight, i16);
    gradient!(sixteen, i32);
    gradient!(float, f32);
}

/// One component: x where `X`, else y.
struct Along<const X: bool>(Weights);

impl<const X: bool> Stencil for Along<X> {
    fn formula(&self) -> Option<(i32, [i32; 2])> {
        Some((if X { 1 } else { 2 }, self.0.numbers()))
    }
    #[inline(always)]
    fn eight(&self, n: [i16; 9]) -> u8 {
        let (x, y) = self.0.eight(n);
        (if X { x } else { y }).abs().min(255) as u8
    }
    #[inline(always)]
    fn sixteen(&self, n: [i32; 9]) -> u16 {
        let (x, y) = self.0.sixteen(n);
        (if X { x } else { y }).abs().min(65535) as u16
    }
    #[inline(always)]
    fn float(&self, n: [f32; 9]) -> f32 {
        let (x, y) = self.0.float(n);
        (if X { x } else { y }).abs()
    }
}

struct Magnitude(Weights);

impl Stencil for Magnitude {
    fn formula(&self) -> Option<(i32, [i32; 2])> {
        Some((0, self.0.numbers()))
    }
    #[inline(always)]
    fn eight(&self, n: [i16; 9]) -> u8 {
        let (x, y) = self.0.eight(n);
        // Exact up to 255.5 squared, and what is longer is white.
        let squared = x as i32 * x as i32 + y as i32 * y as i32;
        round::to_u8((squared as f32).sqrt())
    }
    #[inline(always)]
    fn sixteen(&self, n: [i32; 9]) -> u16 {
        let (x, y) = self.0.sixteen(n);
        let (x, y) = (x as f32, y as f32);
        round::to_u16((x * x + y * y).sqrt())
    }
    #[inline(always)]
    fn float(&self, n: [f32; 9]) -> f32 {
        let (x, y) = self.0.float(n);
        (x * x + y * y).sqrt()
    }
}
