//! TIFF decoding: rows from strips and tiles, which are unpacked on all threads of the current pool.

use super::directory::File;
use super::layout::{Layout, Packing};
use super::samples::{Stored, convert, divide_by_alpha};
use super::unpack::{finish, native, unpack};
use super::{exif, layout, side};
use crate::codec::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSource, parallel};
use crate::error::Result;
use crate::image::{Metadata, Shape};
use crate::window::Band;
use std::ops::Range;

/// Unpacked bytes of strips or tiles held at least.
const GROUP: usize = 2 << 20;
/// Strips or tiles are read together when not more than this lies between them.
const GAP: u64 = 16 << 10;

fn start(input: &mut dyn ReadSeek, limits: &Limits) -> Result<(Layout, Metadata, Header)> {
    let mut file = File::open(input)?;
    let (entries, pages) = file.first_directory()?;
    let layout = layout::read(&mut file, &entries, limits)?;
    let mut metadata = exif::metadata(&mut file, &entries, limits)?;
    side::read(&mut file, &entries, limits, &mut metadata);
    let group = layout.row_of_chunks_bytes().max(GROUP);
    let held = match (layout.is_plain(), layout.packing, layout.tiled) {
        (true, _, _) => 0,
        (_, Packing::None, false) => GROUP + layout.chunk_row_bytes() * layout.planes(),
        (_, Packing::None, true) => group,
        _ => 2 * group,
    };
    let header = Header {
        kind: FormatKind::Tiff,
        shape: layout.shape,
        bits: layout.bits as u8,
        orientation: metadata.orientation,
        has_icc: metadata.icc.is_some(),
        pages,
        page_kind: super::super::PageKind::Pages,
        stored: None,
        streams: layout.down > 1 || held <= GROUP.max(layout.shape.bytes() / 2),
        seekable: true,
        decoder_bytes: held + 16 * layout.chunks.len(),
    };
    Ok((layout, metadata, header))
}

/// Reads the first directory.
pub fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    start(input, limits).map(|(_, _, header)| header)
}

/// A decoder for the first page.
pub fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let (layout, metadata, _) = start(&mut *input, limits)?;
    let len = input.seek(std::io::SeekFrom::End(0))?;
    Ok(Box::new(Source {
        input,
        len,
        layout,
        metadata,
        next: 0,
        held: Held::default(),
        unpacked: Vec::new(),
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

struct Source {
    input: Box<dyn ReadSeek>,
    len: u64,
    layout: Layout,
    metadata: Metadata,
    next: usize,
    held: Held,
    unpacked: Vec<u8>,
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
    fn file(&mut self) -> File<'_> {
        File::resume(&mut *self.input, self.len)
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
            self.file().read_at(at, piece)?;
            rest = after;
        }
        Ok(())
    }

    /// Makes row `y` and some below it held.
    fn hold(&mut self, y: usize) -> Result<()> {
        self.held.rows = 0..0;
        let rows = match self.layout.packing == Packing::None && !self.layout.tiled {
            true => self.hold_rows(y)?,
            false => self.hold_chunks(y)?,
        };
        self.held.rows = rows;
        Ok(())
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
                    // No packing grows so much: what follows is not needed.
                    chunks.push((at, len.min(2 * bytes as u64 + 1024), bytes));
                }
            }
        }
        let mut data = std::mem::take(&mut self.held.data);
        data.resize(downs.len() * layout.row_of_chunks_bytes(), 0);
        match layout.packing {
            Packing::None => self.read_tiles(&chunks, &mut data)?,
            _ => self.unpack_chunks(&chunks, &mut data)?,
        }
        self.held.data = data;
        let rows = |down: usize| (down * self.layout.chunk_rows).min(self.layout.shape.rows);
        Ok(rows(downs.start)..rows(downs.end))
    }

    /// Reads tiles that are not packed into their places.
    fn read_tiles(&mut self, chunks: &[(u64, u64, usize)], data: &mut [u8]) -> Result<()> {
        let reads = joined(chunks.iter().map(|&(at, _, bytes)| (at, bytes as u64)));
        let mut rest = &mut data[..];
        for (at, bytes) in reads {
            let (piece, after) = rest.split_at_mut(bytes as usize);
            self.file().read_at(at, piece)?;
            rest = after;
        }
        let layout = &self.layout;
        if layout.reversed {
            data.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        if layout.bits > 8 {
            let tiles = data.chunks_exact_mut(layout.chunk_bytes()).collect();
            parallel::map(tiles, |_, tile| finish(layout, tile));
        }
        Ok(())
    }

    /// Reads packed strips or tiles in few pieces and unpacks each into its place.
    fn unpack_chunks(&mut self, chunks: &[(u64, u64, usize)], data: &mut [u8]) -> Result<()> {
        let mut order: Vec<usize> = (0..chunks.len()).collect();
        order.sort_unstable_by_key(|&i| chunks[i].0);
        let mut packed = std::mem::take(&mut self.held.packed);
        packed.clear();
        let mut places = vec![0; chunks.len()];
        let mut i = 0;
        while i < order.len() {
            let start = chunks[order[i]].0;
            let mut end = start;
            let from = i;
            while let Some(&(at, len, _)) = order.get(i).map(|&next| &chunks[next]) {
                // Chunks that lie over one another may be read twice, but not grow without bound.
                if i > from && (at > end + GAP || at < end) {
                    break;
                }
                places[order[i]] = packed.len() + (at - start) as usize;
                end = at + len;
                i += 1;
            }
            let begin = packed.len();
            packed.resize(begin + (end - start) as usize, 0);
            self.file().read_at(start, &mut packed[begin..])?;
        }
        let layout = &self.layout;
        if layout.reversed {
            packed
                .iter_mut()
                .for_each(|byte| *byte = byte.reverse_bits());
        }
        let work = data
            .chunks_exact_mut(layout.chunk_bytes())
            .zip(chunks)
            .zip(&places)
            .map(|((slot, &(_, len, bytes)), &at)| (slot, &packed[at..at + len as usize], bytes))
            .collect();
        let done = parallel::map(work, |_, (slot, packed, bytes): (&mut [u8], _, _)| {
            unpack(layout, packed, &mut slot[..bytes])
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
        let by_rows = layout.packing == Packing::None && !layout.tiled;
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
            convert(
                layout,
                &stored,
                &mut out[left * pixel..],
                &mut self.unpacked,
            );
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
        self.next = row.min(self.layout.shape.rows);
        Ok(true)
    }
}
