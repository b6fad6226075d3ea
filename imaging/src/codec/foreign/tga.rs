//! Targa: gray, RGB and RGBA of 8 bits; read with palettes and run lengths too. Such files begin with no mark: they are told by a header in which all is possible.

use super::{Input, create, memory, sides};
use crate::codec::limits::read_full;
use crate::codec::mend::Mended;
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::codec::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSource};
use crate::error::Result;
use crate::image::{Color, SampleType, Shape};
use ::image::{ImageDecoder, ImageResult};
use std::io::{Read, Seek, SeekFrom};

/// TGA.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "tga",
    title: "TGA",
    extensions: &["tga", "tpic", "icb", "vda", "vst"],
    media_type: "image/x-tga",
    detect: looks_like,
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "8 bits: gray, palette, RGB, RGBA",
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
        create: |target| {
            Ok(create(FormatKind::Tga, target, |output, samples, shape| {
                let (cols, rows) = sides(shape);
                // Run lengths would cross rows, which many readers refuse.
                let encoder = ::image::codecs::tga::TgaEncoder::new(output).disable_rle();
                encoder.encode(samples, cols, rows, super::color_type(shape))
            }))
        },
        memory: |_, shape| memory(shape),
    }),
};

fn begin(input: Input<'_>) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    Ok(Box::new(::image::codecs::tga::TgaDecoder::new(input)?))
}

/// The same file with numbers of alpha's bits that the decoder takes: those that a pixel of its depth can have.
fn mended<R: Read + Seek>(mut input: R) -> Result<Mended<R>> {
    let mut head = [0; 18];
    input.seek(SeekFrom::Start(0))?;
    read_full(&mut input, &mut head, "TGA")?;
    let (kind, flags) = (head[2], head[17]);
    let bits = if matches!(kind, 1 | 9) {
        head[7]
    } else {
        head[16]
    };
    let gray = matches!(kind, 3 | 11);
    let alpha = match (bits, flags & 15) {
        (32, 0) => 0,
        (32, _) => 8,
        (16, _) if gray => 8,
        (16, 1) => 1,
        (8, 8) if gray => 8,
        _ => 0,
    };
    let mut file = Mended::new(input)?;
    file.replace(17, vec![flags & 0xF0 | alpha]);
    Ok(file)
}

/// Whether the end of the file says that what looks like alpha has no meaning.
fn without_alpha(input: &mut dyn ReadSeek) -> Result<bool> {
    const FOOTER: u64 = 26;
    const KIND: u64 = 494;
    let len = input.seek(SeekFrom::End(0))?;
    let mut footer = [0; FOOTER as usize];
    if len < FOOTER {
        return Ok(false);
    }
    input.seek(SeekFrom::Start(len - FOOTER))?;
    read_full(input, &mut footer, "TGA")?;
    let at = u32::from_le_bytes([footer[0], footer[1], footer[2], footer[3]]);
    let at = u64::from(at);
    if !footer[8..].starts_with(b"TRUEVISION-XFILE.") || at == 0 || at + KIND >= len {
        return Ok(false);
    }
    let mut kind = [0];
    input.seek(SeekFrom::Start(at + KIND))?;
    read_full(input, &mut kind, "TGA")?;
    Ok(kind == [0])
}

/// What is left of a shape whose alpha has no meaning.
fn opaque(shape: Shape) -> Option<Shape> {
    let color = match shape.color {
        Color::Rgba => Color::Rgb,
        Color::GrayAlpha => Color::Gray,
        _ => return None,
    };
    Some(Shape { color, ..shape })
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    let solid = without_alpha(input)?;
    let header = super::probe(FormatKind::Tga, begin, &mut mended(input)?, limits)?;
    let shape = opaque(header.shape).filter(|_| solid);
    Ok(Header {
        shape: shape.unwrap_or(header.shape),
        ..header
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let solid = without_alpha(&mut *input)?;
    let source = super::whole(FormatKind::Tga, begin, &mut mended(input)?, limits)?;
    let channels = source.shape().channels();
    Ok(Box::new(match opaque(source.shape()).filter(|_| solid) {
        None => source,
        Some(shape) => source.replaced(shape, |samples| {
            let pixels = samples.chunks_exact(channels);
            pixels
                .flat_map(|pixel| &pixel[..channels - 1])
                .copied()
                .collect()
        }),
    }))
}

/// Whether all fields of the header are ones that a writer sets.
fn looks_like(start: &[u8]) -> bool {
    let Some(head) = start.get(..18) else {
        return false;
    };
    let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let (palette, kind, depth, flags) = (head[1], head[2], head[16], head[17]);
    let palette_fits = match palette {
        0 => short(5) == 0 && head[7] == 0 && !matches!(kind, 1 | 9),
        1 => short(5) > 0 && matches!(head[7], 15 | 16 | 24 | 32) && matches!(kind, 1 | 9),
        _ => false,
    };
    let depth_fits = match kind {
        1 | 3 | 9 | 11 => depth == 8 || matches!(kind, 3 | 11) && depth == 16,
        2 | 10 => matches!(depth, 15 | 16 | 24 | 32),
        _ => false,
    };
    // Two bits of the flags are always zero; what follows the sizes is no text.
    palette_fits && depth_fits && flags & 0xC0 == 0 && short(12) > 0 && short(14) > 0
}
