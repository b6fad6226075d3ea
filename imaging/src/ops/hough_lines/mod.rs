//! hough_lines: straight lines found on Canny's edges and painted red.

mod votes;

pub use votes::{Accumulator, Line, lines};

use crate::error::Result;
use crate::executor::Context;
use crate::image::{Element, Rows, Shape};
use crate::op::{Channels, Collective, Group, Local, Op, Param, Step};
use crate::ops::canny;
use crate::ops::canny::hysteresis::{Edges, edges};
use crate::ops::gray::Gray;
use crate::ops::to_rgb::ToRgb;
use rayon::prelude::*;
use std::sync::Arc;

/// The operation.
pub static OP: Op = Op {
    name: "hough_lines",
    about: "Finds straight lines on Canny's edges (Hough) and paints them red.",
    params: &[
        Param::float("rho", 0.1..=1000.0, 1.0, "step of distances in pixels"),
        Param::float("theta", 0.01..=180.0, 1.0, "step of angles in degrees"),
        Param::int(
            "threshold",
            0..=1_000_000_000,
            100,
            "edge pixels that a line must exceed",
        ),
        canny::low(50.0),
        canny::high(150.0),
        Param::float(
            "width",
            0.0..=1000.0,
            2.0,
            "width of the painted lines in pixels",
        ),
    ],
    example: "hough_lines(threshold=20, low=30, high=90)",
    group: Group::Edges,
    channels: Channels::Mixed,
    build: |args| {
        let ridges = canny::gradient::Ridges::new(args.float("low"), args.float("high"), 3, false);
        Ok(vec![Step::collective(HoughLines {
            edges: vec![Arc::new(Gray), Arc::new(ridges)],
            rho: args.float("rho"),
            theta: args.float("theta"),
            threshold: args.int("threshold"),
            width: args.float("width"),
        })])
    },
};

struct HoughLines {
    /// From the source to a map of candidates.
    edges: Vec<Arc<dyn Local>>,
    rho: f64,
    theta: f64,
    threshold: i64,
    width: f64,
}

impl HoughLines {
    fn find(&self, context: &mut Context<'_>, input: &Rows) -> Result<Vec<Line>> {
        let map = context.locals(input, &self.edges)?;
        let edges: Edges = edges(context, &map)?;
        drop(map);
        let accumulator = Accumulator::new(input.shape, self.rho, self.theta)?;
        lines(context, &edges, input.range(), &accumulator, self.threshold)
    }
}

impl Collective for HoughLines {
    fn output(&self, input: Shape) -> Result<Shape> {
        Accumulator::new(input, self.rho, self.theta)?;
        ToRgb.output(input)
    }

    fn run(&self, context: &mut Context<'_>, input: Rows) -> Result<Rows> {
        let lines = self.find(context, &input)?;
        let mut rows = match input.shape.color.is_gray() {
            true => context.locals(&input, &[Arc::new(ToRgb)])?,
            false => input,
        };
        crate::by_sample!(rows.shape.sample, T => paint::<T>(context, &lines, self.width, &mut rows));
        Ok(rows)
    }

    fn in_place(&self, input: Shape) -> bool {
        !input.color.is_gray()
    }

    fn memory(&self, input: Shape, ranks: usize) -> usize {
        let pixels = input.pixels().div_ceil(ranks.max(1));
        let map = pixels * input.sample.bytes() * input.color.to_gray().channels();
        // The map of candidates with its bits; later its edges, a third of all pixels at most, as columns.
        let edges = pixels / 8 + 4 * pixels / 3;
        (map + pixels / 4).max(edges) + votes::BYTES
    }

    fn cost(&self) -> f64 {
        20.0
    }
}

/// A painted line: in row y it covers the columns from `left - y * slope` to `right - y * slope`.
struct Stroke {
    left: f64,
    right: f64,
    slope: f64,
}

impl Stroke {
    fn new(line: &Line, width: f64) -> Stroke {
        // The cosine of a single-precision angle is never zero.
        let (theta, rho) = (f64::from(line.theta), f64::from(line.rho));
        let (cos, sin) = (libm::cos(theta), libm::sin(theta));
        let (a, b) = ((rho - width / 2.0) / cos, (rho + width / 2.0) / cos);
        Stroke {
            left: a.min(b),
            right: a.max(b),
            slope: sin / cos,
        }
    }
}

/// Paints every pixel whose centre lies within half the width of a line.
fn paint<T: Element>(context: &Context<'_>, lines: &[Line], width: f64, rows: &mut Rows) {
    let (cols, channels, first) = (rows.shape.cols, rows.shape.channels(), rows.first);
    let strokes: Vec<Stroke> = lines.iter().map(|line| Stroke::new(line, width)).collect();
    let red = [T::TOP, 0.0, 0.0].map(T::saturate);
    let mut data = rows.data.as_mut();
    let one = |(i, row): (usize, &mut [T])| {
        // Lines that begin less lines that end: those before each column sum to its cover.
        let mut steps = vec![0i32; cols + 1];
        let mut spans = [[0i32; 2]; 128];
        for (n, strokes) in strokes.chunks(spans.len()).enumerate() {
            cut(strokes, (first + i) as f64, cols as f64, &mut spans);
            for [start, end] in &spans[..strokes.len()] {
                steps[*start as usize] += 1;
                steps[*end.max(start) as usize] -= 1;
            }
            // Very many lines soon cover everything.
            if n % 16 == 15 && covers(&steps[..cols]) {
                break;
            }
        }
        let mut cover = 0;
        for (pixel, step) in row.chunks_exact_mut(channels).zip(&steps) {
            cover += step;
            if cover > 0 {
                pixel[..3].copy_from_slice(&red);
            }
        }
    };
    let samples = T::of_mut(&mut data).chunks_mut((cols * channels).max(1));
    match context.pool {
        Some(pool) => pool.install(|| {
            let rows: Vec<_> = samples.enumerate().collect();
            rows.into_par_iter().for_each(one);
        }),
        None => samples.enumerate().for_each(one),
    }
}

/// Whether each column is covered by a line.
fn covers(steps: &[i32]) -> bool {
    let mut cover = 0;
    steps.iter().all(|step| {
        cover += step;
        cover > 0
    })
}

crate::simd! {
    /// The columns that each stroke covers in row `y`: the first, and the one behind the last.
    fn cut(strokes: &[Stroke], y: f64, cols: f64, spans: &mut [[i32; 2]]) {
        for (span, stroke) in spans.iter_mut().zip(strokes) {
            let shift = y * stroke.slope;
            let start = (stroke.left - shift).clamp(0.0, cols);
            let end = (stroke.right - shift + 1.0).clamp(0.0, cols);
            let whole = start as i32;
            *span = [whole + i32::from(f64::from(whole) < start), end as i32];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comm::serial::Serial;
    use crate::{Color, SampleType};

    #[test]
    fn pixels_within_half_the_width_are_red() {
        let (rows, cols) = (40usize, 57usize);
        let shape = Shape::new(rows, cols, Color::Rgba, SampleType::U16);
        let degrees = [0.0f32, 1.0, 37.0, 89.0, 90.0, 91.0, 135.0, 179.0];
        let lines: Vec<Line> = degrees
            .iter()
            .map(|d| Line {
                rho: if *d > 100.0 { -9.25 } else { 21.25 },
                theta: d.to_radians(),
            })
            .collect();
        for (line, width) in lines.iter().zip([2.0, 1.0, 0.5, 3.0, 7.0, 2.0, 1.0, 4.0]) {
            let mut image = Rows::zeroed(shape, 0..rows);
            let comm = Serial::default();
            paint::<u16>(&Context::new(&comm), &[*line], width, &mut image);
            for y in 0..rows {
                for (x, pixel) in image.row::<u16>(y).chunks(4).enumerate() {
                    let theta = f64::from(line.theta);
                    let across = x as f64 * theta.cos() + y as f64 * theta.sin();
                    let near = (across - f64::from(line.rho)).abs() <= width / 2.0;
                    let red = if near { [65535, 0, 0, 0] } else { [0; 4] };
                    assert_eq!(pixel, red, "{line:?}, {width}, {x}, {y}");
                }
            }
        }
    }
}
