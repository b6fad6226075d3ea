//! Integers that are ordered as the values are, for selecting medians.

/// How the kept numbers of a file are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit integers with the sign bit inverted.
    Signed,
    /// 64-bit integers.
    Unsigned,
    /// Doubles, see [`of_float`].
    Float,
}

/// A key ordered as doubles are: -0 before 0, not-a-number last.
pub fn of_float(value: f64) -> u64 {
    let bits = value.to_bits();
    match bits >> 63 {
        _ if value.is_nan() => u64::MAX,
        0 => bits | 1 << 63,
        _ => !bits,
    }
}

/// The way back from [`of_float`].
pub fn to_float(key: u64) -> f64 {
    match key >> 63 {
        _ if key == u64::MAX => f64::NAN,
        1 => f64::from_bits(key & !(1 << 63)),
        _ => f64::from_bits(!key),
    }
}

/// As [`of_float`] in 32 bits.
pub fn of_float32(value: f32) -> u32 {
    let bits = value.to_bits();
    match bits >> 31 {
        _ if value.is_nan() => u32::MAX,
        0 => bits | 1 << 31,
        _ => !bits,
    }
}

/// The way back from [`of_float32`].
pub fn to_float32(key: u32) -> f32 {
    match key >> 31 {
        _ if key == u32::MAX => f32::NAN,
        1 => f32::from_bits(key & !(1 << 31)),
        _ => f32::from_bits(!key),
    }
}

impl Kind {
    /// The integer that a key stands for.
    pub fn integer(self, key: u64) -> i128 {
        match self {
            Kind::Signed => i128::from((key ^ 1 << 63) as i64),
            Kind::Unsigned | Kind::Float => i128::from(key),
        }
    }

    /// The key of a number kept in this way, among numbers kept in another.
    pub fn convert(self, key: u64, to: Kind) -> u64 {
        match (self, to) {
            _ if self == to => key,
            (_, Kind::Float) => of_float(self.integer(key) as f64),
            (_, Kind::Unsigned) => self.integer(key) as u64,
            (_, Kind::Signed) => self.integer(key) as u64 ^ 1 << 63,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_the_values() {
        let floats = [
            f64::NEG_INFINITY,
            -1e300,
            -1.0,
            -0.0,
            0.0,
            5e-324,
            1.0,
            f64::INFINITY,
        ];
        for pair in floats.windows(2) {
            assert!(of_float(pair[0]) < of_float(pair[1]));
            assert!(of_float32(pair[0] as f32) <= of_float32(pair[1] as f32));
        }
        for v in floats {
            assert_eq!(to_float(of_float(v)).to_bits(), v.to_bits());
            let v = v as f32;
            assert_eq!(to_float32(of_float32(v)).to_bits(), v.to_bits());
        }
        assert!(to_float(of_float(f64::NAN)).is_nan() && of_float(-f64::NAN) == u64::MAX);
        for v in [i64::MIN, -1, 0, 1, i64::MAX] {
            let key = v as u64 ^ 1 << 63;
            assert_eq!(Kind::Signed.integer(key), i128::from(v));
            assert_eq!(to_float(Kind::Signed.convert(key, Kind::Float)), v as f64);
        }
    }
}
