//! From stored samples to those handed out: bits, palettes, planes, white as zero.

use super::layout::{Layout, Meaning};
use super::{bits, color};
use crate::image::{SampleType, Stored as Type};

/// One row of a strip or tile: a slice for each plane.
pub struct Stored<'a> {
    /// The row in each plane, in the machine's order of bytes.
    pub planes: &'a [&'a [u8]],
    /// Columns to be handed out.
    pub cols: usize,
}

/// Working memory of one reader.
#[derive(Default)]
pub struct Scratch {
    unpacked: Vec<u8>,
    mixed: Vec<u8>,
}

/// Where converted samples go: channel `at` of pixels of `channels` samples.
struct To<'a> {
    out: &'a mut [u8],
    at: usize,
    channels: usize,
}

/// Converts `stored` to pixels from the start of `out`.
pub fn convert(layout: &Layout, stored: &Stored<'_>, out: &mut [u8], scratch: &mut Scratch) {
    if layout.is_copied() {
        let len = stored.cols * layout.channels * layout.bits() / 8;
        out[..len].copy_from_slice(&stored.planes[0][..len]);
        return;
    }
    let Scratch { unpacked, mixed } = scratch;
    if layout.meaning.is_mixed() {
        // The stored channels side by side, each as it is, then their colours.
        let channels = layout.channels;
        mixed.resize(stored.cols * channels * layout.stored.sample().bytes(), 0);
        for at in 0..channels {
            let out = &mut mixed[..];
            channel(layout, stored, at, To { out, at, channels }, unpacked);
        }
        color::mix(layout, mixed, out);
        return;
    }
    let channels = layout.shape.channels();
    for at in 0..channels {
        let alpha = layout.alpha.filter(|_| at == channels - 1);
        match (&layout.meaning, alpha) {
            // One stored index makes all three colours.
            (Meaning::Palette(colors), None) => {
                palette(layout, stored, colors, To { out, at, channels }, unpacked);
            }
            _ => {
                let from = alpha.unwrap_or(at);
                channel(layout, stored, from, To { out, at, channels }, unpacked);
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

/// Converts one stored channel.
fn channel(layout: &Layout, stored: &Stored<'_>, from: usize, to: To<'_>, unpacked: &mut Vec<u8>) {
    let (plane, first, step) = place(layout, stored, from);
    let invert = layout.meaning == Meaning::InvertedGray && layout.alpha != Some(from);
    let row = Row {
        plane,
        first,
        step,
        cols: stored.cols,
    };
    match layout.stored {
        Type::Unsigned(bits @ ..=8) => {
            let table = scaled(bits, invert);
            bytes(row, bits, &table, to, unpacked);
        }
        Type::Unsigned(16) => each::<2, 2>(row, to, |v| {
            let v = u16::from_ne_bytes(v);
            (if invert { 65535 - v } else { v }).to_ne_bytes()
        }),
        Type::Unsigned(bits @ ..=16) => {
            let top = (1u32 << bits) - 1;
            bits::unpack(row.plane, usize::from(bits), unpacked);
            each::<2, 2>(row.of(unpacked), to, |v| {
                let v = u32::from(u16::from_ne_bytes(v));
                let v = if invert { top - v } else { v };
                (((v * 65535 + top / 2) / top) as u16).to_ne_bytes()
            });
        }
        Type::Unsigned(24) => each::<3, 8>(row, to, |v| {
            let v = bits::triple(v);
            f64::from(if invert { 0xFF_FFFF - v } else { v }).to_ne_bytes()
        }),
        Type::Unsigned(32) => each::<4, 8>(row, to, |v| {
            let v = u32::from_ne_bytes(v);
            f64::from(if invert { u32::MAX - v } else { v }).to_ne_bytes()
        }),
        Type::Unsigned(_) => {
            each::<8, 8>(row, to, |v| (u64::from_ne_bytes(v) as f64).to_ne_bytes())
        }
        Type::Signed(8) => each::<1, 4>(row, to, |[v]| f32::from(v as i8).to_ne_bytes()),
        Type::Signed(16) => {
            each::<2, 4>(row, to, |v| f32::from(i16::from_ne_bytes(v)).to_ne_bytes())
        }
        Type::Signed(bits @ ..=16) => {
            let bits = u32::from(bits);
            bits::unpack(row.plane, bits as usize, unpacked);
            each::<2, 4>(row.of(unpacked), to, |v| {
                let v = i32::from(u16::from_ne_bytes(v)) << (32 - bits) >> (32 - bits);
                (v as f32).to_ne_bytes()
            });
        }
        Type::Signed(24) => each::<3, 8>(row, to, |v| {
            let v = (bits::triple(v) << 8) as i32 >> 8;
            f64::from(v).to_ne_bytes()
        }),
        Type::Signed(32) => {
            each::<4, 8>(row, to, |v| f64::from(i32::from_ne_bytes(v)).to_ne_bytes())
        }
        Type::Signed(_) => each::<8, 8>(row, to, |v| (i64::from_ne_bytes(v) as f64).to_ne_bytes()),
        Type::Float(16) => each::<2, 4>(row, to, |v| {
            let v = bits::half(u16::from_ne_bytes(v));
            (if invert { 1.0 - v } else { v }).to_ne_bytes()
        }),
        Type::Float(24) => each::<3, 4>(row, to, |v| {
            let v = bits::float24(bits::triple(v));
            (if invert { 1.0 - v } else { v }).to_ne_bytes()
        }),
        Type::Float(32) => each::<4, 4>(row, to, |v| {
            let v = f32::from_ne_bytes(v);
            (if invert { 1.0 - v } else { v }).to_ne_bytes()
        }),
        Type::Float(_) => each::<8, 8>(row, to, |v| {
            let v = f64::from_ne_bytes(v);
            (if invert { 1.0 - v } else { v }).to_ne_bytes()
        }),
    }
}

/// Bytes for samples of at most 8 bits.
fn scaled(bits: u8, invert: bool) -> Vec<u8> {
    let top = (1u32 << bits) - 1;
    let value = |v: u32| ((v * 255 + top / 2) / top) as u8;
    (0..=top)
        .map(|v| if invert { 255 - value(v) } else { value(v) })
        .collect()
}

/// Looks the colours of indices up.
fn palette(
    layout: &Layout,
    stored: &Stored<'_>,
    colors: &[[u16; 3]],
    to: To<'_>,
    unpacked: &mut Vec<u8>,
) {
    let (plane, first, step) = place(layout, stored, 0);
    let row = Row {
        plane,
        first,
        step,
        cols: stored.cols,
    };
    let (bits, at) = (layout.bits(), to.at);
    if layout.shape.sample == SampleType::U8 {
        let table: Vec<u8> = colors.iter().map(|color| (color[at] >> 8) as u8).collect();
        return bytes(row, bits as u8, &table, to, unpacked);
    }
    let color = |v| colors[usize::from(u16::from_ne_bytes(v))][at].to_ne_bytes();
    if bits == 16 {
        return each::<2, 2>(row, to, color);
    }
    bits::unpack(row.plane, bits, unpacked);
    each::<2, 2>(row.of(unpacked), to, color);
}

/// Samples of one channel within a row.
struct Row<'a> {
    plane: &'a [u8],
    first: usize,
    step: usize,
    cols: usize,
}

impl Row<'_> {
    /// The same of a row in which samples have 16 bits.
    fn of<'b>(&self, plane: &'b [u8]) -> Row<'b> {
        Row {
            plane,
            first: self.first,
            step: self.step,
            cols: self.cols,
        }
    }
}

/// Looks samples of at most 8 bits up in `table`.
fn bytes(row: Row<'_>, bits: u8, table: &[u8], to: To<'_>, unpacked: &mut Vec<u8>) {
    let pixels = to.out.chunks_exact_mut(to.channels).take(row.cols);
    let plane = match bits {
        8 => row.plane,
        bits => {
            bits::unpack_bytes(row.plane, usize::from(bits), unpacked);
            unpacked
        }
    };
    for (pixel, value) in pixels.zip(plane[row.first..].iter().step_by(row.step)) {
        pixel[to.at] = table[usize::from(*value)];
    }
}

/// Converts samples of `FROM` bytes to samples of `TO` bytes.
fn each<const FROM: usize, const TO: usize>(
    row: Row<'_>,
    to: To<'_>,
    convert: impl Fn([u8; FROM]) -> [u8; TO],
) {
    let pixels = to.out.chunks_exact_mut(to.channels * TO).take(row.cols);
    let values = row.plane.chunks_exact(FROM).skip(row.first);
    for (pixel, value) in pixels.zip(values.step_by(row.step)) {
        let mut raw = [0; FROM];
        raw.copy_from_slice(value);
        pixel[to.at * TO..(to.at + 1) * TO].copy_from_slice(&convert(raw));
    }
}
