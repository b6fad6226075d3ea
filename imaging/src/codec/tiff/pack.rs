//! Packing one strip of a TIFF: the predictor, the order of bytes, LZW, zlib, PackBits.

use super::TiffCompression;
use super::strips::Strips;
#[cfg(target_arch = "wasm32")]
use crate::codec::absent::libdeflater;
use crate::codec::deflate;
use crate::error::{Error, Result};
use crate::image::Stored;
use std::cell::RefCell;

/// Bytes of rows that get a Huffman code of their own.
const BLOCK: usize = 64 << 10;
/// Strips that shrink to less than this part are packed again with a search for repetitions.
const REPETITIVE: f64 = 0.4;

/// The number of the predictor before packing; 1 is none.
pub fn predictor(compression: TiffCompression, stored: Stored) -> u16 {
    match (compression, stored) {
        (TiffCompression::None | TiffCompression::PackBits, _) => 1,
        (_, Stored::Float(32)) => 3,
        (_, Stored::Unsigned(8 | 16 | 32) | Stored::Signed(8 | 16 | 32)) => 2,
        // Few readers but libtiff undo a predictor over other widths.
        _ => 1,
    }
}

/// Samples in the file's order of bytes, which is little-endian.
fn little_endian(samples: &mut [u8], stored: Stored) {
    let bits = usize::from(stored.bits());
    if cfg!(target_endian = "big") && bits % 8 == 0 {
        samples.chunks_exact_mut(bits / 8).for_each(<[u8]>::reverse);
    }
}

/// Packs one strip; its rows are overwritten.
pub fn pack(rows: &mut [u8], strips: Strips, compression: TiffCompression) -> Result<Vec<u8>> {
    let predictor = predictor(compression, strips.stored);
    if predictor != 1 {
        rows.chunks_exact_mut(strips.row_bytes())
            .for_each(|row| predict(row, strips));
    }
    if predictor != 3 {
        little_endian(rows, strips.stored);
    }
    match compression {
        TiffCompression::None => Ok(rows.to_vec()),
        TiffCompression::Deflate => zlib(rows),
        TiffCompression::Lzw => {
            weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .encode(rows)
                .map_err(|e| Error::Encode(format!("LZW: {e}")))
        }
        TiffCompression::PackBits => {
            let mut out = Vec::with_capacity(rows.len() + rows.len() / 64);
            for row in rows.chunks_exact(strips.row_bytes()) {
                pack_bits(row, &mut out);
            }
            Ok(out)
        }
    }
}

/// Replaces samples by their differences to the pixel on the left.
fn predict(row: &mut [u8], strips: Strips) {
    let stride = strips.shape.channels();
    match strips.stored {
        Stored::Unsigned(8) | Stored::Signed(8) => subtract_left(row, stride),
        Stored::Unsigned(16) | Stored::Signed(16) => {
            for at in (stride..row.len() / 2).rev() {
                let value = |i: usize| u16::from_ne_bytes([row[2 * i], row[2 * i + 1]]);
                let difference = value(at).wrapping_sub(value(at - stride));
                row[2 * at..2 * at + 2].copy_from_slice(&difference.to_ne_bytes());
            }
        }
        Stored::Unsigned(_) | Stored::Signed(_) => {
            for at in (stride..row.len() / 4).rev() {
                let value = |i: usize| {
                    let v = &row[4 * i..4 * i + 4];
                    u32::from_ne_bytes([v[0], v[1], v[2], v[3]])
                };
                let difference = value(at).wrapping_sub(value(at - stride));
                row[4 * at..4 * at + 4].copy_from_slice(&difference.to_ne_bytes());
            }
        }
        Stored::Float(_) => {
            let samples = row.len() / 4;
            let old = row.to_vec();
            for (sample, value) in old.chunks_exact(4).enumerate() {
                let value = [value[0], value[1], value[2], value[3]];
                let big = u32::from_ne_bytes(value).to_be_bytes();
                for byte in 0..4 {
                    row[byte * samples + sample] = big[byte];
                }
            }
            subtract_left(row, stride);
        }
    }
}

fn subtract_left(row: &mut [u8], stride: usize) {
    let old = row.to_vec();
    for ((out, here), left) in row
        .iter_mut()
        .skip(stride)
        .zip(old.iter().skip(stride))
        .zip(&old)
    {
        *out = here.wrapping_sub(*left);
    }
}

/// A zlib stream: quickly by runs and Huffman codes, and where that shrinks much, by libdeflate as
/// well, whichever is smaller.
fn zlib(rows: &[u8]) -> Result<Vec<u8>> {
    thread_local! {
        static PACKER: RefCell<libdeflater::Compressor> = RefCell::new(libdeflater::Compressor::new(
            libdeflater::CompressionLvl::default(),
        ));
    }
    let mut quick = Vec::with_capacity(rows.len() * 3 / 4);
    quick.extend_from_slice(&[0x78, 0x01]);
    for block in rows.chunks(BLOCK) {
        deflate::append_block(block, &mut quick);
    }
    deflate::append_end(&mut quick);
    quick.extend_from_slice(&deflate::adler(rows).to_be_bytes());
    if quick.len() as f64 >= REPETITIVE * rows.len() as f64 {
        return Ok(quick);
    }
    PACKER.with(|packer| {
        let mut packer = packer.borrow_mut();
        let mut thorough = vec![0; packer.zlib_compress_bound(rows.len())];
        match packer.zlib_compress(rows, &mut thorough) {
            Ok(len) if len < quick.len() => {
                thorough.truncate(len);
                Ok(thorough)
            }
            _ => Ok(quick),
        }
    })
}

/// Appends one row: runs of three and more as runs, the rest as literals.
fn pack_bits(row: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < row.len() {
        let run = row[at..]
            .iter()
            .take(128)
            .take_while(|&&b| b == row[at])
            .count();
        if run >= 3 {
            out.extend_from_slice(&[(257 - run) as u8, row[at]]);
            at += run;
            continue;
        }
        let rest = &row[at..row.len().min(at + 128)];
        let len = rest
            .windows(3)
            .position(|three| three[0] == three[1] && three[1] == three[2])
            .unwrap_or(rest.len());
        out.push((len - 1) as u8);
        out.extend_from_slice(&rest[..len]);
        at += len;
    }
}
