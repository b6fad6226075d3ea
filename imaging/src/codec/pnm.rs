//! PBM, PGM, PPM, PAM and PFM: read and written row by row.
//!
//! Samples whose largest value is neither 255 nor 65535 are scaled to that: `v * top / max`, rounded.

use super::limits::read_full;
use super::{FormatKind, Header, Limits, ReadSeek, RowSink, RowSource, WriteSeek};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, SampleType, Shape};
use crate::window::Band;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};

/// How samples lie in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coding {
    /// P1: digits 0 and 1, where 1 is black.
    TextBits,
    /// P2, P3.
    Text,
    /// P4: packed bits, where 1 is black.
    Bits,
    /// P5, P6, P7: one byte, or two with the high one first.
    Binary,
    /// PF, Pf: floats, the last row first.
    Float { big: bool },
}

#[derive(Clone, Copy, Debug)]
struct Head {
    shape: Shape,
    coding: Coding,
    max: u32,
    /// Where the samples begin.
    start: u64,
}

fn bad(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("not a sound PNM file: {what}"))
}

/// Reads header words, counting bytes.
struct Words<'r> {
    input: &'r mut dyn BufRead,
    at: u64,
}

/// Longest header or comment that is believed.
const MAX_HEADER: u64 = 64 << 10;

impl Words<'_> {
    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        read_full(self.input, &mut byte, "PNM")?;
        self.at += 1;
        match self.at > MAX_HEADER {
            true => Err(bad("the header does not end")),
            false => Ok(byte[0]),
        }
    }

    /// The next word, and the byte of white space that ended it. Comments run from `#` to the end of the line.
    fn word(&mut self) -> Result<(String, u8)> {
        let mut word = String::new();
        loop {
            match self.byte()? {
                b'#' => while self.byte()? != b'\n' {},
                c if c.is_ascii_whitespace() && word.is_empty() => {}
                c if c.is_ascii_whitespace() => return Ok((word, c)),
                c if c.is_ascii_graphic() && word.len() < 40 => word.push(c as char),
                _ => return Err(bad("a header word is no text")),
            }
        }
    }

    fn number(&mut self, what: &str) -> Result<u64> {
        let (word, _) = self.word()?;
        word.parse().map_err(|_| bad(format!("{what} is `{word}`")))
    }
}

fn head(input: &mut dyn BufRead, limits: &Limits) -> Result<Head> {
    let mut words = Words { input, at: 0 };
    let (magic, _) = words.word()?;
    if magic == "P7" {
        return pam(&mut words, limits);
    }
    let (coding, color) = match magic.as_str() {
        "P1" => (Coding::TextBits, Color::Gray),
        "P2" => (Coding::Text, Color::Gray),
        "P3" => (Coding::Text, Color::Rgb),
        "P4" => (Coding::Bits, Color::Gray),
        "P5" => (Coding::Binary, Color::Gray),
        "P6" => (Coding::Binary, Color::Rgb),
        "Pf" => (Coding::Float { big: false }, Color::Gray),
        "PF" => (Coding::Float { big: false }, Color::Rgb),
        _ => return Err(bad(format!("it begins with `{magic}`"))),
    };
    let cols = words.number("the width")?;
    let rows = words.number("the height")?;
    let (coding, max) = match coding {
        Coding::TextBits | Coding::Bits => (coding, 1),
        Coding::Float { .. } => {
            let (scale, _) = words.word()?;
            match scale.parse::<f32>() {
                Ok(v) if v.is_finite() && v != 0.0 => (Coding::Float { big: v > 0.0 }, 1),
                _ => return Err(bad(format!("the scale is `{scale}`"))),
            }
        }
        _ => (coding, largest(words.number("the largest value")?)?),
    };
    let sample = sample_of(coding, max);
    Ok(Head {
        shape: limits.shape(rows, cols, color, sample)?,
        coding,
        max,
        start: words.at,
    })
}

fn largest(value: u64) -> Result<u32> {
    match value {
        1..=65535 => Ok(value as u32),
        _ => Err(bad(format!(
            "the largest value is {value}, not in 1..=65535"
        ))),
    }
}

fn sample_of(coding: Coding, max: u32) -> SampleType {
    match coding {
        Coding::Float { .. } => SampleType::F32,
        _ if max > 255 => SampleType::U16,
        _ => SampleType::U8,
    }
}

fn pam(words: &mut Words<'_>, limits: &Limits) -> Result<Head> {
    let (mut cols, mut rows, mut depth, mut max) = (0, 0, 0, 0);
    loop {
        let (key, end) = words.word()?;
        match key.as_str() {
            "WIDTH" => cols = words.number("the width")?,
            "HEIGHT" => rows = words.number("the height")?,
            "DEPTH" => depth = words.number("the depth")?,
            "MAXVAL" => max = words.number("the largest value")?,
            // The depth says as much.
            "TUPLTYPE" => drop(words.word()?),
            "ENDHDR" if end == b'\n' => break,
            _ => return Err(bad(format!("`{key}` in its header"))),
        }
    }
    let color = match depth {
        1 => Color::Gray,
        2 => Color::GrayAlpha,
        3 => Color::Rgb,
        4 => Color::Rgba,
        _ => return Err(bad(format!("{depth} channels"))),
    };
    let max = largest(max)?;
    let sample = sample_of(Coding::Binary, max);
    Ok(Head {
        shape: limits.shape(rows, cols, color, sample)?,
        coding: Coding::Binary,
        max,
        start: words.at,
    })
}

impl Head {
    /// Bytes of one row in the file; none for text.
    fn row_bytes(&self) -> Option<u64> {
        match self.coding {
            Coding::TextBits | Coding::Text => None,
            Coding::Bits => Some(self.shape.cols.div_ceil(8) as u64),
            Coding::Binary | Coding::Float { .. } => Some(self.shape.row_bytes() as u64),
        }
    }
}

pub(super) fn probe(input: &mut dyn ReadSeek, limits: &Limits) -> Result<Header> {
    let head = head(&mut BufReader::new(input), limits)?;
    Ok(Header {
        kind: FormatKind::Pnm,
        shape: head.shape,
        bits: match head.coding {
            Coding::Bits | Coding::TextBits => 1,
            Coding::Float { .. } => 32,
            _ => (32 - head.max.leading_zeros()) as u8,
        },
        orientation: 1,
        has_icc: false,
        frames: 1,
        streams: true,
        seekable: head.row_bytes().is_some(),
        decoder_bytes: BUFFER + head.shape.row_bytes(),
    })
}

const BUFFER: usize = 64 << 10;

pub(super) fn open(input: Box<dyn ReadSeek>, limits: &Limits) -> Result<Box<dyn RowSource>> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let head = head(&mut input, limits)?;
    if let Some(row) = head.row_bytes() {
        // Known to be whole before the first row is handed out: each rank may read only its own.
        let end = input.seek(SeekFrom::End(0))?;
        let needed = row
            .saturating_mul(head.shape.rows as u64)
            .saturating_add(head.start);
        if end < needed {
            return Err(Error::Decode(format!(
                "truncated PNM: {end} of {needed} bytes are there"
            )));
        }
        input.seek(SeekFrom::Start(head.start))?;
    }
    let raw = vec![0; head.row_bytes().unwrap_or(0) as usize];
    let metadata = Metadata {
        orientation: 1,
        ..Metadata::default()
    };
    Ok(Box::new(Source {
        input,
        head,
        raw,
        metadata,
        next: 0,
    }))
}

struct Source {
    input: BufReader<Box<dyn ReadSeek>>,
    head: Head,
    raw: Vec<u8>,
    metadata: Metadata,
    next: usize,
}

impl Source {
    fn place(&mut self, row: usize) -> Result<()> {
        if let Some(bytes) = self.head.row_bytes() {
            let row = match self.head.coding {
                Coding::Float { .. } => self.head.shape.rows - 1 - row,
                _ => row,
            };
            self.input
                .seek(SeekFrom::Start(self.head.start + row as u64 * bytes))?;
        }
        Ok(())
    }

    /// The next number of a text file. Comments may stand between numbers.
    fn text(&mut self) -> Result<u32> {
        let (mut value, mut digits) = (0u32, 0);
        loop {
            let Some(&byte) = self.input.fill_buf()?.first() else {
                return match digits {
                    0 => Err(Error::Decode(
                        "truncated PNM: the file ends too early".into(),
                    )),
                    _ => Ok(value),
                };
            };
            match byte {
                b'0'..=b'9' if digits < 9 => {
                    value = value * 10 + u32::from(byte - b'0');
                    digits += 1;
                    self.input.consume(1);
                    if self.head.coding == Coding::TextBits {
                        return Ok(value);
                    }
                }
                b'#' if digits == 0 => {
                    self.input.skip_until(b'\n')?;
                }
                c if c.is_ascii_whitespace() => {
                    self.input.consume(1);
                    if digits > 0 {
                        return Ok(value);
                    }
                }
                _ => return Err(bad("a sample is no number")),
            }
        }
    }

    fn sample(&mut self) -> Result<u32> {
        let value = self.text()?;
        match value <= self.head.max {
            true => Ok(value),
            false => Err(bad(format!(
                "a sample is {value}, more than {}",
                self.head.max
            ))),
        }
    }

    fn row(&mut self, band: &mut Band<'_>, y: usize) -> Result<()> {
        let max = self.head.max;
        match self.head.coding {
            Coding::TextBits | Coding::Text => {
                let black_is_one = self.head.coding == Coding::TextBits;
                for x in 0..band.shape.row_len() {
                    let value = self.sample()?;
                    match band.shape.sample {
                        SampleType::U8 if black_is_one => {
                            band.row::<u8>(y)[x] = 255 * (1 - value as u8)
                        }
                        SampleType::U8 => band.row::<u8>(y)[x] = scale(value, max, 255) as u8,
                        _ => band.row::<u16>(y)[x] = scale(value, max, 65535) as u16,
                    }
                }
            }
            Coding::Bits => {
                read_full(&mut self.input, &mut self.raw, "PNM")?;
                for (x, out) in band.row::<u8>(y).iter_mut().enumerate() {
                    let bit = self.raw[x / 8] >> (7 - x % 8) & 1;
                    *out = 255 * (1 - bit);
                }
            }
            Coding::Binary if band.shape.sample == SampleType::U8 => {
                let row = band.row::<u8>(y);
                read_full(&mut self.input, row, "PNM")?;
                if max != 255 {
                    within(row.iter().map(|v| u32::from(*v)), max)?;
                    row.iter_mut()
                        .for_each(|v| *v = scale(u32::from(*v), max, 255) as u8);
                }
            }
            Coding::Binary => {
                let row = band.row::<u16>(y);
                read_full(&mut self.input, bytemuck::cast_slice_mut(row), "PNM")?;
                row.iter_mut().for_each(|v| *v = u16::from_be(*v));
                if max != 65535 {
                    within(row.iter().map(|v| u32::from(*v)), max)?;
                    row.iter_mut()
                        .for_each(|v| *v = scale(u32::from(*v), max, 65535) as u16);
                }
            }
            Coding::Float { big } => {
                self.place(y)?;
                let row = band.row::<f32>(y);
                read_full(&mut self.input, bytemuck::cast_slice_mut(row), "PNM")?;
                for v in row {
                    let bits = v.to_bits();
                    *v = f32::from_bits(if big {
                        u32::from_be(bits)
                    } else {
                        u32::from_le(bits)
                    });
                }
            }
        }
        Ok(())
    }
}

fn within(mut values: impl Iterator<Item = u32>, max: u32) -> Result<()> {
    match values.find(|v| *v > max) {
        Some(v) => Err(bad(format!("a sample is {v}, more than {max}"))),
        None => Ok(()),
    }
}

fn scale(value: u32, max: u32, top: u32) -> u32 {
    (value * top + max / 2) / max
}

impl RowSource for Source {
    fn shape(&self) -> Shape {
        self.head.shape
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        for y in band.range() {
            self.row(band, y)?;
        }
        self.next = band.range().end;
        Ok(())
    }

    fn seek_row(&mut self, row: usize) -> Result<bool> {
        if self.head.row_bytes().is_none() || row >= self.head.shape.rows {
            return Ok(row == self.next);
        }
        self.place(row)?;
        self.next = row;
        Ok(true)
    }
}

pub(super) fn create(output: Box<dyn WriteSeek>, shape: Shape) -> Result<Box<dyn RowSink>> {
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
    use crate::image::Buffer;

    const COLORS: [Color; 4] = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba];

    #[test]
    fn what_is_written_is_read_again() {
        for image in pictures(&COLORS, &[SampleType::U8, SampleType::U16]) {
            assert_eq!(round_trip(&image, &Format::Pnm), image);
        }
        for image in pictures(&[Color::Gray, Color::Rgb], &[SampleType::F32]) {
            assert_eq!(round_trip(&image, &Format::Pnm), image);
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
            Err(Error::Limit(_))
        ));
    }

    #[test]
    fn rows_can_be_read_from_the_middle() {
        for image in pictures(&[Color::Rgb], &[SampleType::U8, SampleType::F32]) {
            let bytes = encode(&image, &Format::Pnm, KeepMetadata::All).unwrap();
            let mut source =
                open(Box::new(std::io::Cursor::new(bytes)), &Limits::default()).unwrap();
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
            let bytes = encode(&image, &Format::Pnm, KeepMetadata::All).unwrap();
            truncated(&bytes, 0);
            flipped(&bytes, 200);
        }
        truncated(b"P3 2 1 255 1 2 3 4 5 6\n", 1);
        flipped(b"P2 4 2 255 1 2 3 4 5 6 7 8\n", 2000);
    }
}
