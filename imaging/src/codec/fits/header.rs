//! The cards of a FITS file's parts: which are images, what their numbers mean and where they lie.

use super::packed::Packed;
use crate::codec::limits::read_full;
use crate::codec::raw::Raw;
use crate::codec::{Limits, ReadSeek};
use crate::error::{Error, Result};
use crate::image::{Color, SampleType, Shape};
use std::collections::HashMap;
use std::io::SeekFrom;

pub(super) const BLOCK: u64 = 2880;
const CARD: usize = 80;

pub(super) fn bad(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("not a sound FITS: {what}"))
}

/// An image in the file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub shape: Shape,
    pub raw: Raw,
    /// What a stored number is multiplied by, and what is added then.
    pub scale: f64,
    pub zero: f64,
    /// The stored number that is none.
    pub blank: Option<f64>,
    pub start: u64,
    /// How its numbers are packed, if they are.
    pub packed: Option<Box<Packed>>,
}

/// What the cards of one part say.
#[derive(Debug, Default)]
struct Cards {
    bits: i64,
    sides: Vec<u64>,
    scale: Option<f64>,
    zero: Option<f64>,
    blank: Option<f64>,
    extension: Option<String>,
    planes: String,
    parameters: u64,
    groups: Option<u64>,
    /// What tables and images packed in them say.
    tables: HashMap<String, String>,
    /// Bytes of the header.
    len: u64,
}

/// The value of a card, without its comment.
fn value(card: &str) -> &str {
    let text = card.get(10..).unwrap_or("").trim();
    match text.strip_prefix('\'') {
        Some(rest) => rest.split('\'').next().unwrap_or("").trim_end(),
        None => text.split('/').next().unwrap_or("").trim(),
    }
}

fn cards(input: &mut dyn ReadSeek, at: u64, limits: &Limits) -> Result<Cards> {
    let mut found = Cards::default();
    let mut block = vec![0; BLOCK as usize];
    input.seek(SeekFrom::Start(at))?;
    loop {
        limits.metadata(found.len as usize)?;
        read_full(input, &mut block, "FITS")?;
        found.len += BLOCK;
        for card in block.chunks_exact(CARD) {
            let card = String::from_utf8_lossy(card);
            let key = card.get(..8).unwrap_or("").trim_end();
            if key == "END" {
                return Ok(found);
            }
            let whole = || {
                let number: Option<i64> = value(&card).parse().ok();
                number.ok_or_else(|| bad(format!("{key} is no whole number")))
            };
            let count = || u64::try_from(whole()?).map_err(|_| bad(format!("{key} is negative")));
            let real = || {
                let number: Option<f64> = value(&card).replace(['D', 'd'], "E").parse().ok();
                number.ok_or_else(|| bad(format!("{key} is no number")))
            };
            match key {
                "BITPIX" => found.bits = whole()?,
                "NAXIS" => {
                    let axes = count()?;
                    if axes > 999 {
                        return Err(bad(format!("{axes} axes")));
                    }
                    found.sides = vec![0; axes as usize];
                }
                "BSCALE" => found.scale = Some(real()?),
                "BZERO" => found.zero = Some(real()?),
                "BLANK" => found.blank = Some(real()?),
                "XTENSION" => found.extension = Some(value(&card).to_owned()),
                "CTYPE3" => found.planes = value(&card).to_owned(),
                "PCOUNT" => found.parameters = count()?,
                "GCOUNT" => found.groups = Some(count()?),
                _ if key.starts_with(['T', 'Z']) => {
                    found.tables.insert(key.to_owned(), value(&card).to_owned());
                }
                _ => {
                    let axis = key
                        .strip_prefix("NAXIS")
                        .and_then(|n| n.parse::<usize>().ok());
                    if let Some(side) = axis.and_then(|n| found.sides.get_mut(n.wrapping_sub(1))) {
                        *side = count()?;
                    }
                }
            }
        }
    }
}

impl Cards {
    /// Bytes of its data, without what fills up the last block.
    fn data(&self) -> Option<u64> {
        if self.sides.is_empty() {
            return Some(0);
        }
        let mut count = 1u64;
        for side in &self.sides {
            count = count.checked_mul(*side)?;
        }
        let count = count.checked_add(self.parameters)?;
        count
            .checked_mul(self.groups.unwrap_or(1))?
            .checked_mul(self.bits.unsigned_abs() / 8)
    }

    /// The image, if this part is one: pixels across, rows, and perhaps planes.
    fn image(&self, at: u64, limits: &Limits) -> Result<Option<Part>> {
        let plain = self.extension.as_deref().is_none_or(|kind| kind == "IMAGE");
        let packed = self.extension.as_deref() == Some("BINTABLE")
            && self.tables.get("ZIMAGE").is_some_and(|said| said == "T");
        let (bits, sides) = match packed {
            true => self.unpacked()?,
            false => (self.bits, self.sides.clone()),
        };
        if !plain && !packed || sides.len() < 2 || sides.contains(&0) {
            return Ok(None);
        }
        let planes = sides.get(2).copied().unwrap_or(1);
        if sides.iter().skip(3).any(|side| *side != 1) {
            return Err(bad(format!(
                "an image of {} axes (three are read: across, up and planes)",
                sides.len()
            )));
        }
        let raw = match bits {
            8 => Raw::U8,
            16 => Raw::I16,
            32 => Raw::I32,
            64 => Raw::I64,
            -32 => Raw::F32,
            -64 => Raw::F64,
            other => return Err(bad(format!("BITPIX is {other}"))),
        };
        let (scale, zero) = (self.scale.unwrap_or(1.0), self.zero.unwrap_or(0.0));
        if scale == 0.0 || !scale.is_finite() || !zero.is_finite() {
            return Err(bad(format!("BSCALE is {scale} and BZERO is {zero}")));
        }
        let floats = matches!(raw, Raw::F32 | Raw::F64);
        let blank = self.blank.filter(|_| !floats);
        let mut part = Part {
            shape: Shape::new(0, 0, Color::Gray, SampleType::U8),
            raw,
            scale,
            zero,
            blank,
            start: at + self.len,
            packed: None,
        };
        let color = match (planes, self.planes.as_str()) {
            (1, _) => Color::Gray,
            (3, "RGB") => Color::Rgb,
            (4, "RGBA") => Color::Rgba,
            (n, _) => match u16::try_from(n) {
                Ok(n) => Color::Bands(n),
                Err(_) => return Err(bad(format!("{n} planes"))),
            },
        };
        part.shape = limits.shape(sides[1], sides[0], color, part.sample())?;
        if packed {
            let table = (self.sides.first().copied(), self.sides.get(1).copied());
            let table = table.0.zip(table.1).ok_or_else(|| bad("its table"))?;
            let packed = Packed::of(&self.tables, part.start, table, &sides)?;
            part.packed = Some(Box::new(packed));
        }
        Ok(Some(part))
    }

    /// Bits and sides of an image that is packed in a table.
    fn unpacked(&self) -> Result<(i64, Vec<u64>)> {
        let number = |key: &str| {
            let number = self.tables.get(key).and_then(|v| v.parse::<i64>().ok());
            number.ok_or_else(|| bad(format!("{key} is no whole number")))
        };
        let axes = number("ZNAXIS")?;
        if !(0..=999).contains(&axes) {
            return Err(bad(format!("{axes} axes")));
        }
        let side = |axis: i64| {
            let side = number(&format!("ZNAXIS{axis}"))?;
            u64::try_from(side).map_err(|_| bad(format!("ZNAXIS{axis} is negative")))
        };
        let sides: Result<Vec<u64>> = (1..=axes).map(side).collect();
        Ok((number("ZBITPIX")?, sides?))
    }
}

impl Part {
    /// The type that its numbers mean: unsigned ones are stored as signed ones with an offset.
    pub fn meant(&self) -> Raw {
        match (self.raw, self.scale == 1.0, self.zero) {
            (Raw::U8, true, -128.0) => Raw::I8,
            (Raw::I16, true, 32768.0) => Raw::U16,
            (Raw::I32, true, 2147483648.0) => Raw::U32,
            (raw, true, 0.0) => raw,
            (Raw::U8 | Raw::I16 | Raw::F32, ..) => Raw::F32,
            _ => Raw::F64,
        }
    }

    /// What samples are computed in: floats where some are none.
    fn sample(&self) -> SampleType {
        match self.meant().sample() {
            SampleType::U8 | SampleType::U16 if self.blank.is_some() => SampleType::F32,
            other => other,
        }
    }

    /// The type of stored samples as it is told and written again.
    pub fn told(&self) -> Raw {
        match self.blank {
            Some(_) => Raw::F32,
            None => self.meant(),
        }
    }

    /// The meaning of a stored number.
    pub fn change(&self) -> impl Fn(f64) -> f64 + use<> {
        let Part {
            scale, zero, blank, ..
        } = *self;
        move |v| match blank {
            Some(none) if v == none => f64::NAN,
            _ => v * scale + zero,
        }
    }
}

/// The images of a file.
pub(super) fn parts(input: &mut dyn ReadSeek, limits: &Limits) -> Result<Vec<Part>> {
    let end = input.seek(SeekFrom::End(0))?;
    let mut found = Vec::new();
    let mut at = 0;
    while at == 0 || at + BLOCK <= end {
        limits.metadata(found.len() * size_of::<Part>())?;
        let cards = match cards(input, at, limits) {
            Ok(cards) if at == 0 || cards.extension.is_some() => cards,
            // What follows the last part is no part, whatever it is.
            Ok(_) => break,
            Err(error) if found.is_empty() => return Err(error),
            Err(error @ Error::Limit { .. }) => return Err(error),
            Err(_) => break,
        };
        let data = cards.data().ok_or_else(|| bad("its size"))?;
        let start = at + cards.len;
        if let Some(part) = cards.image(at, limits)? {
            if start.saturating_add(data) > end {
                return Err(Error::Decode(format!(
                    "truncated FITS: {end} of {} bytes are there",
                    start.saturating_add(data)
                )));
            }
            found.push(part);
        }
        let Some(next) = data.checked_next_multiple_of(BLOCK) else {
            return Err(bad("its size"));
        };
        at = start.saturating_add(next);
    }
    match found.is_empty() {
        true => Err(bad("there is no image in it")),
        false => Ok(found),
    }
}
