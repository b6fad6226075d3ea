//! Decoding bitmaps: row by row, or at once for run lengths.

use super::header::{Coding, Head, bad};
use crate::codec::limits::read_full;
use crate::codec::{ReadSeek, RowSource};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Shape};
use crate::window::Band;
use crate::{Warning, WarningKind};
use std::io::{BufReader, Seek, SeekFrom};

/// Rows of fixed length, wherever they lie.
pub(super) struct Source {
    input: BufReader<Box<dyn ReadSeek>>,
    head: Head,
    metadata: Metadata,
    raw: Vec<u8>,
    scales: [Scale; 4],
    warnings: Vec<Warning>,
}

fn odd(text: impl Into<String>) -> Warning {
    Warning::new(WarningKind::Damaged, text)
}

impl Source {
    /// A source of a file that is long enough.
    pub fn new(mut input: BufReader<Box<dyn ReadSeek>>, head: Head) -> Result<Source> {
        let end = input.seek(SeekFrom::End(0))?;
        let before = head.stride().saturating_mul(head.shape.rows as u64 - 1);
        let needed = head
            .start
            .saturating_add(before)
            .saturating_add(head.used_bytes());
        if end < needed {
            return Err(Error::Decode(format!(
                "truncated BMP: {end} of {needed} bytes are there"
            )));
        }
        let masks = match head.coding {
            Coding::Masks(masks) => masks,
            _ => [0; 4],
        };
        Ok(Source {
            input,
            raw: vec![0; head.used_bytes() as usize],
            metadata: Metadata {
                orientation: 1,
                ..Metadata::default()
            },
            scales: masks.map(Scale::new),
            warnings: head.odd.iter().map(|text| odd(*text)).collect(),
            head,
        })
    }

    /// Answers the largest index beyond the palette.
    fn convert(&self, out: &mut [u8]) -> Option<u8> {
        let raw = &self.raw;
        match &self.head.coding {
            Coding::Palette(palette) | Coding::Runs(palette) => {
                let bits = usize::from(self.head.bits);
                let (per_byte, mask) = (8 / bits, ((1u16 << bits) - 1) as u8);
                let index =
                    |x: usize| raw[x / per_byte] >> ((per_byte - 1 - x % per_byte) * bits) & mask;
                return spread(
                    palette,
                    (0..self.head.shape.cols).map(index),
                    self.head.shape.color,
                    out,
                );
            }
            Coding::Bytes => {
                let step = usize::from(self.head.bits / 8);
                for (to, from) in out.chunks_exact_mut(3).zip(raw.chunks_exact(step)) {
                    to.copy_from_slice(&[from[2], from[1], from[0]]);
                }
            }
            Coding::Masks(_) => {
                let step = usize::from(self.head.bits / 8);
                let channels = self.head.shape.channels();
                for (to, from) in out.chunks_exact_mut(channels).zip(raw.chunks_exact(step)) {
                    let high = if step == 4 {
                        [from[2], from[3]]
                    } else {
                        [0, 0]
                    };
                    let pixel = u32::from_le_bytes([from[0], from[1], high[0], high[1]]);
                    for (v, scale) in to.iter_mut().zip(&self.scales) {
                        *v = scale.of(pixel);
                    }
                }
            }
        }
        None
    }
}

/// One channel of a pixel by its mask, to 8 bits: `255 v / max`, rounded.
struct Scale {
    mask: u32,
    shift: u32,
    max: u64,
}

impl Scale {
    fn new(mask: u32) -> Scale {
        let shift = if mask == 0 { 0 } else { mask.trailing_zeros() };
        Scale {
            mask,
            shift,
            max: u64::from(mask >> shift).max(1),
        }
    }

    fn of(&self, pixel: u32) -> u8 {
        let v = u64::from((pixel & self.mask) >> self.shift);
        ((v * 255 + self.max / 2) / self.max) as u8
    }
}

/// Colours of a palette's indices; those beyond it are black, as everywhere. Answers the largest of them.
fn spread(
    palette: &[[u8; 3]],
    indices: impl Iterator<Item = u8>,
    color: Color,
    out: &mut [u8],
) -> Option<u8> {
    let mut beyond = None;
    for (to, index) in out.chunks_exact_mut(color.channels()).zip(indices) {
        let entry = palette.get(usize::from(index)).unwrap_or_else(|| {
            beyond = beyond.max(Some(index));
            &[0; 3]
        });
        to.copy_from_slice(&entry[..to.len()]);
    }
    beyond
}

fn beyond(index: u8, coding: &Coding) -> Warning {
    let colors = match coding {
        Coding::Palette(palette) | Coding::Runs(palette) => palette.len(),
        _ => 0,
    };
    odd(format!(
        "the BMP has colours up to {index} of a palette of {colors}: those beyond are black"
    ))
}

impl RowSource for Source {
    fn shape(&self) -> Shape {
        self.head.shape
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        let mut at = None;
        for k in 0..band.count {
            // In the order of the file, so that what was buffered is used.
            let (y, row) = match self.head.top_down {
                true => (band.first + k, band.first + k),
                false => {
                    let y = band.range().end - 1 - k;
                    (y, self.head.shape.rows - 1 - y)
                }
            };
            let place = self.head.start + row as u64 * self.head.stride();
            // The next row follows after the padding.
            match at {
                Some(now) => self.input.seek_relative((place as i64).wrapping_sub(now))?,
                None => drop(self.input.seek(SeekFrom::Start(place))?),
            }
            let mut raw = std::mem::take(&mut self.raw);
            let read = read_full(&mut self.input, &mut raw, "BMP");
            self.raw = raw;
            read?;
            at = Some((place + self.head.used_bytes()) as i64);
            if let Some(index) = self.convert(band.row::<u8>(y)) {
                let warning = beyond(index, &self.head.coding);
                if !self.warnings.contains(&warning) {
                    self.warnings.push(warning);
                }
            }
        }
        Ok(())
    }

    fn seek_row(&mut self, _row: usize) -> Result<bool> {
        // Each read goes to its rows.
        Ok(true)
    }

    fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// All pixels of a bitmap of run lengths, and what is odd of it. Pixels that are skipped have colour 0; what reaches beyond
/// a row is cut off.
pub(super) fn runs(
    mut input: BufReader<Box<dyn ReadSeek>>,
    head: &Head,
    palette: &[[u8; 3]],
) -> Result<(Vec<u8>, Vec<Warning>)> {
    let mut warnings: Vec<Warning> = head.odd.iter().map(|text| odd(*text)).collect();
    let mut cut = 0usize;
    let Shape {
        rows, cols, color, ..
    } = head.shape;
    let four = head.bits == 4;
    let mut indices = vec![0u8; rows * cols];
    let (mut x, mut y) = (0, 0);
    let mut pair = || -> Result<[u8; 2]> {
        let mut pair = [0; 2];
        read_full(&mut input, &mut pair, "BMP")?;
        Ok(pair)
    };
    loop {
        let [count, value] = pair()?;
        match (count, value) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => break,
            (0, 2) => {
                let [right, up] = pair()?;
                (x, y) = (x + usize::from(right), y + usize::from(up));
            }
            _ => {
                let literal = count == 0;
                let len = usize::from(if literal { value } else { count });
                if y >= rows {
                    return Err(bad("a run below the image"));
                }
                let fits = len.min(cols - x.min(cols));
                cut += len - fits;
                // The rows come from the bottom, as a rule.
                let row = if head.top_down { y } else { rows - 1 - y };
                let run = &mut indices[row * cols + x.min(cols)..][..fits];
                if literal {
                    let per_pair = if four { 4 } else { 2 };
                    let mut left = run;
                    for _ in 0..len.div_ceil(per_pair) {
                        let [a, b] = pair()?;
                        let spread = if four {
                            [a >> 4, a & 15, b >> 4, b & 15]
                        } else {
                            [a, b, 0, 0]
                        };
                        let count = per_pair.min(left.len());
                        let (part, rest) = left.split_at_mut(count);
                        part.copy_from_slice(&spread[..count]);
                        left = rest;
                    }
                } else if four {
                    let both = [value >> 4, value & 15];
                    run.iter_mut()
                        .enumerate()
                        .for_each(|(k, v)| *v = both[k % 2]);
                } else {
                    run.fill(value);
                }
                x += len;
            }
        }
        if y > rows {
            return Err(bad("its rows go beyond the image"));
        }
    }
    let mut samples = vec![0; head.shape.bytes()];
    if let Some(index) = spread(palette, indices.into_iter(), color, &mut samples) {
        warnings.push(beyond(index, &head.coding));
    }
    if cut > 0 {
        warnings.push(odd(format!(
            "the BMP's run lengths reach {cut} pixels beyond their rows: cut off"
        )));
    }
    Ok((samples, warnings))
}
