//! PNG encoding. Rows are cut into segments of fixed size that are filtered and compressed apart, on
//! all threads of the current pool, and follow one another in one stream. The bytes depend on the
//! rows alone, never on the threads.

use super::animation::Animation;
use super::filter::{self, Filter};
use super::{COMPRESSIONS, Compression};
use crate::codec::parallel;
use crate::codec::table::Target;
use crate::codec::{NextPage, RowSink, WriteSeek, deflate};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, SampleType, Shape};
use std::io::Write;

/// Bytes of rows in one segment, at least one row.
const SEGMENT: usize = 256 << 10;
/// Segments for zlib, which looks for repetitions within each.
const LARGE_SEGMENT: usize = 1 << 20;
/// Bytes of one block with a Huffman code of its own.
const BLOCK: usize = 64 << 10;
const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

fn segment_rows(compression: Compression, shape: Shape) -> usize {
    let bytes = match compression {
        Compression::None | Compression::Fast => SEGMENT,
        Compression::Balanced | Compression::Best => LARGE_SEGMENT,
    };
    (bytes / shape.row_bytes().max(1)).max(1)
}

/// Bytes held beside the rows given by one or two threads.
pub fn memory(compression: Compression, shape: Shape) -> usize {
    // Rows, filtered rows and the compressed stream of a few segments.
    let segment = segment_rows(compression, shape).min(shape.rows) * shape.row_bytes();
    8 * (segment + 2 * shape.row_bytes())
}

/// An encoder that has written all up to the pixels.
pub fn create(target: Target<'_>) -> Result<Box<dyn RowSink>> {
    let Target {
        mut output,
        options,
        shape,
        metadata,
    } = target;
    let compression = options.pick(0, &COMPRESSIONS);
    let largest = i32::MAX as usize;
    if shape.rows > largest || shape.cols > largest {
        return Err(Error::Encode(format!(
            "{}x{} is too large for PNG, whose sides have at most {largest} pixels (hint: tiff)",
            shape.cols, shape.rows
        )));
    }
    let color = match shape.color {
        Color::Gray => 0,
        Color::Rgb => 2,
        Color::GrayAlpha => 4,
        Color::Rgba => 6,
        Color::Bands(_) => return Err(super::super::no_bands("PNG", shape)),
    };
    if shape.sample.is_float() {
        return Err(Error::Encode(
            "PNG has no float samples (hint: tiff)".into(),
        ));
    }
    let mut header = Vec::with_capacity(13);
    header.extend_from_slice(&(shape.cols as u32).to_be_bytes());
    header.extend_from_slice(&(shape.rows as u32).to_be_bytes());
    header.extend_from_slice(&[shape.sample.bits() as u8, color, 0, 0, 0]);
    let mut start = SIGNATURE.to_vec();
    append_chunk(b"IHDR", &header, &mut start)?;
    if let Some(icc) = &metadata.icc {
        let mut profile = b"ICC profile\0\0".to_vec();
        profile.extend(deflate::zlib(icc));
        append_chunk(b"iCCP", &profile, &mut start)?;
    }
    for (name, data) in super::side::chunks(metadata) {
        append_chunk(&name, &data, &mut start)?;
    }
    let animation = match metadata.pages {
        0 | 1 => None,
        frames => Some(Animation::begin(frames, shape, metadata, &mut start)?),
    };
    output.write_all(&start)?;
    Ok(Box::new(Sink {
        output,
        animation,
        shape,
        compression,
        segment_rows: segment_rows(compression, shape),
        rows: vec![0; shape.row_bytes()],
        written: 0,
        adler: 1,
    }))
}

pub(super) fn append_chunk(name: &[u8; 4], data: &[u8], out: &mut Vec<u8>) -> Result<()> {
    if data.len() > i32::MAX as usize {
        return Err(Error::Encode(format!(
            "{} bytes are too many for one PNG chunk",
            data.len()
        )));
    }
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let from = out.len();
    out.extend_from_slice(name);
    out.extend_from_slice(data);
    let sum = crc32fast::hash(&out[from..]);
    out.extend_from_slice(&sum.to_be_bytes());
    Ok(())
}

pub(super) struct Sink {
    output: Box<dyn WriteSeek>,
    /// Of several frames.
    animation: Option<Animation>,
    shape: Shape,
    compression: Compression,
    segment_rows: usize,
    /// The last row of the segment before (at first zeros), then rows of segments to come, in the
    /// byte order of the file.
    rows: Vec<u8>,
    /// Rows compressed and written.
    written: usize,
    adler: u32,
}

/// One segment as it goes into the file.
struct Packed {
    /// A chunk, or the bytes to be put in one by its number.
    chunk: Vec<u8>,
    adler: u32,
    /// Bytes of the filtered rows.
    len: usize,
}

impl Sink {
    /// Compresses the first `count` rows held.
    fn pack(&mut self, count: usize) -> Result<()> {
        let len = self.shape.row_bytes();
        let rows = &self.rows;
        let segments: Vec<&[u8]> = (0..count)
            .step_by(self.segment_rows)
            .map(|at| &rows[at * len..((at + self.segment_rows).min(count) + 1) * len])
            .collect();
        let (shape, compression) = (self.shape, self.compression);
        let opens = self.written == 0;
        let bare = self.animation.as_ref().is_some_and(Animation::numbers);
        let packed = parallel::map(segments, |at, rows| {
            pack(rows, shape, compression, opens && at == 0, bare)
        });
        for packed in packed {
            let packed = packed?;
            self.adler = deflate::adler_of_both(self.adler, packed.adler, packed.len);
            self.append(packed.chunk, bare)?;
        }
        self.written += count;
        self.rows.drain(..count * len);
        Ok(())
    }
}

/// Filters and compresses rows, the first of which is only looked back at.
fn pack(
    rows: &[u8],
    shape: Shape,
    compression: Compression,
    opens: bool,
    bare: bool,
) -> Result<Packed> {
    let len = shape.row_bytes();
    let pixel = shape.channels() * shape.sample.bytes();
    let choices: &[Filter] = match compression {
        Compression::None => &[Filter::None],
        Compression::Fast => &[Filter::Sub, Filter::Up, Filter::Average],
        Compression::Balanced | Compression::Best => &[
            Filter::None,
            Filter::Sub,
            Filter::Up,
            Filter::Average,
            Filter::Paeth,
        ],
    };
    let mut filtered = Vec::with_capacity(rows.len() + rows.len() / len);
    let mut trial = Vec::new();
    for at in (len..rows.len()).step_by(len) {
        let (above, row) = (&rows[at - len..at], &rows[at..at + len]);
        filter::append(choices, row, above, pixel, &mut trial, &mut filtered);
    }
    let mut data = Vec::new();
    if opens {
        data.extend_from_slice(&[0x78, 0x01]);
    }
    match compression {
        Compression::None => deflate::append_stored(&filtered, &mut data),
        Compression::Fast => append_fast(&filtered, &mut data),
        Compression::Balanced | Compression::Best => {
            let level = if compression == Compression::Best {
                9
            } else {
                6
            };
            let (mut quick, mut thorough) = (Vec::new(), Vec::new());
            append_fast(&filtered, &mut quick);
            append_zlib(&filtered, level, &mut thorough)?;
            // Noise is packed better without looking for repetitions.
            data.append(if quick.len() < thorough.len() {
                &mut quick
            } else {
                &mut thorough
            });
        }
    }
    let chunk = match bare {
        true => data,
        false => {
            let mut chunk = Vec::with_capacity(data.len() + 12);
            append_chunk(b"IDAT", &data, &mut chunk)?;
            chunk
        }
    };
    Ok(Packed {
        chunk,
        adler: deflate::adler(&filtered),
        len: filtered.len(),
    })
}

fn append_fast(data: &[u8], out: &mut Vec<u8>) {
    for block in data.chunks(BLOCK) {
        deflate::append_block(block, out);
    }
}

/// Compresses by zlib up to a byte's end, so that more can follow.
fn append_zlib(data: &[u8], level: u32, out: &mut Vec<u8>) -> Result<()> {
    let mut packer = flate2::Compress::new(flate2::Compression::new(level), false);
    loop {
        out.reserve(data.len() / 2 + 1024);
        let done = packer.total_in() as usize;
        packer
            .compress_vec(&data[done..], out, flate2::FlushCompress::Sync)
            .map_err(|e| Error::Encode(format!("deflate: {e}")))?;
        // Room left means that everything was flushed.
        if packer.total_in() as usize == data.len() && out.len() < out.capacity() {
            return Ok(());
        }
    }
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let len = self.shape.row_bytes();
        let enough = self.segment_rows * parallel::threads() * 2;
        let mut given = rows.data.bytes()[..rows.count * len].chunks(enough * len);
        let held = |sink: &Sink| sink.rows.len() / len - 1;
        for piece in &mut given {
            if self.shape.sample == SampleType::U16 && cfg!(target_endian = "little") {
                let swapped = piece.chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]);
                self.rows.extend(swapped);
            } else {
                self.rows.extend_from_slice(piece);
            }
            let whole = held(self) / self.segment_rows * self.segment_rows;
            // With several threads, wait for work for all of them.
            if whole >= enough / 2 {
                self.pack(whole)?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.end_pixels()?;
        match self.animation.take() {
            Some(animation) => animation.end(&mut *self.output),
            None => {
                let mut end = Vec::new();
                append_chunk(b"IEND", &[], &mut end)?;
                self.output.write_all(&end)?;
                Ok(self.output.flush()?)
            }
        }
    }

    fn finish_page(mut self: Box<Self>) -> Result<Box<dyn NextPage>> {
        self.end_pixels()?;
        let Some(animation) = self.animation.take() else {
            return Err(Error::Encode(
                "PNG must know before the first frame how many there are".into(),
            ));
        };
        Ok(Box::new(Next {
            output: self.output,
            compression: self.compression,
            animation,
        }))
    }
}

impl Sink {
    /// The rest of the pixels.
    fn end_pixels(&mut self) -> Result<()> {
        let held = self.rows.len() / self.shape.row_bytes() - 1;
        if self.written + held != self.shape.rows {
            return Err(Error::Encode(format!(
                "{} of {} rows were given",
                self.written + held,
                self.shape.rows
            )));
        }
        if held > 0 {
            self.pack(held)?;
        }
        let mut data = Vec::new();
        deflate::append_end(&mut data);
        data.extend_from_slice(&self.adler.to_be_bytes());
        let bare = self.animation.as_ref().is_some_and(Animation::numbers);
        if bare {
            return self.append(data, true);
        }
        let mut end = Vec::new();
        append_chunk(b"IDAT", &data, &mut end)?;
        self.append(end, false)
    }

    /// Writes a chunk, or puts bytes in one with the next number.
    fn append(&mut self, chunk: Vec<u8>, bare: bool) -> Result<()> {
        match &mut self.animation {
            Some(animation) if bare => {
                let chunk = animation.data(&chunk)?;
                Ok(self.output.write_all(&chunk)?)
            }
            _ => Ok(self.output.write_all(&chunk)?),
        }
    }
}

struct Next {
    output: Box<dyn WriteSeek>,
    compression: Compression,
    animation: Animation,
}

impl NextPage for Next {
    fn begin(mut self: Box<Self>, shape: Shape, metadata: &Metadata) -> Result<Box<dyn RowSink>> {
        let control = self.animation.next(shape, metadata)?;
        self.output.write_all(&control)?;
        Ok(Box::new(Sink {
            output: self.output,
            animation: Some(self.animation),
            shape,
            compression: self.compression,
            segment_rows: segment_rows(self.compression, shape),
            rows: vec![0; shape.row_bytes()],
            written: 0,
            adler: 1,
        }))
    }

    fn end(mut self: Box<Self>) -> Result<()> {
        self.animation.end(&mut *self.output)
    }
}
