//! NumPy arrays as images: height x width, or height x width x channels; bool, 8- to 64-bit integers and floats.
//!
//! One channel is gray, two are gray with alpha, three RGB, four RGBA, more are bands. Source: NumPy enhancement
//! proposal 1 and `numpy.lib.format`.

use super::limits::read_full;
use super::raw::{Raw, header};
use super::table::{Codec, Keeps, Output, Reads, Target, Writer};
use super::whole::Whole;
use super::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSink, RowSource, WriteSeek};
use crate::error::{Error, Result};
use crate::image::{BufferMut, Color, Metadata, Rows, SampleType, Shape, Stored};
use crate::window::Band;
use std::io::{BufWriter, SeekFrom, Write};

const MAGIC: &[u8] = b"\x93NUMPY";
const SAMPLES: &[SampleType] = &[
    SampleType::U8,
    SampleType::U16,
    SampleType::F32,
    SampleType::F64,
];
const KNOWN: [(Raw, &str); 12] = [
    (Raw::Bool, "b1"),
    (Raw::U8, "u1"),
    (Raw::I8, "i1"),
    (Raw::U16, "u2"),
    (Raw::I16, "i2"),
    (Raw::U32, "u4"),
    (Raw::I32, "i4"),
    (Raw::U64, "u8"),
    (Raw::I64, "i8"),
    (Raw::F16, "f2"),
    (Raw::F32, "f4"),
    (Raw::F64, "f8"),
];

/// NumPy arrays.
pub(super) static CODEC: Codec = Codec {
    name: "npy",
    title: "NumPy array",
    extensions: &["npy"],
    media_type: "application/x-npy",
    detect: |start| start.starts_with(MAGIC),
    probe,
    open,
    streams: true,
    reads: Reads {
        samples: "bool, integers of 8 to 64 bits, floats of 16 to 64 bits; height x width, or with channels",
        coding: "none; rows or columns first",
        pictures: "one",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[
            (Color::Gray, SAMPLES),
            (Color::GrayAlpha, SAMPLES),
            (Color::Rgb, SAMPLES),
            (Color::Rgba, SAMPLES),
        ],
        bands: SAMPLES,
        pages: None,
        keeps: Keeps::NOTHING,
        stored: true,
        exact: true,
        create,
        memory: |_, shape| 2 * shape.row_bytes(),
    }),
};

fn bad(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("not a NumPy array that is an image: {what}"))
}

struct Head {
    shape: Shape,
    raw: Raw,
    big: bool,
    /// Whether the first index runs fastest.
    fortran: bool,
    start: u64,
}

/// What stands behind a key of the header's dictionary.
fn after<'t>(text: &'t str, key: &str) -> Result<&'t str> {
    let at = text.find(&format!("'{key}':"));
    let at = at.ok_or_else(|| bad(format!("its header has no {key}")))?;
    Ok(text[at + key.len() + 3..].trim_start())
}

fn head(input: &mut dyn ReadSeek, limits: &Limits) -> Result<Head> {
    let end = input.seek(SeekFrom::End(0))?;
    input.seek(SeekFrom::Start(0))?;
    let mut start = [0; 8];
    read_full(input, &mut start, "NumPy array")?;
    let (len, before) = match start[6] {
        1 => {
            let mut len = [0; 2];
            read_full(input, &mut len, "NumPy array")?;
            (usize::from(u16::from_le_bytes(len)), 10)
        }
        2 | 3 => {
            let mut len = [0; 4];
            read_full(input, &mut len, "NumPy array")?;
            (u32::from_le_bytes(len) as usize, 12)
        }
        other => return Err(bad(format!("version {other} of the format"))),
    };
    limits.metadata(len)?;
    let mut text = vec![0; len];
    read_full(input, &mut text, "NumPy array")?;
    let text = String::from_utf8_lossy(&text);
    let descr = after(&text, "descr")?;
    let descr = descr.strip_prefix('\'').and_then(|d| d.split('\'').next());
    let descr = descr.ok_or_else(|| bad("its samples are records"))?;
    let (order, name) = descr.split_at_checked(1).unwrap_or(("", ""));
    let known = KNOWN.iter().find(|(_, known)| *known == name);
    let known = known.filter(|_| matches!(order, "<" | ">" | "|" | "="));
    let Some((raw, _)) = known else {
        return Err(bad(format!("samples of type {descr}")));
    };
    let fortran = after(&text, "fortran_order")?.starts_with("True");
    let sides = after(&text, "shape")?;
    let sides = sides.strip_prefix('(').and_then(|s| s.split(')').next());
    let sides: Option<Vec<u64>> = sides.and_then(|sides| {
        let sides = sides.split(',').map(|s| s.trim().trim_end_matches('L'));
        let sides = sides.filter(|s| !s.is_empty());
        sides.map(|s| s.parse().ok()).collect()
    });
    let (rows, cols, channels) = match sides.as_deref() {
        Some([rows, cols]) => (*rows, *cols, 1),
        Some([rows, cols, channels]) => (*rows, *cols, *channels),
        Some(other) => {
            return Err(bad(format!(
                "{} dimensions (an image has height, width and perhaps channels)",
                other.len()
            )));
        }
        None => return Err(bad("its shape")),
    };
    let color = match channels {
        1 => Color::Gray,
        2 => Color::GrayAlpha,
        3 => Color::Rgb,
        4 => Color::Rgba,
        n => match u16::try_from(n) {
            Ok(n @ 1..) => Color::Bands(n),
            _ => return Err(bad(format!("{n} channels"))),
        },
    };
    let shape = limits.shape(rows, cols, color, raw.sample())?;
    let start = before + len as u64;
    let needed = start + (shape.rows * shape.row_len() * raw.bytes()) as u64;
    if end < needed {
        return Err(Error::Decode(format!(
            "truncated NumPy array: {end} of {needed} bytes are there"
        )));
    }
    Ok(Head {
        shape,
        raw: *raw,
        big: order == ">" || order == "=" && cfg!(target_endian = "big"),
        fortran,
        start,
    })
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    let head = head(input, limits)?;
    let mut header = header(FormatKind::Npy, head.shape, head.raw, 1);
    if head.fortran {
        header.streams = false;
        header.decoder_bytes += head.shape.bytes()
            + head
                .shape
                .bytes()
                .max(head.shape.rows * head.shape.row_len() * head.raw.bytes());
    }
    Ok(header)
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let head = head(&mut *input, limits)?;
    let metadata = Metadata {
        orientation: 1,
        stored: head.raw.stored(),
        ..Metadata::default()
    };
    if head.fortran {
        let samples = turned(&mut *input, &head)?;
        return Ok(Box::new(Whole::new(head.shape, metadata, samples)));
    }
    Ok(Box::new(Source {
        input,
        head,
        metadata,
        bytes: Vec::new(),
    }))
}

/// All samples of an array whose first index runs fastest, in the order of rows.
fn turned(input: &mut dyn ReadSeek, head: &Head) -> Result<Vec<u8>> {
    use ndarray::{ArrayView3, ShapeBuilder as _};
    let shape = head.shape;
    let (rows, cols, channels) = (shape.rows, shape.cols, shape.channels());
    let mut bytes = vec![0; rows * shape.row_len() * head.raw.bytes()];
    input.seek(SeekFrom::Start(head.start))?;
    read_full(input, &mut bytes, "NumPy array")?;
    let out = crate::by_any_sample!(shape.sample, T => {
        let mut samples = vec![T::default(); rows * shape.row_len()];
        head.raw.read::<T>(&bytes, head.big, |v| v, &mut samples, 1);
        let given = ArrayView3::from_shape((rows, cols, channels).f(), &samples);
        let given = given.map_err(bad)?;
        let ordered: Vec<T> = given.iter().copied().collect();
        bytemuck::cast_slice::<T, u8>(&ordered).to_vec()
    });
    Ok(out)
}

struct Source {
    input: Box<dyn ReadSeek>,
    head: Head,
    metadata: Metadata,
    bytes: Vec<u8>,
}

impl RowSource for Source {
    fn shape(&self) -> Shape {
        self.head.shape
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        let Head { raw, big, .. } = self.head;
        let row = self.head.shape.row_len() * raw.bytes();
        let at = self.head.start + (band.first * row) as u64;
        self.input.seek(SeekFrom::Start(at))?;
        self.bytes.resize(band.count * row, 0);
        read_full(&mut *self.input, &mut self.bytes, "NumPy array")?;
        spread(raw, &self.bytes, big, &mut band.data);
        Ok(())
    }

    fn seek_row(&mut self, _row: usize) -> Result<bool> {
        // Each read names its rows.
        Ok(true)
    }
}

fn spread(raw: Raw, bytes: &[u8], big: bool, out: &mut BufferMut<'_>) {
    match out {
        BufferMut::U8(out) => raw.read(bytes, big, |v| v, out, 1),
        BufferMut::U16(out) => raw.read(bytes, big, |v| v, out, 1),
        BufferMut::F32(out) => raw.read(bytes, big, |v| v, out, 1),
        BufferMut::F64(out) => raw.read(bytes, big, |v| v, out, 1),
    }
}

fn create(target: Target<'_>) -> Result<Box<dyn RowSink>> {
    let Target {
        output,
        shape,
        metadata,
        ..
    } = target;
    let known = KNOWN.map(|(raw, _)| raw);
    // Bits were spread over a byte; they stay so.
    let stored = metadata
        .stored
        .filter(|stored| *stored != Stored::Unsigned(1));
    let raw = Raw::written(shape.sample, stored, &known);
    let name = KNOWN
        .iter()
        .find(|(known, _)| *known == raw)
        .map_or("", |(_, n)| n);
    let order = if raw.bytes() == 1 { "|" } else { "<" };
    let (rows, cols) = (shape.rows, shape.cols);
    let sides = match shape.channels() {
        1 => format!("({rows}, {cols})"),
        n => format!("({rows}, {cols}, {n})"),
    };
    let text = format!("{{'descr': '{order}{name}', 'fortran_order': False, 'shape': {sides}, }}");
    // Data begin at a multiple of 64.
    let len = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut output = BufWriter::new(output);
    output.write_all(MAGIC)?;
    output.write_all(&[1, 0])?;
    output.write_all(&(len as u16).to_le_bytes())?;
    output.write_all(format!("{text:<width$}\n", width = len - 1).as_bytes())?;
    Ok(Box::new(Sink {
        output,
        raw,
        bytes: Vec::new(),
    }))
}

struct Sink {
    output: BufWriter<Box<dyn WriteSeek>>,
    raw: Raw,
    bytes: Vec<u8>,
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        for y in rows.range() {
            self.bytes.clear();
            crate::by_any_sample!(rows.shape.sample, T => {
                self.raw.write(rows.row::<T>(y).iter(), false, &mut self.bytes);
            });
            self.output.write_all(&self.bytes)?;
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
    use crate::codec::hostile::{flipped, pictures, round_trip, truncated, try_decode};
    use crate::codec::{Format, KeepMetadata, encode};
    use crate::image::{Buffer, Image};

    /// An array as NumPy writes it.
    fn array(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let text =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut file = MAGIC.to_vec();
        file.extend([1, 0]);
        file.extend((text.len() as u16).to_le_bytes());
        file.extend(text.as_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn what_is_written_is_read_again() {
        let colors = [
            Color::Gray,
            Color::GrayAlpha,
            Color::Rgb,
            Color::Rgba,
            Color::Bands(7),
        ];
        for image in pictures(&colors, SAMPLES) {
            let again = round_trip(&image, &Format::of(FormatKind::Npy));
            assert_eq!(again, image);
        }
    }

    #[test]
    fn every_type_has_its_values() {
        let cases: [(&str, &[u8], Buffer); 10] = [
            ("|b1", &[0, 1], Buffer::U8(vec![0, 255])),
            ("|u1", &[7, 200], Buffer::U8(vec![7, 200])),
            ("|i1", &[7, 0xFF], Buffer::F32(vec![7.0, -1.0])),
            (">u2", &[1, 2, 0xFF, 0xFF], Buffer::U16(vec![258, 65535])),
            ("<i2", &[0x18, 0xFC, 1, 0], Buffer::F32(vec![-1000.0, 1.0])),
            (
                "<u4",
                &[0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0],
                Buffer::F64(vec![4294967295.0, 1.0]),
            ),
            (
                ">i4",
                &[0xFF, 0xFF, 0xFF, 0xFE, 0, 0, 0, 9],
                Buffer::F64(vec![-2.0, 9.0]),
            ),
            ("<f2", &[0, 0x3E, 0, 0xC0], Buffer::F32(vec![1.5, -2.0])),
            (
                ">f4",
                &[0x3F, 0xC0, 0, 0, 0xC1, 0x20, 0, 0],
                Buffer::F32(vec![1.5, -10.0]),
            ),
            (
                "<f8",
                &[0, 0, 0, 0, 0, 0, 0xF8, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0xC0],
                Buffer::F64(vec![1.5, -2.0]),
            ),
        ];
        for (descr, data, expected) in cases {
            let file = array(descr, false, "(1, 2)", data);
            let image = try_decode(&file).unwrap();
            assert_eq!(image.rows.data, expected, "{descr}");
            // It is written in its own type again.
            let bytes = encode(&image, &Format::of(FormatKind::Npy), KeepMetadata::All).unwrap();
            let again = try_decode(&bytes).unwrap();
            assert_eq!(again.rows, image.rows);
            if !matches!(descr, "|b1") {
                let name = &descr.as_bytes()[1..];
                assert!(bytes.windows(2).any(|w| w == name), "{descr}");
            }
        }
    }

    #[test]
    fn arrays_in_fortran_order_are_turned() {
        // Two rows of three pixels of two channels: values row, column, channel.
        let mut data = Vec::new();
        for c in 0..2u8 {
            for x in 0..3u8 {
                for y in 0..2u8 {
                    data.push(100 * y + 10 * x + c);
                }
            }
        }
        let image = try_decode(&array("|u1", true, "(2, 3, 2)", &data)).unwrap();
        let expected = vec![0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121];
        assert_eq!(image.rows.data, Buffer::U8(expected));
        assert_eq!(image.shape().color, Color::GrayAlpha);
    }

    #[test]
    fn what_is_no_image_is_refused_by_its_reason() {
        let refused = |descr, shape, data: &[u8]| {
            let file = array(descr, false, shape, data);
            try_decode(&file).unwrap_err().to_string()
        };
        assert!(refused("|u1", "(4,)", &[0; 4]).contains("1 dimensions"));
        assert!(refused("<c8", "(1, 1)", &[0; 8]).contains("type <c8"));
        assert!(refused("|u1", "(2, 3)", &[0; 5]).contains("truncated"));
        assert!(refused("|u1", "(0, 3)", &[]).contains("no pixels"));
        assert!(refused("|u1", "(9999999, 9999999)", &[]).contains("max-pixels"));
    }

    #[test]
    fn broken_files_are_errors() {
        let image = Image::new(
            Shape::new(3, 5, Color::Rgb, SampleType::U16),
            Buffer::U16((0..45).collect()),
        );
        let bytes = encode(&image, &Format::of(FormatKind::Npy), KeepMetadata::All).unwrap();
        truncated(&bytes, 0);
        flipped(&bytes, 2000);
        flipped(&array("<f4", true, "(3, 2)", &[0; 24]), 1000);
    }
}
