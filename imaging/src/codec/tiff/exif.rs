//! What a TIFF says beside its pixels, carried into an EXIF block and out of one.
//!
//! An EXIF block is a small TIFF of its own. The fields that describe a photograph stand in the
//! first directory of both, the rest in directories it points to; those that say how pixels are
//! stored, or that have a place of their own, stay behind. Values are copied, so maker notes that hold positions within their old file
//! lose what they point to, as with most programs that rewrite files.

use super::directory::{Directory, Entry, File, kind_bytes};
use super::fields::{Field, serialise};
use crate::codec::Limits;
use crate::error::Result;
use crate::image::Metadata;
use crate::warning::{Warning, WarningKind};
use std::io::Cursor;

const ORIENTATION: u16 = 274;
const ICC: u16 = 34675;
/// Description, maker, model, resolution, software, date, artist, host, copyright: however long they are.
const COMMON: [u16; 11] = [270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432];
/// Bytes of other fields of a TIFF, which may be of any program's making; the block has to fit into other formats.
const OTHERS: u64 = 4096;

/// Whether a field of the first directory says how the pixels of its own file are stored, or is read and written apart.
fn is_apart(tag: u16) -> bool {
    matches!(
        tag,
        // Sizes, samples, strips, tiles, compression, colours, their tables and old JPEG's.
        254..=266 | 273 | 274 | 277..=281 | 284 | 288..=293 | 297 | 301 | 317..=325 | 328 | 330
            | 332 | 334 | 336 | 338..=347 | 400..=405 | 433..=435 | 512..=532 | 559
            // A thumbnail's place, XMP, IPTC, Photoshop's, ICC, GeoTIFF, GDAL.
            | 700 | 33550 | 33723 | 33922 | 34264 | 34377 | 34675 | 34735..=34737
            | 37724 | 42112 | 42113
            // Parts of pictures and of packings, and a digital negative's own.
            | 32932 | 32995..=32998 | 34016..=34030 | 50674..=50675 | 50706..=51125 | 52525..=52557
    )
}

/// Fields that point to the directories of exposure, position and interoperability.
const DIRECTORIES: [u16; 3] = [34665, 34853, 40965];

/// ICC profile, EXIF and orientation. What cannot be read is left out, with a warning.
pub fn metadata(
    file: &mut File<'_>,
    directory: &Directory,
    limits: &Limits,
    warnings: &mut Vec<Warning>,
) -> Result<Metadata> {
    let mut side = Side {
        left: limits.max_metadata,
        others: OTHERS,
        limits,
        warnings,
    };
    let mut icc = None;
    let mut orientation = 1;
    for tag in &directory.broken {
        side.warn(*tag, "its values lie beyond the end of the file");
    }
    for entry in &directory.entries {
        match entry.tag {
            ICC => icc = side.bounded(file, entry)?,
            ORIENTATION => {
                let value = file.numbers(entry, 1).ok();
                match value.as_deref().and_then(<[u64]>::first) {
                    Some(&value @ 1..=8) => orientation = value as u8,
                    _ => side.warn(ORIENTATION, "its value is not one of 1 to 8"),
                }
            }
            _ => {}
        }
    }
    let mut fields = side.carried(file, &directory.entries, 0)?;
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

/// Reading of side data: bounded, and lenient.
struct Side<'a> {
    left: usize,
    /// Most bytes of a field of the first directory that is not common.
    others: u64,
    limits: &'a Limits,
    warnings: &'a mut Vec<Warning>,
}

impl Side<'_> {
    fn warn(&mut self, tag: u16, what: impl std::fmt::Display) {
        const MOST: usize = 16;
        let name = match tag {
            ICC => "the ICC profile",
            34665 => "EXIF",
            34853 => "GPS",
            40965 => "EXIF's interoperability",
            ORIENTATION => "the orientation",
            700 => "XMP",
            33723 => "IPTC",
            _ => "",
        };
        let name = match name {
            "" => format!("tag {tag}"),
            name => format!("{name} (tag {tag})"),
        };
        if self.warnings.len() < MOST {
            let text = format!("{name} cannot be read: {what}");
            self.warnings
                .push(Warning::new(WarningKind::Metadata, text));
        }
    }

    /// An entry's bytes; none, with a warning, where they cannot be read. Too many are an error.
    fn bounded(&mut self, file: &mut File<'_>, entry: &Entry) -> Result<Option<Vec<u8>>> {
        let data = match file.bytes(entry, self.left.saturating_add(1)) {
            Ok(data) => data,
            Err(error) => {
                self.warn(entry.tag, error);
                return Ok(None);
            }
        };
        match self.left.checked_sub(data.len()) {
            Some(rest) => self.left = rest,
            None => self
                .limits
                .metadata(self.limits.max_metadata.saturating_add(1))?,
        }
        Ok(Some(data))
    }

    /// The fields of a directory that are carried; within inner directories (`depth` > 0) all.
    fn carried(
        &mut self,
        file: &mut File<'_>,
        entries: &[Entry],
        depth: usize,
    ) -> Result<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::new();
        for entry in entries {
            if fields.iter().any(|field| field.tag == entry.tag) {
                continue;
            }
            if DIRECTORIES.contains(&entry.tag) {
                if depth < 2
                    && let Some(inner) = self.inner(file, entry, depth)?
                {
                    fields.push(Field::directory(entry.tag, inner));
                }
            } else if depth > 0
                || COMMON.contains(&entry.tag)
                || (!is_apart(entry.tag) && bytes_of(entry) <= self.others)
            {
                let Some(mut data) = self.bounded(file, entry)? else {
                    continue;
                };
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

    /// The fields of the directory that an entry points to.
    fn inner(
        &mut self,
        file: &mut File<'_>,
        entry: &Entry,
        depth: usize,
    ) -> Result<Option<Vec<Field>>> {
        let read = file.numbers(entry, 1).and_then(|at| match at.first() {
            None | Some(0) => Ok(None),
            Some(&at) => file.directory(at).map(Some),
        });
        let directory = match read {
            Ok(Some(directory)) => directory,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.warn(entry.tag, error);
                return Ok(None);
            }
        };
        for _ in &directory.broken {
            self.warn(
                entry.tag,
                "some of its values lie beyond the end of the file",
            );
        }
        let inner = self.carried(file, &directory.entries, depth + 1)?;
        Ok((!inner.is_empty()).then_some(inner))
    }
}

fn bytes_of(entry: &Entry) -> u64 {
    kind_bytes(entry.kind).saturating_mul(entry.count)
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
    let mut side = Side {
        left: limits.max_metadata,
        others: u64::MAX,
        limits: &limits,
        warnings: &mut Vec::new(),
    };
    let mut read = || -> Result<Vec<Field>> {
        let mut file = File::open(&mut cursor)?;
        let directory = file.directory(file.first)?;
        side.carried(&mut file, &directory.entries, 0)
    };
    read().unwrap_or_default()
}
