//! Rice's coding of differences, as FITS has it (standard 4.0, 10.4.1).

use super::header::bad;
use crate::error::{Error, Result};

/// Bits of the data, the highest first.
struct Bits<'d> {
    data: &'d [u8],
    at: usize,
}

impl Bits<'_> {
    fn truncated() -> Error {
        bad("a tile that ends too early")
    }

    fn take(&mut self, count: usize) -> Result<u32> {
        let mut value = 0u64;
        for _ in 0..count {
            let byte = self.data.get(self.at / 8).ok_or_else(Self::truncated)?;
            value = value << 1 | u64::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value as u32)
    }

    /// Zeros before the next one, which is taken, too.
    fn zeros(&mut self) -> Result<u32> {
        let mut count = 0;
        while self.take(1)? == 0 {
            count += 1;
        }
        Ok(count)
    }
}

/// `count` numbers of `bytes` bytes each, with the highest byte first.
pub fn unpack(data: &[u8], count: usize, bytes: usize, block: usize) -> Result<Vec<u8>> {
    // Bits of a block's own number, and the value that says that its differences are not packed.
    let (bits, plain) = match bytes {
        1 => (3, 6),
        2 => (4, 14),
        _ => (5, 25),
    };
    let mut bits_of = Bits { data, at: 0 };
    let mut last = bits_of.take(8 * bytes)?;
    let mut out = Vec::with_capacity(count * bytes);
    let mut left = count;
    while left > 0 {
        let here = block.min(left);
        left -= here;
        let split = bits_of.take(bits)?;
        for _ in 0..here {
            let mapped = match split {
                0 => 0,
                n if n > plain => bits_of.take(8 * bytes)?,
                n => {
                    let high = bits_of.zeros()?;
                    let low = bits_of.take(n as usize - 1)?;
                    high.wrapping_shl(n - 1) | low
                }
            };
            let difference = match mapped & 1 {
                0 => mapped >> 1,
                _ => !(mapped >> 1),
            };
            last = last.wrapping_add(difference);
            out.extend_from_slice(&last.to_be_bytes()[4 - bytes..]);
        }
    }
    Ok(out)
}
