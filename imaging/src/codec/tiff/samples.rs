//! From stored samples to those handed out: bits, palettes, planes, white as zero, alpha.

use super::layout::{Layout, Meaning};
use crate::image::SampleType;
use crate::window::Band;

/// One row of a strip or tile: a slice for each plane.
pub struct Stored<'a> {
    /// The row in each plane, in the machine's order of bytes.
    pub planes: &'a [&'a [u8]],
    /// Columns to be handed out.
    pub cols: usize,
}

/// Converts `stored` to pixels from the start of `out`. `unpacked` is working memory.
pub fn convert(layout: &Layout, stored: &Stored<'_>, out: &mut [u8], unpacked: &mut Vec<u8>) {
    if layout.is_copied() {
        let len = stored.cols * layout.channels * layout.bits / 8;
        out[..len].copy_from_slice(&stored.planes[0][..len]);
        return;
    }
    let channels = layout.shape.channels();
    let invert = layout.meaning == Meaning::InvertedGray;
    for channel in 0..channels {
        let is_alpha = layout.shape.color.has_alpha() && channel == channels - 1;
        let from = match layout.alpha {
            Some(alpha) if is_alpha => alpha,
            _ => channel,
        };
        if let Meaning::Palette(colors) = &layout.meaning {
            let table: Vec<u8> = colors.iter().map(|color| color[channel]).collect();
            bytes(layout, stored, 0, channel, &table, out, unpacked);
            continue;
        }
        let invert = invert && !is_alpha;
        match layout.bits {
            16 => {
                each::<2, 2>(layout, stored, from, channel, out, |v| {
                    let v = u16::from_ne_bytes(v);
                    (if invert { 65535 - v } else { v }).to_ne_bytes()
                });
            }
            32 => each::<4, 4>(layout, stored, from, channel, out, |v| {
                let v = f32::from_ne_bytes(v);
                (if invert { 1.0 - v } else { v }).to_ne_bytes()
            }),
            64 => each::<8, 4>(layout, stored, from, channel, out, |v| {
                let v = f64::from_ne_bytes(v);
                ((if invert { 1.0 - v } else { v }) as f32).to_ne_bytes()
            }),
            bits => {
                let top = (1u32 << bits) - 1;
                let scaled = |v: u32| (v * 255 / top) as u8;
                let table: Vec<u8> = (0..=top)
                    .map(|v| if invert { 255 - scaled(v) } else { scaled(v) })
                    .collect();
                bytes(layout, stored, from, channel, &table, out, unpacked);
            }
        }
    }
}

/// The plane, first sample and distance of samples of a stored channel.
fn place<'a>(layout: &Layout, stored: &Stored<'a>, from: usize) -> (&'a [u8], usize, usize) {
    match layout.planar {
        true => (stored.planes[from], 0, 1),
        false => (stored.planes[0], from, layout.channels),
    }
}

/// Looks samples of at most 8 bits up in `table`.
fn bytes(
    layout: &Layout,
    stored: &Stored<'_>,
    from: usize,
    to: usize,
    table: &[u8],
    out: &mut [u8],
    unpacked: &mut Vec<u8>,
) {
    let (plane, first, step) = place(layout, stored, from);
    let pixels = out
        .chunks_exact_mut(layout.shape.channels())
        .take(stored.cols);
    let plane = match layout.bits {
        8 => plane,
        bits => {
            unpacked.clear();
            let per_byte = 8 / bits;
            let mask = (1u8 << bits) - 1;
            unpacked.extend(
                plane
                    .iter()
                    .flat_map(|&byte| (1..=per_byte).map(move |n| byte >> (8 - n * bits) & mask)),
            );
            unpacked
        }
    };
    for (pixel, value) in pixels.zip(plane[first..].iter().step_by(step)) {
        pixel[to] = table[usize::from(*value)];
    }
}

/// Converts samples of `FROM` bytes to samples of `TO` bytes.
fn each<const FROM: usize, const TO: usize>(
    layout: &Layout,
    stored: &Stored<'_>,
    from: usize,
    to: usize,
    out: &mut [u8],
    convert: impl Fn([u8; FROM]) -> [u8; TO],
) {
    let (plane, first, step) = place(layout, stored, from);
    let pixels = out
        .chunks_exact_mut(layout.shape.channels() * TO)
        .take(stored.cols);
    for (pixel, value) in pixels.zip(plane.chunks_exact(FROM).skip(first).step_by(step)) {
        let mut raw = [0; FROM];
        raw.copy_from_slice(value);
        pixel[to * TO..(to + 1) * TO].copy_from_slice(&convert(raw));
    }
}

/// Divides colours by alpha, as images here have colours that were not multiplied by it. Rounded to
/// nearest; where alpha is zero the colour stays.
pub fn divide_by_alpha(band: &mut Band<'_>) {
    let channels = band.shape.channels();
    match band.shape.sample {
        SampleType::U8 => {
            for pixel in band.samples::<u8>().chunks_exact_mut(channels) {
                let alpha = u32::from(pixel[channels - 1]);
                for value in &mut pixel[..channels - 1] {
                    let whole = (u32::from(*value) * 255 + alpha / 2).checked_div(alpha);
                    *value = whole.map_or(*value, |v| v.min(255) as u8);
                }
            }
        }
        SampleType::U16 => {
            for pixel in band.samples::<u16>().chunks_exact_mut(channels) {
                let alpha = u64::from(pixel[channels - 1]);
                for value in &mut pixel[..channels - 1] {
                    let whole = (u64::from(*value) * 65535 + alpha / 2).checked_div(alpha);
                    *value = whole.map_or(*value, |v| v.min(65535) as u16);
                }
            }
        }
        SampleType::F32 => {
            for pixel in band.samples::<f32>().chunks_exact_mut(channels) {
                let alpha = pixel[channels - 1];
                for value in &mut pixel[..channels - 1] {
                    if alpha > 0.0 {
                        *value /= alpha;
                    }
                }
            }
        }
        SampleType::F64 => {
            for pixel in band.samples::<f64>().chunks_exact_mut(channels) {
                let alpha = pixel[channels - 1];
                for value in &mut pixel[..channels - 1] {
                    if alpha > 0.0 {
                        *value /= alpha;
                    }
                }
            }
        }
    }
}
