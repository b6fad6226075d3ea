//! What a JPEG says beside its pixels: segments of JFIF, EXIF, XMP, Photoshop and comments.
//!
//! Sources: JFIF 1.02; EXIF 2.3, 4.7; XMP part 3, 1.1.3; Photoshop's file format, image resources.

use crate::codec::exif;
use crate::error::{Error, Result};
use crate::image::Metadata;
use crate::metadata::{Resolution, SEGMENT, Text, XMP_MARK, iptc, xmp};
use std::os::raw::c_int;

const EXIF: &[u8] = b"Exif\0\0";
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";

/// What segments before the first scan said.
#[derive(Default)]
pub struct Side {
    exif: Option<Vec<u8>>,
    xmp: Option<Vec<u8>>,
    /// Image resources, which may go on from segment to segment.
    resources: Vec<u8>,
    texts: Vec<Text>,
    density: Option<(u8, u16, u16)>,
}

impl Side {
    /// Takes the content of a segment.
    pub fn segment(&mut self, marker: u8, body: Vec<u8>) {
        match marker {
            0xE0 => {
                if let [b'J', b'F', b'I', b'F', 0, _, _, unit, x1, x0, y1, y0, ..] = body[..]
                    && self.density.is_none()
                {
                    let of = |high, low| u16::from_be_bytes([high, low]);
                    self.density = Some((unit, of(x1, x0), of(y1, y0)));
                }
            }
            0xE1 => {
                if let Some(tiff) = body.strip_prefix(EXIF) {
                    self.exif.get_or_insert_with(|| tiff.to_vec());
                } else if let Some(packet) = body.strip_prefix(XMP_MARK) {
                    self.xmp.get_or_insert_with(|| packet.to_vec());
                }
            }
            0xED => {
                if let Some(resources) = body.strip_prefix(PHOTOSHOP) {
                    self.resources.extend_from_slice(resources);
                }
            }
            0xFE => self.texts.push(Text::comment(&body)),
            _ => {}
        }
    }

    /// All of it but the profile.
    pub fn metadata(self) -> Metadata {
        let Side { exif, xmp, .. } = self;
        let stated = exif.as_deref().and_then(exif::stated_orientation);
        let stated = stated.or_else(|| xmp.as_deref().and_then(xmp::orientation));
        let jfif = self.density.and_then(|(unit, x, y)| {
            let (x, y) = (f64::from(x), f64::from(y));
            match unit {
                1 => Resolution::of_exif(x, y, 2),
                2 => Resolution::of_exif(x, y, 3),
                // Square pixels are what everybody expects.
                _ if x != y => Resolution::of_exif(x, y, 1),
                _ => None,
            }
        });
        Metadata {
            resolution: jfif.or_else(|| exif.as_deref().and_then(exif::resolution)),
            orientation: stated.unwrap_or(1),
            iptc: iptc::find(&self.resources),
            texts: self.texts,
            exif,
            xmp,
            ..Metadata::default()
        }
    }
}

/// The segments that say it, JFIF's left out: marker and content.
pub fn segments(metadata: &Metadata) -> Result<Vec<(c_int, Vec<u8>)>> {
    let mut all: Vec<(c_int, Vec<u8>)> = Vec::new();
    if let Some(exif) = &metadata.exif {
        all.push((0xE1, [EXIF, exif].concat()));
    }
    if let Some(packet) = &metadata.xmp {
        all.push((0xE1, [XMP_MARK, packet].concat()));
    }
    if let Some(iptc) = &metadata.iptc {
        let resource = iptc::resource(iptc);
        let parts = resource.chunks(SEGMENT - PHOTOSHOP.len());
        all.extend(parts.map(|part| (0xED, [PHOTOSHOP, part].concat())));
    }
    if let Some(icc) = &metadata.icc {
        let parts = icc.chunks(SEGMENT - ICC.len() - 2);
        let count = parts.len() as u8;
        for (number, part) in (1..=count).zip(parts) {
            all.push((0xE2, [ICC, &[number, count], part].concat()));
        }
    }
    all.extend(
        metadata
            .texts
            .iter()
            .map(|text| (0xFE, text.plain().into_bytes())),
    );
    match all.iter().find(|(_, content)| content.len() > SEGMENT) {
        None => Ok(all),
        Some((_, content)) => Err(Error::Encode(format!(
            "metadata of {} bytes do not fit into a JPEG's segment of {SEGMENT} (leave them out with --keep-metadata icc)",
            content.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::hostile::{picture, round_trip, truncated};
    use crate::codec::{Format, KeepMetadata, encode};
    use crate::image::{Color, SampleType};
    use crate::metadata::Unit;

    #[test]
    fn everything_is_read_as_it_was_written() {
        let mut image = picture(9, 12, Color::Rgb, SampleType::U8);
        image.metadata = Metadata {
            orientation: 1,
            icc: Some(vec![7; 70_000]),
            exif: Some(exif::tests::block(true, 1)),
            xmp: Some(b"<x:xmpmeta/>".to_vec()),
            iptc: Some(vec![0x1C; 70_001]),
            texts: vec![
                Text::comment(b"scanned by Bob"),
                Text::comment("äöü".as_bytes()),
            ],
            resolution: Resolution::new(300.0, 150.0, Unit::Inch),
            ..Metadata::default()
        };
        let format = Format::parse("jpeg").unwrap();
        assert_eq!(round_trip(&image, &format).metadata, image.metadata);
        image.metadata.iptc = Some(vec![0x1C; 31]);
        image.metadata.icc = None;
        truncated(&encode(&image, &format, KeepMetadata::All).unwrap(), 3);
    }

    #[test]
    fn the_density_of_jfif_comes_before_that_of_exif() {
        let side = |unit, exif| {
            let mut side = Side::default();
            side.segment(
                0xE0,
                [b"JFIF\0\x01\x01", &[unit, 0, 10, 0, 10][..], &[0, 0]].concat(),
            );
            let block = exif::with_resolution(exif, &Resolution::of_exif(72.0, 72.0, 2).unwrap());
            side.segment(0xE1, [EXIF, &block].concat());
            side.metadata().resolution.map(|r| (r.x, r.unit))
        };
        assert_eq!(side(1, None), Some((10.0, Unit::Inch)));
        assert_eq!(side(2, None), Some((10.0, Unit::Centimetre)));
        assert_eq!(
            side(0, Some(exif::tests::block(true, 3))),
            Some((72.0, Unit::Inch))
        );
    }
}
