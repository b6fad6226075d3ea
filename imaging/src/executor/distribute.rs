//! Rows from rank 0's decoder to the ranks that own them, and from all ranks to its encoder.

use super::{Context, guarded};
use crate::codec::{RowSink, RowSource};
use crate::comm::{Comm, Incoming, Outgoing, agree};
use crate::error::Result;
use crate::halo::partition;
use crate::image::{Rows, Shape};
use crate::window::Band;
use std::ops::Range;

/// Bytes moved at once when rank 0 hands rows out or collects them.
pub const MESSAGE_BYTES: usize = 8 << 20;

/// Hands a decoder's rows from rank 0 to the ranks that own them; for formats that only decode from
/// the top. Only rank 0 passes a source.
pub fn scatter(
    context: &mut Context<'_>,
    shape: Shape,
    mut source: Option<&mut dyn RowSource>,
) -> Result<Rows> {
    let comm = context.comm;
    let mut mine = Rows::zeroed(shape, context.part(shape));
    let mut failure = Ok(());
    for rank in 0..comm.size() {
        for range in pieces(shape, partition(shape.rows, comm.size(), rank)) {
            let mut band = None;
            if let (Some(source), Ok(())) = (source.as_deref_mut(), &failure) {
                let mut rows = Rows::zeroed(shape, range.clone());
                failure = context
                    .stop
                    .check()
                    .and_then(|()| guarded(|| source.read(&mut Band::of(&mut rows))));
                band = Some(rows);
            } else if comm.rank() == 0 {
                band = Some(Rows::zeroed(shape, range.clone()));
            }
            hand(comm, 0, rank, band.as_ref(), &mut mine, range);
        }
    }
    agree(comm, failure)?;
    Ok(mine)
}

/// Sends `band` from one rank to another's chunk.
fn hand(
    comm: &dyn Comm,
    from: usize,
    to: usize,
    band: Option<&Rows>,
    mine: &mut Rows,
    range: Range<usize>,
) {
    let len = mine.shape.row_bytes();
    if comm.rank() == from && from == to {
        if let Some(band) = band {
            let at = (range.start - mine.first) * len;
            mine.data.bytes_mut()[at..at + range.len() * len].copy_from_slice(band.data.bytes());
        }
    } else if comm.rank() == from {
        if let Some(band) = band {
            comm.exchange(
                &[Outgoing {
                    to,
                    bytes: band.data.bytes(),
                }],
                &mut [],
                &mut || (),
            );
        }
    } else if comm.rank() == to {
        let at = (range.start - mine.first) * len;
        let bytes = &mut mine.data.bytes_mut()[at..at + range.len() * len];
        comm.exchange(&[], &mut [Incoming { from, bytes }], &mut || ());
    }
}

fn pieces(shape: Shape, range: Range<usize>) -> Vec<Range<usize>> {
    let step = (MESSAGE_BYTES / shape.row_bytes().max(1)).max(1);
    range
        .clone()
        .step_by(step)
        .map(|at| at..(at + step).min(range.end))
        .collect()
}

/// Brings all rows in order to rank 0's encoder, a few at a time. Only rank 0 passes a sink.
pub fn gather(
    context: &mut Context<'_>,
    rows: &Rows,
    mut sink: Option<&mut dyn RowSink>,
) -> Result<()> {
    let (comm, shape) = (context.comm, rows.shape);
    let mut failure = Ok(());
    for rank in 0..comm.size() {
        for range in pieces(shape, partition(shape.rows, comm.size(), rank)) {
            if comm.rank() == rank && rank != 0 {
                comm.exchange(
                    &[Outgoing {
                        to: 0,
                        bytes: rows.bytes_of(range),
                    }],
                    &mut [],
                    &mut || (),
                );
            } else if comm.rank() == 0 {
                let mut band = Rows::zeroed(shape, range.clone());
                if rank == 0 {
                    band.data.bytes_mut().copy_from_slice(rows.bytes_of(range));
                } else {
                    comm.exchange(
                        &[],
                        &mut [Incoming {
                            from: rank,
                            bytes: band.data.bytes_mut(),
                        }],
                        &mut || (),
                    );
                }
                if let (Some(sink), Ok(())) = (sink.as_deref_mut(), &failure) {
                    failure = context
                        .stop
                        .check()
                        .and_then(|()| guarded(|| sink.write(&band)));
                }
            }
        }
    }
    agree(comm, failure)
}
