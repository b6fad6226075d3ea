//! DDS textures: DXT1, DXT3 and DXT5 by the crate, and what is not packed; read only.

use super::Input;
use crate::codec::limits::read_full;
use crate::codec::table::{Codec, Output, Reads};
use crate::codec::whole::Whole;
use crate::codec::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSource};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use ::image::{ImageDecoder, ImageResult};
use std::io::{BufReader, SeekFrom};

/// DDS.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "dds",
    title: "DDS",
    extensions: &["dds"],
    media_type: "image/vnd-ms.dds",
    detect: |start| start.starts_with(b"DDS "),
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "8 bits: gray, RGB, with alpha; any masks",
        coding: "none, DXT1, DXT3, DXT5",
        pictures: "one",
    },
    needs: None,
    shrinks: false,
    output: Output::As(FormatKind::Png),
};

fn begin(input: Input<'_>) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    Ok(Box::new(::image::codecs::dds::DdsDecoder::new(input)?))
}

// Of DDS_PIXELFORMAT.
const ALPHA: u32 = 1;
const FOUR_CC: u32 = 4;
const RGB: u32 = 0x40;
const LUMINANCE: u32 = 0x2_0000;
const HEADER: u64 = 128;

/// A texture that is not packed.
struct Plain {
    shape: Shape,
    /// Bytes of one pixel.
    pixel: usize,
    /// Which bits of a pixel make which channel.
    masks: Vec<u32>,
}

/// None for a packed texture.
fn plain(input: &mut dyn ReadSeek, limits: &Limits) -> Result<Option<Plain>> {
    let len = limits.file(input)?;
    let mut head = [0; HEADER as usize];
    read_full(input, &mut head, "DDS")?;
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (flags, bits) = (number(80), number(88));
    if flags & FOUR_CC != 0 {
        return Ok(None);
    }
    let sound = matches!(bits, 8 | 16 | 24 | 32) && flags & (RGB | LUMINANCE) != 0;
    let alpha = flags & ALPHA != 0;
    let mut masks = match flags & RGB != 0 {
        true => vec![number(92), number(96), number(100)],
        false => vec![number(92)],
    };
    let color = match (masks.len(), alpha) {
        (1, false) => Color::Gray,
        (1, true) => Color::GrayAlpha,
        (_, false) => Color::Rgb,
        (_, true) => Color::Rgba,
    };
    if alpha {
        masks.push(number(104));
    }
    // Some writers leave masks of brightness that lie beyond the pixel: brightness comes first, then alpha.
    for (at, mask) in masks.iter_mut().enumerate() {
        if flags & RGB == 0 && u64::from(*mask) & ((1 << bits) - 1) == 0 {
            *mask = 0xFF << (8 * at);
        }
    }
    if !sound || masks.contains(&0) {
        return Err(Error::Decode(format!(
            "DDS textures of {bits} bits a pixel of this kind are not read"
        )));
    }
    let shape = limits.shape(number(12).into(), number(16).into(), color, SampleType::U8)?;
    let pixel = bits as usize / 8;
    if len - HEADER.min(len) < (shape.pixels() * pixel) as u64 {
        return Err(Error::Decode(
            "truncated DDS: the file ends too early".into(),
        ));
    }
    Ok(Some(Plain {
        shape,
        pixel,
        masks,
    }))
}

/// The bits under the mask, scaled to 0..=255.
fn channel(pixel: u32, mask: u32) -> u8 {
    let (shift, most) = (mask.trailing_zeros(), mask >> mask.trailing_zeros());
    let value = u64::from((pixel & mask) >> shift);
    ((value * 255 + u64::from(most) / 2) / u64::from(most)) as u8
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    let Some(plain) = plain(input, limits)? else {
        input.seek(SeekFrom::Start(0))?;
        return super::probe(FormatKind::Dds, begin, input, limits);
    };
    Ok(Header {
        kind: FormatKind::Dds,
        shape: plain.shape,
        bits: 8,
        orientation: 1,
        has_icc: false,
        pages: 1,
        page_kind: Default::default(),
        stored: None,
        lossless: true,
        streams: false,
        seekable: true,
        decoder_bytes: plain.shape.bytes() + super::SOME,
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let Some(plain) = plain(&mut *input, limits)? else {
        return super::open(FormatKind::Dds, begin, input, limits);
    };
    let mut input = BufReader::new(input);
    let mut samples = Vec::with_capacity(plain.shape.bytes());
    let mut line = vec![0; plain.shape.cols * plain.pixel];
    for _ in 0..plain.shape.rows {
        read_full(&mut input, &mut line, "DDS")?;
        for bytes in line.chunks_exact(plain.pixel) {
            let pixel = bytes
                .iter()
                .rev()
                .fold(0, |all, &b| all << 8 | u32::from(b));
            samples.extend(plain.masks.iter().map(|&mask| channel(pixel, mask)));
        }
    }
    let metadata = Metadata {
        orientation: 1,
        ..Metadata::default()
    };
    Ok(Box::new(Whole::new(plain.shape, metadata, samples)))
}
