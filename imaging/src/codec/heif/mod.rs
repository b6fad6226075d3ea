//! HEIC and AVIF by libheif: the primary picture, upright; AVIF is written, too.

pub(super) mod avif;
pub(super) mod heic;
mod library;
mod picture;

pub(super) use library::version;

use super::whole::Whole;
use super::{FormatKind, Header, Limits, PageKind, ReadSeek, RowSource};
use crate::error::Result;
use picture::File;
use std::io::{Read, SeekFrom};

/// Whether a file begins with a box that names one of these brands.
fn branded(start: &[u8], brands: &[&[u8; 4]]) -> bool {
    if start.get(4..8) != Some(b"ftyp") {
        return false;
    }
    let size = start
        .get(..4)
        .map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let end = start.len().min(size as usize);
    let known = |brand: &[u8]| brands.iter().any(|b| b[..] == *brand);
    let others = start.get(16..end).unwrap_or(&[]).chunks_exact(4);
    start.get(8..12).is_some_and(known) || others.into_iter().any(known)
}

fn bytes(input: &mut dyn ReadSeek, limits: &Limits) -> Result<Vec<u8>> {
    let len = limits.file(input)?;
    input.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::with_capacity(len as usize);
    input.take(len).read_to_end(&mut bytes)?;
    still(&mut bytes);
    Ok(bytes)
}

/// A file that is branded as a sequence alone is branded as a still picture, too, if it has one: libheif reads no other.
fn still(bytes: &mut [u8]) {
    let pictures: [&[u8; 4]; 4] = [b"avif", b"mif1", b"heic", b"heix"];
    let sequence = branded(bytes, &[b"avis"]) && !branded(bytes, &pictures);
    let has_picture = bytes.iter().take(4096).copied().collect::<Vec<u8>>();
    let has_picture = has_picture.windows(4).any(|name| name == b"pitm");
    // The first of the list, which alone it looks at.
    if let Some(brand) = bytes.get_mut(16..20)
        && sequence
        && has_picture
    {
        brand.copy_from_slice(b"avif");
    }
}

fn probe(kind: FormatKind, input: &mut dyn ReadSeek, limits: &Limits) -> Result<Header> {
    let title = kind.codec().title;
    let bytes = bytes(input, limits)?;
    let file = File::open(title, &bytes)?;
    let shape = file.shape(limits)?;
    Ok(Header {
        kind,
        shape,
        bits: file.bits(),
        orientation: 1,
        has_icc: file.has_profile(),
        pages: 1,
        page_kind: PageKind::Pages,
        still: false,
        stored: None,
        lossless: false,
        streams: false,
        seekable: true,
        // The image, libheif's RGB and planes, and the file.
        decoder_bytes: 3 * shape.bytes() + 4 * shape.pixels() + bytes.len() + (4 << 20),
    })
}

fn open(kind: FormatKind, input: &mut dyn ReadSeek, limits: &Limits) -> Result<Box<dyn RowSource>> {
    let title = kind.codec().title;
    let bytes = bytes(input, limits)?;
    let file = File::open(title, &bytes)?;
    let shape = file.shape(limits)?;
    let metadata = file.metadata(limits)?;
    let samples = file.samples(shape)?;
    Ok(Box::new(Whole::new(shape, metadata, samples)))
}

#[cfg(test)]
mod tests;
