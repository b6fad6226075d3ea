//! Formats by the crate `image`: decoded and encoded at once, within limits, and behind a boundary that catches
//! panics, since its decoders make no promise for hostile bytes.

#[cfg(not(target_arch = "wasm32"))]
pub(super) mod dds;
#[cfg(not(target_arch = "wasm32"))]
pub(super) mod exr;
pub(super) mod farbfeld;
pub(super) mod hdr;
pub(super) mod ico;
pub(super) mod qoi;
pub(super) mod tga;

#[cfg(target_arch = "wasm32")]
pub(super) use super::absent::{dds, exr};

use super::table::Target;
use super::whole::Whole;
use super::{FormatKind, Header, Limits, PageKind, ReadSeek, RowSink, RowSource, WriteSeek};
use crate::error::{Error, Limit, Result};
use crate::image::{Color, Metadata, Rows, SampleType, Shape};
use ::image::error::{ImageError, LimitErrorKind, UnsupportedErrorKind};
use ::image::{ColorType, ExtendedColorType, ImageDecoder, ImageResult};
use std::io::{BufReader, BufWriter, ErrorKind, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes that decoders and encoders hold beside the image.
const SOME: usize = 1 << 20;

type Input<'a> = BufReader<&'a mut dyn ReadSeek>;

/// How a format's decoder is begun.
type Begin = for<'a> fn(Input<'a>) -> ImageResult<Box<dyn ImageDecoder + 'a>>;
/// How an image is encoded.
type Encode = fn(&mut BufWriter<Box<dyn WriteSeek>>, &[u8], Shape) -> ImageResult<()>;

fn failed(kind: FormatKind, error: ImageError) -> Error {
    let title = kind.codec().title;
    match error {
        ImageError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            Error::Decode(format!("truncated {title}: the file ends too early"))
        }
        ImageError::IoError(e)
            if matches!(e.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput) =>
        {
            Error::Decode(format!("not a sound {title}: {e}"))
        }
        ImageError::IoError(e) => e.into(),
        ImageError::Limits(e) if matches!(e.kind(), LimitErrorKind::InsufficientMemory) => {
            Limit::Memory.exceeded(format!(
                "the {title} needs more memory than the limit allows (raise it with --max-bytes)"
            ))
        }
        ImageError::Limits(e) => Limit::Pixels.exceeded(format!("the {title}: {e}")),
        ImageError::Unsupported(e) => {
            let what = match e.kind() {
                UnsupportedErrorKind::GenericFeature(what) => what,
                _ => "their colour type".into(),
            };
            Error::Decode(format!("{title} files that are not read: {what}"))
        }
        other => {
            // Without the crate's name of the format, which may be in Rust's own form.
            let text = other.to_string();
            let text = text.split_once(": ").map_or(&text[..], |(_, what)| what);
            Error::Decode(format!("not a sound {title}: {text}"))
        }
    }
}

/// Work on bytes that nobody vouches for.
pub(super) fn guarded<T>(title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::Decode(format!(
            "not a sound {title}: its decoder gave up"
        )))
    })
}

fn shape_of(kind: FormatKind, decoder: &dyn ImageDecoder, limits: &Limits) -> Result<Shape> {
    let (color, sample) = match decoder.color_type() {
        ColorType::L8 => (Color::Gray, SampleType::U8),
        ColorType::La8 => (Color::GrayAlpha, SampleType::U8),
        ColorType::Rgb8 => (Color::Rgb, SampleType::U8),
        ColorType::Rgba8 => (Color::Rgba, SampleType::U8),
        ColorType::L16 => (Color::Gray, SampleType::U16),
        ColorType::La16 => (Color::GrayAlpha, SampleType::U16),
        ColorType::Rgb16 => (Color::Rgb, SampleType::U16),
        ColorType::Rgba16 => (Color::Rgba, SampleType::U16),
        ColorType::Rgb32F => (Color::Rgb, SampleType::F32),
        ColorType::Rgba32F => (Color::Rgba, SampleType::F32),
        _ => {
            let title = kind.codec().title;
            return Err(Error::Decode(format!(
                "a {title} of this colour type is not supported"
            )));
        }
    };
    let (cols, rows) = decoder.dimensions();
    limits.shape(u64::from(rows), u64::from(cols), color, sample)
}

/// What the decoder's header says.
fn probe(
    kind: FormatKind,
    begin: Begin,
    input: &mut dyn ReadSeek,
    limits: &Limits,
) -> Result<Header> {
    guarded(kind.codec().title, || {
        let decoder = begin(BufReader::new(input)).map_err(|e| failed(kind, e))?;
        let shape = shape_of(kind, &*decoder, limits)?;
        Ok(Header {
            kind,
            shape,
            bits: shape.sample.bits() as u8,
            orientation: 1,
            has_icc: false,
            pages: 1,
            page_kind: PageKind::Pages,
            still: false,
            stored: None,
            lossless: true,
            streams: false,
            seekable: true,
            decoder_bytes: 2 * shape.bytes() + SOME,
        })
    })
}

fn open(
    kind: FormatKind,
    begin: Begin,
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
) -> Result<Box<dyn RowSource>> {
    Ok(Box::new(whole(kind, begin, &mut *input, limits)?))
}

/// The whole image.
fn whole(
    kind: FormatKind,
    begin: Begin,
    input: &mut dyn ReadSeek,
    limits: &Limits,
) -> Result<Whole> {
    guarded(kind.codec().title, || {
        input.seek(SeekFrom::Start(0))?;
        let mut decoder = begin(BufReader::new(input)).map_err(|e| failed(kind, e))?;
        let shape = shape_of(kind, &*decoder, limits)?;
        let mut most = ::image::Limits::default();
        let room = (shape.bytes() as u64).saturating_mul(2) + SOME as u64;
        most.max_alloc = Some(room.min(limits.max_bytes.saturating_add(SOME as u64)));
        decoder.set_limits(most).map_err(|e| failed(kind, e))?;
        if decoder.total_bytes() != shape.bytes() as u64 {
            return Err(Error::Decode(format!(
                "not a sound {}: its size",
                kind.codec().title
            )));
        }
        let mut samples = vec![0; shape.bytes()];
        decoder
            .read_image_boxed(&mut samples)
            .map_err(|e| failed(kind, e))?;
        let metadata = Metadata {
            orientation: 1,
            ..Metadata::default()
        };
        Ok(Whole::new(shape, metadata, samples))
    })
}

/// A sink that hands the whole image to an encoder.
fn create(kind: FormatKind, target: Target<'_>, encode: Encode) -> Box<dyn RowSink> {
    Box::new(Sink {
        kind,
        output: BufWriter::new(target.output),
        shape: target.shape,
        samples: Vec::with_capacity(target.shape.bytes()),
        encode,
    })
}

/// What the sink and the encoder hold.
fn memory(shape: Shape) -> usize {
    2 * shape.bytes() + SOME
}

struct Sink {
    kind: FormatKind,
    output: BufWriter<Box<dyn WriteSeek>>,
    shape: Shape,
    samples: Vec<u8>,
    encode: Encode,
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let bytes = rows.count * self.shape.row_bytes();
        self.samples.extend_from_slice(&rows.data.bytes()[..bytes]);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        use std::io::Write as _;
        let title = self.kind.codec().title;
        match (self.encode)(&mut self.output, &self.samples, self.shape) {
            Ok(()) => Ok(self.output.flush()?),
            Err(ImageError::IoError(error)) => Err(error.into()),
            Err(other) => Err(Error::Encode(format!(
                "this is no image for {title}: {other}"
            ))),
        }
    }
}

/// The crate's name for a shape's samples.
fn color_type(shape: Shape) -> ExtendedColorType {
    use ExtendedColorType as Type;
    match (shape.color, shape.sample) {
        (Color::Gray, SampleType::U8) => Type::L8,
        (Color::GrayAlpha, SampleType::U8) => Type::La8,
        (Color::Rgb, SampleType::U8) => Type::Rgb8,
        (Color::Rgba, SampleType::U8) => Type::Rgba8,
        (Color::Gray, SampleType::U16) => Type::L16,
        (Color::GrayAlpha, SampleType::U16) => Type::La16,
        (Color::Rgb, SampleType::U16) => Type::Rgb16,
        (Color::Rgba, SampleType::U16) => Type::Rgba16,
        (Color::Rgb, _) => Type::Rgb32F,
        // Writers hold no other floats.
        (_, _) => Type::Rgba32F,
    }
}

/// The sides as the crate wants them; a side beyond is one that no encoder takes.
fn sides(shape: Shape) -> (u32, u32) {
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (side(shape.cols), side(shape.rows))
}

/// The three functions of a format from its decoder.
macro_rules! read_by {
    ($kind:ident, $begin:expr) => {
        fn probe(
            input: &mut dyn crate::codec::ReadSeek,
            limits: &crate::codec::Limits,
            _page: u32,
        ) -> crate::error::Result<crate::codec::Header> {
            super::probe(crate::codec::FormatKind::$kind, $begin, input, limits)
        }

        fn open(
            input: Box<dyn crate::codec::ReadSeek>,
            limits: &crate::codec::Limits,
            _options: &crate::codec::OpenOptions,
        ) -> crate::error::Result<Box<dyn crate::codec::RowSource>> {
            super::open(crate::codec::FormatKind::$kind, $begin, input, limits)
        }
    };
}
use read_by;

#[cfg(test)]
mod tests;
