//! GIF: frames composed on the logical screen in, a palette for each frame out.
//!
//! What frames leave free and transparent colours become alpha 0.

mod read;
mod write;

use super::PageKind;
use super::table::{Codec, Keeps, Output, Reads, Writer};
use crate::image::{Color, SampleType};

/// GIF.
pub(super) static CODEC: Codec = Codec {
    name: "gif",
    title: "GIF",
    extensions: &["gif"],
    media_type: "image/gif",
    detect: |start| start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a"),
    probe: read::probe,
    open: read::open,
    streams: false,
    reads: Reads {
        samples: "palettes",
        coding: "LZW, interlaced or not",
        pictures: "frames",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[
            (Color::Rgb, &[SampleType::U8]),
            (Color::Rgba, &[SampleType::U8]),
        ],
        bands: &[],
        pages: Some(PageKind::Animation),
        keeps: Keeps::NOTHING,
        stored: false,
        exact: false,
        create: write::create,
        // The frame, its indices, and the quantizer's network.
        memory: |_, shape| 2 * shape.bytes() + 5 * shape.pixels() + (1 << 20),
    }),
};

#[cfg(test)]
mod tests;
