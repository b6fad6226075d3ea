//! The RIFF container of a WebP: its chunks, read and written.

use crate::codec::limits::read_full;
use crate::codec::{Limits, ReadSeek, exif};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use crate::metadata::xmp;
use std::io::{Read, SeekFrom};

pub(super) const ANIMATION: u8 = 2;
pub(super) const XMP: u8 = 4;
pub(super) const EXIF: u8 = 8;
pub(super) const ALPHA: u8 = 16;
pub(super) const ICC: u8 = 32;

/// What the chunks say.
#[derive(Debug)]
pub(super) struct Container {
    /// Shape of the canvas.
    pub shape: Shape,
    pub metadata: Metadata,
    pub frames: u32,
    /// Bytes of the whole container in the file.
    pub len: u64,
    /// Where the first frame's own chunks are, in an animation.
    pub first_frame: Option<Frame>,
}

/// A frame of an animation.
#[derive(Debug)]
pub(super) struct Frame {
    pub left: usize,
    pub top: usize,
    pub cols: usize,
    pub rows: usize,
    /// Where its chunks begin and end.
    pub start: u64,
    pub end: u64,
}

pub(super) fn bad(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("not a sound WebP: {what}"))
}

fn u24(b: &[u8]) -> usize {
    usize::from(b[0]) | usize::from(b[1]) << 8 | usize::from(b[2]) << 16
}

/// Walks over all chunks; pixels are not touched.
pub(super) fn parse(input: &mut dyn ReadSeek, limits: &Limits) -> Result<Container> {
    let file = input.seek(SeekFrom::End(0))?;
    input.seek(SeekFrom::Start(0))?;
    let mut head = [0; 12];
    read_full(input, &mut head, "WebP")?;
    let len = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])) + 8;
    if len > file {
        return Err(Error::Decode(format!(
            "truncated WebP: {file} of {len} bytes are there"
        )));
    }
    let mut canvas: Option<(Shape, u8)> = None;
    let mut picture: Option<Shape> = None;
    let (mut frames, mut first_frame) = (0u32, None);
    let mut metadata = Metadata {
        orientation: 1,
        ..Metadata::default()
    };
    let mut kept = 0;
    let mut at = 12;
    while at + 8 <= len {
        let mut chunk = [0; 8];
        input.seek(SeekFrom::Start(at))?;
        read_full(input, &mut chunk, "WebP")?;
        let size = u64::from(u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]));
        let body = at + 8;
        let next = body + size + size % 2;
        if next > len {
            return Err(bad("a chunk reaches beyond the end"));
        }
        match &chunk[..4] {
            b"VP8X" if at == 12 && size >= 10 => {
                let mut x = [0; 10];
                read_full(input, &mut x, "WebP")?;
                let color = if x[0] & ALPHA != 0 {
                    Color::Rgba
                } else {
                    Color::Rgb
                };
                let (cols, rows) = (u24(&x[4..]) as u64 + 1, u24(&x[7..]) as u64 + 1);
                canvas = Some((limits.shape(rows, cols, color, SampleType::U8)?, x[0]));
            }
            b"VP8 " | b"VP8L" if picture.is_none() => {
                picture = Some(size_of(input, size, &chunk, limits)?);
                frames = frames.max(1);
            }
            b"ANMF" if size >= 24 => {
                frames += 1;
                if first_frame.is_none() {
                    let mut f = [0; 16];
                    read_full(input, &mut f, "WebP")?;
                    first_frame = Some(Frame {
                        left: 2 * u24(&f),
                        top: 2 * u24(&f[3..]),
                        cols: u24(&f[6..]) + 1,
                        rows: u24(&f[9..]) + 1,
                        start: body + 16,
                        end: body + size,
                    });
                }
            }
            name @ (b"ICCP" | b"EXIF" | b"XMP ") => {
                kept = usize::try_from(size)
                    .unwrap_or(usize::MAX)
                    .saturating_add(kept);
                limits.metadata(kept)?;
                let mut bytes = vec![0; size as usize];
                read_full(input, &mut bytes, "WebP")?;
                match name {
                    b"ICCP" => metadata.icc = Some(bytes),
                    b"XMP " => metadata.xmp = Some(bytes),
                    // Some writers leave the prefix of JPEG in.
                    _ => {
                        metadata.exif = Some(match bytes.strip_prefix(b"Exif\0\0") {
                            Some(tiff) => tiff.to_vec(),
                            None => bytes,
                        })
                    }
                }
            }
            _ => {}
        }
        at = next;
    }
    let stated = metadata.exif.as_deref().and_then(exif::stated_orientation);
    let stated = stated.or_else(|| metadata.xmp.as_deref().and_then(xmp::orientation));
    metadata.orientation = stated.unwrap_or(1);
    metadata.resolution = metadata.exif.as_deref().and_then(exif::resolution);
    let (shape, first_frame) = match (canvas, picture, first_frame) {
        (Some((canvas, flags)), _, Some(frame)) if flags & ANIMATION != 0 => {
            if frame.left + frame.cols > canvas.cols || frame.top + frame.rows > canvas.rows {
                return Err(bad("a frame reaches beyond the canvas"));
            }
            // What a frame leaves free is transparent.
            let covered = (frame.cols, frame.rows) == (canvas.cols, canvas.rows);
            let color = if covered { canvas.color } else { Color::Rgba };
            (
                limits.shape(
                    canvas.rows as u64,
                    canvas.cols as u64,
                    color,
                    SampleType::U8,
                )?,
                Some(frame),
            )
        }
        (Some((canvas, flags)), Some(picture), None) if flags & ANIMATION == 0 => {
            if (picture.cols, picture.rows) != (canvas.cols, canvas.rows) {
                return Err(bad("the picture does not fill the canvas"));
            }
            (canvas, None)
        }
        (None, Some(picture), None) => (picture, None),
        _ => return Err(bad("there is no picture in it")),
    };
    Ok(Container {
        shape,
        metadata,
        frames: frames.max(1),
        len,
        first_frame,
    })
}

/// The size inside of a bitstream's first bytes.
fn size_of(input: &mut dyn ReadSeek, size: u64, chunk: &[u8], limits: &Limits) -> Result<Shape> {
    let mut b = [0; 10];
    if size < b.len() as u64 {
        return Err(bad("a picture of no bytes"));
    }
    read_full(input, &mut b, "WebP")?;
    let (cols, rows, color) = if chunk[3] == b'L' {
        let bits = u32::from_le_bytes([b[1], b[2], b[3], b[4]]);
        if b[0] != 0x2F {
            return Err(bad("its lossless picture"));
        }
        let color = if bits >> 28 & 1 == 1 {
            Color::Rgba
        } else {
            Color::Rgb
        };
        ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, color)
    } else {
        if b[0] & 1 != 0 || b[3..6] != [0x9D, 0x01, 0x2A] {
            return Err(bad("its lossy picture"));
        }
        let side = |low, high| u32::from(u16::from_le_bytes([low, high])) & 0x3FFF;
        (side(b[6], b[7]), side(b[8], b[9]), Color::Rgb)
    };
    limits.shape(u64::from(rows), u64::from(cols), color, SampleType::U8)
}

impl Container {
    /// A bitstream of the one picture to decode.
    pub fn bitstream(&self, input: &mut dyn ReadSeek) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let Some(frame) = &self.first_frame else {
            input.seek(SeekFrom::Start(0))?;
            input.take(self.len).read_to_end(&mut bytes)?;
            return Ok(bytes);
        };
        input.seek(SeekFrom::Start(frame.start))?;
        input
            .take(frame.end - frame.start)
            .read_to_end(&mut bytes)?;
        let shape = Shape {
            rows: frame.rows,
            cols: frame.cols,
            ..self.shape
        };
        let chunks: Vec<(&[u8], &[u8])> = chunks(&bytes).collect();
        let flags = if chunks.iter().any(|(name, _)| *name == b"ALPH") {
            ALPHA
        } else {
            0
        };
        riff(shape, flags, &chunks)
    }
}

/// The chunks of a container's body; those that reach beyond its end are left out.
pub(super) fn chunks(mut body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = body.split_at_checked(8)?;
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (data, rest) = rest.split_at_checked(size)?;
        body = rest.get(size % 2..).unwrap_or(&[]);
        Some((&head[..4], data))
    })
}

/// A container of these chunks behind a `VP8X` chunk of its own.
pub(super) fn riff(shape: Shape, flags: u8, chunks: &[(&[u8], &[u8])]) -> Result<Vec<u8>> {
    let side = |n: usize| (n as u32 - 1).to_le_bytes();
    let (w, h) = (side(shape.cols), side(shape.rows));
    let x = [flags, 0, 0, 0, w[0], w[1], w[2], h[0], h[1], h[2]];
    let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
    for (name, data) in std::iter::once((&b"VP8X"[..], &x[..])).chain(chunks.iter().copied()) {
        let Ok(size) = u32::try_from(data.len()) else {
            return Err(Error::Encode("a WebP holds at most 4 GiB".into()));
        };
        out.extend_from_slice(name);
        out.extend(size.to_le_bytes());
        out.extend_from_slice(data);
        if size % 2 == 1 {
            out.push(0);
        }
    }
    let Ok(size) = u32::try_from(out.len() - 8) else {
        return Err(Error::Encode("a WebP holds at most 4 GiB".into()));
    };
    out[4..8].copy_from_slice(&size.to_le_bytes());
    Ok(out)
}
