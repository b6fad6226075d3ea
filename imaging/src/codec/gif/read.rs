//! Reading: all frames are counted by their headers, and those that a picture needs are decoded.

use crate::codec::frames::{self, Dispose, Placed};
use crate::codec::mend::Mended;
use crate::codec::{FormatKind, Header, Limits, OpenOptions, PageKind, ReadSeek, RowSource};
use crate::error::{Error, Limit, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use crate::{Warning, WarningKind};
use gif::{DecodeOptions, Decoder, DecodingError, DisposalMethod, MemoryLimit, Repeat};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::num::NonZeroU64;

/// The mark at the end of a file.
const TRAILER: &[u8] = &[0x3B];
/// Bytes before the palette.
const HEAD: usize = 13;

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
    /// Where the mark at the end has to be put in, and what is told of it.
    end: Option<(u64, String)>,
}

/// A decoder, and whether a palette of grays was put in where the file has none for all its frames.
fn decoder<R: Read>(
    mut input: R,
    limits: &Limits,
    skip: bool,
) -> Result<(Decoder<impl Read>, bool)> {
    let mut head = Vec::new();
    input.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let bare = head.get(HEAD - 3).is_some_and(|flags| flags & 0x80 == 0);
    if bare {
        head[HEAD - 3] |= 0x87;
        head.extend((0..=255).flat_map(|v| [v; 3]));
    }
    let mut options = DecodeOptions::new();
    // Extensions that nobody knows are passed over; blocks are seen to by `blocks`.
    options.allow_unknown_blocks(true);
    let most = NonZeroU64::new(limits.max_metadata as u64).unwrap_or(NonZeroU64::MIN);
    options.set_memory_limit(MemoryLimit::Bytes(most));
    options.skip_frame_decoding(skip);
    let input = std::io::Cursor::new(head).chain(input);
    Ok((options.read_info(input).map_err(failed)?, bare))
}

/// The headers of all frames of a file that is whole, or up to where no block begins.
fn look<R: Read + Seek>(mut input: R, limits: &Limits) -> Result<Found> {
    let end = blocks(&mut input)?;
    input.seek(SeekFrom::Start(0))?;
    let Some((at, told)) = end else {
        return walk(&mut input, limits);
    };
    let mut ended = Mended::new(input)?;
    ended.end(at, TRAILER);
    let end = Some((at, told));
    Ok(Found {
        end,
        ..walk(&mut ended, limits)?
    })
}

/// Where a file ends that has no mark at its end, or bytes of no meaning before it.
fn blocks<R: Read + Seek>(input: &mut R) -> Result<Option<(u64, String)>> {
    let len = input.seek(SeekFrom::End(0))?;
    input.seek(SeekFrom::Start(0))?;
    let mut input = BufReader::new(input);
    let table = |flags: u8| match flags & 0x80 {
        0 => 0,
        _ => 6 << (flags & 7),
    };
    let byte = |input: &mut BufReader<&mut R>| -> Result<Option<u8>> {
        let mut byte = [0];
        Ok((input.read(&mut byte)? == 1).then_some(byte[0]))
    };
    let mut head = [0; HEAD];
    if input.read_exact(&mut head).is_err() {
        return Ok(None);
    }
    let mut at = HEAD as u64 + table(head[HEAD - 3]);
    input.seek_relative(table(head[HEAD - 3]) as i64)?;
    loop {
        let start = at;
        let after = match byte(&mut input)? {
            Some(0x3B) => return Ok(None),
            None if at == len => {
                let told = "the GIF has no mark at its end; further frames may be missing";
                return Ok(Some((len, told.into())));
            }
            // Cut off: the decoder says so.
            None => return Ok(None),
            Some(0x21) => 1,
            Some(0x2C) => {
                let mut head = [0; 9];
                if input.read_exact(&mut head).is_err() {
                    return Ok(None);
                }
                at += 9;
                table(head[8]) + 1
            }
            Some(_) => {
                let told = format!(
                    "the last {} bytes of the GIF are no frames and were left out",
                    len - start
                );
                return Ok(Some((start, told)));
            }
        };
        input.seek_relative(after as i64)?;
        at += 1 + after;
        // Pieces of data, up to an empty one.
        loop {
            let Some(count) = byte(&mut input)? else {
                return Ok(None);
            };
            at += 1 + u64::from(count);
            if count == 0 {
                break;
            }
            input.seek_relative(i64::from(count))?;
        }
    }
}

fn walk<R: Read>(input: R, limits: &Limits) -> Result<Found> {
    let (mut decoder, _) = decoder(input, limits, true)?;
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
        // A first frame that reaches beyond the screen makes it larger; later ones are cut off, as browsers have it.
        if frames.is_empty() {
            cols = cols.max(placed.left + placed.cols);
            rows = rows.max(placed.top + placed.rows);
        }
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
        end: None,
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
        still: false,
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
        end,
    } = look(&mut *input, limits)?;
    let page = options.page as usize;
    let Some(frame) = frames.get(page) else {
        return Err(crate::codec::no_page(options.page, frames.len() as u32));
    };
    metadata.delay_ms = (frames.len() > 1).then_some(frame.delay_ms);
    let mut input = Mended::new(input)?;
    if let Some((at, _)) = &end {
        input.end(*at, TRAILER);
    }
    let (mut decoder, bare) = decoder(BufReader::new(input), limits, false)?;
    let mut at = None;
    let channels = shape.channels();
    let mut odd: Vec<String> = Vec::new();
    let decode = |wanted: usize| {
        while at.is_none_or(|at| at < wanted) {
            decoder.next_frame_info().map_err(failed)?;
            at = Some(at.map_or(0, |at| at + 1));
        }
        let Placed { cols, rows, .. } = frames[wanted];
        let transparent = decoder.current_frame_info().and_then(|f| f.transparent);
        let mut indices = vec![0; cols * rows];
        decoder.read_into_buffer(&mut indices).map_err(failed)?;
        let own = decoder
            .current_frame_info()
            .is_some_and(|f| f.palette.is_some());
        if bare && !own {
            odd.push("the GIF has no palette: its colours are taken for gray".into());
        }
        let palette = decoder.palette().map_err(failed)?;
        let (samples, beyond) = paint(&indices, palette, transparent, channels);
        if let Some(index) = beyond {
            odd.push(format!(
                "the GIF has colours up to {index} of a palette of {}: those beyond are black",
                palette.len() / 3
            ));
        }
        Ok(samples)
    };
    let mut source = frames::source(&frames, shape, page, metadata, decode)?;
    odd.dedup();
    odd.extend(end.map(|(_, told)| told));
    source.warnings = (odd.into_iter())
        .map(|told| Warning::new(WarningKind::Damaged, told))
        .collect();
    Ok(Box::new(source))
}

/// Colours of a palette, and the largest index beyond it; such are black.
fn paint(
    indices: &[u8],
    palette: &[u8],
    transparent: Option<u8>,
    channels: usize,
) -> (Vec<u8>, Option<u8>) {
    let mut samples = vec![0; indices.len() * channels];
    let mut beyond = None;
    for (to, index) in samples.chunks_exact_mut(channels).zip(indices) {
        let see_through = Some(*index) == transparent;
        let at = usize::from(*index) * 3;
        match palette.get(at..at + 3) {
            Some(entry) => to[..3].copy_from_slice(entry),
            None if see_through => {}
            None => beyond = beyond.max(Some(*index)),
        }
        if channels == 4 {
            to[3] = if see_through { 0 } else { 255 };
        }
    }
    (samples, beyond)
}
