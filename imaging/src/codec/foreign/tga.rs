//! Targa: gray, RGB and RGBA of 8 bits; read with palettes and run lengths too. Such files begin with no mark: they are told by a header in which all is possible.

use super::{Input, create, memory, read_by, sides};
use crate::codec::FormatKind;
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::image::{Color, SampleType};
use ::image::{ImageDecoder, ImageResult};

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
read_by!(Tga, begin);

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
