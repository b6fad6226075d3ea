//! TIFF encoding in strips, which are packed on all threads of the current pool. The bytes depend on
//! the rows alone, never on the threads or the machine.

use super::fields::{Field, serialise};
use super::{TiffCompression, side};
use crate::codec::{RowSink, WriteSeek, deflate, parallel};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, SampleType, Shape};
use std::cell::RefCell;
use std::io::SeekFrom;

/// Bytes of rows in one strip, at least one row.
const STRIP: usize = 256 << 10;
/// Bytes of rows that get a Huffman code of their own.
const BLOCK: usize = 64 << 10;
/// Strips that shrink to less than this part are packed again with a search for repetitions.
const REPETITIVE: f64 = 0.4;

fn strip_rows(shape: Shape) -> usize {
    (STRIP / shape.row_bytes().max(1)).clamp(1, shape.rows.max(1))
}

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
    if shape.rows > u32::MAX as usize || shape.cols > u32::MAX as usize {
        return Err(Error::Encode(format!(
            "{}x{} is too large for TIFF, whose sides have at most {} pixels",
            shape.cols,
            shape.rows,
            u32::MAX
        )));
    }
    let extra = side::bytes(metadata);
    let tables = 16 * shape.rows.div_ceil(strip_rows(shape)) as u64 + (64 << 10);
    let pixels = shape.bytes() as u64;
    let most = match compression {
        TiffCompression::None => pixels,
        TiffCompression::Lzw => pixels + pixels / 2,
        _ => pixels + pixels / 64,
    };
    let wide = most + extra + tables > u64::from(u32::MAX);
    let mut head: Vec<u8> = match wide {
        true => b"II+\0\x08\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        false => b"II*\0\0\0\0\0".to_vec(),
    };
    // What is not packed has a known length: no need to come back to the head at the end.
    let end = (head.len() as u64 + pixels).next_multiple_of(2);
    let promised = (compression == TiffCompression::None).then_some(end);
    if let Some(end) = promised {
        let (place, size) = place_of_directory(wide);
        head[place..place + size].copy_from_slice(&end.to_le_bytes()[..size]);
    }
    output.write_all(&head)?;
    Ok(Box::new(Sink {
        output,
        shape,
        compression,
        metadata: metadata.clone(),
        wide,
        strip_rows: strip_rows(shape),
        rows: Vec::new(),
        given: 0,
        at: head.len() as u64,
        strips: Vec::new(),
        promised,
    }))
}

/// Where in the head the directory's position lies, and its bytes.
fn place_of_directory(wide: bool) -> (usize, usize) {
    if wide { (8, 8) } else { (4, 4) }
}

struct Sink {
    output: Box<dyn WriteSeek>,
    shape: Shape,
    compression: TiffCompression,
    metadata: Metadata,
    wide: bool,
    strip_rows: usize,
    /// Rows of strips to come.
    rows: Vec<u8>,
    given: usize,
    /// Position of the next strip.
    at: u64,
    /// Position and length of each strip.
    strips: Vec<(u64, u64)>,
    /// The directory's position as the head has it.
    promised: Option<u64>,
}

/// Samples in the file's order of bytes, which is little-endian.
fn little_endian(samples: &mut [u8], sample: SampleType) {
    if cfg!(target_endian = "big") {
        samples
            .chunks_exact_mut(sample.bytes())
            .for_each(<[u8]>::reverse);
    }
}

impl Sink {
    /// Packs the first `count` strips held, or all with a last one that is lower.
    fn pack(&mut self, bytes: usize) -> Result<()> {
        let strip = self.strip_rows * self.shape.row_bytes();
        let strips: Vec<&mut [u8]> = self.rows[..bytes].chunks_mut(strip).collect();
        let (shape, compression) = (self.shape, self.compression);
        let packed = parallel::map(strips, |_, strip| pack(strip, shape, compression));
        for packed in packed {
            let packed = packed?;
            self.output.write_all(&packed)?;
            self.strips.push((self.at, packed.len() as u64));
            self.at += packed.len() as u64;
        }
        self.rows.drain(..bytes);
        Ok(())
    }

    fn directory(&self) -> Vec<Field> {
        let shape = self.shape;
        let channels = shape.channels();
        let number = |tag, value: usize| Field::longs(tag, &[value as u64], false);
        let (compression, predictor) = match (self.compression, shape.sample) {
            (TiffCompression::None, _) => (1, 1),
            (TiffCompression::PackBits, _) => (32773, 1),
            // No reader but libtiff undoes a predictor over 64 bits.
            (TiffCompression::Lzw, SampleType::F64) => (5, 1),
            (TiffCompression::Deflate, SampleType::F64) => (8, 1),
            (TiffCompression::Lzw, SampleType::F32) => (5, 3),
            (TiffCompression::Deflate, SampleType::F32) => (8, 3),
            (TiffCompression::Lzw, _) => (5, 2),
            (TiffCompression::Deflate, _) => (8, 2),
        };
        let format = if shape.sample.is_float() { 3 } else { 1 };
        let photometric = if shape.color.is_gray() { 1 } else { 2 };
        let positions: Vec<u64> = self.strips.iter().map(|s| s.0).collect();
        let lengths: Vec<u64> = self.strips.iter().map(|s| s.1).collect();
        let mut fields = vec![
            number(256, shape.cols),
            number(257, shape.rows),
            Field::shorts(258, &vec![shape.sample.bits() as u16; channels]),
            Field::shorts(259, &[compression]),
            Field::shorts(262, &[photometric]),
            Field::longs(273, &positions, self.wide),
            Field::shorts(274, &[1]),
            Field::shorts(277, &[channels as u16]),
            number(278, self.strip_rows),
            Field::longs(279, &lengths, self.wide),
            Field::shorts(284, &[1]),
            Field::shorts(339, &vec![format; channels]),
        ];
        if predictor != 1 {
            fields.push(Field::shorts(317, &[predictor]));
        }
        if matches!(shape.color, Color::GrayAlpha | Color::Rgba) {
            fields.push(Field::shorts(338, &[2]));
        }
        if let Some(icc) = &self.metadata.icc {
            fields.push(Field::new(34675, 7, icc.len(), icc.clone()));
        }
        fields.extend(side::fields(&self.metadata));
        fields
    }
}

/// Packs one strip; its rows are overwritten.
fn pack(rows: &mut [u8], shape: Shape, compression: TiffCompression) -> Result<Vec<u8>> {
    let predicted = matches!(compression, TiffCompression::Lzw | TiffCompression::Deflate)
        && shape.sample != SampleType::F64;
    if predicted {
        rows.chunks_exact_mut(shape.row_bytes())
            .for_each(|row| predict(row, shape));
    }
    if shape.sample != SampleType::F32 || !predicted {
        little_endian(rows, shape.sample);
    }
    match compression {
        TiffCompression::None => Ok(rows.to_vec()),
        TiffCompression::Deflate => deflate(rows),
        TiffCompression::Lzw => {
            weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .encode(rows)
                .map_err(|e| Error::Encode(format!("LZW: {e}")))
        }
        TiffCompression::PackBits => {
            let mut out = Vec::with_capacity(rows.len() + rows.len() / 64);
            for row in rows.chunks_exact(shape.row_bytes()) {
                pack_bits(row, &mut out);
            }
            Ok(out)
        }
    }
}

/// Replaces samples by their differences to the pixel on the left.
fn predict(row: &mut [u8], shape: Shape) {
    let stride = shape.channels();
    match shape.sample {
        SampleType::U8 => subtract_left(row, stride),
        SampleType::U16 => {
            for at in (stride..row.len() / 2).rev() {
                let value = |i: usize| u16::from_ne_bytes([row[2 * i], row[2 * i + 1]]);
                let difference = value(at).wrapping_sub(value(at - stride));
                row[2 * at..2 * at + 2].copy_from_slice(&difference.to_ne_bytes());
            }
        }
        SampleType::F32 => {
            let samples = row.len() / 4;
            let old = row.to_vec();
            for (sample, value) in old.chunks_exact(4).enumerate() {
                let value = [value[0], value[1], value[2], value[3]];
                let big = u32::from_ne_bytes(value).to_be_bytes();
                for byte in 0..4 {
                    row[byte * samples + sample] = big[byte];
                }
            }
            subtract_left(row, stride);
        }
        SampleType::F64 => unreachable!("64-bit floats are written without a predictor"),
    }
}

fn subtract_left(row: &mut [u8], stride: usize) {
    let old = row.to_vec();
    for ((out, here), left) in row
        .iter_mut()
        .skip(stride)
        .zip(old.iter().skip(stride))
        .zip(&old)
    {
        *out = here.wrapping_sub(*left);
    }
}

/// A zlib stream: quickly by runs and Huffman codes, and where that shrinks much, by libdeflate as
/// well, whichever is smaller.
fn deflate(rows: &[u8]) -> Result<Vec<u8>> {
    thread_local! {
        static PACKER: RefCell<libdeflater::Compressor> = RefCell::new(libdeflater::Compressor::new(
            libdeflater::CompressionLvl::default(),
        ));
    }
    let mut quick = Vec::with_capacity(rows.len() * 3 / 4);
    quick.extend_from_slice(&[0x78, 0x01]);
    for block in rows.chunks(BLOCK) {
        deflate::append_block(block, &mut quick);
    }
    deflate::append_end(&mut quick);
    quick.extend_from_slice(&deflate::adler(rows).to_be_bytes());
    if quick.len() as f64 >= REPETITIVE * rows.len() as f64 {
        return Ok(quick);
    }
    PACKER.with(|packer| {
        let mut packer = packer.borrow_mut();
        let mut thorough = vec![0; packer.zlib_compress_bound(rows.len())];
        match packer.zlib_compress(rows, &mut thorough) {
            Ok(len) if len < quick.len() => {
                thorough.truncate(len);
                Ok(thorough)
            }
            _ => Ok(quick),
        }
    })
}

/// Appends one row: runs of three and more as runs, the rest as literals.
fn pack_bits(row: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < row.len() {
        let run = row[at..]
            .iter()
            .take(128)
            .take_while(|&&b| b == row[at])
            .count();
        if run >= 3 {
            out.extend_from_slice(&[(257 - run) as u8, row[at]]);
            at += run;
            continue;
        }
        let rest = &row[at..row.len().min(at + 128)];
        let len = rest
            .windows(3)
            .position(|three| three[0] == three[1] && three[1] == three[2])
            .unwrap_or(rest.len());
        out.push((len - 1) as u8);
        out.extend_from_slice(&rest[..len]);
        at += len;
    }
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let len = self.shape.row_bytes();
        let bytes = &rows.data.bytes()[..rows.count * len];
        self.given += rows.count;
        if self.compression == TiffCompression::None && cfg!(target_endian = "little") {
            self.output.write_all(bytes)?;
            self.at += bytes.len() as u64;
            return Ok(());
        }
        let strip = self.strip_rows * len;
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

    fn finish(mut self: Box<Self>) -> Result<()> {
        if self.given != self.shape.rows {
            return Err(Error::Encode(format!(
                "{} of {} rows were given",
                self.given, self.shape.rows
            )));
        }
        let left = self.rows.len();
        self.pack(left)?;
        if self.strips.is_empty() {
            let head = if self.wide { 16 } else { 8 };
            let strip = (self.strip_rows * self.shape.row_bytes()) as u64;
            self.strips = (head..self.at)
                .step_by(strip as usize)
                .map(|at| (at, strip.min(self.at - at)))
                .collect();
        }
        if self.at % 2 == 1 {
            self.output.write_all(&[0])?;
            self.at += 1;
        }
        let directory = serialise(&self.directory(), self.at, self.wide);
        self.output.write_all(&directory)?;
        if self.promised != Some(self.at) {
            let (place, size) = place_of_directory(self.wide);
            self.output.seek(SeekFrom::Start(place as u64))?;
            self.output.write_all(&self.at.to_le_bytes()[..size])?;
            self.output.seek(SeekFrom::End(0))?;
        }
        self.output.flush()?;
        Ok(())
    }
}
