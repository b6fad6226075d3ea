//! Where strips and tiles lie, each of them within the file.

use super::directory::{bad, truncated};
use super::layout::{Layout, Packing, Unpacked};
use super::tags::Tags;
use crate::error::Result;
use crate::image::Stored;

const OLD_JPEG: u16 = 6;
const NO_DATA: u16 = 42113;

/// Fills in the layout's chunks.
pub fn find(tags: &mut Tags<'_, '_>, layout: &mut Layout) -> Result<()> {
    let count = (layout.across * layout.planes())
        .checked_mul(layout.down)
        .ok_or_else(truncated)?;
    if layout.compression == OLD_JPEG {
        // Its strips may stand in other tags, or nowhere: libtiff knows.
        if count > 65_536 && places(tags, layout, count)?.len() < count {
            return Err(bad("fewer strips or tiles than the image needs"));
        }
        layout.chunks = vec![(1, 1); count];
        return Ok(());
    }
    let offsets = places(tags, layout, count)?;
    let len = if layout.tiled { 325 } else { 279 };
    let lengths = match tags.numbers(len, count)? {
        Some(lengths) => Some(lengths),
        None => tags.numbers(279, count)?,
    };
    let few = || bad("fewer strips or tiles than the image needs");
    if offsets.len() < count || lengths.as_ref().is_some_and(|l| l.len() < count) {
        return Err(few());
    }
    let per_plane = layout.across * layout.down;
    let mut chunks = Vec::with_capacity(count);
    for (i, &offset) in offsets.iter().enumerate() {
        let rows = layout.stored_rows(i % per_plane / layout.across);
        let needed = (rows * layout.chunk_row_bytes()) as u64;
        let given = lengths.as_ref().map(|lengths| lengths[i]);
        if (offset, given) == (0, Some(0)) {
            layout.sparse = true;
            chunks.push((0, 0));
            continue;
        }
        let length = match (given, layout.packing) {
            (Some(length), Packing::None) if length < needed => {
                return Err(bad(format!(
                    "a strip or tile of {length} bytes where {needed} are needed"
                )));
            }
            (_, Packing::None) => needed,
            (Some(length), _) => length,
            // Unpacking ends when all rows are there.
            (None, _) => tags.file.len.saturating_sub(offset),
        };
        tags.file.check(offset, length)?;
        let most = length.saturating_mul(layout.packing.most_expansion());
        if most.saturating_add(4096) < needed {
            return Err(bad(format!(
                "a strip or tile of {length} bytes cannot unpack to {needed}"
            )));
        }
        chunks.push((offset, length));
    }
    layout.chunks = chunks;
    if layout.sparse {
        layout.absent = absent(tags, layout.stored);
        if layout.packing == Packing::Library(Unpacked::Rgba) {
            layout.absent = None;
        }
    }
    Ok(())
}

/// Positions; some writers give tiles under the names for strips.
fn places(tags: &mut Tags<'_, '_>, layout: &Layout, count: usize) -> Result<Vec<u64>> {
    let at = if layout.tiled { 324 } else { 273 };
    let places = match tags.numbers(at, count)? {
        Some(places) => Some(places),
        None => tags.numbers(273, count)?,
    };
    match places {
        Some(places) => Ok(places),
        None if layout.compression == OLD_JPEG => Ok(Vec::new()),
        None => Err(bad("fewer strips or tiles than the image needs")),
    }
}

/// Whether LZW codes have their lowest bit first, as the first writers had it. Read off the first code, which
/// clears the table.
pub fn is_old_lzw(tags: &mut Tags<'_, '_>) -> Result<bool> {
    for tag in [273, 324] {
        let places = tags.numbers(tag, 64)?.unwrap_or_default();
        if let Some(&at) = places.iter().find(|&&at| at != 0) {
            let mut start = [0; 2];
            tags.file.read_at(at, &mut start)?;
            return Ok(start[0] == 0 && start[1] & 1 == 1);
        }
    }
    Ok(false)
}

/// The sample that stands for no data, which strips and tiles that were left out are full of.
fn absent(tags: &mut Tags<'_, '_>, stored: Stored) -> Option<Vec<u8>> {
    let entry = tags.entry(NO_DATA)?;
    let text = tags.file.bytes(&entry, 64).ok()?;
    let text = String::from_utf8_lossy(&text);
    let value: f64 = text.trim_matches(['\0', ' ']).parse().ok()?;
    let bytes = match stored {
        Stored::Unsigned(8) => vec![value as u8],
        Stored::Signed(8) => vec![value as i8 as u8],
        Stored::Unsigned(16) => (value as u16).to_ne_bytes().to_vec(),
        Stored::Signed(16) => (value as i16).to_ne_bytes().to_vec(),
        Stored::Unsigned(32) => (value as u32).to_ne_bytes().to_vec(),
        Stored::Signed(32) => (value as i32).to_ne_bytes().to_vec(),
        Stored::Float(32) => (value as f32).to_ne_bytes().to_vec(),
        Stored::Float(64) => value.to_ne_bytes().to_vec(),
        _ => return None,
    };
    Some(bytes)
}
