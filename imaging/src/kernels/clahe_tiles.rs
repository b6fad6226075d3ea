//! The tiles of `clahe`: where they lie, what is counted in them, and the levels that follow.

use super::histogram::{Binned, Counter, Plane, bins};
use crate::border::Border;
use crate::error::Result;
use crate::image::{Color, Element, Shape};
use crate::op::{Local, Measured, Tally};
use crate::window::{Scratch, Window};
use std::ops::Range;
use std::sync::Arc;

/// An image cut into tiles of equal size. Where they do not fit, the image is continued by mirroring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Tiles along each side.
    pub tiles: usize,
    /// Columns of a tile.
    pub width: usize,
    /// Rows of a tile.
    pub height: usize,
}

impl Grid {
    /// The grid for an image, as OpenCV lays it: where one side does not divide, both are continued, a
    /// side that divides by a whole tile count.
    pub fn new(shape: Shape, tiles: usize) -> Grid {
        let (rows, cols) = (shape.rows, shape.cols);
        let fits = rows.is_multiple_of(tiles) && cols.is_multiple_of(tiles);
        let side = |length: usize| length / tiles + usize::from(!fits);
        Grid {
            tiles,
            width: side(cols),
            height: side(rows),
        }
    }

    /// Pixels of a tile.
    pub fn area(&self) -> usize {
        self.width * self.height
    }

    /// The mirrored samples along a side of `length` samples and the tiles that they are in.
    fn mirrored(&self, length: usize, tile: usize) -> Vec<Mirrored> {
        let at = |i: usize| {
            Border::Reflect101
                .index(i as isize, length)
                .map(|at| (at, i / tile))
        };
        (length..self.tiles * tile)
            .filter_map(at)
            .map(|(at, tile)| Mirrored { at, tile })
            .collect()
    }
}

/// A sample that occurs once more in a tile.
struct Mirrored {
    at: usize,
    tile: usize,
}

/// Counts some rows of tiles, bin by bin, tile by tile.
pub struct TileRows {
    grid: Grid,
    /// The rows of tiles that are counted.
    rows: Range<usize>,
    mirrored_rows: Vec<Mirrored>,
    mirrored_columns: Vec<Mirrored>,
}

impl TileRows {
    /// Counts rows `rows` of the tiles of an image.
    pub fn new(grid: Grid, shape: Shape, rows: Range<usize>) -> TileRows {
        TileRows {
            grid,
            rows,
            mirrored_rows: grid.mirrored(shape.rows, grid.height),
            mirrored_columns: grid.mirrored(shape.cols, grid.width),
        }
    }

    /// The tiles of row `y` that are counted.
    fn tiles_of(&self, y: usize) -> Vec<usize> {
        let more = self
            .mirrored_rows
            .iter()
            .filter(|m| m.at == y)
            .map(|m| m.tile);
        let all = std::iter::once(y / self.grid.height).chain(more);
        all.filter(|tile| self.rows.contains(tile)).collect()
    }

    fn count<T: Binned>(&self, input: &Window<'_>, rows: Range<usize>, sums: &mut [i64]) {
        let mut start = rows.start;
        while start < rows.end {
            // Rows in the same tiles are counted together.
            let tiles = self.tiles_of(start);
            let end = (start + 1..rows.end)
                .find(|&y| self.tiles_of(y) != tiles)
                .unwrap_or(rows.end);
            if !tiles.is_empty() {
                let mut row = vec![0i64; self.grid.tiles * T::BINS];
                self.count_row::<T>(input, start..end, &mut row);
                for tile in tiles {
                    let at = (tile - self.rows.start) * row.len();
                    for (sum, count) in sums[at..at + row.len()].iter_mut().zip(&row) {
                        *sum += count;
                    }
                }
            }
            start = end;
        }
    }

    /// Counts image rows into one row of tiles.
    fn count_row<T: Binned>(&self, input: &Window<'_>, rows: Range<usize>, sums: &mut [i64]) {
        let shape = input.shape();
        let (mut planes, mut seen) = (Vec::new(), Vec::new());
        if shape.color != Color::Gray {
            let step = shape.channels();
            let mut room = Vec::new();
            for y in rows.clone() {
                let row = input.row::<T>(y as isize);
                planes.extend_from_slice(Plane::Luma.of(row, shape.color, &mut room));
                if shape.color.has_alpha() {
                    seen.extend(row.chunks_exact(step).map(|p| p[step - 1] != T::default()));
                }
            }
        }
        // What is wholly transparent counts nowhere.
        let hidden = seen.contains(&false);
        let is_seen = |y: usize, x: usize| !hidden || seen[(y - rows.start) * shape.cols + x];
        let plane = |y: usize| match shape.color {
            Color::Gray => input.row::<T>(y as isize),
            _ => &planes[(y - rows.start) * shape.cols..][..shape.cols],
        };
        let mut counter = Counter::new();
        for (tile, sums) in sums.chunks_exact_mut(T::BINS).enumerate() {
            let end = ((tile + 1) * self.grid.width).min(shape.cols);
            let columns = (tile * self.grid.width).min(end)..end;
            for y in rows.clone() {
                if !hidden {
                    counter.add(&plane(y)[columns.clone()], sums);
                    continue;
                }
                for x in columns.clone().filter(|&x| is_seen(y, x)) {
                    counter.add(&plane(y)[x..x + 1], sums);
                }
            }
            counter.flush(sums);
        }
        for mirrored in &self.mirrored_columns {
            for y in rows.clone() {
                let v = plane(y)[mirrored.at];
                let counts = v.counts() && is_seen(y, mirrored.at);
                sums[mirrored.tile * T::BINS + v.bin()] += i64::from(counts);
            }
        }
    }
}

impl Measured for TileRows {
    fn empty(&self, input: Shape) -> Tally {
        Tally {
            sums: vec![0; self.rows.len() * self.grid.tiles * bins(input.sample)],
            ..Tally::default()
        }
    }

    fn measure(
        &self,
        input: &Window<'_>,
        rows: Range<usize>,
        tally: &mut Tally,
        _scratch: &mut Scratch,
    ) {
        crate::by_sample!(input.shape().sample, T => self.count::<T>(input, rows, &mut tally.sums));
    }

    fn finish(&self, _input: Shape, _tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        Ok(Vec::new())
    }
}

/// The new level of each bin of a tile: counts above the limit are spread over all bins, then summed up.
pub fn limited_levels(counts: &[i64], area: usize, clip: f64) -> impl Iterator<Item = u16> {
    let bins = counts.len() as i64;
    let mut counts = counts.to_vec();
    // Of a tile in part transparent, or without values, what counts is its area; of one wholly so all levels stay black.
    let area = match counts.iter().sum::<i64>() as usize {
        0 => area,
        counted => counted.min(area),
    };
    if clip > 0.0 {
        let limit = ((clip * area as f64 / bins as f64) as i64).max(1);
        let mut above = 0;
        for count in &mut counts {
            above += (*count - limit).max(0);
            *count = (*count).min(limit);
        }
        let (each, rest) = (above / bins, above % bins);
        counts.iter_mut().for_each(|count| *count += each);
        if rest > 0 {
            let step = (bins / rest).max(1) as usize;
            let spread = counts.iter_mut().step_by(step).take(rest as usize);
            spread.for_each(|count| *count += 1);
        }
    }
    let scale = (bins - 1) as f32 / area as f32;
    let mut sum = 0i64;
    counts.into_iter().map(move |count| {
        sum += count;
        // Bins are at most 65536, so levels fit.
        u16::saturate32((sum as f32 * scale).min((bins - 1) as f32))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SampleType;

    #[test]
    fn tiles_cover_mirrored_images() {
        let shape = |rows, cols| Shape::new(rows, cols, Color::Gray, SampleType::U8);
        let grid = |rows, cols, tiles| Grid::new(shape(rows, cols), tiles);
        assert_eq!((grid(16, 8, 8).height, grid(16, 8, 8).width), (2, 1));
        // One side divides, and is continued by a whole tile count all the same.
        assert_eq!((grid(16, 9, 8).height, grid(16, 9, 8).width), (3, 2));
        for (rows, cols, tiles) in [(1, 3, 8), (3, 30, 8), (17, 16, 4), (64, 64, 8)] {
            let shape = shape(rows, cols);
            let grid = Grid::new(shape, tiles);
            let measured = TileRows::new(grid, shape, 0..tiles);
            let image = crate::Rows::zeroed(shape, 0..rows);
            let black = crate::Buffer::zeroed(SampleType::U8, cols);
            let pieces = [&image];
            let window = Window::new(&pieces, shape, Border::Reflect101, &black);
            let mut tally = measured.empty(shape);
            measured.measure(&window, 0..rows, &mut tally, &mut Scratch::default());
            for counts in tally.sums.chunks_exact(256) {
                assert_eq!(counts[0] as usize, grid.area(), "{rows} x {cols}");
            }
        }
    }

    #[test]
    fn counts_above_the_limit_are_spread() {
        let mut counts = vec![0; 256];
        counts[7] = 512;
        let limited: Vec<u16> = limited_levels(&counts, 512, 1.0).collect();
        // Limit 2: 510 are spread, one a bin and one more for 254 bins.
        assert_eq!((limited[0], limited[255]), (1, 255));
        let free: Vec<u16> = limited_levels(&counts, 512, 0.0).collect();
        assert_eq!((free[6], free[7]), (0, 255));
    }
}
