//! The RIFF container of a WebP: its chunks, read and written.

use crate::codec::frames::{self, Dispose, Placed};
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
    /// How often an animation is shown; 0 is for ever.
    pub loops: u32,
    /// Whether its bitstream, or the first frame's, is lossless.
    pub lossless: bool,
    /// Bytes of the whole container in the file.
    pub len: u64,
    /// The frames of an animation.
    pub frames: Vec<Frame>,
}

/// A frame of an animation.
#[derive(Debug)]
pub(super) struct Frame {
    pub placed: Placed,
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
    let mut frames: Vec<Frame> = Vec::new();
    let (mut loops, mut lossless) = (0, false);
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
                picture = Some(picture_of(input, size, &chunk, limits)?);
                lossless = chunk[3] == b'L';
            }
            b"ANMF" if size >= 24 => {
                kept += size_of::<Frame>();
                limits.metadata(kept)?;
                let mut f = [0; 20];
                read_full(input, &mut f, "WebP")?;
                if frames.is_empty() {
                    lossless = &f[16..] == b"VP8L";
                }
                let opaque = canvas.is_some_and(|(_, flags)| flags & ALPHA == 0);
                frames.push(Frame {
                    placed: Placed {
                        left: 2 * u24(&f),
                        top: 2 * u24(&f[3..]),
                        cols: u24(&f[6..]) + 1,
                        rows: u24(&f[9..]) + 1,
                        dispose: match f[15] & 1 {
                            0 => Dispose::Keep,
                            _ => Dispose::Clear,
                        },
                        blends: f[15] & 2 == 0,
                        opaque,
                        delay_ms: u24(&f[12..]) as u32,
                    },
                    start: body + 16,
                    end: body + size,
                });
            }
            b"ANIM" if size >= 6 => {
                let mut f = [0; 6];
                read_full(input, &mut f, "WebP")?;
                loops = u32::from(u16::from_le_bytes([f[4], f[5]]));
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
    let animated = canvas.is_some_and(|(_, flags)| flags & ANIMATION != 0);
    let shape = match (canvas, picture) {
        (Some((canvas, _)), _) if animated && !frames.is_empty() => {
            let reaches =
                |f: &Placed| f.left + f.cols > canvas.cols || f.top + f.rows > canvas.rows;
            if frames.iter().any(|frame| reaches(&frame.placed)) {
                return Err(bad("a frame reaches beyond the canvas"));
            }
            // What frames leave free is transparent.
            let placed: Vec<Placed> = frames.iter().map(|frame| frame.placed).collect();
            let color = match frames::transparent(&placed, canvas) {
                true => Color::Rgba,
                false => canvas.color,
            };
            let (rows, cols) = (canvas.rows as u64, canvas.cols as u64);
            limits.shape(rows, cols, color, SampleType::U8)?
        }
        (Some((canvas, _)), Some(picture)) if !animated => {
            if (picture.cols, picture.rows) != (canvas.cols, canvas.rows) {
                return Err(bad("the picture does not fill the canvas"));
            }
            frames.clear();
            canvas
        }
        (None, Some(picture)) if frames.is_empty() => picture,
        _ => return Err(bad("there is no picture in it")),
    };
    Ok(Container {
        shape,
        metadata,
        loops,
        lossless,
        len,
        frames,
    })
}

/// The size inside of a bitstream's first bytes.
fn picture_of(input: &mut dyn ReadSeek, size: u64, chunk: &[u8], limits: &Limits) -> Result<Shape> {
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
    /// The bitstream of a frame, or of the only picture.
    pub fn bitstream(&self, input: &mut dyn ReadSeek, at: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let Some(frame) = self.frames.get(at) else {
            input.seek(SeekFrom::Start(0))?;
            input.take(self.len).read_to_end(&mut bytes)?;
            return Ok(bytes);
        };
        input.seek(SeekFrom::Start(frame.start))?;
        input
            .take(frame.end - frame.start)
            .read_to_end(&mut bytes)?;
        let shape = Shape {
            rows: frame.placed.rows,
            cols: frame.placed.cols,
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

/// A chunk.
pub(super) fn append(name: &[u8], data: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let Ok(size) = u32::try_from(data.len()) else {
        return Err(Error::Encode("a WebP holds at most 4 GiB".into()));
    };
    out.extend_from_slice(name);
    out.extend(size.to_le_bytes());
    out.extend_from_slice(data);
    if size % 2 == 1 {
        out.push(0);
    }
    Ok(())
}

/// The chunk that tells of a canvas.
pub(super) fn canvas(shape: Shape, flags: u8) -> [u8; 10] {
    let side = |n: usize| (n as u32 - 1).to_le_bytes();
    let (w, h) = (side(shape.cols), side(shape.rows));
    [flags, 0, 0, 0, w[0], w[1], w[2], h[0], h[1], h[2]]
}

/// A container of these chunks behind a `VP8X` chunk of its own.
pub(super) fn riff(shape: Shape, flags: u8, chunks: &[(&[u8], &[u8])]) -> Result<Vec<u8>> {
    let x = canvas(shape, flags);
    let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
    for (name, data) in std::iter::once((&b"VP8X"[..], &x[..])).chain(chunks.iter().copied()) {
        append(name, data, &mut out)?;
    }
    let Ok(size) = u32::try_from(out.len() - 8) else {
        return Err(Error::Encode("a WebP holds at most 4 GiB".into()));
    };
    out[4..8].copy_from_slice(&size.to_le_bytes());
    Ok(out)
}
