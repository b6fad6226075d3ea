//! edge_overlay: Canny's edges shown on the image they belong to.

use crate::border::Border;
use crate::error::Result;
use crate::executor::Context;
use crate::image::{Element, Rows, SampleType, Shape};
use crate::op::{Channels, Collective, Group, Local, Op, Param, Step};
use crate::ops::box_blur::BoxBlur;
use crate::ops::canny;
use crate::ops::canny::bits::unpack;
use crate::ops::canny::hysteresis::{Edges, edges};
use crate::ops::gray::Gray;
use crate::ops::to_rgb::ToRgb;
use rayon::prelude::*;
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
    channels: Channels::Mixed,
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
            true => green::<T>(context, &edges, &mut rows),
            false => mask::<T>(context, &edges, &mut rows),
        });
        Ok(rows)
    }

    fn in_place(&self, input: Shape) -> bool {
        !input.color.is_gray()
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

/// Calls `paint` with each row's samples and 255 for each of them that belongs to an edge, else 0.
fn each_row<T: Element>(
    context: &Context<'_>,
    edges: &Edges,
    rows: &mut Rows,
    paint: impl Fn(&mut [T], &[u8]) + Send + Sync,
) {
    let (cols, channels) = (rows.shape.cols, rows.shape.channels());
    let mut data = rows.data.as_mut();
    let samples = T::of_mut(&mut data).chunks_mut((cols * channels).max(1));
    let one = |(on, spread): &mut (Vec<u8>, Vec<u8>), (i, row): (usize, &mut [T])| {
        on.resize(cols, 0);
        spread.resize(cols * channels, 0);
        unpack(edges.row(i), on);
        for (spread, on) in spread.chunks_exact_mut(channels).zip(on) {
            // Alpha belongs to no edge: its last entry stays 0.
            spread[..3].fill(*on);
        }
        paint(row, spread);
    };
    match context.pool {
        Some(pool) if pool.current_num_threads() > 1 => pool.install(|| {
            let rows: Vec<_> = samples.enumerate().collect();
            rows.into_par_iter().for_each_init(Default::default, one);
        }),
        _ => {
            let mut state = Default::default();
            samples.enumerate().for_each(|row| one(&mut state, row));
        }
    }
}

/// Half the source, rounded down, under green edges.
fn green<T: Element>(context: &Context<'_>, edges: &Edges, rows: &mut Rows) {
    let (channels, len) = (rows.shape.channels(), rows.shape.row_len());
    let pixel = [0.0, T::TOP, 0.0, 0.0].map(T::saturate);
    let color: Vec<T> = (0..len).map(|i| pixel[i % channels]).collect();
    each_row::<T>(context, edges, rows, |row, on| {
        if channels == 4 {
            for (pixel, on) in row.chunks_exact_mut(4).zip(on.chunks_exact(4)) {
                over(&mut pixel[..3], on, &color);
            }
        } else {
            over(row, on, &color);
        }
    });
}

/// Replaces samples by `color` where `on`, and halves them elsewhere.
fn over<T: Element>(row: &mut [T], on: &[u8], color: &[T]) {
    use bytemuck::{cast_slice, cast_slice_mut};
    match T::TYPE {
        SampleType::U8 => over_eight(cast_slice_mut(row), on, cast_slice(color)),
        SampleType::U16 => over_sixteen(cast_slice_mut(row), on, cast_slice(color)),
        SampleType::F32 => over_float(cast_slice_mut(row), on, cast_slice(color)),
        SampleType::F64 => crate::image::narrowed(),
    }
}

crate::simd! {
    fn over_eight(row: &mut [u8], on: &[u8], color: &[u8]) {
        for ((v, on), color) in row.iter_mut().zip(on).zip(color) {
            *v = (color & on) | (*v >> 1 & !on);
        }
    }
}

crate::simd! {
    fn over_sixteen(row: &mut [u16], on: &[u8], color: &[u16]) {
        for ((v, on), color) in row.iter_mut().zip(on).zip(color) {
            *v = if *on > 0 { *color } else { *v >> 1 };
        }
    }
}

crate::simd! {
    fn over_float(row: &mut [f32], on: &[u8], color: &[f32]) {
        for ((v, on), color) in row.iter_mut().zip(on).zip(color) {
            *v = if *on > 0 { *color } else { *v * 0.5 };
        }
    }
}

/// Black but on edges.
fn mask<T: Element>(context: &Context<'_>, edges: &Edges, rows: &mut Rows) {
    let channels = rows.shape.channels();
    each_row::<T>(context, edges, rows, |row, on| {
        for (i, (v, on)) in row.iter_mut().zip(on).enumerate() {
            if *on == 0 && (channels == 3 || i % 4 < 3) {
                *v = T::default();
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
