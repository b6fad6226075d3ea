//! clahe: contrast-limited adaptive histogram equalisation.

use crate::error::Result;
use crate::executor::Context;
use crate::image::{Rows, Shape};
use crate::kernels::clahe_apply::Blend;
use crate::kernels::clahe_tiles::{Grid, TileRows, limited_levels};
use crate::kernels::histogram::bins;
use crate::op::{Channels, Collective, Group, Local, Op, Param, Step};
use std::sync::Arc;

/// The operation. Source: K. Zuiderveld, "Contrast limited adaptive histogram equalization" (1994), with
/// the tiles, limits and rounding of OpenCV. Float samples are counted in 65536 bins over 0..=1 and
/// take their levels.
pub static OP: Op = Op {
    name: "clahe",
    about: "Equalizes each tile for itself with a limit on contrast, and blends between tiles; of colours the luma.",
    params: &[
        Param::float(
            "clip",
            0.0..=1000.0,
            2.0,
            "limit on contrast as a multiple of an even histogram; 0: none",
        ),
        Param::int("tiles", 1..=64, 8, "tiles along each side"),
    ],
    example: "clahe(clip=3, tiles=4)",
    group: Group::Histogram,
    channels: Channels::Each,
    build: |args| {
        Ok(vec![Step::collective(Clahe {
            clip: args.float("clip"),
            tiles: args.size("tiles"),
        })])
    },
};

/// Bytes that the counts of the tiles measured at once may take.
const TALLY_BYTES: usize = 4 << 20;

struct Clahe {
    clip: f64,
    tiles: usize,
}

impl Clahe {
    /// Rows of tiles that are measured at once.
    fn at_once(&self, bins: usize) -> usize {
        (TALLY_BYTES / (8 * bins * self.tiles)).clamp(1, self.tiles)
    }
}

impl Collective for Clahe {
    fn run(&self, context: &mut Context<'_>, input: Rows) -> Result<Rows> {
        let shape = input.shape;
        let grid = Grid::new(shape, self.tiles);
        let bins = bins(shape.sample);
        // Wide samples have so many bins that all tiles at once would need too much memory.
        let at_once = self.at_once(bins);
        let mut levels = Vec::with_capacity(self.tiles * self.tiles * bins);
        for first in (0..self.tiles).step_by(at_once) {
            let rows = first..(first + at_once).min(self.tiles);
            let tally = context.measure(&TileRows::new(grid, shape, rows), &input)?;
            for counts in tally.sums.chunks_exact(bins) {
                levels.extend(limited_levels(counts, grid.area(), self.clip));
            }
        }
        let blend: Arc<dyn Local> = Arc::new(Blend::new(grid, shape.cols, levels, bins));
        context.locals(&input, &[blend])
    }

    fn memory(&self, input: Shape, _ranks: usize) -> usize {
        let bins = bins(input.sample);
        let counts = 8 * bins * self.tiles * self.at_once(bins);
        // Levels of all tiles, and the counts of some of them in several parts of the image at once.
        2 * bins * self.tiles * self.tiles + 4 * counts
    }

    fn spans(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        4.0
    }
}
