//! Textures whose pixels are indices or numbers cut up by bit masks.

use crate::codec::limits::read_full;
use crate::codec::{Limits, ReadSeek};
use crate::error::{Error, Result};
use crate::image::{Color, SampleType, Shape};
use std::io::{BufReader, SeekFrom};

// Of DDS_PIXELFORMAT.
const ALPHA: u32 = 1;
const FOUR_CC: u32 = 4;
const INDEXED: u32 = 0x20;
const RGB: u32 = 0x40;
const LUMINANCE: u32 = 0x2_0000;
const HEADER: u64 = 128;
/// Red, green, blue and alpha of 256 colours.
const PALETTE: usize = 1024;

/// A texture that is not packed.
pub struct Plain {
    pub shape: Shape,
    /// Bytes of one pixel.
    pixel: usize,
    /// Which bits of a pixel make which channel; none of an index.
    masks: Vec<u32>,
}

/// None for a texture that is told by a code.
pub fn parse(input: &mut dyn ReadSeek, limits: &Limits) -> Result<Option<Plain>> {
    let len = limits.file(input)?;
    let mut head = [0; HEADER as usize];
    input.seek(SeekFrom::Start(0))?;
    read_full(input, &mut head, "DDS")?;
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (flags, bits) = (number(80), number(88));
    if flags & FOUR_CC != 0 {
        return Ok(None);
    }
    let indexed = flags & INDEXED != 0;
    let sound = indexed || matches!(bits, 8 | 16 | 24 | 32) && flags & (RGB | LUMINANCE) != 0;
    if !sound {
        return Err(Error::Decode(format!(
            "DDS textures of {bits} bits a pixel of this kind are not read"
        )));
    }
    let alpha = flags & ALPHA != 0;
    let mut masks = match (indexed, flags & RGB != 0) {
        (true, _) => vec![],
        (_, true) => vec![number(92), number(96), number(100)],
        _ => vec![number(92)],
    };
    let color = match (masks.len(), alpha) {
        (0, _) => Color::Rgba,
        (1, false) => Color::Gray,
        (1, true) => Color::GrayAlpha,
        (_, false) => Color::Rgb,
        (_, true) => Color::Rgba,
    };
    if alpha && !indexed {
        masks.push(number(104));
    }
    // Some writers leave masks of brightness that lie beyond the pixel: brightness comes first, then alpha.
    for (at, mask) in masks.iter_mut().enumerate() {
        if flags & RGB == 0 && u64::from(*mask) & ((1 << bits) - 1) == 0 {
            *mask = 0xFF << (8 * at);
        }
    }
    let shape = limits.shape(number(12).into(), number(16).into(), color, SampleType::U8)?;
    let pixel = if indexed { 1 } else { bits as usize / 8 };
    let before = HEADER + if indexed { PALETTE as u64 } else { 0 };
    if len.saturating_sub(before) < shape.pixels() as u64 * pixel as u64 {
        return Err(Error::Decode(
            "truncated DDS: the file ends too early".into(),
        ));
    }
    Ok(Some(Plain {
        shape,
        pixel,
        masks,
    }))
}

/// The bits under the mask, scaled to 0..=255; a channel without any is 0.
fn channel(pixel: u32, mask: u32) -> u8 {
    if mask == 0 {
        return 0;
    }
    let (shift, most) = (mask.trailing_zeros(), mask >> mask.trailing_zeros());
    let value = u64::from((pixel & mask) >> shift);
    ((value * 255 + u64::from(most) / 2) / u64::from(most)) as u8
}

impl Plain {
    /// All pixels of the file whose header this is.
    pub fn samples(&self, input: &mut dyn ReadSeek) -> Result<Vec<u8>> {
        let mut input = BufReader::new(input);
        let mut samples = Vec::with_capacity(self.shape.bytes());
        let mut line = vec![0; self.shape.cols * self.pixel];
        let mut palette = [0; PALETTE];
        if self.masks.is_empty() {
            read_full(&mut input, &mut palette, "DDS")?;
        }
        let colors = palette.as_chunks::<4>().0;
        for _ in 0..self.shape.rows {
            read_full(&mut input, &mut line, "DDS")?;
            if self.masks.is_empty() {
                samples.extend(line.iter().flat_map(|index| colors[usize::from(*index)]));
                continue;
            }
            for bytes in line.chunks_exact(self.pixel) {
                let pixel = bytes
                    .iter()
                    .rev()
                    .fold(0, |all, &b| all << 8 | u32::from(b));
                samples.extend(self.masks.iter().map(|&mask| channel(pixel, mask)));
            }
        }
        Ok(samples)
    }
}
