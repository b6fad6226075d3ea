//! The markers of a JPEG before its first scan: size, layout, EXIF and ICC profile.
//!
//! Read here rather than by libjpeg, so that limits hold before that allocates anything.

use super::late;
use super::side::Side;
use crate::codec::Limits;
use crate::codec::limits::read_full;
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use crate::{Warning, WarningKind};
use std::io::{BufRead, Seek};

/// What comes before the first scan.
#[derive(Debug)]
pub(super) struct Head {
    pub shape: Shape,
    pub precision: u8,
    pub metadata: Metadata,
    /// Sampling factors (horizontal, vertical) of each component.
    pub sampling: Vec<(u8, u8)>,
    /// Whether coefficients of the whole image are kept until the last scan.
    pub whole: bool,
    pub warnings: Vec<Warning>,
    /// Where the height stands, and what it is, where the header leaves it to a marker after the first scan.
    pub height: Option<(u64, u16)>,
}

pub(super) fn bad(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("not a sound JPEG: {what}"))
}

/// Reads from the beginning to the first scan.
pub(super) fn parse<R: BufRead + Seek>(input: &mut R, limits: &Limits) -> Result<Head> {
    let mut frame: Option<(Shape, u8, bool, Vec<(u8, u8)>)> = None;
    let mut side = Side::default();
    let mut profile = Profile::default();
    let mut kept = 0;
    let mut height = None;
    let mut start = [0; 2];
    read_full(input, &mut start, "JPEG")?;
    if start != [0xFF, 0xD8] {
        return Err(bad("it does not begin with an image"));
    }
    loop {
        let marker = next_marker(input)?;
        match marker {
            0x01 | 0xD0..=0xD7 => continue,
            0xD8 => return Err(bad("an image begins inside of its header")),
            0xD9 => return Err(bad("it ends before its first scan")),
            _ => {}
        }
        let mut length = [0; 2];
        read_full(input, &mut length, "JPEG")?;
        let length = usize::from(u16::from_be_bytes(length));
        if length < 2 {
            return Err(bad(format!("a segment of length {length}")));
        }
        let wanted = matches!(
            marker,
            0xC0..=0xCF | 0xDA | 0xE0 | 0xE1 | 0xE2 | 0xED | 0xFE
        ) && !matches!(marker, 0xC4 | 0xC8 | 0xCC);
        if !wanted {
            input.seek_relative(length as i64 - 2)?;
            continue;
        }
        let mut body = vec![0; length - 2];
        let place = input.stream_position()?;
        read_full(input, &mut body, "JPEG")?;
        match marker {
            0xE0 | 0xE1 | 0xED | 0xFE => {
                kept += body.len();
                limits.metadata(kept)?;
                side.segment(marker, body);
            }
            0xE2 => {
                if let Some(part) = body.strip_prefix(b"ICC_PROFILE\0") {
                    kept += part.len();
                    limits.metadata(kept)?;
                    profile.push(part);
                }
            }
            0xDA => {
                let Some((shape, precision, progressive, sampling)) = frame else {
                    return Err(bad("a scan comes before the size"));
                };
                let (icc, warning) = profile.assemble();
                let told_late = height.map(|_| {
                    let text = "the JPEG tells its height only after its first scan";
                    Warning::new(WarningKind::Damaged, text)
                });
                let in_scan = body.first().copied().unwrap_or(0);
                return Ok(Head {
                    shape,
                    precision,
                    metadata: Metadata {
                        icc,
                        ..side.metadata()
                    },
                    whole: progressive || usize::from(in_scan) < sampling.len(),
                    sampling,
                    warnings: warning
                        .into_iter()
                        .map(|text| Warning::new(WarningKind::Metadata, text))
                        .chain(told_late)
                        .collect(),
                    height,
                });
            }
            0xC0..=0xCF if frame.is_some() => return Err(bad("it has two sizes")),
            0xC0..=0xCF => {
                if let [_, high @ 0, low @ 0, ..] = &mut body[..] {
                    let found = late::height(input)?;
                    [*high, *low] = found.to_be_bytes();
                    height = Some((place + 1, found));
                }
                frame = Some(frame_of(marker, &body, limits)?);
            }
            _ => {}
        }
    }
}

fn frame_of(marker: u8, body: &[u8], limits: &Limits) -> Result<(Shape, u8, bool, Vec<(u8, u8)>)> {
    let [precision, h1, h0, w1, w0, count, components @ ..] = body else {
        return Err(bad("its size is cut off"));
    };
    if !matches!(marker, 0xC0 | 0xC1 | 0xC2 | 0xC9 | 0xCA) {
        return Err(bad("lossless and hierarchical JPEG are not supported"));
    }
    if *precision != 8 {
        return Err(bad(format!("{precision}-bit JPEG is not supported")));
    }
    let color = match count {
        1 => Color::Gray,
        3 | 4 => Color::Rgb,
        n => return Err(bad(format!("{n} components"))),
    };
    if components.len() != 3 * usize::from(*count) {
        return Err(bad("its list of components has the wrong length"));
    }
    let sampling: Vec<(u8, u8)> = (components.chunks_exact(3))
        .map(|c| (c[1] >> 4, c[1] & 15))
        .collect();
    if sampling
        .iter()
        .any(|(h, v)| !(1..=4).contains(h) || !(1..=4).contains(v))
    {
        return Err(bad("its sampling factors"));
    }
    let rows = u64::from(u16::from_be_bytes([*h1, *h0]));
    let cols = u64::from(u16::from_be_bytes([*w1, *w0]));
    let shape = limits.shape(rows, cols, color, SampleType::U8)?;
    Ok((shape, *precision, matches!(marker, 0xC2 | 0xCA), sampling))
}

/// The next marker's code; bytes before it are skipped (libjpeg reports them).
pub(super) fn next_marker(input: &mut impl BufRead) -> Result<u8> {
    let mut last = 0;
    loop {
        let mut byte = [0];
        read_full(input, &mut byte, "JPEG")?;
        if last == 0xFF && !matches!(byte[0], 0 | 0xFF) {
            return Ok(byte[0]);
        }
        last = byte[0];
    }
}

/// An ICC profile in numbered parts.
#[derive(Default)]
struct Profile(Vec<(u8, u8, Vec<u8>)>);

impl Profile {
    fn push(&mut self, part: &[u8]) {
        if let [number, count, data @ ..] = part {
            self.0.push((*number, *count, data.to_vec()));
        }
    }

    /// The profile where all parts are there; otherwise a warning.
    fn assemble(mut self) -> (Option<Vec<u8>>, Option<String>) {
        if self.0.is_empty() {
            return (None, None);
        }
        self.0.sort_by_key(|(number, ..)| *number);
        let count = self.0.len();
        let whole = (self.0.iter().enumerate())
            .all(|(k, (number, of, _))| usize::from(*number) == k + 1 && usize::from(*of) == count);
        match whole {
            true => (
                Some(self.0.into_iter().flat_map(|(.., data)| data).collect()),
                None,
            ),
            false => (
                None,
                Some("the ICC profile is incomplete and was left out".into()),
            ),
        }
    }
}
