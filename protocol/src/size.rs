//! Sizes in bytes as people write them: `512MiB`, `2 GB`, `1048576`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A number of bytes. In JSON, TOML and YAML a text such as `"512MiB"`, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(
    /// Bytes.
    pub u64,
);

/// A text that is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no size (write it as 512MiB, 2GB or a number of bytes)")]
pub struct BadSize(String);

const UNITS: [(&str, u64); 12] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("t", 1 << 40),
    ("g", 1 << 30),
    ("m", 1 << 20),
    ("k", 1 << 10),
];

impl FromStr for Size {
    type Err = BadSize;

    /// A decimal number and a unit: B, KiB, MiB, GiB, TiB (also K, M, G, T), or kB, MB, GB, TB.
    fn from_str(text: &str) -> Result<Size, BadSize> {
        let bad = || BadSize(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let found = UNITS
            .iter()
            .find_map(|(unit, scale)| Some((lower.strip_suffix(unit)?, *scale)));
        let (number, scale) =
            found.unwrap_or_else(|| (lower.strip_suffix('b').unwrap_or(&lower), 1));
        let number = number.trim();
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(scale).map(Size).ok_or_else(bad);
        }
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let bytes = number.parse::<f64>().map_err(|_| bad())? * scale as f64;
        match plain && bytes < 1e18 {
            true => Ok(Size(bytes as u64)),
            false => Err(bad()),
        }
    }
}

/// The shortest exact form in binary units.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, scale) in [
            ("TiB", 1u64 << 40),
            ("GiB", 1 << 30),
            ("MiB", 1 << 20),
            ("KiB", 1 << 10),
        ] {
            if self.0 >= scale && self.0.is_multiple_of(scale) {
                return write!(f, "{}{unit}", self.0 / scale);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"512MiB\"")
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Size, E> {
                Ok(Size(v))
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Size, E> {
                u64::try_from(v)
                    .map(Size)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(v), &self))
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Size, E> {
                v.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, or a text such as \"512MiB\" or \"2GB\".",
            "type": ["string", "integer"],
            "pattern": "^[0-9.]+ *([kKmMgGtT]?[iI]?[bB]?)$",
            "minimum": 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let size = |text: &str| text.parse::<Size>().map(|s| s.0);
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("1.5 GiB"), Ok(3 << 29));
        assert_eq!(size("2GB"), Ok(2_000_000_000));
        assert_eq!(size("77"), Ok(77));
        assert_eq!(size("77B"), Ok(77));
        for wrong in [
            "",
            "MiB",
            "-1",
            "1e3",
            "inf",
            "nan",
            "5 apples",
            "99999999999TiB",
        ] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_written_form_is_exact() {
        for bytes in [0, 1, 1023, 1024, 3 << 29, 512 << 20, (1 << 40) + 1] {
            assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }
        assert_eq!(Size(512 << 20).to_string(), "512MiB");
    }
}
