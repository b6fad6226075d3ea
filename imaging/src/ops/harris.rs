//! harris: corners, painted red.
//!
//! The response is that of OpenCV's `cornerHarris` on single-precision gray: Sobel's derivatives, their
//! products summed over a block, and det - k trace². Each sample is summed in one fixed order.

use crate::border::Border;
use crate::error::{Error, Result};
use crate::image::{BufferMut, Element, Shape};
use crate::op::{Channels, Group, Local, Measured, Op, Param, Step, Tally};
use crate::ops::gray::luma_row;
use crate::ops::to_rgb::ToRgb;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;
use std::sync::Arc;

/// The operation.
pub static OP: Op = Op {
    name: "harris",
    about: "Finds corners (Harris) and paints red each pixel whose response exceeds a share of the greatest.",
    params: &[
        Param::int("block", 1..=200, 2, "side of the window in pixels"),
        Param::int("aperture", 1..=31, 3, "size of Sobel's masks, odd"),
        Param::float("k", 0.0..=1.0, 0.04, "weight of the squared trace"),
        Param::float(
            "threshold",
            0.0..=1.0,
            0.01,
            "share of the greatest response",
        ),
    ],
    example: "harris(block=3, k=0.06, threshold=0.1)",
    group: Group::Edges,
    channels: Channels::Mixed,
    build: |args| {
        let aperture = args.size("aperture");
        if aperture.is_multiple_of(2) {
            return Err(Error::Pipeline(format!(
                "`harris`: aperture = {aperture} is not odd (hint: sundog ops harris)"
            )));
        }
        Ok(vec![Step::measured(Harris {
            response: Response::new(args.size("block"), aperture, args.float("k") as f32),
            threshold: args.float("threshold") as f32,
        })])
    },
};

struct Harris {
    response: Response,
    threshold: f32,
}

/// Integers in the order of the floats they stand for.
fn ordered(v: f32) -> i64 {
    let bits = v.to_bits() as i32;
    i64::from(if bits < 0 { bits ^ i32::MAX } else { bits })
}

/// The float of an integer made by [`ordered`]; smaller integers stand for negative infinity.
fn float(ordered: i64) -> f32 {
    match i32::try_from(ordered) {
        Ok(bits) => f32::from_bits(if bits < 0 { bits ^ i32::MAX } else { bits } as u32),
        Err(_) => f32::NEG_INFINITY,
    }
}

impl Measured for Harris {
    fn rows_needed(&self, rows: Range<usize>, _input: Shape) -> Range<isize> {
        self.response.rows_needed(rows)
    }

    fn empty(&self, _input: Shape) -> Tally {
        Tally {
            sums: Vec::new(),
            maxima: vec![i64::MIN],
        }
    }

    fn measure(
        &self,
        input: &Window<'_>,
        rows: Range<usize>,
        tally: &mut Tally,
        scratch: &mut Scratch,
    ) {
        let shape = input.shape();
        let band = Band {
            shape,
            first: rows.start,
            count: rows.len(),
            data: BufferMut::U8(&mut []),
        };
        let (state, _) = scratch.state(&band, || State::new(&self.response, shape));
        crate::by_sample!(shape.sample, T => for y in rows {
            let row = state.response::<T>(&self.response, input, y);
            tally.maxima[0] = tally.maxima[0].max(ordered(greatest(row)));
        });
    }

    fn finish(&self, _input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        Ok(vec![Arc::new(Corners {
            response: self.response.clone(),
            above: self.threshold * float(tally.maxima[0]),
        })])
    }

    fn cost(&self) -> f64 {
        5.0
    }
}

/// Paints pixels with a response above a bound.
struct Corners {
    response: Response,
    above: f32,
}

impl Local for Corners {
    fn output(&self, input: Shape) -> Result<Shape> {
        ToRgb.output(input)
    }

    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        self.response.rows_needed(out)
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        5.0
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        let shape = input.shape();
        let (from, to) = (shape.channels(), out.shape.channels());
        let (state, _) = scratch.state(out, || State::new(&self.response, shape));
        crate::by_sample!(shape.sample, T => {
            let red = [T::TOP, 0.0, 0.0].map(T::saturate);
            for y in out.range() {
                let response = state.response::<T>(&self.response, input, y);
                let source = input.row::<T>(y as isize).chunks_exact(from);
                let target = out.row::<T>(y).chunks_exact_mut(to);
                for ((t, s), r) in target.zip(source).zip(response) {
                    let color = if from >= 3 { [s[0], s[1], s[2]] } else { [s[0]; 3] };
                    t[..3].copy_from_slice(if *r > self.above { &red } else { &color });
                }
            }
        });
    }
}

/// Masks and weights of the response.
#[derive(Clone)]
struct Response {
    block: usize,
    k: f32,
    scale: f32,
    /// Sobel's masks, both of the same odd length.
    smooth: Vec<f32>,
    slope: Vec<f32>,
}

impl Response {
    fn new(block: usize, aperture: usize, k: f32) -> Response {
        // Rows of Pascal's triangle; the derivative is the difference of the row before.
        let row = |n: usize| {
            let mut row = vec![1.0f64];
            for _ in 0..n {
                let next = |i: usize| {
                    row.get(i).unwrap_or(&0.0) + i.checked_sub(1).map_or(0.0, |i| row[i])
                };
                row = (0..=row.len()).map(next).collect();
            }
            row
        };
        let (smooth, slope) = match aperture {
            1 => (vec![0.0, 1.0, 0.0], vec![-1.0, 0.0, 1.0]),
            n => {
                let before = row(n - 2);
                let slope = (0..n).map(|i| {
                    let less = before.get(i).unwrap_or(&0.0);
                    i.checked_sub(1).map_or(0.0, |i| before[i]) - less
                });
                (row(n - 1), slope.collect())
            }
        };
        let narrow = |mask: Vec<f64>| mask.into_iter().map(|v| v as f32).collect();
        let scale = 1.0 / ((1u64 << (aperture - 1)) as f64 * block as f64);
        Response {
            block,
            k,
            scale: scale as f32,
            smooth: narrow(smooth),
            slope: narrow(slope),
        }
    }

    fn radius(&self) -> usize {
        self.smooth.len() / 2
    }

    /// A block of even size reaches further up than down; both ways alike here, as rows that are
    /// mirrored at the edge lie on the other side.
    fn rows_needed(&self, out: Range<usize>) -> Range<isize> {
        let reach = (self.block / 2 + self.radius()) as isize;
        out.start as isize - reach..out.end as isize + reach
    }
}

/// Rows in flight, each with the row of the image that it belongs to.
struct State {
    cols: usize,
    /// Gray rows, continued at both ends.
    lines: Vec<(isize, Vec<f32>)>,
    /// Products of derivatives (xx, xy, yy), summed over the block's columns.
    sums: Vec<(isize, [Vec<f32>; 3])>,
    down: [Vec<f32>; 2],
    derivatives: [Vec<f32>; 2],
    product: Vec<f32>,
    totals: [Vec<f32>; 3],
    response: Vec<f32>,
}

const NONE: isize = isize::MIN;

impl State {
    fn new(response: &Response, shape: Shape) -> State {
        let cols = shape.cols;
        let (radius, block) = (response.radius(), response.block);
        let row = |n: usize| vec![0f32; n];
        let wide = cols + 2 * radius;
        State {
            cols,
            lines: (0..2 * radius + 1).map(|_| (NONE, row(wide))).collect(),
            sums: (0..block)
                .map(|_| (NONE, std::array::from_fn(|_| row(cols))))
                .collect(),
            down: std::array::from_fn(|_| row(wide)),
            derivatives: std::array::from_fn(|_| row(cols)),
            product: row(cols + block - 1),
            totals: std::array::from_fn(|_| row(cols)),
            response: row(cols),
        }
    }

    /// Row `y` of the response.
    fn response<T: Element>(&mut self, of: &Response, input: &Window<'_>, y: usize) -> &[f32] {
        let block = of.block as isize;
        self.totals.iter_mut().for_each(|t| t.fill(0.0));
        for at in (0..block).map(|d| y as isize - block / 2 + d) {
            let slot = at.rem_euclid(block) as usize;
            if self.sums[slot].0 != at {
                self.products::<T>(of, input, at, slot);
            }
            for (total, sum) in self.totals.iter_mut().zip(&self.sums[slot].1) {
                add(total, sum);
            }
        }
        let [xx, xy, yy] = &self.totals;
        respond([xx, xy, yy], of.k, &mut self.response);
        &self.response
    }

    /// Products for row `at`, which beyond the edge are those of the mirrored row.
    fn products<T: Element>(&mut self, of: &Response, input: &Window<'_>, at: isize, slot: usize) {
        let rows = input.shape().rows;
        let Some(y) = Border::Reflect101.index(at, rows) else {
            unreachable!("this rule answers every row")
        };
        self.derive::<T>(of, input, y as isize);
        self.sums[slot].0 = at;
        for (i, (a, b)) in [(0, 0), (0, 1), (1, 1)].into_iter().enumerate() {
            let (before, behind) = (of.block / 2, of.block - 1 - of.block / 2);
            let inner = &mut self.product[before..before + self.cols];
            multiply(&self.derivatives[a], &self.derivatives[b], inner);
            extend(&mut self.product, before, behind);
            slide(&self.product, of.block, &mut self.sums[slot].1[i]);
        }
    }

    /// Both derivatives of row `y` of the image.
    fn derive<T: Element>(&mut self, of: &Response, input: &Window<'_>, y: isize) {
        let radius = of.radius() as isize;
        let ring = self.lines.len() as isize;
        self.down.iter_mut().for_each(|row| row.fill(0.0));
        for d in -radius..=radius {
            let Some(row) = Border::Reflect101.index(y + d, input.shape().rows) else {
                unreachable!("this rule answers every row")
            };
            let line = &mut self.lines[(row as isize % ring) as usize];
            if line.0 != row as isize {
                line.0 = row as isize;
                fill_line(
                    input.row::<T>(row as isize),
                    input.shape(),
                    &mut line.1,
                    of.radius(),
                );
            }
            let tap = (d + radius) as usize;
            let [smooth, slope] = &mut self.down;
            add_scaled(smooth, &line.1, of.smooth[tap]);
            add_scaled(slope, &line.1, of.slope[tap]);
        }
        let [dx, dy] = &mut self.derivatives;
        correlate(&self.down[0], &of.slope, of.scale, dx);
        correlate(&self.down[1], &of.smooth, of.scale, dy);
    }
}

/// Gray samples as floats, mirrored at both ends.
fn fill_line<T: Element>(source: &[T], shape: Shape, line: &mut [f32], radius: usize) {
    let mut gray = vec![T::default(); shape.cols];
    luma_row(source, shape.color, &mut gray);
    for (t, s) in line[radius..].iter_mut().zip(&gray) {
        *t = s.to_f32();
    }
    extend(line, radius, radius);
}

/// Mirrors the inner samples of a row into its margins.
fn extend(row: &mut [f32], before: usize, behind: usize) {
    let cols = row.len() - before - behind;
    let index = |i: isize| Border::Reflect101.index(i, cols).unwrap_or(0) + before;
    for i in 0..before {
        row[i] = row[index(i as isize - before as isize)];
    }
    for i in 0..behind {
        row[before + cols + i] = row[index((cols + i) as isize)];
    }
}

crate::simd! {
    fn add(total: &mut [f32], row: &[f32]) {
        for (t, r) in total.iter_mut().zip(row) {
            *t += r;
        }
    }
}

crate::simd! {
    fn add_scaled(total: &mut [f32], row: &[f32], by: f32) {
        for (t, r) in total.iter_mut().zip(row) {
            *t += r * by;
        }
    }
}

crate::simd! {
    fn multiply(a: &[f32], b: &[f32], out: &mut [f32]) {
        for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
            *o = a * b;
        }
    }
}

crate::simd! {
    /// Correlates a padded row with a mask.
    fn correlate(row: &[f32], mask: &[f32], scale: f32, out: &mut [f32]) {
        out.fill(0.0);
        for (i, m) in mask.iter().enumerate() {
            for (o, r) in out.iter_mut().zip(&row[i..]) {
                *o += r * m;
            }
        }
        for o in out {
            *o *= scale;
        }
    }
}

crate::simd! {
    /// Sums of `block` samples of a padded row.
    fn slide(row: &[f32], block: usize, out: &mut [f32]) {
        out.copy_from_slice(&row[..out.len()]);
        for i in 1..block {
            for (o, r) in out.iter_mut().zip(&row[i..]) {
                *o += r;
            }
        }
    }
}

crate::simd! {
    fn respond(totals: [&[f32]; 3], k: f32, out: &mut [f32]) {
        let n = out.len();
        let [xx, xy, yy] = totals.map(|t| &t[..n]);
        for i in 0..n {
            let trace = xx[i] + yy[i];
            out[i] = xx[i] * yy[i] - xy[i] * xy[i] - k * trace * trace;
        }
    }
}

crate::simd! {
    fn greatest(row: &[f32]) -> f32 {
        row.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_the_order_of_floats() {
        let sorted = [
            f32::NEG_INFINITY,
            -1e30,
            -1.5,
            -0.0,
            0.0,
            1e-40,
            2.0,
            f32::INFINITY,
        ];
        for pair in sorted.windows(2) {
            assert!(ordered(pair[0]) < ordered(pair[1]));
        }
        for v in sorted {
            assert_eq!(float(ordered(v)).to_bits(), v.to_bits());
        }
        assert_eq!(float(i64::MIN), f32::NEG_INFINITY);
    }

    #[test]
    fn masks_are_those_of_sobel() {
        let masks = |n| {
            let r = Response::new(1, n, 0.0);
            (r.smooth, r.slope)
        };
        assert_eq!(masks(3), (vec![1.0, 2.0, 1.0], vec![-1.0, 0.0, 1.0]));
        assert_eq!(
            masks(5),
            (
                vec![1.0, 4.0, 6.0, 4.0, 1.0],
                vec![-1.0, -2.0, 0.0, 2.0, 1.0]
            )
        );
        assert_eq!(masks(7).1, [-1.0, -4.0, -5.0, 0.0, 5.0, 4.0, 1.0]);
    }
}
