//! What a TIFF says beside its pixels, carried into an EXIF block and out of one.
//!
//! An EXIF block is a small TIFF of its own. The fields that describe a photograph stand in the
//! first directory of both, the rest in directories it points to; those that describe how pixels are
//! stored stay behind. Values are copied, so maker notes that hold positions within their old file
//! lose what they point to, as with most programs that rewrite files.

use super::directory::{Entry, File, kind_bytes};
use super::fields::{Field, serialise};
use crate::codec::Limits;
use crate::error::Result;
use crate::image::Metadata;
use std::io::Cursor;

const ORIENTATION: u16 = 274;
const ICC: u16 = 34675;
/// Fields of the first directory that are carried: description, maker, model, resolution, software,
/// date, artist, host, copyright.
const CARRIED: [u16; 11] = [270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432];
/// Fields that point to the directories of exposure, position and interoperability.
const DIRECTORIES: [u16; 3] = [34665, 34853, 40965];

/// ICC profile, EXIF and orientation.
pub fn metadata(file: &mut File<'_>, entries: &[Entry], limits: &Limits) -> Result<Metadata> {
    let mut left = limits.max_metadata;
    let mut icc = None;
    let mut orientation = 1;
    for entry in entries {
        match entry.tag {
            ICC => icc = Some(bounded(file, entry, &mut left, limits)?),
            ORIENTATION => {
                if let Some(&value @ 1..=8) = file.numbers(entry, 1)?.first() {
                    orientation = value as u8;
                }
            }
            _ => {}
        }
    }
    let mut fields = carried(file, entries, &mut left, limits, 0)?;
    let exif = (!fields.is_empty()).then(|| {
        fields.push(Field::shorts(ORIENTATION, &[u16::from(orientation)]));
        let mut block = b"II*\0\x08\0\0\0".to_vec();
        block.extend(serialise(&fields, 8, false));
        block
    });
    Ok(Metadata {
        icc: icc.filter(|icc| !icc.is_empty()),
        exif,
        orientation,
        ..Metadata::default()
    })
}

fn bounded(
    file: &mut File<'_>,
    entry: &Entry,
    left: &mut usize,
    limits: &Limits,
) -> Result<Vec<u8>> {
    let data = file.bytes(entry, left.saturating_add(1))?;
    match left.checked_sub(data.len()) {
        Some(rest) => *left = rest,
        None => limits.metadata(limits.max_metadata.saturating_add(1))?,
    }
    Ok(data)
}

/// The fields of a directory that are carried; within inner directories (`depth` > 0) all.
fn carried(
    file: &mut File<'_>,
    entries: &[Entry],
    left: &mut usize,
    limits: &Limits,
    depth: usize,
) -> Result<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    for entry in entries {
        if fields.iter().any(|field| field.tag == entry.tag) {
            continue;
        }
        if DIRECTORIES.contains(&entry.tag) {
            let at = file.numbers(entry, 1)?.first().copied().unwrap_or(0);
            if at != 0 && depth < 2 {
                let (inner, _) = file.directory(at)?;
                let inner = carried(file, &inner, left, limits, depth + 1)?;
                if !inner.is_empty() {
                    fields.push(Field::directory(entry.tag, inner));
                }
            }
        } else if depth > 0 || CARRIED.contains(&entry.tag) {
            let mut data = bounded(file, entry, left, limits)?;
            if entry.kind > 12 {
                // Types of BigTIFF mean nothing in an EXIF block.
                continue;
            }
            if file.big {
                swap(&mut data, entry.kind);
            }
            let count = data.len() / kind_bytes(entry.kind).max(1) as usize;
            fields.push(Field::new(entry.tag, entry.kind, count, data));
        }
    }
    Ok(fields)
}

/// Reverses the bytes of each number.
fn swap(data: &mut [u8], kind: u16) {
    let size = match kind {
        // Fractions are two numbers.
        5 | 10 => 4,
        _ => kind_bytes(kind).max(1) as usize,
    };
    data.chunks_exact_mut(size).for_each(<[u8]>::reverse);
}

/// The fields of an EXIF block for the directory of a TIFF; none where the block is not sound.
pub fn fields_of(block: &[u8]) -> Vec<Field> {
    let mut cursor = Cursor::new(block.to_vec());
    let limits = Limits::default();
    let mut left = limits.max_metadata;
    let mut read = || -> Result<Vec<Field>> {
        let mut file = File::open(&mut cursor)?;
        let (entries, _) = file.directory(file.first)?;
        carried(&mut file, &entries, &mut left, &limits, 0)
    };
    read().unwrap_or_default()
}
