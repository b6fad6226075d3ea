//! The Hough transform: which straight lines many edge pixels lie on.
//!
//! The set of lines is that of OpenCV's `HoughLines` (its standard transform), single-precision steps
//! and rounding included. Votes are counted for some angles at a time on all ranks together, so the
//! whole accumulator is never in memory.

use crate::comm::{Reduce, agree};
use crate::error::{Error, Result};
use crate::executor::Context;
use crate::image::Shape;
use crate::ops::canny::hysteresis::Edges;
use rayon::prelude::*;
use std::ops::Range;

/// A straight line: the points with x cos(theta) + y sin(theta) = rho.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Distance from the top left pixel, in pixels.
    pub rho: f32,
    /// Angle of the normal, in radians, 0 for an upright line.
    pub theta: f32,
}

/// The distances and angles that are told apart.
pub struct Accumulator {
    rho: f32,
    theta: f32,
    n_rho: usize,
    n_theta: usize,
}

/// Bytes of votes in memory, for any image but a huge one.
pub const BYTES: usize = BLOCK_BYTES + (1 << 20);

/// Bytes of votes counted at a time.
const BLOCK_BYTES: usize = 4 << 20;

impl Accumulator {
    /// For an image of that shape, with steps of `rho` pixels and `theta` degrees. An error where there
    /// would be too many steps to tell them apart in single precision.
    pub fn new(shape: Shape, rho: f64, theta: f64) -> Result<Accumulator> {
        let (rho, theta) = (rho as f32, theta.to_radians() as f32);
        let reach = shape.rows + shape.cols;
        let n_rho = ((2 * reach + 1) as f32 / rho).round_ties_even() as usize;
        if n_rho >= 1 << 22 {
            return Err(Error::Unsuitable(format!(
                "`hough_lines`: rho = {rho} is too small for an image of {}x{} (hint: a larger rho)",
                shape.cols, shape.rows
            )));
        }
        let pi = std::f64::consts::PI;
        let step = f64::from(theta);
        let mut n_theta = (pi / step).floor() as usize + 1;
        // An angle of about 180° would count the lines of 0° again.
        if n_theta > 1 && (pi - (n_theta - 1) as f64 * step).abs() < step / 2.0 {
            n_theta -= 1;
        }
        Ok(Accumulator {
            rho,
            theta,
            n_rho,
            n_theta,
        })
    }

    /// Cosine and sine of each angle, in steps of rho.
    fn directions(&self) -> Vec<[f32; 2]> {
        let inverse = f64::from(1.0 / self.rho);
        let mut angle = 0f32;
        let mut directions = Vec::with_capacity(self.n_theta);
        for _ in 0..self.n_theta {
            let [cos, sin] = [libm::cos(f64::from(angle)), libm::sin(f64::from(angle))];
            directions.push([cos, sin].map(|v| (v * inverse) as f32));
            angle += self.theta;
        }
        directions
    }

    /// The index of distance 0.
    fn middle(&self) -> usize {
        self.n_rho.saturating_sub(1) / 2
    }

    fn line(&self, n: usize, r: usize) -> Line {
        Line {
            rho: (r as isize - self.middle() as isize) as f32 * self.rho,
            theta: n as f32 * self.theta,
        }
    }
}

/// This rank's edge pixels, row by row.
struct Pixels {
    columns: Vec<f32>,
    /// Row of the image and its part of `columns`, for rows that have any.
    rows: Vec<(usize, Range<usize>)>,
}

impl Pixels {
    fn new(edges: &Edges, rows: Range<usize>) -> Pixels {
        let mut pixels = Pixels {
            columns: Vec::new(),
            rows: Vec::new(),
        };
        for (i, y) in rows.enumerate() {
            let start = pixels.columns.len();
            edges.each(i, |x| pixels.columns.push(x as f32));
            if pixels.columns.len() > start {
                pixels.rows.push((y, start..pixels.columns.len()));
            }
        }
        pixels
    }

    /// Adds the votes of all pixels for one angle.
    fn vote(&self, [cos, sin]: [f32; 2], middle: usize, cells: &mut [i64]) {
        let middle = middle as i32 + 1;
        let mut at = [0i32; 256];
        for (y, range) in &self.rows {
            let down = *y as f32 * sin;
            for columns in self.columns[range.clone()].chunks(at.len()) {
                let at = &mut at[..columns.len()];
                distances(columns, cos, down, middle, at);
                for i in at {
                    if let Some(cell) = cells.get_mut(*i as usize) {
                        *cell += 1;
                    }
                }
            }
        }
    }
}

crate::simd! {
    /// x cos + y sin rounded half to even, plus `middle`; below 2^22 in size.
    fn distances(columns: &[f32], cos: f32, down: f32, middle: i32, at: &mut [i32]) {
        /// Adding it leaves no bits for a fraction.
        const ROUND: f32 = 12_582_912.0;
        for (at, x) in at.iter_mut().zip(columns) {
            let rounded = x * cos + down + ROUND;
            *at = (rounded.to_bits() as i32)
                .wrapping_sub(ROUND.to_bits() as i32)
                .wrapping_add(middle);
        }
    }
}

/// The lines with more than `threshold` votes that have the most among their neighbours in distance
/// and angle, in order of angle and distance; the same on all ranks. `rows`: those of `edges`.
/// All ranks call this together.
pub fn lines(
    context: &mut Context<'_>,
    edges: &Edges,
    rows: Range<usize>,
    accumulator: &Accumulator,
    threshold: i64,
) -> Result<Vec<Line>> {
    let pixels = Pixels::new(edges, rows);
    let directions = accumulator.directions();
    let (n_rho, len) = (accumulator.n_rho, accumulator.n_rho + 2);
    let block = (BLOCK_BYTES / (8 * len)).clamp(1, directions.len());
    let mut lines = Vec::new();
    // The last two angles of the block before come first, so that every angle is seen between its
    // neighbours; beyond the first and the last angle there are no votes.
    let mut cells = vec![0i64; (block + 2) * len];
    let mut first = 0;
    while first <= directions.len() {
        let now = &directions[first..(first + block).min(directions.len())];
        let fresh = &mut cells[2 * len..];
        fresh.fill(0);
        let one = |(cells, direction): (&mut [i64], &[f32; 2])| {
            pixels.vote(*direction, accumulator.middle(), cells);
        };
        let tasks: Vec<_> = fresh.chunks_mut(len).zip(now).collect();
        match context.pool {
            Some(pool) => pool.install(|| tasks.into_par_iter().with_max_len(1).for_each(one)),
            None => tasks.into_iter().for_each(one),
        }
        agree(context.comm, context.stop.check())?;
        if !now.is_empty() {
            context
                .comm
                .all_reduce(&mut fresh[..now.len() * len], Reduce::Sum);
        }
        for i in 1..=block {
            // Row i of the cells belongs to angle first + i - 2.
            let Some(n) = (first + i).checked_sub(2) else {
                continue;
            };
            if n < directions.len() {
                let maxima = maxima(&cells[(i - 1) * len..(i + 2) * len], n_rho, threshold);
                lines.extend(maxima.map(|r| accumulator.line(n, r)));
            }
        }
        cells.copy_within(block * len.., 0);
        first += block;
    }
    Ok(lines)
}

/// The distances that have more votes than the threshold, the one below and the angle before, and at
/// least as many as the one above and the angle after.
fn maxima(rows: &[i64], n_rho: usize, threshold: i64) -> impl Iterator<Item = usize> {
    let len = n_rho + 2;
    (0..n_rho).filter(move |r| {
        let at = len + r + 1;
        let votes = rows[at];
        votes > threshold
            && votes > rows[at - 1]
            && votes >= rows[at + 1]
            && votes > rows[at - len]
            && votes >= rows[at + len]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comm::{Comm, threads};
    use crate::halo::partition;
    use crate::{Buffer, Color, Rows, SampleType};

    /// Votes and maxima on a whole accumulator, in double precision.
    fn naive(map: &[u8], cols: usize, theta: f64, threshold: i64) -> Vec<Line> {
        let (rows, n_theta) = (map.len() / cols, (180.0 / theta) as usize + 1);
        let (reach, step) = ((rows + cols) as isize, theta.to_radians() as f32);
        let n_rho = 2 * reach + 1;
        let mut votes = vec![vec![0i64; n_rho as usize + 2]; n_theta + 2];
        for at in (0..map.len()).filter(|&i| map[i] == 2) {
            for n in 0..n_theta {
                let angle = f64::from(step) * n as f64;
                let (y, x) = ((at / cols) as f64, (at % cols) as f64);
                let r = (x * libm::cos(angle) + y * libm::sin(angle)).round() as isize;
                votes[n + 1][(r + reach + 1) as usize] += 1;
            }
        }
        let mut lines = Vec::new();
        for n in 1..=n_theta {
            for r in 1..=n_rho as usize {
                let v = votes[n][r];
                let most = v > votes[n][r - 1] && v >= votes[n][r + 1];
                if v > threshold && most && v > votes[n - 1][r] && v >= votes[n + 1][r] {
                    lines.push(Line {
                        rho: (r as isize - 1 - reach) as f32,
                        theta: (n - 1) as f32 * step,
                    });
                }
            }
        }
        lines
    }

    #[test]
    fn lines_equal_a_whole_accumulator_on_any_number_of_ranks() {
        // Two lines whose pixels are not half-way between two distances at any angle of these steps.
        let (rows, cols) = (41, 53);
        let mut map = vec![0u8; rows * cols];
        for i in 0..rows {
            map[i * cols + 7] = 2;
            map[i * cols + (i * 3 / 4 + 10)] = 2;
        }
        let shape = Shape::new(rows, cols, Color::Gray, SampleType::U8);
        let expected = naive(&map, cols, 7.0, 9);
        assert!(expected.contains(&Line {
            rho: 7.0,
            theta: 0.0
        }));
        assert!(expected.len() > 1, "{expected:?}");
        for ranks in [1, 2, 3, 5, 50] {
            let found = threads::run(ranks, |comm| {
                let range = partition(rows, ranks, comm.rank());
                let mut part = Rows::zeroed(shape, range.clone());
                part.data = Buffer::U8(map[range.start * cols..range.end * cols].to_vec());
                let mut context = Context::new(comm);
                let edges = crate::ops::canny::hysteresis::edges(&mut context, &part).unwrap();
                let accumulator = Accumulator::new(shape, 1.0, 7.0).unwrap();
                lines(&mut context, &edges, range, &accumulator, 9).unwrap()
            });
            assert!(
                found.iter().all(|lines| *lines == expected),
                "{ranks} ranks: {found:?} instead of {expected:?}"
            );
        }
    }

    #[test]
    fn angles_end_below_half_a_turn() {
        let shape = Shape::new(30, 40, Color::Gray, SampleType::U8);
        let n = |theta: f64| Accumulator::new(shape, 1.0, theta).unwrap().n_theta;
        assert_eq!(
            [1.0, 7.0, 45.0, 90.0, 100.0, 180.0].map(n),
            [180, 26, 4, 2, 2, 1]
        );
        let large = Shape::new(300_000, 300_000, Color::Gray, SampleType::U8);
        let error = Accumulator::new(large, 0.1, 1.0).err().unwrap();
        assert!(error.to_string().contains("a larger rho"));
    }
}
