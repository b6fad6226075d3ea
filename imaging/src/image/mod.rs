//! The image: shape, samples, and the metadata that travels with them.
//!
//! Samples are kept as one flat vector, row after row with channels interleaved; [`Rows`] is a band
//! of whole rows of an image and is what moves between stages, threads and ranks.

mod buffer;
mod metadata;
mod spare;

pub use buffer::{Buffer, BufferMut, Element, narrowed};
pub use metadata::{Metadata, Stored};
pub use spare::Spare;

use std::ops::Range;

/// The type of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleType {
    /// 8 bits, 0..=255.
    U8,
    /// 16 bits, 0..=65535.
    U16,
    /// 32-bit float, nominally 0..=1; values outside are kept.
    F32,
    /// 64-bit float, as F32; carried by steps that only move samples, and narrowed to F32 before the others.
    F64,
}

impl SampleType {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            SampleType::U8 => 1,
            SampleType::U16 => 2,
            SampleType::F32 => 4,
            SampleType::F64 => 8,
        }
    }

    /// Bits of one sample.
    pub fn bits(self) -> usize {
        self.bytes() * 8
    }

    /// Whether samples are floats.
    pub fn is_float(self) -> bool {
        matches!(self, SampleType::F32 | SampleType::F64)
    }

    /// `8-bit`, `16-bit`, `32-bit float`, `64-bit float`.
    pub fn name(self) -> &'static str {
        match self {
            SampleType::U8 => "8-bit",
            SampleType::U16 => "16-bit",
            SampleType::F32 => "32-bit float",
            SampleType::F64 => "64-bit float",
        }
    }
}

/// The meaning of the interleaved channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Color {
    /// One channel.
    Gray,
    /// Gray and alpha.
    GrayAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
    /// So many channels of data, each for itself: at least one, none of them colour or alpha.
    Bands(u16),
}

impl Color {
    /// Number of channels, alpha included.
    pub fn channels(self) -> usize {
        match self {
            Color::Gray => 1,
            Color::GrayAlpha => 2,
            Color::Rgb => 3,
            Color::Rgba => 4,
            Color::Bands(n) => n as usize,
        }
    }

    /// Number of channels without alpha: 1, 3, or all bands.
    pub fn color_channels(self) -> usize {
        match self {
            Color::Gray | Color::GrayAlpha => 1,
            Color::Rgb | Color::Rgba => 3,
            Color::Bands(n) => n as usize,
        }
    }

    /// The channels of data of an image that are no colour.
    pub fn bands(self) -> Option<usize> {
        match self {
            Color::Bands(n) => Some(n as usize),
            _ => None,
        }
    }

    /// Whether the last channel is alpha.
    pub fn has_alpha(self) -> bool {
        matches!(self, Color::GrayAlpha | Color::Rgba)
    }

    /// Whether there is one colour channel.
    pub fn is_gray(self) -> bool {
        matches!(self, Color::Gray | Color::GrayAlpha)
    }

    /// The gray counterpart; alpha stays.
    pub fn to_gray(self) -> Color {
        if self.has_alpha() {
            Color::GrayAlpha
        } else {
            Color::Gray
        }
    }

    /// The RGB counterpart; alpha stays.
    pub fn to_rgb(self) -> Color {
        if self.has_alpha() {
            Color::Rgba
        } else {
            Color::Rgb
        }
    }

    /// `gray`, `gray+alpha`, `rgb`, `rgba`, `bands`.
    pub fn name(self) -> &'static str {
        match self {
            Color::Gray => "gray",
            Color::GrayAlpha => "gray+alpha",
            Color::Rgb => "rgb",
            Color::Rgba => "rgba",
            Color::Bands(_) => "bands",
        }
    }
}

/// Size and layout of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Height in pixels.
    pub rows: usize,
    /// Width in pixels.
    pub cols: usize,
    /// Channels and their meaning.
    pub color: Color,
    /// Type of each sample.
    pub sample: SampleType,
}

impl Shape {
    /// A shape of these parts.
    pub fn new(rows: usize, cols: usize, color: Color, sample: SampleType) -> Shape {
        Shape {
            rows,
            cols,
            color,
            sample,
        }
    }

    /// Channels per pixel.
    pub fn channels(&self) -> usize {
        self.color.channels()
    }

    /// Samples in one row.
    pub fn row_len(&self) -> usize {
        self.cols * self.channels()
    }

    /// Bytes in one row.
    pub fn row_bytes(&self) -> usize {
        self.row_len() * self.sample.bytes()
    }

    /// Bytes of the whole image.
    pub fn bytes(&self) -> usize {
        self.rows * self.row_bytes()
    }

    /// Pixels of the whole image.
    pub fn pixels(&self) -> usize {
        self.rows * self.cols
    }
}

/// Consecutive whole rows of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Shape of the whole image, not of these rows.
    pub shape: Shape,
    /// Index in the image of the first row held.
    pub first: usize,
    /// Number of rows held.
    pub count: usize,
    /// `count * shape.row_len()` samples.
    pub data: Buffer,
}

impl Rows {
    /// Black rows `range` of an image of `shape`.
    pub fn zeroed(shape: Shape, range: Range<usize>) -> Rows {
        let data = Buffer::zeroed(shape.sample, range.len() * shape.row_len());
        Rows {
            shape,
            first: range.start,
            count: range.len(),
            data,
        }
    }

    /// Makes these rows stand for `range`; their samples are yet to be written.
    pub fn reset(&mut self, range: Range<usize>) {
        self.first = range.start;
        self.count = range.len();
        self.data.resize(range.len() * self.shape.row_len());
    }

    /// The rows held, as indices of the image.
    pub fn range(&self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// Row `y` of the image. Panics when it is not held.
    pub fn row<T: Element>(&self, y: usize) -> &[T] {
        let len = self.shape.row_len();
        let at = (y - self.first) * len;
        &T::of(&self.data)[at..at + len]
    }

    /// The bytes of rows `range` of the image.
    pub fn bytes_of(&self, range: Range<usize>) -> &[u8] {
        let len = self.shape.row_bytes();
        &self.data.bytes()[(range.start - self.first) * len..(range.end - self.first) * len]
    }
}

/// A whole image in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// All rows.
    pub rows: Rows,
    /// ICC profile and EXIF.
    pub metadata: Metadata,
}

impl Image {
    /// An image of these samples, which must fill the shape exactly.
    pub fn new(shape: Shape, data: Buffer) -> Image {
        assert_eq!(
            data.len(),
            shape.rows * shape.row_len(),
            "samples do not fill {shape:?}"
        );
        assert_eq!(data.sample(), shape.sample);
        Image {
            rows: Rows {
                shape,
                first: 0,
                count: shape.rows,
                data,
            },
            metadata: Metadata::default(),
        }
    }

    /// Size and layout.
    pub fn shape(&self) -> Shape {
        self.rows.shape
    }
}
