//! TIFF by rows: strips and tiles, classic and BigTIFF, pages one by one.
//!
//! Our own reader unpacks what is not packed, LZW, zlib and PackBits; what else there is, libtiff unpacks
//! ([`library`]). Faults of side data cost that data and a warning. Colours multiplied by alpha are divided by it.

mod bits;
mod chunks;
mod color;
mod directory;
mod exif;
mod fields;
mod layout;
mod library;
mod nested;
mod pack;
mod pages;
mod parse;
mod read;
mod samples;
mod side;
mod start;
mod strips;
mod tags;
#[cfg(test)]
mod tests;
mod unpack;
mod write;

pub(super) use exif::fields_of;
pub(super) use fields::{Field, serialise};

use super::PageKind;
use super::format::{Choice, Values};
use super::table::{Codec, Keeps, Output, Reads, Writer};
use crate::image::{Color, SampleType, Stored};

/// Compression of strips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TiffCompression {
    /// Stored bytes.
    None,
    /// LZW.
    Lzw,
    /// Deflate (zlib).
    Deflate,
    /// PackBits run lengths.
    PackBits,
}

/// In the order of the words of the option.
const COMPRESSIONS: [TiffCompression; 4] = [
    TiffCompression::None,
    TiffCompression::Lzw,
    TiffCompression::Deflate,
    TiffCompression::PackBits,
];
const SAMPLES: &[SampleType] = &[
    SampleType::U8,
    SampleType::U16,
    SampleType::F32,
    SampleType::F64,
];

/// TIFF, BigTIFF where it grows beyond 4 GiB.
pub(super) static CODEC: Codec = Codec {
    name: "tiff",
    title: "TIFF",
    extensions: &["tif", "tiff", "btf", "tf8"],
    media_type: "image/tiff",
    detect: |start| {
        matches!(
            start,
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..]
        )
    },
    probe: read::probe,
    open: read::open,
    streams: true,
    reads: Reads {
        samples: "integers of 1 to 32 bits, signed or not, floats of 16 to 64 bits: gray, palette, RGB, YCbCr, inks, Lab, bands",
        coding: "none, LZW, deflate, PackBits, JPEG 2000, JPEG XL, PNG; with libtiff also JPEG, fax, ZSTD, LZMA, WebP, LERC, LogLuv and others",
        pictures: "pages",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[Choice {
            name: "compression",
            values: Values::Words {
                words: &["none", "lzw", "deflate", "packbits"],
                default: 2,
            },
        }],
        holds: &[
            (Color::Gray, SAMPLES),
            (Color::GrayAlpha, SAMPLES),
            (Color::Rgb, SAMPLES),
            (Color::Rgba, SAMPLES),
        ],
        bands: SAMPLES,
        pages: Some(PageKind::Pages),
        keeps: Keeps {
            geo: true,
            ..Keeps::PHOTO
        },
        stored: true,
        exact: true,
        create: |target| {
            let compression = target.options.pick(0, &COMPRESSIONS);
            write::create(target.output, compression, target.shape, target.metadata)
        },
        memory: |_, shape| write::encoder_memory(shape),
    }),
};

/// The version of libtiff that is loaded.
pub(super) fn library_version() -> Option<&'static str> {
    library::get().map(|library| library.version.as_str())
}

/// The stored type where the type that is computed in does not say it. Samples of fewer than 8 bits become bytes, as
/// what is computed of them needs the room.
fn stored_beside(stored: Stored, sample: SampleType) -> Option<Stored> {
    let told = stored == Stored::of(sample) || matches!(stored, Stored::Unsigned(..=7));
    (!told).then_some(stored)
}
