//! DDS textures: packed ones and those of DXGI by the crate `dds`, pixels of any masks and palettes by our own code; read only.
//!
//! Of mipmaps, arrays and cubes the first picture is read.

mod plain;

use super::guarded;
use crate::codec::table::{Codec, Output, Reads};
use crate::codec::whole::Whole;
use crate::codec::{FormatKind, Header, Limits, OpenOptions, PageKind, ReadSeek, RowSource};
use crate::error::{Error, Limit, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use ::dds::header::ParseOptions;
use ::dds::{
    Channels, ColorFormat, Decoder, DecodingError, Format, FormatError, ImageViewMut, Precision,
};
use std::io::{BufReader, Cursor, ErrorKind, SeekFrom};

/// DDS.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "dds",
    title: "DDS",
    extensions: &["dds"],
    media_type: "image/vnd-ms.dds",
    detect: |start| start.starts_with(b"DDS "),
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "8 and 16 bits, floats: gray, palette, RGB, with alpha; any masks",
        coding: "none, DXT1 to DXT5, BC1 to BC7, ASTC, YUV",
        pictures: "the first",
    },
    needs: None,
    shrinks: false,
    output: Output::As(FormatKind::Png),
};

/// What the crate holds beside the picture.
const SOME: usize = 1 << 20;

fn failed(error: DecodingError) -> Error {
    let sound = |what: String| Error::Decode(format!("not a sound DDS: {what}"));
    match error {
        DecodingError::Io(e) if e.kind() == ErrorKind::UnexpectedEof => {
            Error::Decode("truncated DDS: the file ends too early".into())
        }
        DecodingError::Io(e) => e.into(),
        DecodingError::MemoryLimitExceeded => Limit::Memory.exceeded(
            "the DDS needs more memory than the limit allows (raise it with --max-bytes)",
        ),
        DecodingError::Format(FormatError::UnsupportedDxgiFormat(format)) => {
            let number = u32::from(format);
            Error::Decode(format!(
                "DDS textures of DXGI's format {number} are not read"
            ))
        }
        DecodingError::Format(FormatError::UnsupportedFourCC(code)) => {
            let code = code.0.to_le_bytes();
            let code = String::from_utf8_lossy(&code).escape_default().to_string();
            Error::Decode(format!("DDS textures of the kind `{code}` are not read"))
        }
        DecodingError::Format(_) => {
            Error::Decode("DDS textures of this kind of pixels are not read".into())
        }
        DecodingError::Layout(e) => sound(lower(&e.to_string())),
        DecodingError::Header(_) => sound("its header".into()),
        other => sound(lower(&other.to_string())),
    }
}

/// A sentence of the crate's as a part of one of ours.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

type Input<'a> = BufReader<&'a mut dyn ReadSeek>;

/// A texture by the crate, and its picture.
fn begin<'a>(input: &'a mut dyn ReadSeek, limits: &Limits) -> Result<(Decoder<Input<'a>>, Shape)> {
    let options = ParseOptions::new_permissive(Some(limits.file(input)?));
    input.seek(SeekFrom::Start(0))?;
    let mut decoder = Decoder::new_with_options(BufReader::new(input), &options).map_err(failed)?;
    let ColorFormat {
        channels,
        precision,
        ..
    } = decoder.native_color();
    let color = match channels {
        Channels::Grayscale | Channels::Alpha => Color::Gray,
        Channels::Rgb => Color::Rgb,
        Channels::Rgba => Color::Rgba,
    };
    let sample = match precision {
        Precision::U8 => SampleType::U8,
        Precision::U16 => SampleType::U16,
        Precision::F32 => SampleType::F32,
    };
    let size = decoder.main_size();
    let shape = limits.shape(size.height.into(), size.width.into(), color, sample)?;
    decoder.options.memory_limit = shape.bytes() + SOME;
    Ok((decoder, shape))
}

/// Whether colours were multiplied by alpha.
fn multiplied(format: Format) -> bool {
    matches!(
        format,
        Format::BC2_UNORM_PREMULTIPLIED_ALPHA | Format::BC3_UNORM_PREMULTIPLIED_ALPHA
    )
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    let (shape, bytes) = match plain::parse(input, limits)? {
        Some(plain) => (plain.shape, plain.shape.bytes()),
        None => guarded("DDS", || {
            let (_, shape) = begin(input, limits)?;
            Ok((shape, 2 * shape.bytes()))
        })?,
    };
    Ok(Header {
        kind: FormatKind::Dds,
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
        decoder_bytes: bytes + SOME,
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let (shape, samples) = match plain::parse(&mut *input, limits)? {
        Some(plain) => (plain.shape, plain.samples(&mut *input)?),
        None => guarded("DDS", || packed(&mut *input, limits))?,
    };
    let metadata = Metadata {
        orientation: 1,
        ..Metadata::default()
    };
    Ok(Box::new(Whole::new(shape, metadata, samples)))
}

fn packed(input: &mut dyn ReadSeek, limits: &Limits) -> Result<(Shape, Vec<u8>)> {
    let (decoder, shape) = begin(input, limits)?;
    let (format, wide) = (decoder.format(), decoder.header().dx10().is_some());
    drop(decoder);
    if !with_alpha_apart(format) {
        return decoded(input, limits);
    }
    let start = if wide { 148 } else { 128 };
    let blocks = shape.cols.div_ceil(4) * shape.rows.div_ceil(4);
    let mut file = Vec::new();
    input.seek(SeekFrom::Start(0))?;
    input.read_to_end(&mut file)?;
    let packed = file.get_mut(start..).unwrap_or(&mut []);
    for block in packed.chunks_exact_mut(16).take(blocks) {
        four_colours(block);
    }
    decoded(&mut Cursor::new(file), limits)
}

/// Whether blocks have alpha of their own before their colours, of which there are four always.
fn with_alpha_apart(format: Format) -> bool {
    matches!(
        format,
        Format::BC3_UNORM | Format::BC3_UNORM_PREMULTIPLIED_ALPHA
    )
}

/// The crate takes the order of both ends for a sign of three colours and black, as it is in blocks without alpha: the
/// same colours in the other order, with the indices that go with it.
fn four_colours(block: &mut [u8]) {
    let end = |at: usize| u16::from_le_bytes([block[at], block[at + 1]]);
    let (first, second) = (end(8), end(10));
    if first > second {
        return;
    }
    block[8..10].copy_from_slice(&second.to_le_bytes());
    block[10..12].copy_from_slice(&first.to_le_bytes());
    for indices in &mut block[12..16] {
        // 0 and 1 change places, and so do 2 and 3; where both ends are alike, all are the first.
        *indices = if first == second { 0 } else { *indices ^ 0x55 };
    }
}

fn decoded(input: &mut dyn ReadSeek, limits: &Limits) -> Result<(Shape, Vec<u8>)> {
    let (mut decoder, shape) = begin(input, limits)?;
    let mut samples = vec![0; shape.bytes()];
    let (size, color) = (decoder.main_size(), decoder.native_color());
    let view = ImageViewMut::new(&mut samples, size, color)
        .ok_or_else(|| Error::Decode("not a sound DDS: its size".into()))?;
    decoder.read_surface(view).map_err(failed)?;
    if multiplied(decoder.format()) {
        for pixel in samples.as_chunks_mut::<4>().0 {
            let alpha = u32::from(pixel[3]);
            for value in &mut pixel[..3] {
                let whole = (u32::from(*value) * 255 + alpha / 2).checked_div(alpha);
                *value = whole.map_or(*value, |v| v.min(255) as u8);
            }
        }
    }
    Ok((shape, samples))
}
