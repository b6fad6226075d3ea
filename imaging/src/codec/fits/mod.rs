//! FITS (standard 4.0): image parts are pages, planes of a third axis are bands; tables are passed over, but for those that
//! images are packed in.
//!
//! The first row of a FITS is the lowest, so rows are turned on their way in and out. `BSCALE`, `BZERO` and `BLANK`
//! are applied: numbers keep their units, and what is blank is NaN. Three or four planes that a card calls RGB or
//! RGBA (`CTYPE3`), as is written here, are colours.

mod header;
mod packed;
mod rice;
mod write;

use super::limits::read_full;
use super::raw;
use super::table::{Codec, Keeps, Output, Reads, Writer};
use super::{FormatKind, Header, Limits, OpenOptions, PageKind, ReadSeek, RowSource};
use crate::error::Result;
use crate::image::{BufferMut, Color, Metadata, SampleType, Shape};
use crate::window::Band;
use header::Part;
use std::io::{Cursor, SeekFrom};

const SAMPLES: &[SampleType] = &[
    SampleType::U8,
    SampleType::U16,
    SampleType::F32,
    SampleType::F64,
];

/// FITS.
pub(super) static CODEC: Codec = Codec {
    name: "fits",
    title: "FITS",
    extensions: &["fits", "fit", "fts"],
    media_type: "image/fits",
    detect: |start| start.starts_with(b"SIMPLE  ="),
    probe,
    open,
    streams: true,
    reads: Reads {
        samples: "integers of 8 to 64 bits, floats of 32 and 64 bits, with scale, offset and blank; planes are bands",
        coding: "none, and RICE_1, GZIP_1, GZIP_2 in tables",
        pictures: "parts that are images",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[
            (Color::Gray, SAMPLES),
            (Color::Rgb, SAMPLES),
            (Color::Rgba, SAMPLES),
        ],
        bands: SAMPLES,
        pages: Some(PageKind::Pages),
        keeps: Keeps::NOTHING,
        stored: true,
        exact: true,
        create: write::create,
        memory: |_, shape| 4 * shape.row_bytes(),
    }),
};

fn part(input: &mut dyn ReadSeek, limits: &Limits, page: u32) -> Result<(Part, u32)> {
    let mut parts = header::parts(input, limits)?;
    let pages = parts.len() as u32;
    match (page as usize) < parts.len() {
        true => Ok((parts.swap_remove(page as usize), pages)),
        false => Err(super::no_page(page, pages)),
    }
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, page: u32) -> Result<Header> {
    let (part, pages) = part(input, limits, page)?;
    let header = raw::header(FormatKind::Fits, part.shape, part.told(), pages);
    Ok(match part.packed {
        None => header,
        // All its numbers.
        Some(_) => Header {
            streams: false,
            decoder_bytes: header.decoder_bytes
                + part.shape.pixels() * part.shape.channels() * part.raw.bytes()
                + (1 << 20),
            ..header
        },
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let (mut part, _) = part(&mut *input, limits, options.page)?;
    if let Some(packed) = part.packed.take() {
        input = Box::new(Cursor::new(packed.unpack(&mut *input, part.raw)?));
        part.start = 0;
    }
    let metadata = Metadata {
        orientation: 1,
        stored: part.told().stored(),
        ..Metadata::default()
    };
    Ok(Box::new(Source {
        input,
        part,
        metadata,
        bytes: Vec::new(),
    }))
}

struct Source {
    input: Box<dyn ReadSeek>,
    part: Part,
    metadata: Metadata,
    bytes: Vec<u8>,
}

impl RowSource for Source {
    fn shape(&self) -> Shape {
        self.part.shape
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        let (shape, raw) = (self.part.shape, self.part.raw);
        let row = shape.cols * raw.bytes();
        let channels = shape.channels();
        let range = band.range();
        self.bytes.resize(range.len() * row, 0);
        for plane in 0..channels {
            // The rows of the band lie together, the last one first.
            let from = plane * shape.rows + (shape.rows - range.end);
            let at = self.part.start + from as u64 * row as u64;
            self.input.seek(SeekFrom::Start(at))?;
            read_full(&mut *self.input, &mut self.bytes, "FITS")?;
            let len = shape.row_len();
            for (k, bytes) in self.bytes.chunks_exact(row.max(1)).rev().enumerate() {
                let mut out = band.data.slice(k * len..(k + 1) * len);
                spread(&self.part, bytes, plane, &mut out);
            }
        }
        Ok(())
    }

    fn seek_row(&mut self, _row: usize) -> Result<bool> {
        // Each read names its rows.
        Ok(true)
    }
}

/// A row of one plane.
fn spread(part: &Part, bytes: &[u8], plane: usize, out: &mut BufferMut<'_>) {
    let (raw, step, change) = (part.raw, part.shape.channels(), part.change());
    match out {
        BufferMut::U8(out) => raw.read(bytes, true, change, &mut out[plane..], step),
        BufferMut::U16(out) => raw.read(bytes, true, change, &mut out[plane..], step),
        BufferMut::F32(out) => raw.read(bytes, true, change, &mut out[plane..], step),
        BufferMut::F64(out) => raw.read(bytes, true, change, &mut out[plane..], step),
    }
}

#[cfg(test)]
mod tests;
