//! The headers of a bitmap: all of OS/2's and Windows' from 1987 on.

use crate::codec::Limits;
use crate::codec::limits::read_full;
use crate::error::{Error, Result};
use crate::image::{Color, SampleType, Shape};
use std::io::{BufRead, Seek, SeekFrom};

/// How pixels lie in the file.
#[derive(Clone, Debug)]
pub(super) enum Coding {
    /// Indices of 1, 2, 4 or 8 bits.
    Palette(Vec<[u8; 3]>),
    /// Indices of 4 or 8 bits as run lengths.
    Runs(Vec<[u8; 3]>),
    /// Blue, green, red of 8 bits each, and a byte of no meaning with 32 bits.
    Bytes,
    /// Red, green, blue, alpha by bit masks.
    Masks([u32; 4]),
}

#[derive(Clone, Debug)]
pub(super) struct Head {
    pub shape: Shape,
    pub bits: u16,
    pub coding: Coding,
    /// Whether the first row in the file is the uppermost.
    pub top_down: bool,
    /// Where the pixels begin.
    pub start: u64,
    /// Rules of the format that the headers break without costing a pixel.
    pub odd: Vec<&'static str>,
}

pub(super) fn bad(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("not a sound BMP: {what}"))
}

fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([b[at], b[at + 1]])
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

/// Bytes of the header that files have, and bitmaps within others do not.
const FILE: u64 = 14;

/// Whether a file that begins so is a bitmap without the file's header.
pub(super) fn is_bare(start: &[u8]) -> bool {
    let Some(head) = start.get(..36) else {
        return false;
    };
    let (planes, bits, compression) = (u16_at(head, 12), u16_at(head, 14), u32_at(head, 16));
    matches!(u32_at(head, 0), 40 | 52 | 56 | 108 | 124)
        && planes == 1
        && matches!(bits, 1 | 2 | 4 | 8 | 16 | 24 | 32)
        && matches!(compression, 0..=3 | 6)
        && u32_at(head, 32) <= 256
}

pub(super) fn parse<R: BufRead + Seek>(input: &mut R, limits: &Limits) -> Result<Head> {
    let end = input.seek(SeekFrom::End(0))?;
    input.seek(SeekFrom::Start(0))?;
    let mut file = [0; 18];
    read_full(input, &mut file[..4], "BMP")?;
    let bare = !file.starts_with(b"BM");
    match bare {
        true => file.copy_within(..4, FILE as usize),
        false => read_full(input, &mut file[4..], "BMP")?,
    }
    let mut start = if bare {
        0
    } else {
        u64::from(u32_at(&file, 10))
    };
    let size = u32_at(&file, 14);
    if !matches!(size, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124) {
        return Err(bad(format!("a header of {size} bytes")));
    }
    // Fields that a shorter header leaves out are zero.
    let mut info = [0; 124];
    read_full(input, &mut info[4..size as usize], "BMP")?;
    let core = size == 12;
    let (cols, rows, bits) = match core {
        true => (
            i64::from(u16_at(&info, 4)),
            i64::from(u16_at(&info, 6)),
            u16_at(&info, 10),
        ),
        false => (
            i64::from(u32_at(&info, 4) as i32),
            i64::from(u32_at(&info, 8) as i32),
            u16_at(&info, 14),
        ),
    };
    if cols < 0 {
        return Err(bad(format!("a width of {cols}")));
    }
    let (compression, used) = match core {
        true => (0, 0),
        false => (u32_at(&info, 16), u32_at(&info, 32)),
    };
    let mut at = if bare { 0 } else { FILE } + u64::from(size);
    let mut masks = [
        u32_at(&info, 40),
        u32_at(&info, 44),
        u32_at(&info, 48),
        u32_at(&info, 52),
    ];
    if size == 40 && matches!(compression, 3 | 6) {
        let mut behind = [0; 16];
        let len = if compression == 6 { 16 } else { 12 };
        read_full(input, &mut behind[..len], "BMP")?;
        masks = [0, 4, 8, 12].map(|at| u32_at(&behind, at));
        at += len as u64;
    }
    let mut odd = Vec::new();
    let mut palette = || -> Result<Vec<[u8; 3]>> {
        let entry = if core { 3 } else { 4 };
        let most = 1u64 << bits;
        let wanted = if used == 0 {
            most
        } else {
            u64::from(used).min(most)
        };
        // A palette may be cut short by the pixels. Where they are said to begin before it, they come after it.
        let mut room = start.saturating_sub(at) / entry;
        if room == 0 {
            room = wanted;
            start = at + wanted * entry;
            if !bare {
                odd.push("the BMP's pixels are said to begin in its palette: taken from behind it");
            }
        }
        let mut raw = vec![0; (wanted.min(room) * entry) as usize];
        read_full(input, &mut raw, "BMP")?;
        Ok(raw
            .chunks_exact(entry as usize)
            .map(|e| [e[2], e[1], e[0]])
            .collect())
    };
    let coding = match (compression, bits) {
        (0, 1 | 2 | 4 | 8) => Coding::Palette(palette()?),
        (1, 8) | (2, 4) => Coding::Runs(palette()?),
        (0, 24 | 32) => Coding::Bytes,
        (0, 16) => Coding::Masks([0x7C00, 0x03E0, 0x001F, 0]),
        (3 | 6, 16 | 32) if size != 64 => Coding::Masks(checked(masks, bits)?),
        _ => {
            return Err(bad(format!(
                "compression {compression} with {bits} bits is not supported"
            )));
        }
    };
    let color = match &coding {
        Coding::Palette(p) | Coding::Runs(p) if p.iter().all(|c| c[0] == c[1] && c[1] == c[2]) => {
            Color::Gray
        }
        Coding::Masks(masks) if masks[3] != 0 => Color::Rgba,
        _ => Color::Rgb,
    };
    let shape = limits.shape(
        rows.unsigned_abs(),
        cols.unsigned_abs(),
        color,
        SampleType::U8,
    )?;
    let top_down = rows < 0;
    if top_down && matches!(coding, Coding::Runs(_)) {
        odd.push("the BMP's run lengths go from the top, which they may not");
    }
    if bare && start == 0 {
        let colors = if used <= 256 { u64::from(used) * 4 } else { 0 };
        start = at + colors;
    }
    if start > end {
        return Err(Error::Decode(
            "truncated BMP: the file ends before its pixels".into(),
        ));
    }
    input.seek(SeekFrom::Start(start))?;
    Ok(Head {
        shape,
        bits,
        coding,
        top_down,
        start,
        odd,
    })
}

/// Masks must be runs of bits that do not share any, within the pixel.
fn checked(masks: [u32; 4], bits: u16) -> Result<[u32; 4]> {
    let mut seen = 0u32;
    for (k, mask) in masks.into_iter().enumerate() {
        let run = mask.checked_shr(mask.trailing_zeros()).unwrap_or(0);
        let whole = run & run.wrapping_add(1) == 0;
        let fits = bits == 32 || mask < 1 << 16;
        if !whole || !fits || seen & mask != 0 || (mask == 0 && k < 3) {
            return Err(bad(format!("its masks {masks:08x?}")));
        }
        seen |= mask;
    }
    Ok(masks)
}

impl Head {
    /// Bytes of pixels in one row.
    pub fn used_bytes(&self) -> u64 {
        (self.shape.cols as u64 * u64::from(self.bits)).div_ceil(8)
    }

    /// Bytes from row to row.
    pub fn stride(&self) -> u64 {
        self.used_bytes().next_multiple_of(4)
    }
}
