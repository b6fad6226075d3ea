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
use crate::window::Band;
use header::Coding;
use std::io::{BufReader, BufWriter, Cursor, Seek, SeekFrom, Write};

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
            || header::is_bare(start)
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
        still: false,
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
        let (samples, warnings) = read::runs(input, &head, palette)?;
        let mut source = Whole::new(head.shape, metadata, samples);
        source.warnings = warnings;
        return Ok(Box::new(source));
    }
    Ok(Box::new(read::Source::new(input, head)?))
}

/// The picture of a Windows icon, a bitmap without the file's header of twice its height: colours, then a bit for each
/// pixel that is not seen. Its size alone where the pixels are not wanted.
pub(super) fn icon(bitmap: &[u8], limits: &Limits, pixels: bool) -> Result<(Shape, Vec<u8>)> {
    let mut bitmap = bitmap.to_vec();
    let height = bitmap
        .get_mut(8..12)
        .and_then(|raw| raw.first_chunk_mut::<4>());
    let Some(height) = height else {
        return Err(header::bad("it ends in its header"));
    };
    let half = i32::from_le_bytes(*height).unsigned_abs() / 2;
    *height = half.to_le_bytes();
    let mut head = header::parse(&mut Cursor::new(&bitmap[..]), limits)?;
    let alpha = head.bits == 32 && matches!(head.coding, Coding::Bytes);
    if alpha {
        head.coding = Coding::Masks([0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000]);
        head.shape.color = Color::Rgba;
    }
    let seen = head.shape;
    let shape = Shape {
        color: Color::Rgba,
        ..seen
    };
    if !pixels {
        return Ok((shape, Vec::new()));
    }
    if matches!(head.coding, Coding::Runs(_)) {
        return Err(header::bad("an icon of run lengths"));
    }
    let behind = (head.start + head.stride() * seen.rows as u64) as usize;
    let mask = bitmap.get(behind..).unwrap_or(&[]).to_vec();
    let stride = seen.cols.div_ceil(32) * 4;
    let hidden = |y: usize, x: usize| {
        let byte = mask.get((seen.rows - 1 - y) * stride + x / 8);
        byte.is_some_and(|byte| byte >> (7 - x % 8) & 1 == 1)
    };
    let mut source = read::Source::new(BufReader::new(Box::new(Cursor::new(bitmap))), head)?;
    let mut rows = Rows::zeroed(seen, 0..seen.rows);
    source.read(&mut Band::of(&mut rows))?;
    let stored = rows.data.bytes();
    // Where alpha is nowhere used the bits count, as Windows has it.
    let alpha = alpha && stored.iter().skip(3).step_by(4).any(|a| *a != 0);
    let mut samples = Vec::with_capacity(shape.bytes());
    for (at, pixel) in stored.chunks_exact(seen.channels()).enumerate() {
        let rgb = match pixel {
            [gray] => [*gray; 3],
            [r, g, b, ..] => [*r, *g, *b],
            _ => [0; 3],
        };
        samples.extend(rgb);
        samples.push(match pixel {
            [.., a] if alpha => *a,
            _ if hidden(at / seen.cols, at % seen.cols) => 0,
            _ => 255,
        });
    }
    Ok((shape, samples))
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
    }

    /// What is told of a file when it was read.
    fn told(bytes: &[u8]) -> Vec<String> {
        let input = Box::new(Cursor::new(bytes.to_vec()));
        let mut source = open(input, &small(), &OpenOptions::default()).unwrap();
        let shape = source.shape();
        let mut rows = Rows::zeroed(shape, 0..shape.rows);
        source.read(&mut Band::of(&mut rows)).unwrap();
        source.warnings().iter().map(|w| w.text.clone()).collect()
    }

    #[test]
    fn what_costs_no_pixel_is_read_with_a_warning() {
        // A colour beyond the palette is black.
        let beyond = file(3, 1, 8, 0, &GRAYS, &[1, 7, 3, 0]);
        assert_eq!(samples(&beyond), [50, 0, 0]);
        assert!(told(&beyond)[0].contains("up to 7 of a palette of 3"));
        assert_eq!(told(&beyond).len(), 1);
        // Pixels that are said to begin where the palette does.
        let mut early = file(2, 1, 8, 0, &GRAYS, &[1, 2, 0, 0]);
        early[10] = 54;
        assert_eq!(samples(&early), [50, 90]);
        assert!(told(&early)[0].contains("begin in its palette"));
        // Runs that reach beyond their row, and such from the top.
        let long = file(3, 1, 8, 1, &GRAYS, &[2, 1, 4, 2, 0, 1]);
        assert_eq!(samples(&long), [50, 50, 90]);
        assert!(told(&long)[0].contains("3 pixels beyond"));
        let literal = file(3, 1, 8, 1, &GRAYS, &[2, 1, 0, 3, 2, 1, 1, 0, 0, 1]);
        assert_eq!(samples(&literal), [50, 50, 90]);
        let down = file(2, -2, 8, 1, &GRAYS, &[2, 1, 0, 0, 2, 2, 0, 1]);
        assert_eq!(samples(&down), [50, 50, 90, 90]);
        assert!(told(&down)[0].contains("from the top"));
        assert!(told(&file(2, 1, 8, 0, &GRAYS, &[1, 2, 0, 0])).is_empty());
    }

    #[test]
    fn bitmaps_without_the_header_of_files_are_read() {
        let masks: Vec<u8> = [0xF800u32, 0x07E0, 0x001F]
            .iter()
            .flat_map(|m| m.to_le_bytes())
            .collect();
        for whole in [
            file(2, 2, 8, 0, &GRAYS, &[1, 2, 0, 0, 0, 1, 0, 0]),
            file(2, 1, 24, 0, &[], &[1, 2, 3, 4, 5, 6, 0, 0]),
            file(2, 1, 16, 3, &masks, &[0xE0, 0x07, 0x01, 0x00]),
        ] {
            let bare = &whole[14..];
            assert_eq!(FormatKind::detect(bare), Some(FormatKind::Bmp));
            assert_eq!(samples(bare), samples(&whole));
            assert!(told(bare).is_empty());
            truncated(bare, 3);
            flipped(bare, 300);
        }
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
