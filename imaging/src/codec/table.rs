//! What a format is: one [`Codec`] for each, in the format's own file. [`super::FormatKind`] lists them, and all that
//! the rest of the program knows of formats comes from there.

use super::format::{Choice, Options};
use super::{
    FormatKind, Header, Limits, OpenOptions, PageKind, ReadSeek, RowSink, RowSource, WriteSeek,
};
use crate::error::Result;
use crate::image::{Color, Metadata, SampleType, Shape};

/// A format: how its files are called, told from others, read and written.
pub struct Codec {
    /// As in `--format`, in lower case.
    pub name: &'static str,
    /// What its files are called in sentences.
    pub title: &'static str,
    /// File name extensions in lower case, the usual one first.
    pub extensions: &'static [&'static str],
    /// The type of its files for browsers.
    pub media_type: &'static str,
    /// Whether a file that begins with these bytes is one.
    pub(super) detect: fn(&[u8]) -> bool,
    /// The header of a page, counted from 0; a page beyond the last may be answered with the first one's.
    pub(super) probe: fn(&mut dyn ReadSeek, &Limits, u32) -> Result<Header>,
    pub(super) open: fn(Box<dyn ReadSeek>, &Limits, &OpenOptions) -> Result<Box<dyn RowSource>>,
    /// What is read, for people.
    pub reads: Reads,
    /// The version of a library of the system without which its files are refused; none where it is not there.
    pub needs: Option<fn() -> Option<&'static str>>,
    /// Whether files are usually decoded row by row ([`Header::streams`] tells of a certain file).
    pub streams: bool,
    /// Whether [`OpenOptions::shrink`] has an effect.
    pub shrinks: bool,
    /// How it is written.
    pub output: Output,
}

/// What is read of a format, as docs/formats.md says it.
pub struct Reads {
    /// Types of samples and colours.
    pub samples: &'static str,
    /// Compression and the like.
    pub coding: &'static str,
    /// Which of several pictures.
    pub pictures: &'static str,
}

/// How a format is written.
pub enum Output {
    /// By an encoder.
    Own(Writer),
    /// Not at all: its files are written as another format where none is asked for.
    As(FormatKind),
}

/// An encoder.
pub struct Writer {
    /// What can be chosen.
    pub options: &'static [Choice],
    /// The channels and sample types that files hold; others are converted to the nearest of them.
    pub holds: &'static [(Color, &'static [SampleType])],
    /// The sample types of any number of channels; empty where files do not hold them.
    pub bands: &'static [SampleType],
    /// Whether what is held comes back to the bit, with default options.
    pub exact: bool,
    /// Whether files hold several pictures, and of which kind.
    pub pages: Option<PageKind>,
    /// What is kept beside the pixels.
    pub keeps: Keeps,
    /// Whether samples can be written in any type that a file may have them in ([`crate::Stored`]).
    pub stored: bool,
    pub(super) create: fn(Target<'_>) -> Result<Box<dyn RowSink>>,
    /// Bytes held beside the rows that are handed in.
    pub(super) memory: fn(&Options, Shape) -> usize,
}

/// What files have room for beside the pixels; the rest is left out with a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeps {
    /// An ICC profile; colours of others are taken for sRGB.
    pub icc: bool,
    /// EXIF.
    pub exif: bool,
    /// XMP.
    pub xmp: bool,
    /// IPTC.
    pub iptc: bool,
    /// Comments and other texts.
    pub texts: bool,
    /// GeoTIFF and GDAL's tags.
    pub geo: bool,
    /// Pixels per length.
    pub resolution: bool,
}

impl Keeps {
    /// Pixels only.
    pub const NOTHING: Keeps = Keeps {
        icc: false,
        exif: false,
        xmp: false,
        iptc: false,
        texts: false,
        geo: false,
        resolution: false,
    };

    /// All that cameras and programs for photographs write.
    pub const PHOTO: Keeps = Keeps {
        icc: true,
        exif: true,
        xmp: true,
        iptc: true,
        texts: true,
        geo: false,
        resolution: true,
    };
}

/// What an encoder begins with; the shape is one that the format holds.
pub(super) struct Target<'a> {
    pub output: Box<dyn WriteSeek>,
    pub options: &'a Options,
    pub shape: Shape,
    pub metadata: &'a Metadata,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Writer {
    /// What is stored for an image of that shape: the same where the format holds it, else the nearest.
    pub(super) fn stored(&self, shape: Shape) -> Shape {
        use Color::{Bands, Gray, GrayAlpha, Rgb, Rgba};
        use SampleType::{F32, F64, U8, U16};
        let colors: &[Color] = match shape.color {
            Gray => &[Gray, Rgb, GrayAlpha, Rgba],
            GrayAlpha => &[GrayAlpha, Rgba, Gray, Rgb],
            Rgb => &[Rgb, Rgba, Gray, GrayAlpha],
            Rgba => &[Rgba, Rgb, GrayAlpha, Gray],
            Bands(_) => &[],
        };
        let samples: &[SampleType] = match shape.sample {
            U8 => &[U8, U16, F32, F64],
            U16 => &[U16, F32, F64, U8],
            F32 => &[F32, F64, U16, U8],
            F64 => &[F64, F32, U16, U8],
        };
        let held = |color: &Color| self.holds.iter().find(|(c, _)| c == color);
        let (color, held) = match colors.iter().find_map(held) {
            Some((color, held)) => (*color, *held),
            None => (shape.color, self.bands),
        };
        let sample = samples.iter().find(|sample| held.contains(sample));
        Shape {
            color,
            sample: *sample.unwrap_or(&shape.sample),
            ..shape
        }
    }
}
