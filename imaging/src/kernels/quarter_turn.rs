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
        // Block for another rank: its output rows, as wide as this rank's chunk is high. One rank after the other, so
        // that no more than a block each way is held beside the rows.
        let mut input = Some(input);
        for away in 0..size {
            let (to, from) = ((rank + away) % size, (rank + size - away) % size);
            let mut block = vec![0; part(to).len() * height * pixel];
            if let Some(input) = &input {
                self.block(context, input, part(to).start, &mut block);
            }
            if away + 1 == size {
                input
                    .take()
                    .into_iter()
                    .for_each(|rows| context.spare.give(rows));
                context.spare.make_room();
            }
            if away > 0 {
                let height = partition(output.cols, size, from).len();
                let mut theirs = vec![0; part(rank).len() * height * pixel];
                trade(context, (to, &block), (from, &mut theirs));
                block = theirs;
            }
            self.place(&mut result, from, size, &block);
        }
        context.halo.exchanges += 1;
        Ok(result)
    }

    fn memory(&self, input: Shape, ranks: usize) -> usize {
        // A block that is made, one that is received, and one on its way; of two ranks the input is gone by then.
        let block = input.bytes() / ranks / ranks;
        match ranks {
            1 => 0,
            2 => block,
            _ => 3 * block,
        }
    }
}

/// Sends a block to one rank and gets one from another.
fn trade(
    context: &mut Context<'_>,
    (to, block): (usize, &[u8]),
    (from, theirs): (usize, &mut [u8]),
) {
    let send = Outgoing { to, bytes: block };
    let sends = match block.is_empty() {
        true => Vec::new(),
        false => vec![send],
    };
    let mut receives = match theirs.is_empty() {
        true => Vec::new(),
        false => vec![Incoming {
            from,
            bytes: theirs,
        }],
    };
    context.halo.bytes += block.len() as u64;
    context.comm.exchange(&sends, &mut receives, &mut || ());
}

/// Output rows turned by one thread at a time.
const ROWS_AT_ONCE: usize = 128;

impl QuarterTurn {
    /// Puts what rank `from` made of its chunk into this rank's output rows.
    fn place(&self, result: &mut Rows, from: usize, size: usize, block: &[u8]) {
        let output = result.shape;
        let pixel = output.channels() * output.sample.bytes();
        let rows = partition(output.cols, size, from);
        if block.is_empty() {
            return;
        }
        let first = match self.clockwise {
            true => output.cols - rows.end,
            false => rows.start,
        };
        let at = first * pixel..(first + rows.len()) * pixel;
        let target = result.data.bytes_mut().chunks_exact_mut(output.row_bytes());
        for (target, source) in target.zip(block.chunks_exact(rows.len() * pixel)) {
            target[at.clone()].copy_from_slice(source);
        }
    }

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
