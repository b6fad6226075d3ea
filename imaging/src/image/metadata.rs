//! What a file says beside its pixels.

use super::SampleType;
use crate::metadata::{Coding, Geo, Resolution, Text};

/// The type of samples in a file, where it says more than the type that they are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    /// Unsigned integers of 1 to 32 bits; those of 1 to 8 are computed as [`SampleType::U8`], to 16 as
    /// [`SampleType::U16`] (both scaled to the full range), wider ones as [`SampleType::F64`] with their own values.
    Unsigned(u8),
    /// Signed integers of 8, 16 or 32 bits with their own values in [`SampleType::F32`], 32 bits in [`SampleType::F64`].
    Signed(u8),
    /// Floats of 16, 32 or 64 bits.
    Float(u8),
}

impl Stored {
    /// The type in which samples that are stored so are computed.
    pub fn sample(self) -> SampleType {
        match self {
            Stored::Unsigned(..=8) => SampleType::U8,
            Stored::Unsigned(..=16) => SampleType::U16,
            Stored::Signed(..=16) | Stored::Float(..=32) => SampleType::F32,
            Stored::Unsigned(_) | Stored::Signed(_) | Stored::Float(_) => SampleType::F64,
        }
    }

    /// The type that is stored where nothing else is asked for.
    pub fn of(sample: SampleType) -> Stored {
        match sample {
            SampleType::U8 => Stored::Unsigned(8),
            SampleType::U16 => Stored::Unsigned(16),
            SampleType::F32 => Stored::Float(32),
            SampleType::F64 => Stored::Float(64),
        }
    }

    /// Bits of one sample.
    pub fn bits(self) -> u8 {
        match self {
            Stored::Unsigned(bits) | Stored::Signed(bits) | Stored::Float(bits) => bits,
        }
    }
}

/// `uint12`, `int16`, `float32`.
impl std::fmt::Display for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stored::Unsigned(bits) => write!(f, "uint{bits}"),
            Stored::Signed(bits) => write!(f, "int{bits}"),
            Stored::Float(bits) => write!(f, "float{bits}"),
        }
    }
}

/// What a file says beside its pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// ICC profile, raw.
    pub icc: Option<Vec<u8>>,
    /// EXIF block (TIFF structure, without the `Exif\0\0` prefix).
    pub exif: Option<Vec<u8>>,
    /// Whether the block had a thumbnail, which was taken out; encoders that can make one of what they write do.
    pub thumbnail: bool,
    /// EXIF orientation 1..=8 of the stored pixels.
    pub orientation: u8,
    /// XMP packet, raw.
    pub xmp: Option<Vec<u8>>,
    /// IPTC datasets, raw.
    pub iptc: Option<Vec<u8>>,
    /// Comments and other texts.
    pub texts: Vec<Text>,
    /// Pixels per length.
    pub resolution: Option<Resolution>,
    /// What a PNG says of its colours beside a profile.
    pub coding: Coding,
    /// Where on the earth the pixels lie.
    pub geo: Option<Box<Geo>>,
    /// GDAL_NODATA: the value that stands for none.
    pub nodata: Option<String>,
    /// GDAL_METADATA: XML.
    pub gdal: Option<String>,
    /// The colour, in 16 bits, that lies behind what is transparent where a format holds no alpha; white where not given.
    pub background: Option<[u16; 3]>,
    /// The type of samples in the file where it is not the one that they are computed in. Encoders that can write it do,
    /// so whoever computes takes it away where samples lost their units.
    pub stored: Option<Stored>,
    /// Whether the first three of several bands are red, green and blue.
    pub rgb_bands: bool,
    /// Of how many pages this is the first; 0 and 1 are one. For encoders that must know before the first.
    pub pages: u32,
    /// How long this frame of an animation is shown.
    pub delay_ms: Option<u32>,
    /// How often an animation is shown; 0 is for ever.
    pub loops: Option<u32>,
}
