//! TIFF encoding in strips, which are packed on all threads of the current pool, page after page. The bytes depend on
//! the rows alone, never on the threads or the machine.

use super::fields::{Field, serialise};
use super::pack::{pack, predictor};
use super::strips::{Clipped, STRIP, Strips};
use super::{TiffCompression, side};
use crate::codec::{NextPage, RowSink, WriteSeek, parallel};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, Shape, Stored};
use crate::warning::Warning;
use std::io::SeekFrom;

/// Bytes held beside the rows given, per thread of the pool.
pub fn encoder_memory(shape: Shape) -> usize {
    8 * (STRIP.min(shape.bytes()) + shape.row_bytes())
}

/// An encoder at the beginning of a file.
pub fn create(
    mut output: Box<dyn WriteSeek>,
    compression: TiffCompression,
    shape: Shape,
    metadata: &Metadata,
) -> Result<Box<dyn RowSink>> {
    let strips = Strips::new(shape, metadata.stored);
    let tables = 16 * shape.rows.div_ceil(strips.rows()) as u64 + (64 << 10);
    let pixels = strips.bytes() as u64;
    let most = match compression {
        TiffCompression::None => pixels,
        TiffCompression::Lzw => pixels + pixels / 2,
        _ => pixels + pixels / 64,
    };
    let page = most + side::bytes(metadata) + tables;
    let wide = match metadata.pages {
        0 | 1 => page > u64::from(u32::MAX),
        // Those that follow may be larger.
        pages => page.saturating_mul(2 * u64::from(pages)) > u64::from(u32::MAX),
    };
    let mut head: Vec<u8> = match wide {
        true => b"II+\0\x08\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        false => b"II*\0\0\0\0\0".to_vec(),
    };
    // What is not packed has a known length: no need to come back to the head at the end.
    let end = (head.len() as u64 + pixels).next_multiple_of(2);
    let promised = (compression == TiffCompression::None).then_some(end);
    let place = if wide { 8 } else { 4 };
    if let Some(end) = promised {
        let size = head.len() - place;
        head[place..].copy_from_slice(&end.to_le_bytes()[..size]);
    }
    output.write_all(&head)?;
    let file = File {
        output,
        compression,
        wide,
        at: head.len() as u64,
        link: place as u64,
        promised,
        page: 0,
        pages: metadata.pages,
    };
    file.page(shape, metadata)
}

/// The file between two pages.
struct File {
    output: Box<dyn WriteSeek>,
    compression: TiffCompression,
    wide: bool,
    /// Where the next byte goes.
    at: u64,
    /// Where the position of the next directory is to be written.
    link: u64,
    /// That position where it was written beforehand.
    promised: Option<u64>,
    /// Pages that are complete, and how many were promised.
    page: u32,
    pages: u32,
}

impl File {
    fn page(self, shape: Shape, metadata: &Metadata) -> Result<Box<dyn RowSink>> {
        if shape.rows > u32::MAX as usize || shape.cols > u32::MAX as usize {
            return Err(Error::Encode(format!(
                "{}x{} is too large for TIFF, whose sides have at most {} pixels",
                shape.cols,
                shape.rows,
                u32::MAX
            )));
        }
        Ok(Box::new(Sink {
            start: self.at,
            file: self,
            strips: Strips::new(shape, metadata.stored),
            metadata: metadata.clone(),
            rows: Vec::new(),
            narrowed: Vec::new(),
            clipped: Clipped::default(),
            given: 0,
            chunks: Vec::new(),
        }))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        if !self.wide && self.at > u64::from(u32::MAX) {
            return Err(Error::Encode(format!(
                "page {} takes the file beyond the 4 GiB of a TIFF that was begun for smaller pages (write a file per page)",
                self.page + 1
            )));
        }
        Ok(self.output.write_all(bytes)?)
    }

    /// Writes a directory and links it to the one before.
    fn end_page(&mut self, fields: &[Field]) -> Result<()> {
        if self.at % 2 == 1 {
            self.write(&[0])?;
        }
        let at = self.at;
        self.write(&serialise(fields, at, self.wide))?;
        let (count, entry, size) = if self.wide { (8, 20, 8) } else { (2, 12, 4) };
        if self.promised.take() != Some(at) {
            self.output.seek(SeekFrom::Start(self.link))?;
            self.output.write_all(&at.to_le_bytes()[..size])?;
            self.output.seek(SeekFrom::End(0))?;
        }
        self.link = at + count + entry * fields.len() as u64;
        self.page += 1;
        Ok(())
    }
}

impl NextPage for File {
    fn begin(mut self: Box<Self>, shape: Shape, metadata: &Metadata) -> Result<Box<dyn RowSink>> {
        if self.at % 2 == 1 {
            self.write(&[0])?;
        }
        self.page(shape, metadata)
    }

    fn end(mut self: Box<Self>) -> Result<()> {
        Ok(self.output.flush()?)
    }
}

/// One page.
struct Sink {
    file: File,
    strips: Strips,
    metadata: Metadata,
    /// Rows of strips to come.
    rows: Vec<u8>,
    narrowed: Vec<u8>,
    clipped: Clipped,
    given: usize,
    /// Position of the first strip.
    start: u64,
    /// Position and length of each strip.
    chunks: Vec<(u64, u64)>,
}

impl Sink {
    /// Packs the first `bytes` of the rows held: whole strips, or all with a last one that is lower.
    fn pack(&mut self, bytes: usize) -> Result<()> {
        let (strips, compression) = (self.strips, self.file.compression);
        let rows: Vec<&mut [u8]> = self.rows[..bytes]
            .chunks_mut(strips.rows() * strips.row_bytes())
            .collect();
        let packed = parallel::map(rows, |_, strip| pack(strip, strips, compression));
        for packed in packed {
            let packed = packed?;
            self.chunks.push((self.file.at, packed.len() as u64));
            self.file.write(&packed)?;
        }
        self.rows.drain(..bytes);
        Ok(())
    }

    /// Takes rows as they are written.
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        if self.file.compression == TiffCompression::None && cfg!(target_endian = "little") {
            return self.file.write(bytes);
        }
        let strip = self.strips.rows() * self.strips.row_bytes();
        // With several threads, wait for work for all of them.
        let enough = strip * parallel::threads();
        for piece in bytes.chunks(2 * enough) {
            self.rows.extend_from_slice(piece);
            let whole = self.rows.len() / strip * strip;
            if whole >= enough {
                self.pack(whole)?;
            }
        }
        Ok(())
    }

    fn directory(&self) -> Vec<Field> {
        let Strips { shape, stored } = self.strips;
        let wide = self.file.wide;
        let channels = shape.channels();
        let number = |tag, value: usize| Field::longs(tag, &[value as u64], false);
        let compression = match self.file.compression {
            TiffCompression::None => 1,
            TiffCompression::Lzw => 5,
            TiffCompression::Deflate => 8,
            TiffCompression::PackBits => 32773,
        };
        let format = match stored {
            Stored::Unsigned(_) => 1,
            Stored::Signed(_) => 2,
            Stored::Float(_) => 3,
        };
        let (photometric, colors) = match shape.color {
            Color::Gray | Color::GrayAlpha => (1, 1),
            Color::Rgb | Color::Rgba => (2, 3),
            Color::Bands(3..) if self.metadata.rgb_bands => (2, 3),
            Color::Bands(_) => (1, 1),
        };
        let positions: Vec<u64> = self.chunks.iter().map(|s| s.0).collect();
        let lengths: Vec<u64> = self.chunks.iter().map(|s| s.1).collect();
        let mut fields = vec![
            number(256, shape.cols),
            number(257, shape.rows),
            Field::shorts(258, &vec![u16::from(stored.bits()); channels]),
            Field::shorts(259, &[compression]),
            Field::shorts(262, &[photometric]),
            Field::longs(273, &positions, wide),
            Field::shorts(274, &[1]),
            Field::shorts(277, &[channels as u16]),
            number(278, self.strips.rows()),
            Field::longs(279, &lengths, wide),
            Field::shorts(284, &[1]),
            Field::shorts(339, &vec![format; channels]),
        ];
        if self.file.pages > 1 {
            fields.push(number(254, 2));
            if let (Ok(page), Ok(pages)) = (
                u16::try_from(self.file.page),
                u16::try_from(self.file.pages),
            ) {
                fields.push(Field::shorts(297, &[page, pages]));
            }
        }
        let predictor = predictor(self.file.compression, stored);
        if predictor != 1 {
            fields.push(Field::shorts(317, &[predictor]));
        }
        if channels > colors {
            let kind = if shape.color.has_alpha() { 2 } else { 0 };
            fields.push(Field::shorts(338, &vec![kind; channels - colors]));
        }
        if let Some(icc) = &self.metadata.icc {
            fields.push(Field::new(34675, 7, icc.len(), icc.clone()));
        }
        fields.extend(side::fields(&self.metadata));
        fields
    }

    /// Ends the page.
    fn close(mut self) -> Result<File> {
        let shape = self.strips.shape;
        if self.given != shape.rows {
            return Err(Error::Encode(format!(
                "{} of {} rows were given",
                self.given, shape.rows
            )));
        }
        let left = self.rows.len();
        self.pack(left)?;
        if self.chunks.is_empty() {
            let strip = (self.strips.rows() * self.strips.row_bytes()) as u64;
            let end = self.file.at;
            self.chunks = (self.start..end)
                .step_by(strip as usize)
                .map(|at| (at, strip.min(end - at)))
                .collect();
        }
        let directory = self.directory();
        self.file.end_page(&directory)?;
        Ok(self.file)
    }
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        self.given += rows.count;
        if self.strips.is_copied() {
            return self.take(&rows.data.bytes()[..rows.count * self.strips.row_bytes()]);
        }
        let mut narrowed = std::mem::take(&mut self.narrowed);
        let step = self.strips.rows();
        for from in rows.range().step_by(step) {
            narrowed.clear();
            for y in from..(from + step).min(rows.range().end) {
                (self.strips).narrow(rows, y, &mut narrowed, &mut self.clipped);
            }
            self.take(&narrowed)?;
        }
        self.narrowed = narrowed;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let mut file = self.close()?;
        Ok(file.output.flush()?)
    }

    fn finish_page(self: Box<Self>) -> Result<Box<dyn NextPage>> {
        Ok(Box::new(self.close()?))
    }

    fn warnings(&self) -> Vec<Warning> {
        let warning = self.clipped.warning(self.strips.stored);
        warning.into_iter().collect()
    }
}
