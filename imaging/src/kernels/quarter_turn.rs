//! Turning by 90 degrees: rows become columns, so every rank sends a block to every other.

use super::turn_block::turn_block;
use crate::comm::{Incoming, Outgoing};
use crate::error::Result;
use crate::executor::Context;
use crate::halo::partition;
use crate::image::{Rows, Shape};
use crate::metadata::Affine;
use crate::op::Collective;
use rayon::prelude::*;

/// Turns by 90 degrees one way or the other.
pub struct QuarterTurn {
    /// Clockwise; counter-clockwise otherwise.
    pub clockwise: bool,
}

impl Collective for QuarterTurn {
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(Shape {
            rows: input.cols,
            cols: input.rows,
            ..input
        })
    }

    fn geometry(&self, input: Shape) -> Option<Affine> {
        Some(Affine::quarter(self.clockwise, (input.cols, input.rows)))
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.5
    }

    fn run(&self, context: &mut Context<'_>, input: Rows) -> Result<Rows> {
        context.stop.check()?;
        let output = self.output(input.shape)?;
        let (rank, size) = (context.comm.rank(), context.comm.size());
        let pixel = output.channels() * output.sample.bytes();
        let part = |rank: usize| partition(output.rows, size, rank);
        let mut result = context.spare.rows(output, part(rank));
        let height = input.count;
        if size == 1 {
            self.block(context, &input, 0, result.data.bytes_mut());
            context.spare.give(input);
            return Ok(result);
        }
        // Block for another rank: its output rows, as wide as this rank's chunk is high.
        let mut blocks: Vec<Vec<u8>> = (0..size)
            .map(|other| vec![0; part(other).len() * height * pixel])
            .collect();
        for (other, block) in blocks.iter_mut().enumerate() {
            self.block(context, &input, part(other).start, block);
        }
        context.spare.give(input);
        let heights: Vec<usize> = (0..size)
            .map(|r| partition(output.cols, size, r).len())
            .collect();
        let mut received: Vec<Vec<u8>> = heights
            .iter()
            .map(|height| vec![0; part(rank).len() * height * pixel])
            .collect();
        std::mem::swap(&mut received[rank], &mut blocks[rank]);
        let sends: Vec<Outgoing<'_>> = (blocks.iter().enumerate())
            .filter(|(to, bytes)| *to != rank && !bytes.is_empty())
            .map(|(to, bytes)| Outgoing { to, bytes })
            .collect();
        let mut receives: Vec<Incoming<'_>> = (received.iter_mut().enumerate())
            .filter(|(from, bytes)| *from != rank && !bytes.is_empty())
            .map(|(from, bytes)| Incoming { from, bytes })
            .collect();
        context.halo.bytes += sends.iter().map(|s| s.bytes.len() as u64).sum::<u64>();
        context.halo.exchanges += 1;
        context.comm.exchange(&sends, &mut receives, &mut || ());
        drop(blocks);
        let row_bytes = output.row_bytes();
        for (from, block) in received.iter().enumerate().filter(|(_, b)| !b.is_empty()) {
            let rows = partition(output.cols, size, from);
            let first = match self.clockwise {
                true => output.cols - rows.end,
                false => rows.start,
            };
            let at = first * pixel..(first + rows.len()) * pixel;
            let target = result.data.bytes_mut().chunks_exact_mut(row_bytes);
            for (target, source) in target.zip(block.chunks_exact(rows.len() * pixel)) {
                target[at.clone()].copy_from_slice(source);
            }
        }
        Ok(result)
    }

    fn memory(&self, input: Shape, ranks: usize) -> usize {
        // The blocks sent and received.
        if ranks > 1 {
            2 * input.bytes() / ranks
        } else {
            0
        }
    }
}

/// Output rows turned by one thread at a time.
const ROWS_AT_ONCE: usize = 128;

impl QuarterTurn {
    /// Fills output rows from row `first` on with what this rank's chunk contributes to them.
    fn block(&self, context: &Context<'_>, input: &Rows, first: usize, block: &mut [u8]) {
        let shape = input.shape;
        let pixel = shape.channels() * shape.sample.bytes();
        let stride = input.count * pixel;
        if stride == 0 || block.is_empty() {
            return;
        }
        let turn = |i: usize, target: &mut [u8]| {
            let rows = target.len() / stride;
            let from = first + i * ROWS_AT_ONCE;
            // Output row y shows input column y, or counted from the right.
            let columns = match self.clockwise {
                true => from..from + rows,
                false => shape.cols - from - rows..shape.cols - from,
            };
            turn_block(
                input.data.bytes(),
                shape.cols,
                columns,
                target,
                pixel,
                self.clockwise,
            );
        };
        match context.pool {
            Some(pool) if pool.current_num_threads() > 1 => pool.install(|| {
                let parts = block.par_chunks_mut(ROWS_AT_ONCE * stride).enumerate();
                parts.for_each(|(i, target)| turn(i, target));
            }),
            _ => {
                for (i, target) in block.chunks_mut(ROWS_AT_ONCE * stride).enumerate() {
                    turn(i, target);
                }
            }
        }
    }
}
