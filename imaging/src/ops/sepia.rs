//! sepia: the brown tint of old photographs.

use crate::error::Result;
use crate::image::{Element, Shape};
use crate::op::{Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};

/// The operation.
pub static OP: Op = Op {
    name: "sepia",
    about: "Tints brown, as old photographs; gray images become RGB.",
    params: &[Param::float(
        "amount",
        0.0..=1.0,
        1.0,
        "0 changes nothing, 1 is the full tint",
    )],
    example: "sepia(amount=0.8)",
    group: Group::Point,
    channels: Channels::Mixed,
    build: |args| {
        Ok(vec![Step::local(Sepia {
            amount: args.float("amount") as f32,
        })])
    },
};

/// Weights of red, green and blue in each channel of the tint.
const TINT: [[f32; 3]; 3] = [
    [0.393, 0.769, 0.189],
    [0.349, 0.686, 0.168],
    [0.272, 0.534, 0.131],
];

struct Sepia {
    amount: f32,
}

impl Local for Sepia {
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(Shape {
            color: input.color.to_rgb(),
            ..input
        })
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        2.0
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        crate::by_sample!(input.shape().sample, T => {
            let from = input.shape().channels();
            let to = out.shape.channels();
            for y in out.range() {
                tint::<T>(input.row::<T>(y as isize), out.row::<T>(y), from, to, self.amount);
            }
        });
    }
}

crate::simd! {
    fn tint<T: Element>(source: &[T], target: &mut [T], from: usize, to: usize, amount: f32) {
        let top = T::TOP as f32;
        for (t, s) in target.chunks_exact_mut(to).zip(source.chunks_exact(from)) {
            let (g, b) = if from < 3 { (0, 0) } else { (1, 2) };
            let rgb = [s[0].to_f32(), s[g].to_f32(), s[b].to_f32()];
            for c in 0..3 {
                let [wr, wg, wb] = TINT[c];
                let tinted = (rgb[0] * wr + rgb[1] * wg + rgb[2] * wb).min(top);
                t[c] = T::saturate32(rgb[c] + amount * (tinted - rgb[c]));
            }
        }
    }
}
