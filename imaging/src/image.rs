//! The image: shape, samples, and the metadata that travels with them.
//!
//! Samples are kept as one flat vector, row after row with channels interleaved; [`Rows`] is a band
//! of whole rows of an image and is what moves between stages, threads and ranks.

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
}

impl SampleType {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            SampleType::U8 => 1,
            SampleType::U16 => 2,
            SampleType::F32 => 4,
        }
    }

    /// Bits of one sample.
    pub fn bits(self) -> usize {
        self.bytes() * 8
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
}

impl Color {
    /// Number of channels, alpha included.
    pub fn channels(self) -> usize {
        match self {
            Color::Gray => 1,
            Color::GrayAlpha => 2,
            Color::Rgb => 3,
            Color::Rgba => 4,
        }
    }

    /// Number of channels without alpha: 1 or 3.
    pub fn color_channels(self) -> usize {
        if self.is_gray() { 1 } else { 3 }
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

    /// `gray`, `gray+alpha`, `rgb`, `rgba`.
    pub fn name(self) -> &'static str {
        match self {
            Color::Gray => "gray",
            Color::GrayAlpha => "gray+alpha",
            Color::Rgb => "rgb",
            Color::Rgba => "rgba",
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

/// Samples of any type, contiguous.
#[derive(Clone, Debug, PartialEq)]
pub enum Buffer {
    /// 8-bit samples.
    U8(Vec<u8>),
    /// 16-bit samples.
    U16(Vec<u16>),
    /// Float samples.
    F32(Vec<f32>),
}

impl Buffer {
    /// `len` zero samples of that type.
    pub fn zeroed(sample: SampleType, len: usize) -> Buffer {
        match sample {
            SampleType::U8 => Buffer::U8(vec![0; len]),
            SampleType::U16 => Buffer::U16(vec![0; len]),
            SampleType::F32 => Buffer::F32(vec![0.0; len]),
        }
    }

    /// The samples' type.
    pub fn sample(&self) -> SampleType {
        match self {
            Buffer::U8(_) => SampleType::U8,
            Buffer::U16(_) => SampleType::U16,
            Buffer::F32(_) => SampleType::F32,
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Buffer::U8(v) => v.len(),
            Buffer::U16(v) => v.len(),
            Buffer::F32(v) => v.len(),
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples as bytes in the machine's order.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Buffer::U8(v) => v,
            Buffer::U16(v) => bytemuck::cast_slice(v),
            Buffer::F32(v) => bytemuck::cast_slice(v),
        }
    }

    /// The samples as writable bytes in the machine's order.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Buffer::U8(v) => v,
            Buffer::U16(v) => bytemuck::cast_slice_mut(v),
            Buffer::F32(v) => bytemuck::cast_slice_mut(v),
        }
    }

    /// All samples for writing, with their type.
    pub fn as_mut(&mut self) -> BufferMut<'_> {
        match self {
            Buffer::U8(v) => BufferMut::U8(v),
            Buffer::U16(v) => BufferMut::U16(v),
            Buffer::F32(v) => BufferMut::F32(v),
        }
    }

    /// Shorten or grow with zeros to `len` samples.
    pub fn resize(&mut self, len: usize) {
        match self {
            Buffer::U8(v) => v.resize(len, 0),
            Buffer::U16(v) => v.resize(len, 0),
            Buffer::F32(v) => v.resize(len, 0.0),
        }
    }

    /// Move the samples of `range` to begin at `to`.
    pub fn copy_within(&mut self, range: Range<usize>, to: usize) {
        match self {
            Buffer::U8(v) => v.copy_within(range, to),
            Buffer::U16(v) => v.copy_within(range, to),
            Buffer::F32(v) => v.copy_within(range, to),
        }
    }
}

/// Writable samples of any type.
#[derive(Debug)]
pub enum BufferMut<'a> {
    /// 8-bit samples.
    U8(&'a mut [u8]),
    /// 16-bit samples.
    U16(&'a mut [u16]),
    /// Float samples.
    F32(&'a mut [f32]),
}

impl<'a> BufferMut<'a> {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            BufferMut::U8(v) => v.len(),
            BufferMut::U16(v) => v.len(),
            BufferMut::F32(v) => v.len(),
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Split after `mid` samples.
    pub fn split_at(self, mid: usize) -> (BufferMut<'a>, BufferMut<'a>) {
        match self {
            BufferMut::U8(v) => {
                let (a, b) = v.split_at_mut(mid);
                (BufferMut::U8(a), BufferMut::U8(b))
            }
            BufferMut::U16(v) => {
                let (a, b) = v.split_at_mut(mid);
                (BufferMut::U16(a), BufferMut::U16(b))
            }
            BufferMut::F32(v) => {
                let (a, b) = v.split_at_mut(mid);
                (BufferMut::F32(a), BufferMut::F32(b))
            }
        }
    }

    /// The samples of `range` for a shorter time.
    pub fn slice(&mut self, range: Range<usize>) -> BufferMut<'_> {
        match self {
            BufferMut::U8(v) => BufferMut::U8(&mut v[range]),
            BufferMut::U16(v) => BufferMut::U16(&mut v[range]),
            BufferMut::F32(v) => BufferMut::F32(&mut v[range]),
        }
    }

    /// The samples as writable bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            BufferMut::U8(v) => v,
            BufferMut::U16(v) => bytemuck::cast_slice_mut(v),
            BufferMut::F32(v) => bytemuck::cast_slice_mut(v),
        }
    }
}

/// A sample type that kernels are generic over.
pub trait Element:
    Copy + Send + Sync + Default + PartialOrd + std::fmt::Debug + bytemuck::Pod + 'static
{
    /// The matching tag.
    const TYPE: SampleType;
    /// White: 255, 65535 or 1.
    const TOP: f64;
    /// The value as f64.
    fn to_f64(self) -> f64;
    /// The value as f32.
    fn to_f32(self) -> f32;
    /// Round half to even and clamp to the sample's range (floats are only narrowed).
    fn saturate(value: f64) -> Self;
    /// As [`Element::saturate`], from f32.
    fn saturate32(value: f32) -> Self;
    /// The samples of a buffer of this type. Panics for another type.
    fn of(buffer: &Buffer) -> &[Self];
    /// The writable samples of a buffer of this type. Panics for another type.
    fn of_mut<'b>(buffer: &'b mut BufferMut<'_>) -> &'b mut [Self];
    /// A buffer holding these samples.
    fn wrap(samples: Vec<Self>) -> Buffer;
}

macro_rules! element {
    ($t:ty, $tag:ident, $top:expr, |$v:ident| $saturate:expr, |$w:ident| $saturate32:expr) => {
        impl Element for $t {
            const TYPE: SampleType = SampleType::$tag;
            const TOP: f64 = $top;
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            #[inline(always)]
            fn saturate($v: f64) -> Self {
                $saturate
            }
            #[inline(always)]
            fn saturate32($w: f32) -> Self {
                $saturate32
            }
            fn of(buffer: &Buffer) -> &[Self] {
                match buffer {
                    Buffer::$tag(v) => v,
                    other => unreachable!("samples are {:?}, not {:?}", other.sample(), Self::TYPE),
                }
            }
            fn of_mut<'b>(buffer: &'b mut BufferMut<'_>) -> &'b mut [Self] {
                match buffer {
                    BufferMut::$tag(v) => v,
                    _ => unreachable!("samples are not {:?}", Self::TYPE),
                }
            }
            fn wrap(samples: Vec<Self>) -> Buffer {
                Buffer::$tag(samples)
            }
        }
    };
}
element!(
    u8,
    U8,
    255.0,
    |v| v.round_ties_even().clamp(0.0, 255.0) as u8,
    |v| v.round_ties_even().clamp(0.0, 255.0) as u8
);
element!(
    u16,
    U16,
    65535.0,
    |v| v.round_ties_even().clamp(0.0, 65535.0) as u16,
    |v| v.round_ties_even().clamp(0.0, 65535.0) as u16
);
element!(f32, F32, 1.0, |v| v as f32, |v| v);

/// Calls `$body` with `$T` bound to the element type of a [`SampleType`].
#[macro_export]
macro_rules! by_sample {
    ($sample:expr, $T:ident => $body:expr) => {
        match $sample {
            $crate::SampleType::U8 => {
                type $T = u8;
                $body
            }
            $crate::SampleType::U16 => {
                type $T = u16;
                $body
            }
            $crate::SampleType::F32 => {
                type $T = f32;
                $body
            }
        }
    };
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

/// Large buffers kept for the next image, so that the system need not map and clear them anew.
#[derive(Debug, Default)]
pub struct Spare(std::sync::Mutex<Vec<Buffer>>);

impl Spare {
    const KEPT: usize = 2;
    const LEAST_BYTES: usize = 1 << 18;

    /// Rows whose samples are yet to be written: black, or whatever a spare buffer held.
    pub fn rows(&self, shape: Shape, range: Range<usize>) -> Rows {
        let len = range.len() * shape.row_len();
        let mut kept = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let fits = |b: &Buffer| b.sample() == shape.sample && b.len() >= len && b.len() / 2 <= len;
        if let Some(at) = kept.iter().position(fits) {
            let mut data = kept.swap_remove(at);
            data.resize(len);
            return Rows {
                shape,
                first: range.start,
                count: range.len(),
                data,
            };
        }
        drop(kept);
        Rows::zeroed(shape, range)
    }

    /// Keeps the buffer of rows that are no longer needed.
    pub fn give(&self, rows: Rows) {
        if rows.data.bytes().len() < Spare::LEAST_BYTES {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if kept.len() == Spare::KEPT {
            kept.remove(0);
        }
        kept.push(rows.data);
    }

    /// Gives all kept memory back to the system.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }
}

/// What a file says beside its pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// ICC profile, raw.
    pub icc: Option<Vec<u8>>,
    /// EXIF block (TIFF structure, without the `Exif\0\0` prefix).
    pub exif: Option<Vec<u8>>,
    /// EXIF orientation 1..=8 of the stored pixels.
    pub orientation: u8,
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
