//! PNG decoding. Every checksum of what makes pixels counts, and the file must go on to its end chunk; for what is
//! forgiven see [`super::lenient`].

use super::lenient::Found;
use crate::codec::frames::{self, Placed};
use crate::codec::mend::Mended;
use crate::codec::whole::Whole;
use crate::codec::{FormatKind, Header, Limits, OpenOptions, PageKind, ReadSeek, RowSource};
use crate::error::{Error, Limit, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use crate::window::Band;
use crate::{Warning, WarningKind};
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
        DecodingError::LimitsExceeded => Limit::Metadata
            .exceeded("the PNG's profiles and other metadata are larger than the limit"),
        other => {
            let text = plain(&other.to_string());
            Error::Decode(format!("not a sound PNG file: {text}"))
        }
    }
}

/// A text of the crate's with the names of chunks in the place of what Rust writes of them.
fn plain(text: &str) -> String {
    const BEGIN: &str = "ChunkType { type: ";
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (inside, behind) = after.split_once(" }").unwrap_or((after, ""));
        let name = inside
            .split_once(", critical")
            .map_or(inside, |(name, _)| name);
        out.push_str(before);
        match name.chars().all(|c| c.is_ascii_alphabetic()) {
            true => out.push_str(name),
            false => out.push_str("of an unknown name"),
        }
        rest = behind;
    }
    out + rest.trim_end_matches('.')
}

/// Reads up to the pixels.
fn start<R: Read + Seek>(mut input: R, limits: &Limits, page: u32) -> Result<Started<R>> {
    super::chunks::check(&mut input, limits)?;
    let mut metadata = Metadata {
        orientation: 1,
        ..Metadata::default()
    };
    super::side::read(&mut input, limits, &mut metadata)?;
    input.seek(SeekFrom::Start(0))?;
    let (input, mut found) = super::lenient::mend(input, limits)?;
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_skip_ancillary_crc_failures(true);
    options.set_ignore_text_chunk(true);
    // No more than there is: of many small files the emptying of buffers would be what takes the time.
    let buffer = usize::try_from(input.len()).map_or(BUFFER, |len| len.clamp(1, BUFFER));
    let mut decoder = Decoder::new_with_options(BufReader::with_capacity(buffer, input), options);
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
    let decoded = color(color_type, info.trns.is_some());
    let mut shape = limits.shape(rows, cols, decoded, sample)?;
    // One frame is no animation.
    let control = info
        .animation_control
        .filter(|control| control.num_frames > 1);
    let Some(control) = control else {
        found.frames.clear();
        return finish(reader, metadata, found, shape, None);
    };
    let (there, all) = (found.frames.len(), control.num_frames as usize);
    if there == 0 || there > all || (there < all && !found.cut) {
        return Err(Error::Decode(format!(
            "not a sound PNG file: {there} frames where {all} are announced"
        )));
    }
    if found.cut {
        found.warnings.push(Warning::new(
            WarningKind::Damaged,
            "the PNG is cut off within its animation",
        ));
    }
    if found.is_still(page) {
        return finish(reader, metadata, found, shape, None);
    }
    for frame in &mut found.frames {
        frame.opaque = !decoded.has_alpha();
        let reaches = frame.left.saturating_add(frame.cols) > shape.cols
            || frame.top.saturating_add(frame.rows) > shape.rows;
        if reaches || frame.cols == 0 || frame.rows == 0 {
            return Err(Error::Decode(
                "not a sound PNG file: a frame reaches beyond the canvas".into(),
            ));
        }
    }
    metadata.loops = Some(control.num_plays);
    if !decoded.has_alpha() && frames::transparent(&found.frames, shape) {
        let color = match decoded {
            Color::Gray => Color::GrayAlpha,
            _ => Color::Rgba,
        };
        shape = limits.shape(rows, cols, color, sample)?;
    }
    finish(reader, metadata, found, shape, Some(decoded))
}

/// What is known when the pixels begin.
struct Started<R: Read + Seek> {
    reader: Reader<BufReader<Mended<R>>>,
    header: Header,
    metadata: Metadata,
    found: Found,
    /// Channels of single frames, in an animation.
    decoded: Option<Color>,
}

fn finish<R: Read + Seek>(
    reader: Reader<BufReader<Mended<R>>>,
    mut metadata: Metadata,
    found: Found,
    shape: Shape,
    decoded: Option<Color>,
) -> Result<Started<R>> {
    let info = reader.info();
    metadata.icc = info.icc_profile.as_ref().map(|icc| icc.to_vec());
    let announced = info.animation_control.map_or(0, |c| c.num_frames) as usize;
    let missing = found.cut && found.frames.len() < announced;
    let whole = match decoded {
        Some(_) => 3 * shape.bytes(),
        None if info.interlaced => shape.bytes(),
        None => 0,
    };
    let header = Header {
        kind: FormatKind::Png,
        shape,
        bits: info.bit_depth as u8,
        orientation: metadata.orientation,
        has_icc: metadata.icc.is_some(),
        page_kind: PageKind::Animation,
        still: found.still_apart && found.frames.len() > 1 && !found.cut,
        stored: None,
        lossless: true,
        // Where some are missing, the first of those is a page that cannot be read.
        pages: found.frames.len().max(1) as u32 + u32::from(missing),
        streams: !info.interlaced && decoded.is_none(),
        seekable: false,
        decoder_bytes: BUFFER + WINDOW + 3 * shape.row_bytes() + whole,
    };
    Ok(Started {
        reader,
        header,
        metadata,
        found,
        decoded,
    })
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
pub fn probe(input: &mut dyn ReadSeek, limits: &Limits, page: u32) -> Result<Header> {
    start(input, limits, page).map(|started| started.header)
}

/// A decoder for the first or only image of the file.
pub fn open(
    input: Box<dyn ReadSeek>,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let started = start(input, limits, options.page)?;
    if let Some(decoded) = started.decoded {
        return Ok(Box::new(animation(started, decoded, options.page)?));
    }
    let Started {
        reader,
        header,
        metadata,
        found,
        ..
    } = started;
    Ok(Box::new(Source {
        reader,
        shape: header.shape,
        metadata,
        warnings: found.warnings,
        next: 0,
        whole: None,
    }))
}

/// A composed frame.
fn animation<R: Read + Seek>(started: Started<R>, decoded: Color, page: u32) -> Result<Whole> {
    let Started {
        mut reader,
        header,
        mut metadata,
        found,
        ..
    } = started;
    let Some(frame) = found.frames.get(page as usize) else {
        if found.cut && page < header.pages {
            return Err(Error::Decode(format!(
                "truncated PNG: {page} of its frames are there"
            )));
        }
        return Err(crate::codec::no_page(page, header.pages));
    };
    metadata.delay_ms = Some(frame.delay_ms);
    // Pictures come in order; the first may be no frame.
    let before = usize::from(found.still_apart);
    let mut at = 0;
    let channels = decoded.channels();
    let decode = |wanted: usize| {
        while at < wanted + before {
            reader.next_frame_info().map_err(error)?;
            at += 1;
        }
        let Placed { cols, rows, .. } = found.frames[wanted];
        let needed = reader.output_buffer_size().unwrap_or(usize::MAX);
        let whole = header.shape.rows * header.shape.cols * channels * header.shape.sample.bytes();
        if needed > whole {
            return Err(Error::Decode("not a sound PNG file: its frames".into()));
        }
        let mut samples = vec![0; whole];
        reader.next_frame(&mut samples).map_err(error)?;
        at += 1;
        samples.truncate(rows * cols * channels * header.shape.sample.bytes());
        if header.shape.sample == SampleType::U16 {
            to_native(&mut samples);
        }
        Ok(samples)
    };
    let mut source = frames::source(&found.frames, header.shape, page as usize, metadata, decode)?;
    if page + 1 == header.pages {
        reader.finish().map_err(error)?;
    }
    source.warnings = found.warnings;
    Ok(source)
}

fn to_native(samples: &mut [u8]) {
    for pair in samples.chunks_exact_mut(2) {
        let value = u16::from_be_bytes([pair[0], pair[1]]);
        pair.copy_from_slice(&value.to_ne_bytes());
    }
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
            to_native(out);
        }
        self.next += band.count;
        if self.next == self.shape.rows {
            self.end()?;
        }
        Ok(())
    }
}
