//! saturation: how far colours lie from grey.

use crate::image::Element;
use crate::op::{Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};

/// The operation.
pub static OP: Op = Op {
    name: "saturation",
    about: "Scales the saturation of HSV; hue and value stay. Gray images stay as they are.",
    params: &[Param::float(
        "factor",
        0.0..=10.0,
        1.0,
        "1 changes nothing, 0 takes all colour away",
    )],
    example: "saturation(factor=1.7)",
    group: Group::Point,
    channels: Channels::Mixed,
    build: |args| {
        Ok(vec![Step::local(Saturation {
            factor: args.float("factor") as f32,
        })])
    },
};

struct Saturation {
    factor: f32,
}

impl Local for Saturation {
    fn is_identity(&self, input: crate::Shape) -> bool {
        input.color.is_gray()
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        2.0
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        crate::by_sample!(input.shape().sample, T => self.rows::<T>(input, out));
    }
}

impl Saturation {
    fn rows<T: Element>(&self, input: &Window<'_>, out: &mut Band<'_>) {
        let channels = input.shape().channels();
        for y in out.range() {
            let (source, target) = (input.row::<T>(y as isize), out.row::<T>(y));
            match channels {
                3 => scale::<T, Three>(source, target, self.factor),
                4 => scale::<T, Four>(source, target, self.factor),
                _ => target.copy_from_slice(source),
            }
        }
    }
}

trait Width {
    const N: usize;
}
struct Three;
impl Width for Three {
    const N: usize = 3;
}
struct Four;
impl Width for Four {
    const N: usize = 4;
}

crate::simd! {
    /// c' = V - (V - c) k with k = min(factor, V / (V - m)), V and m the greatest and least channel.
    fn scale<T: Element, C: Width>(source: &[T], target: &mut [T], factor: f32) {
        for (t, s) in target.chunks_exact_mut(C::N).zip(source.chunks_exact(C::N)) {
            let (r, g, b) = (s[0].to_f32(), s[1].to_f32(), s[2].to_f32());
            let most = r.max(g).max(b);
            let spread = most - r.min(g).min(b);
            let k = if spread > 0.0 { factor.min(most / spread) } else { factor };
            t[0] = T::saturate32(most - (most - r) * k);
            t[1] = T::saturate32(most - (most - g) * k);
            t[2] = T::saturate32(most - (most - b) * k);
        }
    }
}
