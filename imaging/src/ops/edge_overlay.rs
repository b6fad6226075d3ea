//! edge_overlay: Canny's edges shown on the image they belong to.

use crate::border::Border;
use crate::error::Result;
use crate::executor::Context;
use crate::image::{Element, Rows, Shape};
use crate::op::{Collective, Group, Local, Op, Param, Step};
use crate::ops::box_blur::BoxBlur;
use crate::ops::canny;
use crate::ops::canny::hysteresis::{Edges, edges};
use crate::ops::gray::Gray;
use crate::ops::to_rgb::ToRgb;
use std::sync::Arc;

/// The operation.
pub static OP: Op = Op {
    name: "edge_overlay",
    about: "Shows Canny's edges of the blurred image in green on the darkened source, or the source's colours on the edges alone.",
    params: &[
        canny::low(10.0),
        canny::high(30.0),
        canny::aperture(5),
        Param::word(
            "style",
            &["green", "mask"],
            "green edges on half the source, or a mask on black",
        ),
        Param::int(
            "blur",
            0..=500,
            1,
            "radius of the box blur that comes first, in pixels",
        ),
    ],
    example: "edge_overlay(low=100, high=300, blur=2)",
    group: Group::Edges,
    build: |args| {
        let blur = BoxBlur::new(args.size("blur"), Border::Reflect101);
        let ridges = Arc::new(canny::ridges(args, "edge_overlay", false)?);
        let green = args.word("style") == "green";
        let edges: Vec<Arc<dyn Local>> = match green {
            true => vec![Arc::new(Gray), Arc::new(blur), ridges],
            false => vec![Arc::new(blur), Arc::new(Gray), ridges],
        };
        Ok(vec![Step::collective(EdgeOverlay { edges, green })])
    },
};

struct EdgeOverlay {
    /// From the source to a map of candidates.
    edges: Vec<Arc<dyn Local>>,
    green: bool,
}

impl Collective for EdgeOverlay {
    fn output(&self, input: Shape) -> Result<Shape> {
        ToRgb.output(input)
    }

    fn run(&self, context: &mut Context<'_>, input: Rows) -> Result<Rows> {
        let map = context.locals(&input, &self.edges)?;
        let edges = edges(context, &map)?;
        drop(map);
        let mut rows = match input.shape.color.is_gray() {
            true => context.locals(&input, &[Arc::new(ToRgb)])?,
            false => input,
        };
        crate::by_sample!(rows.shape.sample, T => match self.green {
            true => green::<T>(&edges, &mut rows),
            false => mask::<T>(&edges, &mut rows),
        });
        Ok(rows)
    }

    fn memory(&self, input: Shape, ranks: usize) -> usize {
        // The map of candidates and its bits.
        let pixels = input.pixels().div_ceil(ranks.max(1));
        pixels * input.sample.bytes() * input.color.to_gray().channels() + pixels / 4
    }

    fn cost(&self) -> f64 {
        3.0
    }
}

/// Calls `paint` with each row's pixels and the bits of its edges.
fn each_row<T: Element>(edges: &Edges, rows: &mut Rows, paint: impl Fn(&mut [T], &[u64])) {
    let len = rows.shape.row_len();
    let mut data = rows.data.as_mut();
    let samples = T::of_mut(&mut data).chunks_mut(len.max(1));
    for (i, row) in samples.enumerate() {
        paint(row, edges.row(i));
    }
}

/// Half the source, rounded down, under green edges.
fn green<T: Element>(edges: &Edges, rows: &mut Rows) {
    let channels = rows.shape.channels();
    let edge = [0.0, T::TOP, 0.0].map(T::saturate);
    each_row::<T>(edges, rows, |row, bits| {
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            let on = bits[x / 64] >> (x % 64) & 1 > 0;
            for (v, edge) in pixel.iter_mut().zip(edge) {
                *v = if on { edge } else { half(*v) };
            }
        }
    });
}

#[inline(always)]
fn half<T: Element>(v: T) -> T {
    match T::TYPE {
        crate::SampleType::F32 => T::saturate32(v.to_f32() * 0.5),
        // At most 65535: exact in single precision.
        _ => T::saturate32((v.to_f32() * 0.5).floor()),
    }
}

/// Black but on edges.
fn mask<T: Element>(edges: &Edges, rows: &mut Rows) {
    let channels = rows.shape.channels();
    each_row::<T>(edges, rows, |row, bits| {
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            if bits[x / 64] >> (x % 64) & 1 == 0 {
                pixel[..3].fill(T::default());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use crate::comm::serial::Serial;
    use crate::executor::{Context, run_rows};
    use crate::{Buffer, Color, Pipeline, Plan, Rows, SampleType, Shape};

    fn run(text: &str, shape: Shape, data: Buffer) -> Rows {
        let plan = Plan::new(&Pipeline::parse(text).unwrap(), shape).unwrap();
        let mut rows = Rows::zeroed(shape, 0..shape.rows);
        rows.data = data;
        run_rows(&mut Context::new(&Serial::default()), &plan, rows).unwrap()
    }

    #[test]
    fn both_styles_show_the_edges_of_canny() {
        let (rows, cols) = (21, 30);
        let gray = Shape::new(rows, cols, Color::GrayAlpha, SampleType::U8);
        let samples: Vec<u8> = (0..rows * cols)
            .flat_map(|i| {
                [
                    if i % cols > 12 || i / cols > 15 {
                        201
                    } else {
                        41
                    },
                    i as u8,
                ]
            })
            .collect();
        let with = |text: &str| run(text, gray, Buffer::U8(samples.clone()));
        let edges = with("box_blur(radius=1) | canny(low=40, high=120, aperture=5)");
        let green = with("edge_overlay(low=40, high=120)");
        let mask = with("edge_overlay(low=40, high=120, style=mask)");
        assert_eq!(green.shape.color, Color::Rgba);
        let mut n_edges = 0;
        for y in 0..rows {
            for x in 0..cols {
                let source = &samples[(y * cols + x) * 2..][..2];
                let on = edges.row::<u8>(y)[2 * x] > 0;
                n_edges += usize::from(on);
                let pixel = |image: &Rows| image.row::<u8>(y)[4 * x..4 * x + 4].to_vec();
                let (v, alpha) = (source[0], source[1]);
                let half = [v / 2, v / 2, v / 2, alpha];
                assert_eq!(pixel(&green), if on { [0, 255, 0, alpha] } else { half });
                let kept = if on { v } else { 0 };
                assert_eq!(pixel(&mask), [kept, kept, kept, alpha]);
            }
        }
        assert!(n_edges > 20);
    }
}
