//! PBM, PGM, PPM, PAM and PFM: read and written row by row.
//!
//! Samples whose largest value is neither 255 nor 65535 are scaled to that: `v * top / max`, rounded.

mod header;
mod read;

use super::table::{Codec, Keeps, Output, Reads, Target, Writer};
use super::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSink, RowSource, WriteSeek};
use crate::error::Result;
use crate::image::{Color, Rows, SampleType, Shape};
use header::{Coding, head};
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};

const INTEGERS: &[SampleType] = &[SampleType::U8, SampleType::U16];
const ALL: &[SampleType] = &[SampleType::U8, SampleType::U16, SampleType::F32];

/// PGM, PPM, PAM or PFM by the image's kind.
pub(super) static CODEC: Codec = Codec {
    name: "pnm",
    title: "PNM",
    extensions: &["pnm", "pbm", "pgm", "ppm", "pam", "pfm"],
    media_type: "image/x-portable-anymap",
    detect: |start| match start {
        [b'P', b'1'..=b'7' | b'f' | b'F', after, ..] => {
            after.is_ascii_whitespace() || *after == b'#'
        }
        _ => false,
    },
    probe,
    open,
    streams: true,
    reads: Reads {
        samples: "1 to 16 bits, floats: gray, RGB, with alpha (PAM)",
        coding: "none, text",
        pictures: "the first",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[
            (Color::Gray, ALL),
            (Color::Rgb, ALL),
            (Color::GrayAlpha, INTEGERS),
            (Color::Rgba, INTEGERS),
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
    let head = head(&mut BufReader::new(input), limits)?;
    Ok(Header {
        kind: FormatKind::Pnm,
        shape: head.shape,
        bits: match head.coding {
            Coding::Bits | Coding::TextBits => 1,
            Coding::Float { .. } => 32,
            _ => (32 - head.max.leading_zeros()) as u8,
        },
        lossless: true,
        orientation: 1,
        has_icc: false,
        pages: 1,
        page_kind: super::PageKind::Pages,
        still: false,
        stored: None,
        streams: true,
        seekable: head.row_bytes().is_some(),
        decoder_bytes: BUFFER + head.shape.row_bytes(),
    })
}

const BUFFER: usize = 64 << 10;

fn open(
    input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let head = head(&mut input, limits)?;
    Ok(Box::new(read::Source::new(input, head)?))
}

fn create(output: Box<dyn WriteSeek>, shape: Shape) -> Result<Box<dyn RowSink>> {
    let mut output = BufWriter::with_capacity(BUFFER, output);
    let Shape { rows, cols, .. } = shape;
    let max = if shape.sample == SampleType::U8 {
        255
    } else {
        65535
    };
    let header = match (shape.color, shape.sample) {
        (Color::Gray, SampleType::F32) => format!("Pf\n{cols} {rows}\n-1.0\n"),
        (Color::Rgb, SampleType::F32) => format!("PF\n{cols} {rows}\n-1.0\n"),
        (Color::Gray, _) => format!("P5\n{cols} {rows}\n{max}\n"),
        (Color::Rgb, _) => format!("P6\n{cols} {rows}\n{max}\n"),
        (color, _) => {
            let kind = if color.is_gray() {
                "GRAYSCALE_ALPHA"
            } else {
                "RGB_ALPHA"
            };
            let depth = color.channels();
            format!(
                "P7\nWIDTH {cols}\nHEIGHT {rows}\nDEPTH {depth}\nMAXVAL {max}\nTUPLTYPE {kind}\nENDHDR\n"
            )
        }
    };
    output.write_all(header.as_bytes())?;
    Ok(Box::new(Sink {
        output,
        start: header.len() as u64,
        raw: Vec::new(),
    }))
}

struct Sink {
    output: BufWriter<Box<dyn WriteSeek>>,
    start: u64,
    raw: Vec<u8>,
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let shape = rows.shape;
        for y in rows.range() {
            match shape.sample {
                SampleType::U8 => self.output.write_all(rows.row::<u8>(y))?,
                SampleType::U16 => {
                    self.raw.clear();
                    self.raw
                        .extend(rows.row::<u16>(y).iter().flat_map(|v| v.to_be_bytes()));
                    self.output.write_all(&self.raw)?;
                }
                SampleType::F32 => {
                    self.raw.clear();
                    self.raw
                        .extend(rows.row::<f32>(y).iter().flat_map(|v| v.to_le_bytes()));
                    let at = self.start + ((shape.rows - 1 - y) * shape.row_bytes()) as u64;
                    self.output.seek(SeekFrom::Start(at))?;
                    self.output.write_all(&self.raw)?;
                }
                SampleType::F64 => {
                    return Err(crate::Error::Encode(
                        "PNM has no 64-bit floats (hint: tiff)".into(),
                    ));
                }
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        Ok(self.output.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::hostile::{flipped, pictures, round_trip, truncated, try_decode};
    use super::super::{Format, KeepMetadata, encode};
    use super::*;
    use crate::error::Error;
    use crate::image::Buffer;
    use crate::window::Band;

    const COLORS: [Color; 4] = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba];

    #[test]
    fn what_is_written_is_read_again() {
        for image in pictures(&COLORS, &[SampleType::U8, SampleType::U16]) {
            assert_eq!(round_trip(&image, &Format::of(FormatKind::Pnm)), image);
        }
        for image in pictures(&[Color::Gray, Color::Rgb], &[SampleType::F32]) {
            assert_eq!(round_trip(&image, &Format::of(FormatKind::Pnm)), image);
        }
    }

    #[test]
    fn all_codings_are_read() {
        let eight = |text: &str| try_decode(text.as_bytes()).unwrap().rows.data;
        assert_eq!(
            eight("P1\n# dots\n3 2\n1 0 1\n011"),
            Buffer::U8(vec![0, 255, 0, 255, 0, 0])
        );
        assert_eq!(eight("P2 2 1 15 0 15\n"), Buffer::U8(vec![0, 255]));
        assert_eq!(
            eight("P2 2 1 1000 500 1000"),
            Buffer::U16(vec![32768, 65535])
        );
        assert_eq!(eight("P3 1 1 255 1 2 #c\n 3"), Buffer::U8(vec![1, 2, 3]));
        let bits = try_decode(b"P4 10 1 \x80\x40").unwrap().rows.data;
        assert_eq!(
            bits,
            Buffer::U8(vec![0, 255, 255, 255, 255, 255, 255, 255, 255, 0])
        );
        assert!(try_decode(b"P2 2 1 15 0 16").is_err());
        assert!(try_decode(b"P5 0 1 255 ").is_err());
        assert!(matches!(
            try_decode(b"P5 65535 65535 255 "),
            Err(Error::Limit { .. })
        ));
    }

    #[test]
    fn rows_can_be_read_from_the_middle() {
        for image in pictures(&[Color::Rgb], &[SampleType::U8, SampleType::F32]) {
            let bytes = encode(&image, &Format::of(FormatKind::Pnm), KeepMetadata::All).unwrap();
            let mut source = open(
                Box::new(std::io::Cursor::new(bytes)),
                &Limits::default(),
                &OpenOptions::default(),
            )
            .unwrap();
            let last = image.shape().rows - 1;
            assert!(source.seek_row(last).unwrap());
            let mut row = Rows::zeroed(image.shape(), last..last + 1);
            source.read(&mut Band::of(&mut row)).unwrap();
            assert_eq!(row.data.bytes(), image.rows.bytes_of(last..last + 1));
        }
    }

    #[test]
    fn broken_files_are_errors() {
        for image in pictures(&COLORS, &[SampleType::U8, SampleType::F32]) {
            let bytes = encode(&image, &Format::of(FormatKind::Pnm), KeepMetadata::All).unwrap();
            truncated(&bytes, 0);
            flipped(&bytes, 200);
        }
        truncated(b"P3 2 1 255 1 2 3 4 5 6\n", 1);
        flipped(b"P2 4 2 255 1 2 3 4 5 6 7 8\n", 2000);
    }
}
