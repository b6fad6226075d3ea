//! Windows icons: the largest picture of the file; written with one of up to 256 pixels each way.

use super::{Input, create, memory, sides};
use crate::codec::limits::read_full;
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::codec::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSource};
use crate::error::{Error, Result};
use crate::image::{Color, SampleType};
use ::image::{ImageDecoder, ImageResult};
use std::io::{Cursor, SeekFrom};

/// ICO.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "ico",
    title: "ICO",
    extensions: &["ico"],
    media_type: "image/vnd.microsoft.icon",
    detect: |start| {
        start.starts_with(&[0, 0, 1, 0]) && start.get(4..6).is_some_and(|n| n != [0, 0])
    },
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "8 bits: RGBA; whatever a PNG holds",
        coding: "BMP, PNG",
        pictures: "the largest",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[(Color::Rgba, &[SampleType::U8])],
        bands: &[],
        pages: None,
        keeps: Keeps::NOTHING,
        stored: false,
        exact: true,
        create: |target| {
            Ok(create(FormatKind::Ico, target, |output, samples, shape| {
                let (cols, rows) = sides(shape);
                use ::image::ImageEncoder as _;
                let encoder = ::image::codecs::ico::IcoEncoder::new(output);
                encoder.write_image(samples, cols, rows, super::color_type(shape))
            }))
        },
        memory: |_, shape| memory(shape),
    }),
};

const HEADER: usize = 6;
const ENTRY: usize = 16;

/// The largest picture, of several sizes alike the one with most bits a pixel: itself, and its entry in the list.
fn largest(input: &mut dyn ReadSeek, limits: &Limits) -> Result<(Vec<u8>, [u8; ENTRY])> {
    let len = limits.file(input)?;
    let mut head = [0; HEADER];
    read_full(input, &mut head, "ICO")?;
    let count = usize::from(u16::from_le_bytes([head[4], head[5]]));
    let mut list = vec![0; count * ENTRY];
    read_full(input, &mut list, "ICO")?;
    let side = |byte: u8| if byte == 0 { 256 } else { u32::from(byte) };
    let worth = |entry: &[u8; ENTRY]| {
        let bits = u16::from_le_bytes([entry[6], entry[7]]);
        (side(entry[0]) * side(entry[1]), bits)
    };
    let mut best: Option<[u8; ENTRY]> = None;
    for entry in list.as_chunks::<ENTRY>().0 {
        if best.is_none_or(|best| worth(entry) > worth(&best)) {
            best = Some(*entry);
        }
    }
    let entry = best.ok_or_else(|| Error::Decode("not a sound ICO: it holds no picture".into()))?;
    let number =
        |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
    let (bytes, at) = (u64::from(number(8)), u64::from(number(12)));
    if at.saturating_add(bytes) > len {
        return Err(Error::Decode(
            "truncated ICO: the file ends too early".into(),
        ));
    }
    let mut picture = vec![0; bytes as usize];
    input.seek(SeekFrom::Start(at))?;
    read_full(input, &mut picture, "ICO")?;
    Ok((picture, entry))
}

/// What decodes the largest picture, and a file of it alone: a PNG, or an icon of one picture.
fn alone(input: &mut dyn ReadSeek, limits: &Limits) -> Result<(FormatKind, Vec<u8>)> {
    let (picture, mut entry) = largest(input, limits)?;
    if FormatKind::detect(&picture) == Some(FormatKind::Png) {
        return Ok((FormatKind::Png, picture));
    }
    entry[12..].copy_from_slice(&((HEADER + ENTRY) as u32).to_le_bytes());
    let mut file = vec![0, 0, 1, 0, 1, 0];
    file.extend(entry);
    file.extend(picture);
    Ok((FormatKind::Ico, file))
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, page: u32) -> Result<Header> {
    let (kind, file) = alone(input, limits)?;
    let len = file.len();
    let mut input = Cursor::new(file);
    let header = match kind {
        FormatKind::Png => (kind.codec().probe)(&mut input, limits, page)?,
        _ => super::probe(kind, begin, &mut input, limits)?,
    };
    Ok(Header {
        kind: FormatKind::Ico,
        pages: 1,
        page_kind: Default::default(),
        decoder_bytes: header.decoder_bytes + len,
        ..header
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let (kind, file) = alone(&mut *input, limits)?;
    let input = Box::new(Cursor::new(file));
    match kind {
        FormatKind::Png => (kind.codec().open)(input, limits, options),
        _ => super::open(kind, begin, input, limits),
    }
}

fn begin(input: Input<'_>) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    Ok(Box::new(::image::codecs::ico::IcoDecoder::new(input)?))
}
