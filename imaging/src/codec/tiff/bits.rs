//! Samples of odd widths: packed bits, halves, and numbers of three bytes.

/// Samples of fewer than 8 bits as bytes, the highest bit first.
pub fn unpack_bytes(packed: &[u8], bits: usize, out: &mut Vec<u8>) {
    out.clear();
    if 8 % bits == 0 {
        let per_byte = 8 / bits;
        let mask = ((1u16 << bits) - 1) as u8;
        out.extend(
            packed
                .iter()
                .flat_map(|&byte| (1..=per_byte).map(move |n| byte >> (8 - n * bits) & mask)),
        );
        return;
    }
    walk(packed, bits, |value| out.push(value as u8));
}

/// Samples of fewer than 16 bits as numbers of 16 bits in the machine's order, the highest bit first.
pub fn unpack(packed: &[u8], bits: usize, out: &mut Vec<u8>) {
    out.clear();
    walk(packed, bits, |value| {
        out.extend_from_slice(&(value as u16).to_ne_bytes());
    });
}

fn walk(packed: &[u8], bits: usize, mut put: impl FnMut(u32)) {
    let (mut held, mut count) = (0u32, 0);
    let mask = (1u32 << bits) - 1;
    for &byte in packed {
        held = held << 8 | u32::from(byte);
        count += 8;
        while count >= bits {
            count -= bits;
            put(held >> count & mask);
        }
        held &= (1 << count) - 1;
    }
}

/// Packs numbers, the highest bit first; the last byte is filled up with zeros.
pub fn pack(values: impl Iterator<Item = u32>, bits: usize, out: &mut Vec<u8>) {
    let (mut held, mut count) = (0u32, 0);
    for value in values {
        held = held << bits | value;
        count += bits;
        while count >= 8 {
            count -= 8;
            out.push((held >> count) as u8);
        }
        held &= (1 << count) - 1;
    }
    if count > 0 {
        out.push((held << (8 - count)) as u8);
    }
}

/// A number of three bytes in the machine's order.
pub fn triple(v: [u8; 3]) -> u32 {
    match cfg!(target_endian = "big") {
        true => u32::from_be_bytes([0, v[0], v[1], v[2]]),
        false => u32::from_le_bytes([v[0], v[1], v[2], 0]),
    }
}

/// A float of 16 bits.
pub fn half(v: u16) -> f32 {
    widened(u32::from(v), 5, 10)
}

/// A float of 24 bits: 7 of exponent, 16 of fraction.
pub fn float24(v: u32) -> f32 {
    widened(v, 7, 16)
}

fn widened(v: u32, exponent_bits: u32, fraction_bits: u32) -> f32 {
    let sign = v >> (exponent_bits + fraction_bits) & 1;
    let exponent = v >> fraction_bits & ((1 << exponent_bits) - 1);
    let fraction = v & ((1 << fraction_bits) - 1);
    let bias = (1i32 << (exponent_bits - 1)) - 1;
    let magnitude = if exponent == (1 << exponent_bits) - 1 {
        f32::from_bits(0x7F80_0000 | fraction << (23 - fraction_bits))
    } else if exponent == 0 {
        // The power is a normal number for all widths here.
        fraction as f32 * power(1 - bias - fraction_bits as i32)
    } else {
        let exponent = (exponent as i32 - bias + 127) as u32;
        f32::from_bits(exponent << 23 | fraction << (23 - fraction_bits))
    };
    f32::from_bits(magnitude.to_bits() | sign << 31)
}

fn power(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}

/// The nearest float of 16 bits, ties to even; beyond the largest, infinity.
pub fn to_half(v: f64) -> u16 {
    let sign = (u16::from(v.is_sign_negative())) << 15;
    let v = v.abs();
    if v.is_nan() {
        return sign | 0x7E00;
    }
    if v >= 65520.0 {
        return sign | 0x7C00;
    }
    // Steps of 2^-24 below 2^-14, else of 2^-10 of the power below.
    let exponent = ((v.to_bits() >> 52) as i32 - 1023).max(-14);
    let step = f64::from(power(exponent - 10));
    let steps = (v / step).round_ties_even() as u16;
    // A carry goes into the exponent by itself.
    sign | ((((exponent + 14) as u16) << 10) + steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_width_is_packed_and_unpacked() {
        for bits in 1..=15usize {
            let values: Vec<u32> = (0..23).map(|i| (i * 7919 + 3) % (1 << bits)).collect();
            let (mut packed, mut wide) = (Vec::new(), Vec::new());
            pack(values.iter().copied(), bits, &mut packed);
            assert_eq!(packed.len(), (23 * bits).div_ceil(8));
            unpack(&packed, bits, &mut wide);
            let found: Vec<u32> = wide
                .chunks_exact(2)
                .map(|v| u32::from(u16::from_ne_bytes([v[0], v[1]])))
                .take(23)
                .collect();
            assert_eq!(found, values);
            if bits < 8 {
                unpack_bytes(&packed, bits, &mut wide);
                let found: Vec<u32> = wide.iter().map(|&v| u32::from(v)).take(23).collect();
                assert_eq!(found, values);
            }
        }
    }

    #[test]
    fn halves_are_exact_both_ways() {
        assert_eq!(half(0x3C00), 1.0);
        assert_eq!(half(0xC000), -2.0);
        assert_eq!(half(0x7BFF), 65504.0);
        assert_eq!(half(1), 2f32.powi(-24));
        assert_eq!(half(0x7C00), f32::INFINITY);
        for v in 0..=u16::MAX {
            match half(v) {
                x if x.is_nan() => assert!(half(to_half(f64::from(x))).is_nan()),
                x => assert_eq!(to_half(f64::from(x)), v),
            }
        }
        assert_eq!(to_half(1.0 + 2f64.powi(-11)), 0x3C00);
        assert_eq!(to_half(1.0 + 3.0 * 2f64.powi(-11)), 0x3C02);
        assert_eq!(to_half(1e9), 0x7C00);
    }

    #[test]
    fn three_bytes_are_numbers_and_floats() {
        assert_eq!(float24(63 << 16), 1.0);
        assert_eq!(float24(1 << 23 | 64 << 16 | 1 << 15), -3.0);
        let raw = if cfg!(target_endian = "big") {
            [1, 2, 3]
        } else {
            [3, 2, 1]
        };
        assert_eq!(triple(raw), 0x01_02_03);
    }
}
