//! Streaming rows through the steps of a segment, band by band.
//!
//! Each step keeps a rolling buffer of its latest output rows, so a row is computed once per walk and
//! nothing larger than a band with its halo lies between two steps. A band is sized so that the
//! working set stays in the processor's L2 cache.

use crate::codec::RowSource;
use crate::error::Result;
use crate::executor::Stop;
use crate::image::{Buffer, Rows, Shape};
use crate::plan::Segment;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of one band of the widest image of a segment.
const BAND_BYTES: usize = 192 << 10;

/// Rows of every band where a test asked for them, else 0.
static FORCED: AtomicUsize = AtomicUsize::new(0);

/// Makes every band, and every part of an image that a thread takes, so many rows high, or with 0 as high as is good.
/// For tests: results must not depend on it.
pub fn force_rows(rows: usize) {
    FORCED.store(rows, Ordering::Relaxed);
}

/// The rows that [`force_rows`] asked for.
pub fn forced_rows() -> Option<usize> {
    match FORCED.load(Ordering::Relaxed) {
        0 => None,
        rows => Some(rows),
    }
}

/// Rows per band for a segment.
pub fn band_rows(segment: &Segment) -> usize {
    if let Some(rows) = forced_rows() {
        return rows;
    }
    (BAND_BYTES / segment.widest_row().max(1)).clamp(4, 256)
}

/// Where a walk takes its input rows from.
pub trait Feed {
    /// Calls `then` with pieces that hold the rows `need`. Successive calls move forward unless the
    /// feed can go back.
    fn with(&mut self, need: Range<usize>, then: &mut dyn FnMut(&[&Rows])) -> Result<()>;
}

/// Rows that lie in memory.
pub struct Memory<'a>(pub &'a [&'a Rows]);

impl Feed for Memory<'_> {
    fn with(&mut self, _need: Range<usize>, then: &mut dyn FnMut(&[&Rows])) -> Result<()> {
        then(self.0);
        Ok(())
    }
}

/// Rows that are decoded as the walk reaches them.
pub struct Decoding<'a> {
    source: &'a mut dyn RowSource,
    rolling: Rolling,
    next: usize,
}

impl<'a> Decoding<'a> {
    /// A feed over a source whose next row is its first.
    pub fn new(source: &'a mut dyn RowSource) -> Decoding<'a> {
        let rolling = Rolling::new(source.shape());
        Decoding {
            source,
            rolling,
            next: 0,
        }
    }

    /// Reads and drops the rows after the last one used, so that a damaged end is noticed.
    pub fn drain(&mut self) -> Result<()> {
        let rows = self.source.shape().rows;
        while self.next < rows {
            let to = (self.next + 64).min(rows);
            self.with(to - 1..to, &mut |_| ())?;
        }
        Ok(())
    }
}

impl Feed for Decoding<'_> {
    fn with(&mut self, need: Range<usize>, then: &mut dyn FnMut(&[&Rows])) -> Result<()> {
        self.rolling.keep_from(need.start.min(self.next));
        if need.end > self.next {
            let mut band = self.rolling.grow(self.next..need.end);
            self.source.read(&mut band)?;
            self.next = need.end;
        }
        then(&[&self.rolling.rows]);
        Ok(())
    }
}

/// The latest rows of an image; older ones fall off at the front.
pub struct Rolling {
    /// Rows held; those before `live` are dead.
    pub rows: Rows,
    live: usize,
}

impl Rolling {
    /// Holds nothing yet.
    pub fn new(shape: Shape) -> Rolling {
        Rolling {
            rows: Rows::zeroed(shape, 0..0),
            live: 0,
        }
    }

    /// Rows before `row` will not be asked for again.
    fn keep_from(&mut self, row: usize) {
        self.live = row.max(self.live).min(self.rows.first + self.rows.count);
    }

    /// Room for `new`, which begins where the held rows end (or anywhere when none is live).
    fn grow(&mut self, new: Range<usize>) -> Band<'_> {
        let len = self.rows.shape.row_len();
        let end = self.rows.first + self.rows.count;
        if self.live >= end || new.start != end {
            self.rows.first = new.start;
            self.rows.count = 0;
            self.live = new.start;
        }
        let capacity = self.rows.data.len().checked_div(len).unwrap_or(usize::MAX);
        if self.rows.count + new.len() > capacity {
            let dead = self.live - self.rows.first;
            self.rows
                .data
                .copy_within(dead * len..self.rows.count * len, 0);
            self.rows.first += dead;
            self.rows.count -= dead;
            // Twice what is live: each row is moved at most about once.
            let wanted = (self.rows.count + new.len()) * len;
            if wanted > self.rows.data.len() {
                self.rows.data.resize(wanted + self.rows.count * len);
            }
        }
        let at = self.rows.count * len;
        self.rows.count += new.len();
        let data = self.rows.data.as_mut();
        let (_, tail) = data.split_at(at);
        let (data, _) = tail.split_at(new.len() * len);
        Band {
            shape: self.rows.shape,
            first: new.start,
            count: new.len(),
            data,
        }
    }
}

/// One walk of one thread down a segment.
pub struct Walk<'s> {
    segment: &'s Segment,
    buffers: Vec<Option<Rolling>>,
    scratch: Vec<Scratch>,
    black: Buffer,
    stop: &'s Stop,
}

impl<'s> Walk<'s> {
    /// A walk that has not begun.
    pub fn new(segment: &'s Segment, stop: &'s Stop) -> Walk<'s> {
        let widest = (0..segment.locals.len())
            .map(|k| segment.input_of(k).row_len())
            .max()
            .unwrap_or(0);
        Walk {
            segment,
            buffers: segment
                .shapes
                .iter()
                .map(|&shape| Some(Rolling::new(shape)))
                .collect(),
            scratch: segment.locals.iter().map(|_| Scratch::default()).collect(),
            // Only steps on samples of one type meet a constant border in one segment; made on demand.
            black: Buffer::zeroed(segment.input.sample, widest),
            stop,
        }
    }

    /// Computes the output rows of `out` in bands.
    pub fn fill(&mut self, mut out: Band<'_>, feed: &mut dyn Feed) -> Result<()> {
        let step = band_rows(self.segment);
        let range = out.range();
        let mut at = range.start;
        while at < range.end {
            self.stop.check()?;
            let to = (at + step).min(range.end);
            self.produce(self.segment.locals.len(), out.part(at..to), feed)?;
            at = to;
        }
        Ok(())
    }

    /// Fills rows of the output of the first `steps` steps.
    fn produce(&mut self, steps: usize, mut out: Band<'_>, feed: &mut dyn Feed) -> Result<()> {
        let Some(k) = steps.checked_sub(1) else {
            return feed.with(out.range(), &mut |pieces| copy(pieces, &mut out));
        };
        let need = self.segment.need(k, out.range());
        if k == 0 {
            let (segment, scratch, black) = (self.segment, &mut self.scratch[0], &self.black);
            return feed.with(need, &mut |pieces| {
                apply(segment, 0, pieces, black, &mut out, scratch)
            });
        }
        let Some(mut buffer) = self.buffers[k - 1].take() else {
            unreachable!("each step's buffer is put back")
        };
        let held = buffer.rows.first + buffer.rows.count;
        if need.start < buffer.live {
            buffer = Rolling {
                rows: buffer.rows,
                live: held,
            };
        } else {
            buffer.keep_from(need.start);
        }
        let from = if buffer.live >= held {
            need.start
        } else {
            held
        };
        if need.end > from {
            self.produce(k, buffer.grow(from..need.end), feed)?;
        }
        apply(
            self.segment,
            k,
            &[&buffer.rows],
            &self.black,
            &mut out,
            &mut self.scratch[k],
        );
        self.buffers[k - 1] = Some(buffer);
        Ok(())
    }
}

fn copy(pieces: &[&Rows], out: &mut Band<'_>) {
    let len = out.shape.row_bytes();
    for (i, y) in out.range().enumerate() {
        if let Some(piece) = pieces.iter().find(|p| p.range().contains(&y)) {
            out.data.bytes_mut()[i * len..(i + 1) * len].copy_from_slice(piece.bytes_of(y..y + 1));
        }
    }
}

fn apply(
    segment: &Segment,
    k: usize,
    pieces: &[&Rows],
    black: &Buffer,
    out: &mut Band<'_>,
    scratch: &mut Scratch,
) {
    let local = &segment.locals[k];
    let input = segment.input_of(k);
    if out.count == 0 || out.shape.cols == 0 {
        return;
    }
    let own;
    let black = if black.sample() == input.sample {
        black
    } else {
        own = Buffer::zeroed(input.sample, input.row_len());
        &own
    };
    let window = Window::new(pieces, input, local.border(), black);
    local.apply(&window, out, scratch);
    if local.keeps_alpha() && input.color.has_alpha() && out.shape.color.has_alpha() {
        crate::by_sample!(input.sample, T => restore_alpha::<T>(&window, out));
    }
}

fn restore_alpha<T: crate::Element>(window: &Window<'_>, out: &mut Band<'_>) {
    let (from, to) = (window.shape().channels(), out.shape.channels());
    for y in out.range() {
        let source = window.row::<T>(y as isize);
        for (out, source) in out
            .row::<T>(y)
            .chunks_exact_mut(to)
            .zip(source.chunks_exact(from))
        {
            out[to - 1] = source[from - 1];
        }
    }
}
