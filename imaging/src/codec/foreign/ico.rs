//! Windows icons and cursors: the largest picture of the file; icons are written with one of up to 256 pixels each way.

use super::{create, memory, sides};
use crate::codec::bmp;
use crate::codec::limits::read_full;
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::codec::whole::Whole;
use crate::codec::{FormatKind, Header, Limits, OpenOptions, PageKind, ReadSeek, RowSource};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, SampleType};
use std::io::{Cursor, SeekFrom};

/// ICO.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "ico",
    title: "ICO",
    extensions: &["ico", "cur"],
    media_type: "image/vnd.microsoft.icon",
    detect: |start| {
        let kind = start.starts_with(&[0, 0, 1, 0]) || start.starts_with(&CURSOR);
        kind && start.get(4..6).is_some_and(|n| n != [0, 0])
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

const CURSOR: [u8; 4] = [0, 0, 2, 0];
const HEADER: usize = 6;
const ENTRY: usize = 16;

/// The largest picture, of several sizes alike the one with most bits a pixel.
fn largest(input: &mut dyn ReadSeek, limits: &Limits) -> Result<Vec<u8>> {
    let len = limits.file(input)?;
    let mut head = [0; HEADER];
    read_full(input, &mut head, "ICO")?;
    let count = usize::from(u16::from_le_bytes([head[4], head[5]]));
    let mut list = vec![0; count * ENTRY];
    read_full(input, &mut list, "ICO")?;
    let side = |byte: u8| if byte == 0 { 256 } else { u32::from(byte) };
    let worth = |entry: &[u8; ENTRY]| {
        // A cursor has the place of its tip there.
        let bits = match head.starts_with(&CURSOR) {
            true => 0,
            false => u16::from_le_bytes([entry[6], entry[7]]),
        };
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
    Ok(picture)
}

fn is_png(picture: &[u8]) -> bool {
    FormatKind::detect(picture) == Some(FormatKind::Png)
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, page: u32) -> Result<Header> {
    let picture = largest(input, limits)?;
    let len = picture.len();
    if is_png(&picture) {
        let png = FormatKind::Png.codec();
        let header = (png.probe)(&mut Cursor::new(picture), limits, page)?;
        return Ok(Header {
            kind: FormatKind::Ico,
            pages: 1,
            page_kind: PageKind::Pages,
            still: false,
            decoder_bytes: header.decoder_bytes + len,
            ..header
        });
    }
    let (shape, _) = bmp::icon(&picture, limits, false)?;
    Ok(Header {
        kind: FormatKind::Ico,
        shape,
        bits: 8,
        orientation: 1,
        has_icc: false,
        pages: 1,
        page_kind: PageKind::Pages,
        still: false,
        stored: None,
        lossless: true,
        streams: false,
        seekable: true,
        decoder_bytes: 2 * shape.bytes() + 2 * len + super::SOME,
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let picture = largest(&mut *input, limits)?;
    if is_png(&picture) {
        return (FormatKind::Png.codec().open)(Box::new(Cursor::new(picture)), limits, options);
    }
    let (shape, samples) = bmp::icon(&picture, limits, true)?;
    let metadata = Metadata {
        orientation: 1,
        ..Metadata::default()
    };
    Ok(Box::new(Whole::new(shape, metadata, samples)))
}
