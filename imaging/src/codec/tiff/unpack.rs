//! Unpacking one strip or tile: LZW, zlib, PackBits, then the predictor and the order of bytes.

use super::directory::bad;
use super::layout::{Layout, Packing, Predictor};
#[cfg(target_arch = "wasm32")]
use crate::codec::absent::libdeflater;
use crate::error::Result;
use std::cell::RefCell;

thread_local! {
    static INFLATER: RefCell<libdeflater::Decompressor> = RefCell::new(libdeflater::Decompressor::new());
}

/// Unpacks `packed` into `out`, which it must fill, and brings samples into the machine's order.
pub fn unpack(layout: &Layout, packed: &[u8], out: &mut [u8]) -> Result<()> {
    match layout.packing {
        Packing::None => out.copy_from_slice(packed),
        Packing::Lzw => lzw(packed, out)?,
        Packing::Deflate => inflate(packed, out)?,
        Packing::PackBits => pack_bits(packed, out)?,
        Packing::Library(_) | Packing::Nested(_) => {
            return Err(bad("it is unpacked by another library"));
        }
    }
    finish(layout, out);
    Ok(())
}

fn short(kind: &str) -> crate::Error {
    bad(format!(
        "{kind} data that ends or breaks before its rows do"
    ))
}

fn lzw(packed: &[u8], out: &mut [u8]) -> Result<()> {
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
    let (mut from, mut to) = (0, 0);
    while to < out.len() {
        let step = decoder.decode_bytes(&packed[from..], &mut out[to..]);
        from += step.consumed_in;
        to += step.consumed_out;
        match step.status {
            Ok(weezl::LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            _ if to == out.len() => {}
            _ => return Err(short("LZW")),
        }
    }
    Ok(())
}

fn inflate(packed: &[u8], out: &mut [u8]) -> Result<()> {
    let whole = INFLATER.with(|inflater| inflater.borrow_mut().zlib_decompress(packed, out));
    match whole {
        Ok(len) if len == out.len() => Ok(()),
        // More rows than the image has: the surplus is of no use.
        Err(libdeflater::DecompressionError::InsufficientSpace) => {
            let mut inflater = flate2::Decompress::new(true);
            let result = inflater.decompress(packed, out, flate2::FlushDecompress::None);
            match result {
                Ok(_) if inflater.total_out() == out.len() as u64 => Ok(()),
                _ => Err(short("deflate")),
            }
        }
        _ => Err(short("deflate")),
    }
}

fn pack_bits(packed: &[u8], out: &mut [u8]) -> Result<()> {
    let (mut from, mut to) = (0, 0);
    while to < out.len() {
        let &code = packed.get(from).ok_or_else(|| short("PackBits"))?;
        from += 1;
        match code {
            0..=127 => {
                let len = (usize::from(code) + 1).min(out.len() - to);
                let literal = packed
                    .get(from..from + len)
                    .ok_or_else(|| short("PackBits"))?;
                out[to..to + len].copy_from_slice(literal);
                from += len;
                to += len;
            }
            128 => {}
            129..=255 => {
                let len = (257 - usize::from(code)).min(out.len() - to);
                let &byte = packed.get(from).ok_or_else(|| short("PackBits"))?;
                out[to..to + len].fill(byte);
                from += 1;
                to += len;
            }
        }
    }
    Ok(())
}

/// Undoes the predictor and brings samples into the machine's order.
pub fn finish(layout: &Layout, out: &mut [u8]) {
    if layout.predictor != Predictor::Float {
        native(layout, out);
    }
    let stride = layout.channels_together();
    let rows = out.chunks_exact_mut(layout.chunk_row_bytes());
    match (layout.predictor, layout.bits()) {
        (Predictor::None, _) => {}
        (Predictor::Horizontal, 8) => rows.for_each(|row| match stride {
            1 => add_left_bytes::<1>(row),
            2 => add_left_bytes::<2>(row),
            3 => add_left_bytes::<3>(row),
            4 => add_left_bytes::<4>(row),
            _ => add_left::<1>(row, stride),
        }),
        (Predictor::Horizontal, 16) => rows.for_each(|row| add_left::<2>(row, stride)),
        (Predictor::Horizontal, 32) => rows.for_each(|row| add_left::<4>(row, stride)),
        (Predictor::Horizontal, _) => rows.for_each(|row| add_left::<8>(row, stride)),
        (Predictor::Float, bits) => {
            let mut planes = Vec::new();
            rows.for_each(|row| join_float(row, stride, bits / 8, &mut planes));
        }
    }
}

/// Swaps the bytes of each sample where the file's order is not the machine's.
pub fn native(layout: &Layout, samples: &mut [u8]) {
    if layout.big == cfg!(target_endian = "big") {
        return;
    }
    match layout.bits() {
        16 => samples.chunks_exact_mut(2).for_each(<[u8]>::reverse),
        24 => samples.chunks_exact_mut(3).for_each(<[u8]>::reverse),
        32 => samples.chunks_exact_mut(4).for_each(<[u8]>::reverse),
        64 => samples.chunks_exact_mut(8).for_each(<[u8]>::reverse),
        _ => {}
    }
}

fn add_left_bytes<const CHANNELS: usize>(row: &mut [u8]) {
    let mut left = [0u8; CHANNELS];
    for pixel in row.chunks_exact_mut(CHANNELS) {
        for channel in 0..CHANNELS {
            left[channel] = left[channel].wrapping_add(pixel[channel]);
            pixel[channel] = left[channel];
        }
    }
}

fn load(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    if cfg!(target_endian = "big") {
        wide[8 - bytes.len()..].copy_from_slice(bytes);
        return u64::from_be_bytes(wide);
    }
    wide[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(wide)
}

/// Adds to each sample of `BYTES` bytes that of the pixel to the left.
fn add_left<const BYTES: usize>(row: &mut [u8], stride: usize) {
    let step = stride * BYTES;
    for at in (step..row.len() / BYTES * BYTES).step_by(BYTES) {
        let left = load(&row[at - step..at - step + BYTES]);
        let sum = left.wrapping_add(load(&row[at..at + BYTES]));
        if cfg!(target_endian = "big") {
            row[at..at + BYTES].copy_from_slice(&sum.to_be_bytes()[8 - BYTES..]);
        } else {
            row[at..at + BYTES].copy_from_slice(&sum.to_le_bytes()[..BYTES]);
        }
    }
}

/// Undoes the predictor for floats (Adobe Photoshop TIFF technical note 3): bytes of equal weight
/// stand together, the highest first, each the difference to the pixel on its left.
fn join_float(row: &mut [u8], stride: usize, bytes: usize, planes: &mut Vec<u8>) {
    for at in stride..row.len() {
        row[at] = row[at].wrapping_add(row[at - stride]);
    }
    planes.clear();
    planes.extend_from_slice(row);
    let samples = row.len() / bytes;
    for sample in 0..samples {
        for byte in 0..bytes {
            let to = if cfg!(target_endian = "big") {
                byte
            } else {
                bytes - 1 - byte
            };
            row[sample * bytes + to] = planes[byte * samples + sample];
        }
    }
}
