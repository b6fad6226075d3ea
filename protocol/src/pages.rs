//! Which pictures of a file of several: `all`, `first`, `3`, `2..5`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Which pages or frames of a file are processed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pages {
    /// Every one.
    #[default]
    All,
    /// The first alone.
    First,
    /// From one to another, both among them, counted from 1.
    Range(u32, u32),
}

/// A text that names no pages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no pages (write all, first, or N..M: from page N to page M, counted from 1)")]
pub struct BadPages(String);

impl Pages {
    /// The pages among `count`, counted from 0; empty if there is none of them.
    pub fn among(self, count: u32) -> Range<u32> {
        match self {
            Pages::All => 0..count,
            Pages::First => 0..count.min(1),
            Pages::Range(first, last) => (first - 1).min(count)..last.min(count),
        }
    }
}

impl FromStr for Pages {
    type Err = BadPages;

    fn from_str(text: &str) -> Result<Pages, BadPages> {
        let bad = || BadPages(text.to_owned());
        let number = |text: &str| text.trim().parse().ok().filter(|n: &u32| *n > 0);
        match text.trim() {
            "all" => Ok(Pages::All),
            "first" => Ok(Pages::First),
            range => {
                let (first, last) = range.split_once("..").unwrap_or((range, range));
                let (first, last) = number(first).zip(number(last)).ok_or_else(bad)?;
                match first <= last {
                    true => Ok(Pages::Range(first, last)),
                    false => Err(bad()),
                }
            }
        }
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pages::All => f.write_str("all"),
            Pages::First => f.write_str("first"),
            Pages::Range(first, last) => write!(f, "{first}..{last}"),
        }
    }
}

impl Serialize for Pages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pages, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Pages {
    fn schema_name() -> Cow<'static, str> {
        "Pages".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Which pages or frames of a file: all, first, N, or N..M (both among them, counted from 1).",
            "type": "string",
            "pattern": "^(all|first|[1-9][0-9]*([.][.][1-9][0-9]*)?)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_and_written() {
        for (text, pages, of_three) in [
            ("all", Pages::All, 0..3),
            ("first", Pages::First, 0..1),
            ("2..3", Pages::Range(2, 3), 1..3),
            ("2", Pages::Range(2, 2), 1..2),
            ("2..9", Pages::Range(2, 9), 1..3),
            ("4..9", Pages::Range(4, 9), 3..3),
        ] {
            assert_eq!(text.parse(), Ok(pages), "{text}");
            assert_eq!(pages.to_string().parse(), Ok(pages));
            assert_eq!(pages.among(3), of_three);
        }
        for text in ["", "0", "0..2", "3..2", "..", "1..", "last", "-1"] {
            assert!(text.parse::<Pages>().is_err(), "{text}");
        }
    }
}
