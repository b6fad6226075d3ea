//! PNG by rows: strict about checksums and the end of the file, quick to write.

mod animation;
mod chunks;
mod filter;
mod lenient;
mod read;
mod side;
mod write;

use super::PageKind;
use super::format::{Choice, Values};
use super::table::{Codec, Keeps, Output, Reads, Writer};
use crate::image::{Color, SampleType};

/// Effort of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    /// Stored bytes.
    None,
    /// Quick.
    Fast,
    /// Between.
    Balanced,
    /// Small and slow.
    Best,
}

const COMPRESSIONS: [Compression; 4] = [
    Compression::None,
    Compression::Fast,
    Compression::Balanced,
    Compression::Best,
];
const SAMPLES: &[SampleType] = &[SampleType::U8, SampleType::U16];

/// PNG.
pub(super) static CODEC: Codec = Codec {
    name: "png",
    title: "PNG",
    extensions: &["png"],
    media_type: "image/png",
    detect: |start| start.starts_with(b"\x89PNG\r\n\x1a\n"),
    probe: read::probe,
    open: read::open,
    streams: true,
    reads: Reads {
        samples: "1 to 16 bits: gray, palette, RGB, with alpha or a transparent value",
        coding: "deflate, interlaced or not",
        pictures: "frames (APNG)",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[Choice {
            name: "compression",
            values: Values::Words {
                words: &["none", "fast", "balanced", "best"],
                default: 1,
            },
        }],
        holds: &[
            (Color::Gray, SAMPLES),
            (Color::GrayAlpha, SAMPLES),
            (Color::Rgb, SAMPLES),
            (Color::Rgba, SAMPLES),
        ],
        bands: &[],
        pages: Some(PageKind::Animation),
        keeps: Keeps::PHOTO,
        stored: false,
        exact: true,
        create: write::create,
        memory: |options, shape| write::memory(options.pick(0, &COMPRESSIONS), shape),
    }),
};

#[cfg(test)]
mod tests;
