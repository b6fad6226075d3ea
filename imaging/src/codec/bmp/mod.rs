//! Windows bitmaps: palettes, run lengths, bit fields; written as 8-bit gray, 24 or 32 bits.
//!
//! The formats hold no EXIF; ICC profiles are neither read nor written.

mod header;
mod read;

use super::table::{Codec, Keeps, Output, Reads, Target, Writer};
use super::whole::Whole;
use super::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSink, RowSource, WriteSeek};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, SampleType, Shape};
use header::Coding;
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};

const BUFFER: usize = 64 << 10;

/// Windows bitmap.
pub(super) static CODEC: Codec = Codec {
    name: "bmp",
    title: "BMP",
    extensions: &["bmp", "dib"],
    media_type: "image/bmp",
    // The reserved field or the size of the second header tells a bitmap from a text.
    detect: |start| {
        start.starts_with(b"BM") && start.get(15..18).is_none_or(|high| high == [0, 0, 0])
    },
    probe,
    open,
    streams: true,
    reads: Reads {
        samples: "palettes of 1 to 8 bits, RGB and RGBA of any masks",
        coding: "none, run lengths",
        pictures: "one",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[
            (Color::Gray, &[SampleType::U8]),
            (Color::Rgb, &[SampleType::U8]),
            (Color::Rgba, &[SampleType::U8]),
        ],
        bands: &[],
        pages: None,
        keeps: Keeps::NOTHING,
        stored: false,
        exact: true,
        create: |Target { output, shape, .. }| create(output, shape),
        memory: |_, shape| shape.row_bytes(),
    }),
};

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    let head = header::parse(&mut BufReader::new(input), limits)?;
    let streams = !matches!(head.coding, Coding::Runs(_));
    let whole = if streams {
        0
    } else {
        head.shape.pixels() + head.shape.bytes()
    };
    Ok(Header {
        kind: FormatKind::Bmp,
        shape: head.shape,
        bits: match head.coding {
            Coding::Bytes => 8,
            Coding::Masks(masks) => masks[1].count_ones() as u8,
            _ => head.bits as u8,
        },
        lossless: true,
        orientation: 1,
        has_icc: false,
        pages: 1,
        page_kind: super::PageKind::Pages,
        stored: None,
        streams,
        seekable: true,
        decoder_bytes: whole + head.shape.row_bytes() + 2 * BUFFER,
    })
}

fn open(
    input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let head = header::parse(&mut input, limits)?;
    if let Coding::Runs(palette) = &head.coding {
        let metadata = Metadata {
            orientation: 1,
            ..Metadata::default()
        };
        let samples = read::runs(input, &head, palette)?;
        return Ok(Box::new(Whole::new(head.shape, metadata, samples)));
    }
    Ok(Box::new(read::Source::new(input, head)?))
}

fn create(output: Box<dyn WriteSeek>, shape: Shape) -> Result<Box<dyn RowSink>> {
    let (bits, info, palette) = match shape.color {
        Color::Gray => (8u16, 40u32, 1024u32),
        Color::Rgba => (32, 108, 0),
        _ => (24, 40, 0),
    };
    let stride = (shape.cols * usize::from(bits) / 8).next_multiple_of(4);
    let start = 14 + info + palette;
    let side = |n: usize| i32::try_from(n).ok();
    let sizes = || {
        let pixels = stride.checked_mul(shape.rows)?;
        let file = u32::try_from(pixels).ok()?.checked_add(start)?;
        Some((pixels as u32, file, side(shape.cols)?, side(shape.rows)?))
    };
    let Some((pixels, file, cols, rows)) = sizes() else {
        return Err(Error::Encode(format!(
            "{}x{} is too large for BMP, which holds 4 GiB (tiff and png hold more)",
            shape.cols, shape.rows
        )));
    };
    let mut head = Vec::with_capacity(start as usize);
    head.extend(b"BM");
    for field in [
        file,
        0,
        start,
        info,
        cols as u32,
        rows as u32,
        1 | u32::from(bits) << 16,
    ] {
        head.extend(field.to_le_bytes());
    }
    // Compression, size, 72 pixels per inch, colours.
    let compression = if shape.color == Color::Rgba { 3 } else { 0 };
    for field in [compression, pixels, 2835, 2835, palette / 4, 0] {
        head.extend(u32::to_le_bytes(field));
    }
    if shape.color == Color::Rgba {
        for mask in [0x00FF_0000u32, 0xFF00, 0xFF, 0xFF00_0000] {
            head.extend(mask.to_le_bytes());
        }
        head.extend(b"BGRs"); // sRGB
        head.extend([0; 48]);
    }
    for v in 0..(palette / 4) as usize {
        head.extend([v as u8, v as u8, v as u8, 0]);
    }
    let mut output = BufWriter::with_capacity(BUFFER, output);
    output.write_all(&head)?;
    Ok(Box::new(Sink {
        output,
        start: u64::from(start),
        raw: vec![0; stride],
    }))
}

/// Rows lie from the bottom up, which all programs read.
struct Sink {
    output: BufWriter<Box<dyn WriteSeek>>,
    start: u64,
    raw: Vec<u8>,
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let shape = rows.shape;
        if rows.count == 0 {
            return Ok(());
        }
        // The last of these rows comes first in the file.
        let below = (shape.rows - rows.range().end) as u64;
        let at = self.start + below * self.raw.len() as u64;
        self.output.seek(SeekFrom::Start(at))?;
        for y in rows.range().rev() {
            let row = rows.row::<u8>(y);
            match shape.channels() {
                1 => self.raw[..row.len()].copy_from_slice(row),
                3 => {
                    for (to, from) in self.raw.chunks_exact_mut(3).zip(row.chunks_exact(3)) {
                        to.copy_from_slice(&[from[2], from[1], from[0]]);
                    }
                }
                _ => {
                    for (to, from) in self.raw.chunks_exact_mut(4).zip(row.chunks_exact(4)) {
                        to.copy_from_slice(&[from[2], from[1], from[0], from[3]]);
                    }
                }
            }
            self.output.write_all(&self.raw)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        Ok(self.output.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::hostile::{flipped, pictures, round_trip, small, truncated, try_decode};
    use crate::codec::{Format, KeepMetadata, encode};
    use crate::image::{Buffer, SampleType};

    const COLORS: [Color; 3] = [Color::Gray, Color::Rgb, Color::Rgba];

    /// A file of a 40-byte header with this behind it.
    fn file(
        cols: i32,
        rows: i32,
        bits: u16,
        compression: u32,
        palette: &[u8],
        pixels: &[u8],
    ) -> Vec<u8> {
        let start = 54 + palette.len() as u32;
        let mut out = b"BM".to_vec();
        let colors = if bits <= 8 {
            palette.len() as u32 / 4
        } else {
            0
        };
        let fields = [
            0,
            0,
            start,
            40,
            cols as u32,
            rows as u32,
            1 | u32::from(bits) << 16,
        ];
        for field in fields.into_iter().chain([compression, 0, 0, 0, colors, 0]) {
            out.extend(field.to_le_bytes());
        }
        [&out, palette, pixels].concat()
    }

    fn samples(bytes: &[u8]) -> Vec<u8> {
        match try_decode(bytes).unwrap().rows.data {
            Buffer::U8(samples) => samples,
            other => panic!("{other:?}"),
        }
    }

    const TWO: [u8; 8] = [1, 2, 3, 0, 7, 8, 9, 0];
    const GRAYS: [u8; 12] = [0, 0, 0, 0, 50, 50, 50, 0, 90, 90, 90, 0];

    #[test]
    fn what_is_written_is_read_again() {
        for image in pictures(&COLORS, &[SampleType::U8]) {
            assert_eq!(round_trip(&image, &Format::of(FormatKind::Bmp)), image);
        }
    }

    #[test]
    fn palettes_of_all_depths_are_read() {
        let one = file(3, -1, 1, 0, &TWO, &[0b0100_0000, 0, 0, 0]);
        assert_eq!(samples(&one), [3, 2, 1, 9, 8, 7, 3, 2, 1]);
        let two = file(3, 1, 2, 0, &GRAYS, &[0b0001_1000, 0, 0, 0]);
        assert_eq!(samples(&two), [0, 50, 90]);
        let four = file(2, 2, 4, 0, &GRAYS, &[0x12, 0, 0, 0, 0x01, 0, 0, 0]);
        assert_eq!(samples(&four), [0, 50, 50, 90]);
        let missing = file(2, 1, 8, 0, &GRAYS, &[1, 3, 0, 0]);
        assert!(try_decode(&missing).is_err());
    }

    #[test]
    fn bit_fields_are_scaled() {
        let x555 = file(2, 1, 16, 0, &[], &[0xFF, 0x7F, 0x00, 0x7C]);
        assert_eq!(samples(&x555), [255, 255, 255, 255, 0, 0]);
        let masks: Vec<u8> = [0xF800u32, 0x07E0, 0x001F]
            .iter()
            .flat_map(|m| m.to_le_bytes())
            .collect();
        let x565 = file(2, 1, 16, 3, &masks, &[0xE0, 0x07, 0x01, 0x00]);
        assert_eq!(samples(&x565), [0, 255, 0, 0, 0, 8]);
        let ten: Vec<u8> = [0x3FF0_0000u32, 0xFFC00, 0x3FF]
            .iter()
            .flat_map(|m| m.to_le_bytes())
            .collect();
        let ten = file(1, 1, 32, 3, &ten, &0x3FF0_0001u32.to_le_bytes());
        assert_eq!(samples(&ten), [255, 0, 0]);
        let wrong: Vec<u8> = [0xFFu32, 0xFF, 0xFF]
            .iter()
            .flat_map(|m| m.to_le_bytes())
            .collect();
        assert!(try_decode(&file(1, 1, 32, 3, &wrong, &[0; 4])).is_err());
    }

    fn run_lengths() -> [Vec<u8>; 2] {
        // From the bottom: a run of three; a literal of three and its pad; a step to the right.
        let eight = [3, 1, 0, 0, 0, 3, 1, 2, 1, 0, 0, 0, 0, 2, 2, 0, 1, 2, 0, 1];
        let four = [3, 0x12, 0, 0, 0, 3, 0x12, 0x10, 0, 1];
        [
            file(3, 3, 8, 1, &GRAYS, &eight),
            file(3, 2, 4, 2, &GRAYS, &four),
        ]
    }

    #[test]
    fn run_lengths_are_read() {
        let [eight, four] = run_lengths();
        assert_eq!(samples(&eight), [0, 0, 90, 50, 90, 50, 50, 50, 50]);
        assert_eq!(samples(&four), [50, 90, 50, 50, 90, 50]);
        assert!(try_decode(&file(3, 1, 8, 1, &GRAYS, &[4, 1, 0, 1])).is_err());
        assert!(try_decode(&file(3, 1, 8, 1, &GRAYS, &[0, 0, 1, 1, 0, 1])).is_err());
        assert!(try_decode(&file(1 << 30, 1 << 30, 8, 1, &GRAYS, &[0, 1])).is_err());
    }

    #[test]
    fn old_headers_are_read() {
        let mut old = b"BM\0\0\0\0\0\0\0\0\x20\0\0\0\x0c\0\0\0".to_vec();
        old.extend([2, 0, 1, 0, 1, 0, 1, 0]);
        old.extend([1, 2, 3, 7, 8, 9]);
        old.extend([0b0100_0000, 0, 0, 0]);
        assert_eq!(samples(&old), [3, 2, 1, 9, 8, 7]);
    }

    #[test]
    fn broken_files_are_errors() {
        for image in pictures(&COLORS, &[SampleType::U8]) {
            let bytes = encode(&image, &Format::of(FormatKind::Bmp), KeepMetadata::All).unwrap();
            // Up to three bytes of padding end the file.
            truncated(&bytes, 3);
            flipped(&bytes, 300);
        }
        for bytes in run_lengths() {
            truncated(&bytes, 0);
            flipped(&bytes, 3000);
        }
        let bomb = file(65535, 65535, 24, 0, &[], &[]);
        assert!(matches!(
            probe(&mut std::io::Cursor::new(bomb), &small(), 0),
            Err(Error::Limit { .. })
        ));
    }
}
