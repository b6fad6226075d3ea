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

/// This rank's rows of an image that all ranks share: each decodes its own where `apart` says so, else rank 0 hands them
/// out. Nothing is read from the source afterwards.
pub fn share(
    context: &mut Context<'_>,
    shape: Shape,
    mut source: Option<&mut dyn RowSource>,
    apart: bool,
) -> Result<Rows> {
    let inner = source
        .as_mut()
        .map(|source| &mut **source as &mut dyn RowSource);
    let rows = match apart {
        true => {
            let read = guarded(|| own_rows(context, shape, inner));
            agree(context.comm, read)
        }
        false => scatter(context, shape, inner),
    };
    if let Some(source) = source {
        source.release();
    }
    rows
}

fn own_rows(
    context: &Context<'_>,
    shape: Shape,
    source: Option<&mut dyn RowSource>,
) -> Result<Rows> {
    let part = context.part(shape);
    let mut rows = Rows::zeroed(shape, part.clone());
    if let Some(source) = source.filter(|_| !part.is_empty()) {
        source.seek_row(part.start)?;
        for range in pieces(shape, part) {
            context.stop.check()?;
            source.read(&mut Band::of(&mut rows).part(range))?;
        }
    }
    Ok(rows)
}

/// Hands a decoder's rows from rank 0 to the ranks that own them; for formats that only decode from
/// the top. Only rank 0 passes a source.
pub fn scatter(
    context: &mut Context<'_>,
    shape: Shape,
    mut source: Option<&mut dyn RowSource>,
) -> Result<Rows> {
    let comm = context.comm;
    let mut mine = Rows::zeroed(shape, context.part(shape));
    if comm.rank() != 0 {
        for range in pieces(shape, mine.range()) {
            let at = bytes_at(&mine, &range);
            receive(comm, 0, &mut mine.data.bytes_mut()[at]);
        }
        agree(comm, Ok(()))?;
        return Ok(mine);
    }
    let mut failure = Ok(());
    let mut read = |band: &mut Band<'_>| {
        if let (Some(source), Ok(())) = (source.as_deref_mut(), &failure) {
            failure = context
                .stop
                .check()
                .and_then(|()| guarded(|| source.read(band)));
        }
    };
    let own = mine.range();
    for range in pieces(shape, own) {
        read(&mut Band::of(&mut mine).part(range));
    }
    let mut rows = Rows::zeroed(shape, 0..0);
    for rank in 1..comm.size() {
        for range in pieces(shape, partition(shape.rows, comm.size(), rank)) {
            rows.reset(range);
            read(&mut Band::of(&mut rows));
            send(comm, rank, rows.data.bytes());
        }
    }
    agree(comm, failure)?;
    Ok(mine)
}

/// Where rows of the image lie in those held.
fn bytes_at(held: &Rows, range: &Range<usize>) -> Range<usize> {
    let len = held.shape.row_bytes();
    (range.start - held.first) * len..(range.end - held.first) * len
}

pub(super) fn pieces(shape: Shape, range: Range<usize>) -> Vec<Range<usize>> {
    let step = (MESSAGE_BYTES / shape.row_bytes().max(1)).max(1);
    range
        .clone()
        .step_by(step)
        .map(|at| at..(at + step).min(range.end))
        .collect()
}

/// Brings all rows in order to rank 0's encoder, a few at a time. Only rank 0 passes a sink.
///
/// Rank 0 asks for each piece while it still has the one before, so that one travels while another is encoded, and no
/// rank fills the memory with pieces that nobody has taken yet.
pub fn gather(
    context: &mut Context<'_>,
    rows: &Rows,
    mut sink: Option<&mut dyn RowSink>,
) -> Result<()> {
    let (comm, shape) = (context.comm, rows.shape);
    let of = |rank: usize| pieces(shape, partition(shape.rows, comm.size(), rank));
    if comm.rank() != 0 {
        for range in of(comm.rank()) {
            let mut asked = [0];
            receive(comm, 0, &mut asked);
            send(comm, 0, rows.bytes_of(range));
        }
        return agree(comm, Ok(()));
    }
    let all: Vec<(usize, Range<usize>)> = (0..comm.size())
        .flat_map(|rank| of(rank).into_iter().map(move |range| (rank, range)))
        .collect();
    let ask = |at: usize| {
        if let Some((rank, _)) = all.get(at).filter(|(rank, _)| *rank != 0) {
            send(comm, *rank, &[1]);
        }
    };
    let mut failure = Ok(());
    let mut band = Rows::zeroed(shape, 0..0);
    ask(0);
    for (at, (rank, range)) in all.iter().enumerate() {
        band.reset(range.clone());
        match rank {
            0 => (band.data.bytes_mut()).copy_from_slice(rows.bytes_of(range.clone())),
            _ => receive(comm, *rank, band.data.bytes_mut()),
        }
        ask(at + 1);
        if let (Some(sink), Ok(())) = (sink.as_deref_mut(), &failure) {
            failure = context
                .stop
                .check()
                .and_then(|()| guarded(|| sink.write(&band)));
        }
    }
    agree(comm, failure)
}

fn send(comm: &dyn Comm, to: usize, bytes: &[u8]) {
    comm.exchange(&[Outgoing { to, bytes }], &mut [], &mut || ());
}

fn receive(comm: &dyn Comm, from: usize, bytes: &mut [u8]) {
    comm.exchange(&[], &mut [Incoming { from, bytes }], &mut || ());
}
