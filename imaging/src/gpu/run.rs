//! Rows to the device, through a segment and back, piece by piece: while the device works on one piece, the processor
//! fills the next and empties the one before.

use super::buffers::{Kind, Lease, Permit, rounded};
use super::encode::{self, Chunk, MOST_ROWS, Prepared};
use super::kernel::Store;
use super::{Device, Trouble};
use crate::executor::Stop;
use crate::image::{Rows, Shape};
use crate::op::{Measured, Tally};
use crate::plan::{Segment, clip};
use crate::window::Band;
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;

/// Bytes of one piece, about: long enough for the ways, short enough to overlap.
const PIECE_BYTES: usize = 8 << 20;

/// Pieces of one image under way at once.
pub const FLYING: usize = 3;

/// A piece that the device works on.
struct Flight {
    rows: Range<usize>,
    down: Lease,
    submitted: wgpu::SubmissionIndex,
    _permit: Permit,
}

/// An error once the caller gave up.
pub fn stopped(stop: &Stop) -> Result<(), Trouble> {
    stop.check().map_err(|e| Trouble(e.to_string()))
}

/// Bytes that rows of an image copied at once by one thread have at least.
const SHARE_BYTES: usize = 1 << 20;

/// Does `work` for parts of `rows`, on all threads of the pool where there is enough to do.
fn in_parts<T: Send>(
    pool: Option<&rayon::ThreadPool>,
    parts: Vec<T>,
    work: impl Fn(T) -> Result<(), Trouble> + Sync + Send,
) -> Result<(), Trouble> {
    match pool.filter(|p| p.current_num_threads() > 1 && parts.len() > 1) {
        Some(pool) => pool.install(|| parts.into_par_iter().with_max_len(1).try_for_each(work)),
        None => parts.into_iter().try_for_each(work),
    }
}

/// `rows` in parts of about a megabyte.
fn shares(shape: Shape, rows: &Range<usize>) -> Vec<Range<usize>> {
    let step = (SHARE_BYTES / shape.row_bytes().max(1)).max(1);
    let start = rows.clone().step_by(step);
    start.map(|at| at..(at + step).min(rows.end)).collect()
}

impl Device {
    /// Output rows of a piece: so many that the rows computed twice are few, and that memory suffices.
    pub fn piece_rows(&self, segment: &Segment) -> usize {
        let rows = segment.output().rows;
        let row = segment.widest_row().max(1);
        let wanted = (PIECE_BYTES / row)
            .max(8 * segment.depth())
            .clamp(16, MOST_ROWS);
        wanted.min(rows.max(1))
    }

    /// Memory of this process that pieces under way take.
    pub fn host_bytes(&self) -> usize {
        2 * FLYING * PIECE_BYTES
    }

    /// Bytes of all buffers of a piece; an error where a buffer would be larger than the device admits.
    fn piece_bytes(
        &self,
        segment: &Segment,
        prepared: &Prepared,
        out: &Range<usize>,
    ) -> Result<u64, Trouble> {
        let need = segment.rows_needed(out.clone());
        let largest = rounded(self.largest(segment, prepared.kernels(), out.clone()));
        if largest > self.most {
            return Err(Trouble(format!(
                "{}: a piece of this image takes {largest} bytes, more than the device's limit of {} for a buffer",
                self.info().name,
                self.most
            )));
        }
        let up = rounded(encode::bytes(segment.input, Store::Bytes, need.len()));
        let down = rounded(encode::bytes(segment.output(), Store::Bytes, out.len()));
        Ok(up + down + 4 * largest)
    }

    /// Computes `out` from rows in memory.
    pub(crate) fn stream(
        &self,
        segment: &Segment,
        pieces: &[&Rows],
        mut out: Band<'_>,
        pool: Option<&rayon::ThreadPool>,
        stop: &Stop,
    ) -> Result<(), Trouble> {
        self.check()?;
        let prepared = self.prepare(segment)?;
        let step = self.piece_rows(segment);
        let range = out.range();
        let mut flying: VecDeque<Flight> = VecDeque::new();
        for at in range.clone().step_by(step) {
            stopped(stop)?;
            let rows = at..(at + step).min(range.end);
            let bytes = self.piece_bytes(segment, &prepared, &rows)?;
            if flying.len() == FLYING {
                self.land(&mut flying, &mut out, pool)?;
            }
            // Only who holds nothing waits for others, or all might wait for each other.
            let permit = loop {
                let alone = flying.is_empty();
                match self.pool.permit(bytes, alone) {
                    Some(permit) => break permit,
                    None if alone => {
                        let (name, cap) = (&self.info().name, self.pool.cap());
                        return Err(Trouble(format!(
                            "{name}: a piece of this image takes {bytes} bytes, more than the cap of {cap}"
                        )));
                    }
                    None => self.land(&mut flying, &mut out, pool)?,
                }
            };
            let flight = self.launch(segment, &prepared, pieces, rows, permit, pool)?;
            flying.push_back(flight);
        }
        while !flying.is_empty() {
            self.land(&mut flying, &mut out, pool)?;
        }
        Ok(())
    }

    fn launch(
        &self,
        segment: &Segment,
        prepared: &Prepared,
        pieces: &[&Rows],
        rows: Range<usize>,
        permit: Permit,
        pool: Option<&rayon::ThreadPool>,
    ) -> Result<Flight, Trouble> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let need = segment.rows_needed(rows.clone());
        let input = self.chunk(segment.input, Store::Bytes, need.clone());
        let up = self.fill(pieces, segment.input, &need, pool)?;
        let bytes = encode::bytes(segment.input, Store::Bytes, need.len());
        encoder.copy_buffer_to_buffer(up.buffer(), 0, input.lease.buffer(), 0, bytes);
        let mut held = Vec::new();
        let made = self.encode(
            &mut encoder,
            segment,
            prepared,
            input,
            rows.clone(),
            &mut held,
        )?;
        let bytes = encode::bytes(made.shape, Store::Bytes, rows.len());
        let mut down = self.pool.take(Kind::Down, bytes);
        encoder.copy_buffer_to_buffer(made.lease.buffer(), 0, down.buffer(), 0, bytes);
        let submitted = self.queue.submit([encoder.finish()]);
        drop(held);
        down.readable(bytes);
        Ok(Flight {
            rows,
            down,
            submitted,
            _permit: permit,
        })
    }

    /// A buffer with these rows, ready to be copied from.
    pub(super) fn fill(
        &self,
        pieces: &[&Rows],
        shape: Shape,
        rows: &Range<usize>,
        pool: Option<&rayon::ThreadPool>,
    ) -> Result<Lease, Trouble> {
        let pitch = 4 * encode::pitch(shape, Store::Bytes);
        let mut up = self.pool.take(Kind::Up, (pitch * rows.len()) as u64);
        let len = shape.row_bytes();
        let copy = |part: Range<usize>| -> Result<(), Trouble> {
            let mut view = up.write(
                ((part.start - rows.start) * pitch) as u64,
                (part.len() * pitch) as u64,
            )?;
            let mut y = part.start;
            while y < part.end {
                let missing = || Trouble(format!("row {y} is not there"));
                let piece = pieces
                    .iter()
                    .find(|p| p.range().contains(&y))
                    .ok_or_else(missing)?;
                let end = piece.range().end.min(part.end);
                let source = piece.bytes_of(y..end);
                let at = (y - part.start) * pitch;
                if pitch == len {
                    view.slice(at..at + source.len()).copy_from_slice(source);
                } else {
                    for (i, row) in source.chunks_exact(len).enumerate() {
                        view.slice(at + i * pitch..at + i * pitch + len)
                            .copy_from_slice(row);
                    }
                }
                y = end;
            }
            Ok(())
        };
        in_parts(pool, shares(shape, rows), copy)?;
        up.unmap();
        Ok(up)
    }

    /// Takes the oldest piece from the device.
    fn land(
        &self,
        flying: &mut VecDeque<Flight>,
        out: &mut Band<'_>,
        pool: Option<&rayon::ThreadPool>,
    ) -> Result<(), Trouble> {
        let Some(mut flight) = flying.pop_front() else {
            return Ok(());
        };
        self.wait_for(flight.submitted.clone(), &flight.down)?;
        let mut part = out.part(flight.rows.clone());
        self.empty(&mut flight.down, &mut part, pool)
    }

    /// Copies rows from a buffer that the device has filled.
    pub(super) fn empty(
        &self,
        down: &mut Lease,
        out: &mut Band<'_>,
        pool: Option<&rayon::ThreadPool>,
    ) -> Result<(), Trouble> {
        let (shape, rows) = (out.shape, out.range());
        let pitch = 4 * encode::pitch(shape, Store::Bytes);
        let len = shape.row_bytes();
        let view = down.read((pitch * rows.len()) as u64)?;
        let mut rest = out.data.bytes_mut();
        let mut parts = Vec::new();
        for part in shares(shape, &rows) {
            let (bytes, after) = rest.split_at_mut(part.len() * len);
            parts.push(((part.start - rows.start) * pitch, bytes));
            rest = after;
        }
        in_parts(pool, parts, |(at, bytes)| {
            match pitch == len {
                true => bytes.copy_from_slice(&view[at..at + bytes.len()]),
                false => {
                    for (i, row) in bytes.chunks_exact_mut(len).enumerate() {
                        row.copy_from_slice(&view[at + i * pitch..][..len]);
                    }
                }
            }
            Ok(())
        })?;
        drop(view);
        down.unmap();
        Ok(())
    }

    /// Counts rows `range`, piece by piece.
    pub(crate) fn tally(
        &self,
        measured: &dyn Measured,
        pieces: &[&Rows],
        range: Range<usize>,
        pool: Option<&rayon::ThreadPool>,
        stop: &Stop,
    ) -> Result<Tally, Trouble> {
        self.check()?;
        let Some(shape) = pieces.first().map(|p| p.shape) else {
            return Err(Trouble("there are no rows to count".into()));
        };
        let none = || Trouble("the step has no form for a device".into());
        let count = measured.gpu(shape).ok_or_else(none)?;
        let mut tally = measured.empty(shape);
        let step = (PIECE_BYTES / shape.row_bytes().max(1)).clamp(16, MOST_ROWS);
        for at in range.clone().step_by(step) {
            stopped(stop)?;
            let rows = at..(at + step).min(range.end);
            let need = clip(measured.rows_needed(rows.clone(), shape), shape.rows);
            let bytes = encode::bytes(shape, Store::Bytes, need.len());
            let Some(_permit) = self.pool.permit(2 * rounded(bytes) + 8192, true) else {
                return Err(Trouble("a piece is larger than the device's memory".into()));
            };
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let chunk = self.chunk(shape, Store::Bytes, need.clone());
            let up = self.fill(pieces, shape, &need, pool)?;
            encoder.copy_buffer_to_buffer(up.buffer(), 0, chunk.lease.buffer(), 0, bytes);
            self.add_count(encoder, &count, &chunk, rows, &mut tally)?;
        }
        Ok(tally)
    }

    /// Counts rows of a chunk into a tally, after the commands so far.
    pub(super) fn add_count(
        &self,
        mut encoder: wgpu::CommandEncoder,
        count: &super::Count,
        chunk: &Chunk,
        rows: Range<usize>,
        tally: &mut Tally,
    ) -> Result<(), Trouble> {
        let bytes = 4 * count.bins as u64;
        let sums = self.pool.take(Kind::Work, bytes);
        encoder.clear_buffer(sums.buffer(), 0, Some(bytes));
        self.count(&mut encoder, count, chunk, rows, sums.buffer())?;
        let mut down = self.pool.take(Kind::Down, bytes);
        encoder.copy_buffer_to_buffer(sums.buffer(), 0, down.buffer(), 0, bytes);
        let submitted = self.queue.submit([encoder.finish()]);
        down.readable(bytes);
        self.wait_for(submitted, &down)?;
        let view = down.read(bytes)?;
        for (sum, four) in tally.sums.iter_mut().zip(view.chunks_exact(4)) {
            *sum += i64::from(u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        }
        drop(view);
        down.unmap();
        Ok(())
    }
}
