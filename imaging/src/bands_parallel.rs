//! Streaming with several threads: decode ahead, compute, and encode behind, all at once.

use crate::codec::{RowSink, RowSource};
use crate::error::Result;
use crate::executor::{Stop, stream};
use crate::image::{Rows, Shape};
use crate::plan::Segment;
use crate::window::Band;
use std::ops::Range;

/// Rows decoded in one piece for one output band.
struct Ahead {
    pieces: Vec<Rows>,
    next: usize,
    /// Pieces that are no longer needed: the next ones take their memory.
    free: Vec<Rows>,
}

impl Ahead {
    /// Decodes up to row `end`.
    fn read(&mut self, source: &mut dyn RowSource, end: usize) -> Result<Option<Rows>> {
        if end <= self.next {
            return Ok(None);
        }
        let mut rows = reused(self.free.pop(), source.shape(), self.next..end);
        source.read(&mut Band::of(&mut rows))?;
        self.next = end;
        Ok(Some(rows))
    }

    /// Lets go of pieces that end above row `keep`.
    fn forget(&mut self, keep: usize) {
        let (kept, free) = std::mem::take(&mut self.pieces)
            .into_iter()
            .partition(|piece| piece.range().end > keep);
        self.pieces = kept;
        self.free.extend::<Vec<Rows>>(free);
    }
}

/// Rows yet to be written, in the memory of `old` where there is some.
fn reused(old: Option<Rows>, shape: Shape, range: Range<usize>) -> Rows {
    match old {
        Some(mut rows) => {
            rows.reset(range);
            rows
        }
        None => Rows::zeroed(shape, range),
    }
}

/// The same on the calling thread alone, one thing after the other, for segments that a device computes.
pub fn by_turns(
    segment: &Segment,
    bands: Vec<Range<usize>>,
    source: &mut dyn RowSource,
    sink: &mut dyn RowSink,
    stop: &Stop,
) -> Result<()> {
    let mut ahead = Ahead {
        pieces: Vec::new(),
        next: 0,
        free: Vec::new(),
    };
    let mut rows = Rows::zeroed(segment.output(), 0..0);
    for band in bands {
        let need = segment.rows_needed(band.clone());
        ahead.forget(need.start);
        let more = ahead.read(source, need.end)?;
        ahead.pieces.extend(more);
        rows.reset(band);
        let held: Vec<&Rows> = ahead.pieces.iter().collect();
        stream(segment, &held, Band::of(&mut rows), None, stop)?;
        sink.write(&rows)?;
    }
    let total = source.shape().rows;
    while ahead.next < total {
        ahead.read(source, (ahead.next + 256).min(total))?;
    }
    Ok(())
}

/// Runs the output bands in order. While one is computed, the rows of the next are decoded and the
/// previous one is encoded.
pub fn through(
    pool: &rayon::ThreadPool,
    segment: &Segment,
    bands: Vec<Range<usize>>,
    source: &mut dyn RowSource,
    sink: &mut dyn RowSink,
    stop: &Stop,
) -> Result<()> {
    let mut ahead = Ahead {
        pieces: Vec::new(),
        next: 0,
        free: Vec::new(),
    };
    let mut written_out = None;
    let mut behind: Option<Rows> = None;
    let needs: Vec<Range<usize>> = bands
        .iter()
        .map(|band| segment.rows_needed(band.clone()))
        .collect();
    if let Some(first) = needs.first() {
        let rows = pool.install(|| ahead.read(source, first.end))?;
        ahead.pieces.extend(rows);
    }
    for (i, band) in bands.iter().enumerate() {
        let mut rows = reused(written_out.take(), segment.output(), band.clone());
        let upcoming = needs
            .get(i + 1)
            .map_or(source.shape().rows, |need| need.end);
        let pieces: Vec<Rows> = std::mem::take(&mut ahead.pieces);
        let held: Vec<&Rows> = pieces.iter().collect();
        let (mut computed, mut read, mut written) = (Ok(()), Ok(None), Ok(()));
        pool.in_place_scope(|scope| {
            scope.spawn(|_| {
                read = if i + 1 < bands.len() {
                    ahead.read(source, upcoming)
                } else {
                    Ok(None)
                }
            });
            if let Some(done) = &behind {
                scope.spawn(|_| written = sink.write(done));
            }
            computed = stream(segment, &held, Band::of(&mut rows), Some(pool), stop);
        });
        written?;
        computed?;
        ahead.pieces = pieces;
        ahead.pieces.extend(read?);
        let keep = needs.get(i + 1).map_or(usize::MAX, |need| need.start);
        ahead.forget(keep);
        written_out = behind.replace(rows);
    }
    if let Some(done) = &behind {
        pool.install(|| sink.write(done))?;
    }
    // Rows that no output needs are decoded all the same, so that a damaged end is noticed.
    let total = source.shape().rows;
    while ahead.next < total {
        let end = (ahead.next + 256).min(total);
        pool.install(|| ahead.read(source, end))?;
    }
    Ok(())
}
