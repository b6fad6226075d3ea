//! Canny's second half: candidates that touch an edge become edges, over all ranks.
//!
//! Each thread grows the edges of a band, each rank joins its bands, and ranks hand the edges of their
//! first and last rows to their neighbours until nothing changes anywhere.

use super::bits::{Grid, WORD, pack, unpack};
use crate::comm::{Incoming, Outgoing, Reduce, agree};
use crate::error::Result;
use crate::executor::{Context, guarded};
use crate::halo::partition;
use crate::image::{Element, Rows, Shape};
use crate::op::Collective;
use rayon::prelude::*;

/// The edges of this rank's rows of an image, a bit per pixel.
pub struct Edges {
    width: usize,
    words: Vec<u64>,
}

impl Edges {
    /// Row `i` of this rank's rows; pixel x is bit x % 64 of word x / 64.
    pub fn row(&self, i: usize) -> &[u64] {
        &self.words[i * self.width..(i + 1) * self.width]
    }

    /// Calls `then` with each edge pixel's column in row `i`.
    pub fn each(&self, i: usize, mut then: impl FnMut(usize)) {
        for (at, word) in self.row(i).iter().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                then(at * WORD + rest.trailing_zeros() as usize);
                rest &= rest - 1;
            }
        }
    }
}

/// Turns a map of [`super::gradient::Ridges`] into white edges on black; alpha is kept.
pub struct Hysteresis;

impl Collective for Hysteresis {
    fn run(&self, context: &mut Context<'_>, mut input: Rows) -> Result<Rows> {
        let edges = edges(context, &input)?;
        crate::by_sample!(input.shape.sample, T => paint::<T>(context, &edges, &mut input));
        Ok(input)
    }

    fn in_place(&self, _input: Shape) -> bool {
        true
    }

    fn memory(&self, input: Shape, ranks: usize) -> usize {
        2 * input.rows.div_ceil(ranks.max(1)) * input.cols.div_ceil(WORD) * 8
    }

    fn cost(&self) -> f64 {
        1.0
    }
}

/// Runs `work` on all threads of the rank with indices below `parts`.
fn parallel<I: Send>(context: &Context<'_>, parts: Vec<I>, work: impl Fn(I) + Send + Sync) {
    match context.pool {
        Some(pool) if parts.len() > 1 => pool.install(|| parts.into_par_iter().for_each(work)),
        _ => parts.into_iter().for_each(work),
    }
}

/// Rows of each band when a rank's rows are shared by its threads.
fn band(context: &Context<'_>, rows: usize) -> usize {
    match context.threads() {
        1 => rows,
        n => rows.div_ceil(2 * n).max(32),
    }
    .max(1)
}

/// The edges that grow from a map of 0 (none), 1 (candidate) and 2 (edge) in the first channel.
/// All ranks call this together.
pub fn edges(context: &mut Context<'_>, map: &Rows) -> Result<Edges> {
    let width = map.shape.cols.div_ceil(WORD);
    let words = map.count * width;
    let (mut open, mut edge) = (vec![0u64; words], vec![0u64; words]);
    let band = band(context, map.count);
    let local = guarded(|| {
        context.stop.check()?;
        if words > 0 {
            let parts = open
                .chunks_mut(band * width)
                .zip(edge.chunks_mut(band * width));
            parallel(context, parts.enumerate().collect(), |(i, (open, edge))| {
                crate::by_sample!(map.shape.sample, T => pack_rows::<T>(map, i * band, width, open, edge));
                Grid { width, open, edge }.flood();
            });
        }
        Ok(())
    });
    agree(context.comm, local)?;
    let mut grid = Grid {
        width,
        open: &open,
        edge: &mut edge,
    };
    if words > 0 {
        grid.join((band..map.count).step_by(band));
    }
    across_ranks(context, map, &mut grid);
    Ok(Edges { width, words: edge })
}

fn pack_rows<T: Element>(
    map: &Rows,
    first: usize,
    width: usize,
    open: &mut [u64],
    edge: &mut [u64],
) {
    let channels = map.shape.channels();
    let mut narrow = Vec::new();
    let rows = open.chunks_mut(width).zip(edge.chunks_mut(width));
    for (i, (open, edge)) in rows.enumerate() {
        let row = map.row::<T>(map.first + first + i);
        if T::TYPE == crate::SampleType::U8 && channels == 1 {
            pack(bytemuck::cast_slice(row), open, edge);
        } else {
            narrow.clear();
            narrow.extend(row.chunks_exact(channels).map(|p| p[0].to_f32() as u8));
            pack(&narrow, open, edge);
        }
    }
}

/// Exchanges the outermost rows with the neighbours until no rank changes.
fn across_ranks(context: &mut Context<'_>, map: &Rows, grid: &mut Grid<'_>) {
    let (comm, width) = (context.comm, grid.width);
    if comm.size() == 1 {
        return;
    }
    // Ranks without rows come last; they only take part in the calls.
    let holds = |rank: usize| width > 0 && !partition(map.shape.rows, comm.size(), rank).is_empty();
    let rank = comm.rank();
    let above = (rank > 0 && holds(rank)).then(|| rank - 1);
    let below = (rank + 1 < comm.size() && holds(rank + 1)).then_some(rank + 1);
    let last = map.count.saturating_sub(1);
    let (mut from_above, mut from_below) = (vec![0u64; width], vec![0u64; width]);
    loop {
        let mut sends = Vec::new();
        let mut receives = Vec::new();
        for (other, y, from) in [(above, 0, &mut from_above), (below, last, &mut from_below)] {
            let Some(other) = other else { continue };
            sends.push(Outgoing {
                to: other,
                bytes: bytemuck::cast_slice(&grid.edge[y * width..(y + 1) * width]),
            });
            receives.push(Incoming {
                from: other,
                bytes: bytemuck::cast_slice_mut(from),
            });
        }
        context.halo.bytes += sends.iter().map(|s| s.bytes.len() as u64).sum::<u64>();
        context.halo.exchanges += 1;
        comm.exchange(&sends, &mut receives, &mut || ());
        let mut changed = false;
        if above.is_some() {
            changed |= grid.meet(0, &from_above);
        }
        if below.is_some() {
            changed |= grid.meet(last, &from_below);
        }
        let mut any = [i64::from(changed)];
        comm.all_reduce(&mut any, Reduce::Max);
        if any[0] == 0 {
            return;
        }
    }
}

/// White where there is an edge, black elsewhere.
fn paint<T: Element>(context: &Context<'_>, edges: &Edges, rows: &mut Rows) {
    let (cols, channels, len) = (rows.shape.cols, rows.shape.channels(), rows.shape.row_len());
    if len == 0 || rows.count == 0 {
        return;
    }
    let band = band(context, rows.count);
    let mut data = rows.data.as_mut();
    let parts = T::of_mut(&mut data).chunks_mut(band * len).enumerate();
    parallel(context, parts.collect(), |(part, samples)| {
        let mut white = vec![0; cols];
        for (i, row) in samples.chunks_mut(len).enumerate() {
            let words = edges.row(part * band + i);
            if T::TYPE == crate::SampleType::U8 && channels == 1 {
                unpack(words, bytemuck::cast_slice_mut(row));
                continue;
            }
            unpack(words, &mut white);
            for (pixel, white) in row.chunks_exact_mut(channels).zip(&white) {
                pixel[0] = T::saturate(if *white > 0 { T::TOP } else { 0.0 });
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comm::threads;
    use crate::{Buffer, Color, Rows, SampleType, Shape};

    /// Flood fill, pixel by pixel.
    fn naive(map: &[u8], cols: usize) -> Vec<u8> {
        let mut edge: Vec<u8> = map.iter().map(|&m| u8::from(m == 2) * 255).collect();
        let mut stack: Vec<usize> = (0..map.len()).filter(|&i| map[i] == 2).collect();
        while let Some(at) = stack.pop() {
            let (y, x) = ((at / cols) as isize, (at % cols) as isize);
            for (v, u) in (y - 1..=y + 1).flat_map(|v| (x - 1..=x + 1).map(move |u| (v, u))) {
                let inside =
                    v >= 0 && u >= 0 && (u as usize) < cols && (v as usize) < map.len() / cols;
                let to = if inside {
                    v as usize * cols + u as usize
                } else {
                    at
                };
                if map[to] == 1 && edge[to] == 0 {
                    edge[to] = 255;
                    stack.push(to);
                }
            }
        }
        edge
    }

    fn on_ranks(map: &[u8], cols: usize, ranks: usize, n_threads: usize) -> Vec<u8> {
        let shape = Shape::new(map.len() / cols, cols, Color::Gray, SampleType::U8);
        let parts = threads::run(ranks, |comm| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(n_threads)
                .build()
                .unwrap();
            let range = partition(shape.rows, ranks, crate::comm::Comm::rank(comm));
            let mut rows = Rows::zeroed(shape, range.clone());
            rows.data = Buffer::U8(map[range.start * cols..range.end * cols].to_vec());
            let result = Hysteresis.run(&mut Context::with_pool(comm, &pool), rows);
            result.unwrap().data.bytes().to_vec()
        });
        parts.concat()
    }

    /// One candidate line that winds through all rows (or columns) with an edge at its end.
    fn serpentine(rows: usize, cols: usize, upright: bool) -> Vec<u8> {
        let (long, turns) = if upright { (rows, cols) } else { (cols, rows) };
        let mut map = vec![0; rows * cols];
        let mut set = |along: usize, turn: usize, value: u8| {
            let (y, x) = if upright {
                (along, turn)
            } else {
                (turn, along)
            };
            map[y * cols + x] = value;
        };
        for turn in (0..turns).step_by(2) {
            (0..long).for_each(|along| set(along, turn, 1));
            if turn + 2 < turns {
                set(if turn % 4 == 0 { long - 1 } else { 0 }, turn + 1, 1);
            }
        }
        set(0, 0, 2);
        map
    }

    #[test]
    fn winding_lines_are_followed_over_all_seams() {
        for (rows, cols) in [(67, 131), (130, 67)] {
            for upright in [false, true] {
                let map = serpentine(rows, cols, upright);
                let expected = naive(&map, cols);
                assert!(map.iter().zip(&expected).all(|(&m, &e)| (m > 0) == (e > 0)));
                for ranks in [1, 2, 3, 4, 5, 7] {
                    assert!(on_ranks(&map, cols, ranks, 1 + ranks % 2) == expected);
                }
            }
        }
    }

    #[test]
    fn any_map_equals_a_flood_fill() {
        let mut state = 1u32;
        for (rows, cols) in [
            (1, 1),
            (1, 200),
            (150, 1),
            (3, 64),
            (90, 63),
            (140, 65),
            (200, 300),
        ] {
            for open in [30, 45, 60] {
                let map: Vec<u8> = (0..rows * cols)
                    .map(|_| {
                        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                        match state >> 16 & 1023 {
                            0..4 => 2,
                            v => u8::from(v % 100 < open),
                        }
                    })
                    .collect();
                let expected = naive(&map, cols);
                for (ranks, n_threads) in [(1, 1), (1, 2), (3, 1), (4, 2), (7, 1)] {
                    assert!(
                        on_ranks(&map, cols, ranks, n_threads) == expected,
                        "{rows}x{cols}, {open} % open, {ranks} ranks"
                    );
                }
            }
        }
    }
}
