//! PNG decoding. Every checksum of what makes pixels counts, and the file must go on to its end chunk; for what is
//! forgiven see [`super::lenient`].

use crate::Warning;
use crate::codec::mend::Mended;
use crate::codec::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSource};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use crate::window::Band;
use ::png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Reader, Transformations};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};

/// Bytes read from the file at once.
const BUFFER: usize = 256 << 10;
/// Inflated bytes held by the decoder, beside the rows that filters look back at.
const WINDOW: usize = 192 << 10;

fn error(error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            Error::Decode("truncated PNG: the file ends too early".into())
        }
        DecodingError::IoError(e) => e.into(),
        DecodingError::LimitsExceeded => {
            Error::Limit("the PNG's profiles and other metadata are larger than the limit".into())
        }
        other => Error::Decode(format!("not a sound PNG file: {other}")),
    }
}

/// Reads up to the pixels.
fn start<R: Read + Seek>(
    mut input: R,
    limits: &Limits,
) -> Result<(Reader<BufReader<Mended<R>>>, Header, Metadata, Vec<Warning>)> {
    super::chunks::check(&mut input, limits)?;
    let mut metadata = Metadata {
        orientation: 1,
        ..Metadata::default()
    };
    super::side::read(&mut input, limits, &mut metadata)?;
    input.seek(SeekFrom::Start(0))?;
    let (input, warnings) = super::lenient::mend(input)?;
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_skip_ancillary_crc_failures(true);
    options.set_ignore_text_chunk(true);
    let mut decoder = Decoder::new_with_options(BufReader::with_capacity(BUFFER, input), options);
    let info = decoder.read_header_info().map_err(error)?;
    let (rows, cols) = (u64::from(info.height), u64::from(info.width));
    let (color_type, depth) = (info.color_type, info.bit_depth);
    // Before the transparency chunk is known: most channels that can come of it.
    let sample = match depth {
        BitDepth::Sixteen => SampleType::U16,
        _ => SampleType::U8,
    };
    let shape = limits.shape(rows, cols, color(color_type, false), sample)?;
    decoder.set_limits(::png::Limits {
        bytes: 3 * (8 * shape.cols + 1) + limits.max_metadata,
    });
    decoder.set_transformations(Transformations::EXPAND);
    let reader = decoder.read_info().map_err(error)?;
    let info = reader.info();
    let shape = limits.shape(rows, cols, color(color_type, info.trns.is_some()), sample)?;
    metadata.icc = info.icc_profile.as_ref().map(|icc| icc.to_vec());
    let whole = if info.interlaced { shape.bytes() } else { 0 };
    let header = Header {
        kind: FormatKind::Png,
        shape,
        bits: depth as u8,
        orientation: metadata.orientation,
        has_icc: metadata.icc.is_some(),
        page_kind: super::super::PageKind::Animation,
        stored: None,
        pages: info
            .animation_control
            .map_or(1, |control| control.num_frames.max(1)),
        streams: !info.interlaced,
        seekable: false,
        decoder_bytes: BUFFER + WINDOW + 3 * shape.row_bytes() + whole,
    };
    Ok((reader, header, metadata, warnings))
}

fn color(color_type: ColorType, transparency: bool) -> Color {
    match (color_type, transparency) {
        (ColorType::Grayscale, false) => Color::Gray,
        (ColorType::Grayscale, true) | (ColorType::GrayscaleAlpha, _) => Color::GrayAlpha,
        (ColorType::Rgb | ColorType::Indexed, false) => Color::Rgb,
        (ColorType::Rgb | ColorType::Indexed, true) | (ColorType::Rgba, _) => Color::Rgba,
    }
}

/// Reads the header and all that stands before the pixels.
pub fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    start(input, limits).map(|(_, header, ..)| header)
}

/// A decoder for the first or only image of the file.
pub fn open(
    input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let (reader, header, metadata, warnings) = start(input, limits)?;
    Ok(Box::new(Source {
        reader,
        shape: header.shape,
        metadata,
        warnings,
        next: 0,
        whole: None,
    }))
}

struct Source {
    reader: Reader<BufReader<Mended<Box<dyn ReadSeek>>>>,
    warnings: Vec<Warning>,
    shape: Shape,
    metadata: Metadata,
    next: usize,
    /// All rows of an interlaced image.
    whole: Option<Vec<u8>>,
}

impl Source {
    fn end(&mut self) -> Result<()> {
        self.whole = None;
        self.reader.finish().map_err(error)
    }
}

impl RowSource for Source {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        if band.count == 0 {
            return Ok(());
        }
        let len = self.shape.row_bytes();
        let out = band.data.bytes_mut();
        if self.reader.info().interlaced {
            if self.whole.is_none() {
                let mut whole = vec![0; self.shape.bytes()];
                self.reader.next_frame(&mut whole).map_err(error)?;
                self.whole = Some(whole);
            }
            if let Some(whole) = &self.whole {
                out.copy_from_slice(&whole[self.next * len..][..out.len()]);
            }
        } else {
            for row in out.chunks_exact_mut(len) {
                if self.reader.read_row(row).map_err(error)?.is_none() {
                    return Err(Error::Decode(
                        "not a sound PNG file: rows are missing".into(),
                    ));
                }
            }
        }
        if self.shape.sample == SampleType::U16 {
            for pair in out.chunks_exact_mut(2) {
                let value = u16::from_be_bytes([pair[0], pair[1]]);
                pair.copy_from_slice(&value.to_ne_bytes());
            }
        }
        self.next += band.count;
        if self.next == self.shape.rows {
            self.end()?;
        }
        Ok(())
    }
}
