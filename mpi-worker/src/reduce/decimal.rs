//! One decimal number from its digits, correctly rounded.

use super::double::two_product;
use super::values::Block;

/// Part of a value.
pub const VALUE: u8 = 0;
/// A blank.
pub const BLANK: u8 = 1;
/// The end of a line.
pub const LINE: u8 = 2;
/// Between two fields, of which none may be empty.
pub const FIELD: u8 = 3;
/// The beginning of a comment.
pub const COMMENT: u8 = 4;

/// What each byte is.
pub const CLASS: [u8; 256] = {
    let mut class = [VALUE; 256];
    class[b' ' as usize] = BLANK;
    class[b'\t' as usize] = BLANK;
    class[b'\r' as usize] = BLANK;
    class[0x0b] = BLANK;
    class[0x0c] = BLANK;
    class[b'\n' as usize] = LINE;
    class[b',' as usize] = FIELD;
    class[b';' as usize] = FIELD;
    class[b'#' as usize] = COMMENT;
    class
};

/// What is wrong, and where.
pub struct Wrong {
    /// Index of the first byte.
    pub at: usize,
    /// In words.
    pub what: &'static str,
}

const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

const POWERS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The number of eight digits, a byte each, the first in the lowest byte.
#[inline(always)]
fn eight(v: u64) -> u64 {
    let v = v.wrapping_mul(2561) >> 8;
    let v = (v & 0x00ff_00ff_00ff_00ff).wrapping_mul(6_553_601) >> 16;
    (v & 0x0000_ffff_0000_ffff).wrapping_mul(42_949_672_960_001) >> 32
}

/// Appends the digits from `at` on to `value`; returns where they end. Eight bytes at a time, without a branch that
/// depends on how many of them are digits, since that is what cannot be foreseen.
#[inline(always)]
fn digits(bytes: &[u8], mut at: usize, mut value: u64) -> (usize, u64) {
    while let Some(word) = bytes
        .get(at..at + 8)
        .and_then(|w| <[u8; 8]>::try_from(w).ok())
    {
        let v = u64::from_le_bytes(word) ^ 0x3030_3030_3030_3030;
        // The lowest marked byte is the first that is no digit; those above it may be marked wrongly.
        let others = (v.wrapping_add(0x7676_7676_7676_7676) | v) & 0x8080_8080_8080_8080;
        if others == 0 {
            value = value.wrapping_mul(100_000_000).wrapping_add(eight(v));
            at += 8;
            continue;
        }
        let count = others.trailing_zeros() / 8;
        // Shifted in two steps, so that no digit at all is no special case.
        let v = (v << (56 - 8 * count)) << 8;
        let power = POWERS[count as usize & 7];
        return (
            at + count as usize,
            value.wrapping_mul(power).wrapping_add(eight(v)),
        );
    }
    while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0'))
        && digit < 10
    {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (at, value)
}

/// Converts the number at `start` and returns where it ends.
#[inline(always)]
pub fn number(bytes: &[u8], start: usize, block: &mut Block) -> Result<usize, Wrong> {
    let negative = bytes[start] == b'-';
    let first = start + usize::from(negative || bytes[start] == b'+');
    let (mut at, mut value) = digits(bytes, first, 0);
    let (mut count, mut scale, mut whole) = (at - first, 0i32, true);
    if bytes.get(at) == Some(&b'.') {
        let after = at + 1;
        (at, value) = digits(bytes, after, value);
        count += at - after;
        scale = -((at - after).min(1 << 20) as i32);
        whole = false;
    }
    if count > 0 && bytes.get(at).is_some_and(|b| b | 32 == b'e') {
        let up = bytes.get(at + 1) == Some(&b'+');
        let down = bytes.get(at + 1) == Some(&b'-');
        let after = at + 1 + usize::from(up || down);
        let (end, exponent) = digits(bytes, after, 0);
        if end == after || end - after > 6 {
            return slow(bytes, start, block);
        }
        scale += if down { -1 } else { 1 } * exponent as i32;
        at = end;
        whole = false;
    }
    let ends = bytes.get(at).is_none_or(|&b| CLASS[b as usize] != VALUE);
    // 19 digits always fit 64 bits.
    if count == 0 || count > 19 || !ends {
        return slow(bytes, start, block);
    }
    if whole {
        if value < 1 << 53 && !(negative && value == 0) {
            let hi = value as f64;
            block.hi.push(signed_by(hi, negative));
            if !block.lo.is_empty() {
                block.lo.push(0.0);
            }
            return Ok(at);
        }
        let signed = match negative {
            true => -i128::from(value),
            false => i128::from(value),
        };
        if i64::try_from(signed).is_err() || value == 0 {
            return slow(bytes, start, block);
        }
        block.push_integer(signed);
        return Ok(at);
    }
    let Some(magnitude) = scaled(value, scale) else {
        return slow(bytes, start, block);
    };
    block.push_float(signed_by(magnitude, negative));
    Ok(at)
}

/// Signs come as they like, so that they are no branch.
#[inline(always)]
fn signed_by(magnitude: f64, negative: bool) -> f64 {
    f64::from_bits(magnitude.to_bits() | (u64::from(negative) << 63))
}

/// `value * 10^scale` correctly rounded, where that is certain without long arithmetic.
#[inline(always)]
fn scaled(value: u64, scale: i32) -> Option<f64> {
    let power = *TENS.get(scale.unsigned_abs() as usize)?;
    if value <= 1 << 53 {
        let value = value as f64;
        return Some(if scale < 0 {
            value / power
        } else {
            value * power
        });
    }
    if scale >= 0 {
        return None;
    }
    // Both parts are exact; the quotient is good to about 2^-104 of its value, so it is rounded the
    // right way unless it lies that close to the middle of two doubles.
    let (hi, lo) = ((value & !2047) as f64, (value & 2047) as f64);
    let quotient = (hi + lo) / power;
    let (product, error) = two_product(quotient, power);
    let rest = (((hi - product) - error) + lo) / power;
    let margin = quotient * 2f64.powi(-98);
    let (low, high) = (quotient + (rest - margin), quotient + (rest + margin));
    (low == high).then_some(low)
}

/// Any notation, by the standard library.
#[cold]
#[inline(never)]
fn slow(bytes: &[u8], start: usize, block: &mut Block) -> Result<usize, Wrong> {
    let wrong = Wrong {
        at: start,
        what: "not a number",
    };
    let rest = &bytes[start..];
    let end = rest.iter().position(|&b| CLASS[b as usize] != VALUE);
    let end = end.unwrap_or(rest.len());
    let Ok(token) = std::str::from_utf8(&rest[..end]) else {
        return Err(wrong);
    };
    match token.parse::<i64>() {
        // A negative zero is kept for what becomes of it among floats.
        Ok(0) if token.starts_with('-') => {
            block.hi.push(-0.0);
            if !block.lo.is_empty() {
                block.lo.push(0.0);
            }
        }
        Ok(integer) => block.push_integer(i128::from(integer)),
        Err(_) => match token.parse::<f64>() {
            Ok(float) => block.push_float(float),
            Err(_) => return Err(wrong),
        },
    }
    Ok(start + end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_end_at_any_other_byte() {
        for count in 0..=19 {
            let number: String = "1234567890987654321"[..count].into();
            for other in (0..=u8::MAX).filter(|b| !b.is_ascii_digit()) {
                for after in [b"".as_slice(), b"9", b"99999999", b"\0\xff:/0123456789"] {
                    let bytes = [b"7", number.as_bytes(), &[other], after].concat();
                    let expected = number.parse().unwrap_or(0);
                    assert_eq!(digits(&bytes, 1, 0), (count + 1, expected), "{bytes:?}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn sixteen_to_nineteen_digits(value: u64, scale in -22i32..=0) {
            if let Some(float) = scaled(value, scale) {
                let expected: f64 = format!("{value}e{scale}").parse().unwrap();
                prop_assert_eq!(float, expected);
            }
        }
    }
}
