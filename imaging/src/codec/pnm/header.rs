//! The text in front of the samples.

use crate::codec::Limits;
use crate::codec::limits::read_full;
use crate::error::{Error, Result};
use crate::image::{Color, SampleType, Shape};
use std::io::BufRead;

/// How samples lie in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Coding {
    /// P1: digits 0 and 1, where 1 is black.
    TextBits,
    /// P2, P3.
    Text,
    /// P4: packed bits, where 1 is black.
    Bits,
    /// P5, P6, P7: one byte, or two with the high one first.
    Binary,
    /// PF, Pf: floats, the last row first.
    Float { big: bool },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub shape: Shape,
    pub coding: Coding,
    pub max: u32,
    /// Where the samples begin.
    pub start: u64,
}

pub(super) fn bad(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("not a sound PNM file: {what}"))
}

/// Reads header words, counting bytes.
struct Words<'r> {
    input: &'r mut dyn BufRead,
    at: u64,
}

/// Longest header or comment that is believed.
const MAX_HEADER: u64 = 64 << 10;

impl Words<'_> {
    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        read_full(self.input, &mut byte, "PNM")?;
        self.at += 1;
        match self.at > MAX_HEADER {
            true => Err(bad("the header does not end")),
            false => Ok(byte[0]),
        }
    }

    /// The next word, and the byte of white space that ended it. Comments run from `#` to the end of the line.
    fn word(&mut self) -> Result<(String, u8)> {
        let mut word = String::new();
        loop {
            match self.byte()? {
                b'#' => while self.byte()? != b'\n' {},
                c if c.is_ascii_whitespace() && word.is_empty() => {}
                c if c.is_ascii_whitespace() => return Ok((word, c)),
                c if c.is_ascii_graphic() && word.len() < 40 => word.push(c as char),
                _ => return Err(bad("a header word is no text")),
            }
        }
    }

    fn number(&mut self, what: &str) -> Result<u64> {
        let (word, _) = self.word()?;
        word.parse().map_err(|_| bad(format!("{what} is `{word}`")))
    }
}

pub(super) fn head(input: &mut dyn BufRead, limits: &Limits) -> Result<Head> {
    let mut words = Words { input, at: 0 };
    let (magic, _) = words.word()?;
    if magic == "P7" {
        return pam(&mut words, limits);
    }
    let (coding, color) = match magic.as_str() {
        "P1" => (Coding::TextBits, Color::Gray),
        "P2" => (Coding::Text, Color::Gray),
        "P3" => (Coding::Text, Color::Rgb),
        "P4" => (Coding::Bits, Color::Gray),
        "P5" => (Coding::Binary, Color::Gray),
        "P6" => (Coding::Binary, Color::Rgb),
        "Pf" => (Coding::Float { big: false }, Color::Gray),
        "PF" => (Coding::Float { big: false }, Color::Rgb),
        _ => return Err(bad(format!("it begins with `{magic}`"))),
    };
    let cols = words.number("the width")?;
    let rows = words.number("the height")?;
    let (coding, max) = match coding {
        Coding::TextBits | Coding::Bits => (coding, 1),
        Coding::Float { .. } => {
            let (scale, _) = words.word()?;
            match scale.parse::<f32>() {
                Ok(v) if v.is_finite() && v != 0.0 => (Coding::Float { big: v > 0.0 }, 1),
                _ => return Err(bad(format!("the scale is `{scale}`"))),
            }
        }
        _ => (coding, largest(words.number("the largest value")?)?),
    };
    let sample = sample_of(coding, max);
    Ok(Head {
        shape: limits.shape(rows, cols, color, sample)?,
        coding,
        max,
        start: words.at,
    })
}

fn largest(value: u64) -> Result<u32> {
    match value {
        1..=65535 => Ok(value as u32),
        _ => Err(bad(format!(
            "the largest value is {value}, not in 1..=65535"
        ))),
    }
}

fn sample_of(coding: Coding, max: u32) -> SampleType {
    match coding {
        Coding::Float { .. } => SampleType::F32,
        _ if max > 255 => SampleType::U16,
        _ => SampleType::U8,
    }
}

fn pam(words: &mut Words<'_>, limits: &Limits) -> Result<Head> {
    let (mut cols, mut rows, mut depth, mut max) = (0, 0, 0, 0);
    loop {
        let (key, end) = words.word()?;
        match key.as_str() {
            "WIDTH" => cols = words.number("the width")?,
            "HEIGHT" => rows = words.number("the height")?,
            "DEPTH" => depth = words.number("the depth")?,
            "MAXVAL" => max = words.number("the largest value")?,
            // The depth says as much.
            "TUPLTYPE" => drop(words.word()?),
            "ENDHDR" if end == b'\n' => break,
            _ => return Err(bad(format!("`{key}` in its header"))),
        }
    }
    let color = match depth {
        1 => Color::Gray,
        2 => Color::GrayAlpha,
        3 => Color::Rgb,
        4 => Color::Rgba,
        _ => return Err(bad(format!("{depth} channels"))),
    };
    let max = largest(max)?;
    let sample = sample_of(Coding::Binary, max);
    Ok(Head {
        shape: limits.shape(rows, cols, color, sample)?,
        coding: Coding::Binary,
        max,
        start: words.at,
    })
}

impl Head {
    /// Bytes of one row in the file; none for text.
    pub fn row_bytes(&self) -> Option<u64> {
        match self.coding {
            Coding::TextBits | Coding::Text => None,
            Coding::Bits => Some(self.shape.cols.div_ceil(8) as u64),
            Coding::Binary | Coding::Float { .. } => Some(self.shape.row_bytes() as u64),
        }
    }
}
