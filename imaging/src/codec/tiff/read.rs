//! TIFF decoding: rows from strips and tiles, which are unpacked on all threads of the current pool, or by libtiff.

use super::color::divide_by_alpha;
use super::directory::File;
use super::layout::{Layout, Packing, Unpacked};
use super::library::Handle;
use super::nested;
use super::samples::{Scratch, Stored, convert};
use super::start::{GROUP, start};
use super::unpack::{finish, native, unpack};
use crate::codec::{Header, Limits, OpenOptions, ReadSeek, RowSource, parallel};
use crate::error::{Error, Result};
use crate::image::{Metadata, Shape};
use crate::warning::Warning;
use crate::window::Band;
use std::ops::Range;

/// Strips or tiles are read together when not more than this lies between them.
const GAP: u64 = 16 << 10;
/// No packing grows by more, with headers and a profile.
const SURPLUS: u64 = 64 << 10;
/// Warnings kept of one page.
const WARNINGS: usize = 32;

/// Reads the directories.
pub fn probe(input: &mut dyn ReadSeek, limits: &Limits, page: u32) -> Result<Header> {
    start(input, limits, page).map(|start| start.header)
}

/// A decoder for one page.
pub fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let start = start(&mut *input, limits, options.page)?;
    let len = input.seek(std::io::SeekFrom::End(0))?;
    let from = match start.layout.packing {
        Packing::Library(_) => {
            From::Library(Handle::open(input, start.at, &start.layout, start.most)?)
        }
        _ => From::File(input, len),
    };
    Ok(Box::new(Source {
        from,
        layout: start.layout,
        metadata: start.metadata,
        warnings: start.warnings,
        next: 0,
        held: Held::default(),
        scratch: Scratch::default(),
        raster: Vec::new(),
    }))
}

/// Strips or tiles that were unpacked last.
#[derive(Default)]
struct Held {
    /// Image rows held.
    rows: Range<usize>,
    /// By row of strips or tiles, plane and column; or by plane and row.
    data: Vec<u8>,
    packed: Vec<u8>,
}

/// Who reads the file.
enum From {
    /// We, and its length.
    File(Box<dyn ReadSeek>, u64),
    Library(Handle),
}

struct Source {
    from: From,
    layout: Layout,
    metadata: Metadata,
    warnings: Vec<Warning>,
    next: usize,
    held: Held,
    scratch: Scratch,
    raster: Vec<u32>,
}

/// One strip or tile to be unpacked.
struct Chunk {
    number: usize,
    /// Position and bytes in the file; (0, 0) where it was left out.
    at: u64,
    len: u64,
    /// Unpacked bytes that are wanted.
    bytes: usize,
    /// First column and row.
    place: (usize, usize),
}

/// Joins neighbouring reads: `(position, bytes)` in the order they are wanted.
fn joined(reads: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    for (at, bytes) in reads {
        match all.last_mut() {
            Some((last, len)) if *last + *len == at => *len += bytes,
            _ => all.push((at, bytes)),
        }
    }
    all
}

impl Source {
    fn file(&mut self) -> Result<File<'_>> {
        match &mut self.from {
            From::File(input, len) => Ok(File::resume(&mut **input, *len)),
            From::Library(_) => Err(Error::Decode("the file is read by libtiff".into())),
        }
    }

    /// Reads rows of one plane of strips that are not packed.
    fn read_rows(&mut self, plane: usize, rows: Range<usize>, out: &mut [u8]) -> Result<()> {
        let layout = &self.layout;
        let len = layout.chunk_row_bytes() as u64;
        let reads = joined(rows.map(|y| {
            let (at, _) = layout.chunk(plane, y / layout.chunk_rows, 0);
            (at + (y % layout.chunk_rows) as u64 * len, len)
        }));
        let mut rest = out;
        for (at, bytes) in reads {
            let (piece, after) = rest.split_at_mut(bytes as usize);
            self.file()?.read_at(at, piece)?;
            rest = after;
        }
        Ok(())
    }

    /// Makes row `y` and some below it held.
    fn hold(&mut self, y: usize) -> Result<()> {
        self.held.rows = 0..0;
        let rows = if self.layout.by_scanlines() {
            self.hold_scanlines(y)?
        } else if self.layout.by_rows() {
            self.hold_rows(y)?
        } else {
            self.hold_chunks(y)?
        };
        self.held.rows = rows;
        Ok(())
    }

    /// Rows of strips that are too high to be unpacked as a whole.
    fn hold_scanlines(&mut self, y: usize) -> Result<Range<usize>> {
        let len = self.layout.chunk_row_bytes();
        let count = (GROUP / len).clamp(1, self.layout.shape.rows - y);
        self.held.data.resize(count * len, 0);
        let From::Library(handle) = &mut self.from else {
            return Err(Error::Decode("the file is not read by libtiff".into()));
        };
        let mut done = Ok(());
        for (row, out) in (y..).zip(self.held.data.chunks_exact_mut(len)) {
            done = handle.row(row, out);
            if done.is_err() {
                break;
            }
        }
        note(&mut self.warnings, handle.warnings());
        done.map(|()| y..y + count)
    }

    fn hold_rows(&mut self, y: usize) -> Result<Range<usize>> {
        let (len, planes) = (self.layout.chunk_row_bytes(), self.layout.planes());
        let count = (GROUP / (len * planes)).clamp(1, self.layout.shape.rows - y);
        let mut data = std::mem::take(&mut self.held.data);
        data.resize(count * len * planes, 0);
        for (plane, out) in data.chunks_exact_mut(count * len).enumerate() {
            self.read_rows(plane, y..y + count, out)?;
        }
        if self.layout.reversed {
            data.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        native(&self.layout, &mut data);
        self.held.data = data;
        Ok(y..y + count)
    }

    fn hold_chunks(&mut self, y: usize) -> Result<Range<usize>> {
        let layout = &self.layout;
        let first = y / layout.chunk_rows;
        let fitting = GROUP / layout.row_of_chunks_bytes().max(1);
        let downs = first..first + fitting.clamp(1, layout.down - first);
        let mut chunks = Vec::new();
        for down in downs.clone() {
            let bytes = layout.stored_rows(down) * layout.chunk_row_bytes();
            for plane in 0..layout.planes() {
                for across in 0..layout.across {
                    let (at, len) = layout.chunk(plane, down, across);
                    chunks.push(Chunk {
                        number: layout.chunk_index(plane, down, across),
                        at,
                        // No packing grows so much: what follows is not needed.
                        len: len.min(2 * bytes as u64 + SURPLUS),
                        bytes,
                        place: (across * layout.chunk_cols, down * layout.chunk_rows),
                    });
                }
            }
        }
        let mut data = std::mem::take(&mut self.held.data);
        data.resize(downs.len() * layout.row_of_chunks_bytes(), 0);
        let mut slots: Vec<(Chunk, &mut [u8])> = Vec::with_capacity(chunks.len());
        for (chunk, slot) in chunks
            .into_iter()
            .zip(data.chunks_exact_mut(layout.chunk_bytes()))
        {
            let slot = &mut slot[..chunk.bytes];
            match (chunk.at, chunk.len) {
                (0, 0) => fill(slot, layout.absent.as_deref()),
                _ => slots.push((chunk, slot)),
            }
        }
        match layout.packing {
            Packing::Library(unpacked) => self.ask_library(unpacked, slots)?,
            Packing::None => self.read_whole(slots)?,
            _ => self.unpack_chunks(slots)?,
        }
        self.held.data = data;
        let rows = |down: usize| (down * self.layout.chunk_rows).min(self.layout.shape.rows);
        Ok(rows(downs.start)..rows(downs.end))
    }

    fn ask_library(&mut self, unpacked: Unpacked, slots: Vec<(Chunk, &mut [u8])>) -> Result<()> {
        let From::Library(handle) = &mut self.from else {
            return Err(Error::Decode("the file is not read by libtiff".into()));
        };
        let layout = &self.layout;
        let mut done = Ok(());
        for (chunk, slot) in slots {
            done = match unpacked {
                Unpacked::Rgba => {
                    self.raster.resize(layout.chunk_rows * layout.chunk_cols, 0);
                    let (x, y) = chunk.place;
                    handle
                        .colors(layout.tiled, x, y, &mut self.raster)
                        .map(|()| upright(&self.raster, layout, slot))
                }
                _ => handle.chunk(layout.tiled, chunk.number, slot),
            };
            if done.is_err() {
                break;
            }
        }
        note(&mut self.warnings, handle.warnings());
        done
    }

    /// Reads strips or tiles that are not packed into their places.
    fn read_whole(&mut self, slots: Vec<(Chunk, &mut [u8])>) -> Result<()> {
        let mut places = Vec::with_capacity(slots.len());
        for (chunk, slot) in slots {
            self.file()?.read_at(chunk.at, slot)?;
            places.push(slot);
        }
        let layout = &self.layout;
        parallel::map(places, |_, slot| {
            if layout.reversed {
                slot.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
            }
            finish(layout, slot);
        });
        Ok(())
    }

    /// Reads packed strips or tiles in few pieces and unpacks each into its place.
    fn unpack_chunks(&mut self, slots: Vec<(Chunk, &mut [u8])>) -> Result<()> {
        let mut order: Vec<usize> = (0..slots.len()).collect();
        order.sort_unstable_by_key(|&i| slots[i].0.at);
        let mut packed = std::mem::take(&mut self.held.packed);
        packed.clear();
        let mut places = vec![0; slots.len()];
        let mut i = 0;
        while i < order.len() {
            let start = slots[order[i]].0.at;
            let mut end = start;
            let from = i;
            while let Some((chunk, _)) = order.get(i).map(|&next| &slots[next]) {
                // Chunks that lie over one another may be read twice, but not grow without bound.
                if i > from && (chunk.at > end + GAP || chunk.at < end) {
                    break;
                }
                places[order[i]] = packed.len() + (chunk.at - start) as usize;
                end = chunk.at + chunk.len;
                i += 1;
            }
            let begin = packed.len();
            packed.resize(begin + (end - start) as usize, 0);
            self.file()?.read_at(start, &mut packed[begin..])?;
        }
        let layout = &self.layout;
        if layout.reversed {
            packed
                .iter_mut()
                .for_each(|byte| *byte = byte.reverse_bits());
        }
        let work = slots
            .into_iter()
            .zip(&places)
            .map(|((chunk, slot), &at)| (chunk.place, slot, &packed[at..at + chunk.len as usize]))
            .collect();
        let done = parallel::map(work, |_, (place, slot, packed)| match layout.packing {
            Packing::Nested(nested) => {
                let (x, y) = place;
                let rows = layout.chunk_rows.min(layout.shape.rows - y);
                let cols = layout.chunk_cols.min(layout.shape.cols - x);
                nested::unpack(nested, layout, packed, slot, (rows, cols))
            }
            _ => unpack(layout, packed, slot),
        });
        self.held.packed = packed;
        done.into_iter().collect()
    }

    /// Copies row `y`, which is held, to `out`.
    fn copy(&mut self, y: usize, out: &mut [u8]) {
        let layout = &self.layout;
        let held = &self.held;
        let len = layout.chunk_row_bytes();
        let mut planes: Vec<&[u8]> = Vec::with_capacity(layout.planes());
        let pixel = layout.shape.channels() * layout.shape.sample.bytes();
        let by_rows = layout.by_rows() || layout.by_scanlines();
        for across in 0..layout.across {
            planes.clear();
            planes.extend((0..layout.planes()).map(|plane| {
                let at = if by_rows {
                    (plane * held.rows.len() + y - held.rows.start) * len
                } else {
                    let down = (y - held.rows.start) / layout.chunk_rows;
                    let chunk = (down * layout.planes() + plane) * layout.across + across;
                    chunk * layout.chunk_bytes() + y % layout.chunk_rows * len
                };
                &held.data[at..at + len]
            }));
            let left = across * layout.chunk_cols;
            let stored = Stored {
                planes: &planes,
                cols: layout.chunk_cols.min(layout.shape.cols - left),
            };
            convert(layout, &stored, &mut out[left * pixel..], &mut self.scratch);
        }
    }
}

impl RowSource for Source {
    fn shape(&self) -> Shape {
        self.layout.shape
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        let rows = self.next..self.next + band.count;
        if self.layout.is_plain() {
            self.read_rows(0, rows, band.data.bytes_mut())?;
            native(&self.layout, band.data.bytes_mut());
        } else {
            let len = self.layout.shape.row_bytes();
            for (y, out) in rows.zip(band.data.bytes_mut().chunks_exact_mut(len)) {
                if !self.held.rows.contains(&y) {
                    self.hold(y)?;
                }
                self.copy(y, out);
            }
        }
        if self.layout.premultiplied {
            divide_by_alpha(band);
        }
        self.next += band.count;
        Ok(())
    }

    fn seek_row(&mut self, row: usize) -> Result<bool> {
        if self.layout.by_scanlines() {
            return Ok(row == self.next);
        }
        self.next = row.min(self.layout.shape.rows);
        Ok(true)
    }

    fn release(&mut self) {
        self.held = Held::default();
        self.raster = Vec::new();
    }

    fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// Keeps what was not said before.
fn note(warnings: &mut Vec<Warning>, said: Vec<Warning>) {
    for warning in said {
        if warnings.len() < WARNINGS && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}

/// Fills a strip or tile that was left out.
fn fill(slot: &mut [u8], absent: Option<&[u8]>) {
    slot.fill(0);
    if let Some(sample) = absent {
        slot.chunks_exact_mut(sample.len())
            .for_each(|out| out.copy_from_slice(sample));
    }
}

/// RGB of a raster of libtiff, whose last row comes first.
fn upright(raster: &[u32], layout: &Layout, slot: &mut [u8]) {
    let cols = layout.chunk_cols;
    let rows = slot.len() / layout.chunk_row_bytes();
    let lines = raster[..rows * cols].chunks_exact(cols).rev();
    for (line, out) in lines.zip(slot.chunks_exact_mut(layout.chunk_row_bytes())) {
        for (pixel, out) in line.iter().zip(out.chunks_exact_mut(3)) {
            out.copy_from_slice(&pixel.to_le_bytes()[..3]);
        }
    }
}
