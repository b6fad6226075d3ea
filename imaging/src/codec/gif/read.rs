//! Reading: all frames are counted by their headers, and those that a picture needs are decoded.

use crate::codec::frames::{self, Dispose, Placed};
use crate::codec::mend::Mended;
use crate::codec::{FormatKind, Header, Limits, OpenOptions, PageKind, ReadSeek, RowSource};
use crate::error::{Error, Limit, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use crate::{Warning, WarningKind};
use gif::{DecodeOptions, Decoder, DecodingError, DisposalMethod, MemoryLimit, Repeat};
use std::io::{Read, Seek, SeekFrom};
use std::num::NonZeroU64;

/// The mark at the end of a file.
const TRAILER: &[u8] = &[0x3B];

fn failed(error: DecodingError) -> Error {
    match error {
        DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::Decode("truncated GIF: the file ends too early".into())
        }
        DecodingError::Io(error) => error.into(),
        other => Error::Decode(format!("not a sound GIF: {other}")),
    }
}

/// What the headers of all frames say.
struct Found {
    shape: Shape,
    frames: Vec<Placed>,
    metadata: Metadata,
    /// Whether the mark at the end has to be put in.
    endless: bool,
}

fn decoder<R: Read>(input: R, limits: &Limits, skip: bool) -> Result<Decoder<R>> {
    let mut options = DecodeOptions::new();
    let most = NonZeroU64::new(limits.max_metadata as u64).unwrap_or(NonZeroU64::MIN);
    options.set_memory_limit(MemoryLimit::Bytes(most));
    options.skip_frame_decoding(skip);
    options.read_info(input).map_err(failed)
}

fn look<R: Read + Seek>(mut input: R, limits: &Limits) -> Result<Found> {
    match walk(&mut input, limits) {
        Ok(found) => Ok(found),
        Err(error) => {
            // All may be there but the mark at the end.
            input.seek(SeekFrom::Start(0))?;
            let mut ended = Mended::new(input)?;
            ended.end(u64::MAX, TRAILER);
            match walk(&mut ended, limits) {
                Ok(found) => Ok(Found {
                    endless: true,
                    ..found
                }),
                Err(_) => Err(error),
            }
        }
    }
}

fn walk<R: Read>(input: R, limits: &Limits) -> Result<Found> {
    let mut decoder = decoder(input, limits, true)?;
    let (mut cols, mut rows) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let mut frames: Vec<Placed> = Vec::new();
    // Frames cost memory here, too.
    let most = limits.max_metadata / size_of::<Placed>();
    while let Some(frame) = decoder.next_frame_info().map_err(failed)? {
        if frames.len() >= most {
            return Err(Limit::Count.exceeded(format!("a GIF of more than {most} frames")));
        }
        let placed = Placed {
            left: usize::from(frame.left),
            top: usize::from(frame.top),
            cols: usize::from(frame.width),
            rows: usize::from(frame.height),
            dispose: match frame.dispose {
                DisposalMethod::Background => Dispose::Clear,
                DisposalMethod::Previous => Dispose::Restore,
                DisposalMethod::Any | DisposalMethod::Keep => Dispose::Keep,
            },
            blends: true,
            opaque: frame.transparent.is_none(),
            delay_ms: u32::from(frame.delay) * 10,
        };
        limits.shape(
            placed.rows as u64,
            placed.cols as u64,
            Color::Rgba,
            SampleType::U8,
        )?;
        // A frame that reaches beyond the screen makes it larger.
        cols = cols.max(placed.left + placed.cols);
        rows = rows.max(placed.top + placed.rows);
        frames.push(placed);
    }
    if frames.is_empty() {
        return Err(Error::Decode(
            "not a sound GIF: there is no picture in it".into(),
        ));
    }
    let sized = |color| limits.shape(rows as u64, cols as u64, color, SampleType::U8);
    let mut shape = sized(Color::Rgb)?;
    if frames::transparent(&frames, shape) {
        shape = sized(Color::Rgba)?;
    }
    limits.metadata(decoder.icc_profile().map_or(0, <[u8]>::len))?;
    let loops = match decoder.repeat() {
        Repeat::Infinite => 0,
        Repeat::Finite(again) => u32::from(again) + 1,
    };
    let metadata = Metadata {
        icc: decoder.icc_profile().map(<[u8]>::to_vec),
        orientation: 1,
        loops: (frames.len() > 1).then_some(loops),
        ..Metadata::default()
    };
    Ok(Found {
        shape,
        frames,
        metadata,
        endless: false,
    })
}

pub(super) fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    let found = look(input, limits)?;
    let largest = found.frames.iter().map(|f| f.cols * f.rows).max();
    let pages = found.frames.len() as u32;
    let canvases = if pages > 1 { 2 } else { 1 };
    Ok(Header {
        kind: FormatKind::Gif,
        shape: found.shape,
        bits: 8,
        orientation: 1,
        has_icc: found.metadata.icc.is_some(),
        pages,
        page_kind: PageKind::Animation,
        stored: None,
        lossless: true,
        streams: false,
        seekable: true,
        decoder_bytes: canvases * found.shape.bytes()
            + largest.unwrap_or(0) * (1 + found.shape.channels())
            + found.frames.len() * size_of::<Placed>()
            + (256 << 10),
    })
}

pub(super) fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let Found {
        shape,
        frames,
        mut metadata,
        endless,
    } = look(&mut *input, limits)?;
    let page = options.page as usize;
    let Some(frame) = frames.get(page) else {
        return Err(crate::codec::no_page(options.page, frames.len() as u32));
    };
    metadata.delay_ms = (frames.len() > 1).then_some(frame.delay_ms);
    input.seek(SeekFrom::Start(0))?;
    let mut decoder = decoder(input, limits, false)?;
    let mut at = None;
    let channels = shape.channels();
    let decode = |wanted: usize| {
        while at.is_none_or(|at| at < wanted) {
            decoder.next_frame_info().map_err(failed)?;
            at = Some(at.map_or(0, |at| at + 1));
        }
        let Placed { cols, rows, .. } = frames[wanted];
        let transparent = decoder.current_frame_info().and_then(|f| f.transparent);
        let mut indices = vec![0; cols * rows];
        decoder.read_into_buffer(&mut indices).map_err(failed)?;
        let palette = decoder.palette().map_err(failed)?;
        paint(&indices, palette, transparent, channels)
    };
    let mut source = frames::source(&frames, shape, page, metadata, decode)?;
    if endless {
        source.warnings.push(Warning::new(
            WarningKind::Damaged,
            "the GIF has no mark at its end; further frames may be missing",
        ));
    }
    Ok(Box::new(source))
}

/// Colours of a palette.
fn paint(
    indices: &[u8],
    palette: &[u8],
    transparent: Option<u8>,
    channels: usize,
) -> Result<Vec<u8>> {
    let mut samples = vec![0; indices.len() * channels];
    for (to, index) in samples.chunks_exact_mut(channels).zip(indices) {
        let see_through = Some(*index) == transparent;
        let at = usize::from(*index) * 3;
        match palette.get(at..at + 3) {
            Some(entry) => to[..3].copy_from_slice(entry),
            None if see_through => {}
            None => {
                let colors = palette.len() / 3;
                return Err(Error::Decode(format!(
                    "not a sound GIF: colour {index} of a palette of {colors}"
                )));
            }
        }
        if channels == 4 {
            to[3] = if see_through { 0 } else { 255 };
        }
    }
    Ok(samples)
}
