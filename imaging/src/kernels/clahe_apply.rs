//! Blending the levels of the four tiles around each pixel.

use super::clahe_tiles::Grid;
use super::histogram::Binned;
use crate::image::SampleType;
use crate::op::Local;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// Gives each pixel (or its luma) the level of its tiles, bilinear between their centres.
pub struct Blend {
    grid: Grid,
    /// Level of each bin, tile by tile.
    levels: Vec<u16>,
    bins: usize,
    /// Columns between the same two tiles.
    runs: Vec<Run>,
    /// Weight of the second tile for each column.
    shares: Vec<f32>,
}

struct Run {
    columns: Range<usize>,
    first: usize,
    second: usize,
}

/// Two neighbouring tiles along a side and the weight of the second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

impl Between {
    /// At sample `i` of a side cut into `tiles` tiles of `length` samples.
    fn at(i: usize, length: usize, tiles: usize) -> Between {
        let at = i as f32 * (1.0 / length as f32) - 0.5;
        let first = libm::floorf(at);
        let tile = |t: f32| (t.max(0.0) as usize).min(tiles - 1);
        Between {
            first: tile(first),
            second: tile(first + 1.0),
            share: at - first,
        }
    }
}

impl Blend {
    /// Levels of `bins` bins for each tile of the grid of an image that is `cols` wide.
    pub fn new(grid: Grid, cols: usize, levels: Vec<u16>, bins: usize) -> Blend {
        let places = (0..cols).map(|x| Between::at(x, grid.width, grid.tiles));
        let places: Vec<Between> = places.collect();
        let mut runs: Vec<Run> = Vec::new();
        for (x, place) in places.iter().enumerate() {
            match runs.last_mut() {
                Some(run) if (run.first, run.second) == (place.first, place.second) => {
                    run.columns.end = x + 1;
                }
                _ => runs.push(Run {
                    columns: x..x + 1,
                    first: place.first,
                    second: place.second,
                }),
            }
        }
        Blend {
            grid,
            levels,
            bins,
            runs,
            shares: places.iter().map(|place| place.share).collect(),
        }
    }

    fn tile(&self, row: usize, column: usize) -> &[u16] {
        let at = (row * self.grid.tiles + column) * self.bins;
        &self.levels[at..at + self.bins]
    }

    /// 8 bits: the levels of two rows of tiles are blended once for each image row.
    fn bytes(&self, input: &Window<'_>, out: &mut Band<'_>) {
        let shape = input.shape();
        let step = shape.channels();
        let mut rows = vec![[0.0f32; 256]; self.grid.tiles];
        for y in out.range() {
            let between = Between::at(y, self.grid.height, self.grid.tiles);
            for (column, row) in rows.iter_mut().enumerate() {
                let upper = self.tile(between.first, column);
                let lower = self.tile(between.second, column);
                blend_levels(upper, lower, between.share, row);
            }
            let (source, target) = (input.row::<u8>(y as isize), out.row::<u8>(y));
            for run in &self.runs {
                let (left, right) = (&rows[run.first], &rows[run.second]);
                let samples = run.columns.start * step..run.columns.end * step;
                let (s, t) = (&source[samples.clone()], &mut target[samples]);
                let shares = &self.shares[run.columns.clone()];
                match shape.color.is_gray() {
                    true => blend_gray(s, t, step, shares, left, right),
                    false => blend_color(s, t, step, shares, left, right),
                }
            }
        }
    }

    fn wide<T: Binned>(&self, input: &Window<'_>, out: &mut Band<'_>) {
        let shape = input.shape();
        let step = shape.channels();
        for y in out.range() {
            let rows = Between::at(y, self.grid.height, self.grid.tiles);
            let (source, target) = (input.row::<T>(y as isize), out.row::<T>(y));
            for run in &self.runs {
                for x in run.columns.clone() {
                    let share = self.shares[x];
                    let (s, t) = (
                        &source[x * step..(x + 1) * step],
                        &mut target[x * step..(x + 1) * step],
                    );
                    let level = |v: T| {
                        if !v.counts() {
                            return v;
                        }
                        let of = |row, column| f32::from(self.tile(row, column)[v.bin()]);
                        let across =
                            |row| of(row, run.first) * (1.0 - share) + of(row, run.second) * share;
                        let level = across(rows.first) * (1.0 - rows.share)
                            + across(rows.second) * rows.share;
                        T::level(level.round_ties_even().clamp(0.0, 65535.0) as usize)
                    };
                    match shape.color.is_gray() {
                        true => t[0] = level(s[0]),
                        false => t[..3].copy_from_slice(&T::with_luma([s[0], s[1], s[2]], level)),
                    }
                }
            }
        }
    }
}

impl Local for Blend {
    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        2.0
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        match input.shape().sample {
            SampleType::U8 => self.bytes(input, out),
            SampleType::U16 => self.wide::<u16>(input, out),
            SampleType::F32 => self.wide::<f32>(input, out),
            SampleType::F64 => crate::image::narrowed(),
        }
    }
}

crate::simd! {
    fn blend_levels(upper: &[u16], lower: &[u16], share: f32, row: &mut [f32; 256]) {
        for ((t, a), b) in row.iter_mut().zip(upper).zip(lower) {
            *t = f32::from(*a) * (1.0 - share) + f32::from(*b) * share;
        }
    }
}

#[inline(always)]
fn level(v: u8, share: f32, left: &[f32; 256], right: &[f32; 256]) -> u8 {
    let level = left[v as usize] * (1.0 - share) + right[v as usize] * share;
    // Levels are within 0..=255, so nothing is cut off.
    level.round_ties_even() as u8
}

crate::simd! {
    fn blend_gray(source: &[u8], target: &mut [u8], step: usize, shares: &[f32], left: &[f32; 256], right: &[f32; 256]) {
        if step == 1 {
            for ((t, s), &share) in target.iter_mut().zip(source).zip(shares) {
                *t = level(*s, share, left, right);
            }
        } else {
            let pixels = target.chunks_exact_mut(step).zip(source.chunks_exact(step));
            for ((t, s), &share) in pixels.zip(shares) {
                t[0] = level(s[0], share, left, right);
            }
        }
    }
}

crate::simd! {
    fn blend_color(source: &[u8], target: &mut [u8], step: usize, shares: &[f32], left: &[f32; 256], right: &[f32; 256]) {
        use super::ycrcb::YCrCb;
        let pixels = target.chunks_exact_mut(step).zip(source.chunks_exact(step));
        for ((t, s), &share) in pixels.zip(shares) {
            let rgb = u8::with_luma([s[0], s[1], s[2]], |y| level(y, share, left, right));
            t[..3].copy_from_slice(&rgb);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tile_centres_take_their_own_level() {
        let at = |i| Between::at(i, 4, 3);
        assert_eq!((at(0).first, at(0).second), (0, 0));
        assert_eq!(
            at(2),
            Between {
                first: 0,
                second: 1,
                share: 0.0
            }
        );
        assert_eq!(
            at(4),
            Between {
                first: 0,
                second: 1,
                share: 0.5
            }
        );
        assert_eq!((at(11).first, at(11).second), (2, 2));
    }
}
