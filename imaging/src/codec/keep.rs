//! Which metadata goes into an output.

use super::exif;
use crate::image::Metadata;
use crate::metadata::{copyright, xmp};

/// Which metadata goes into the output. The orientation written is always 1, since pixels are
/// turned upright before they are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepMetadata {
    /// All; thumbnails, which show the picture as it was, are made anew or left out.
    #[default]
    All,
    /// Pixels alone.
    None,
    /// The colours' meaning, and nothing personal.
    Icc,
    /// The colours' meaning, and who owns the rights.
    Web,
}

impl KeepMetadata {
    /// From `all`, `none`, `icc` or `web`.
    pub fn from_name(name: &str) -> Option<KeepMetadata> {
        match name {
            "all" => Some(KeepMetadata::All),
            "none" => Some(KeepMetadata::None),
            "icc" => Some(KeepMetadata::Icc),
            "web" => Some(KeepMetadata::Web),
            _ => None,
        }
    }

    /// Whether what the colours mean is written.
    pub fn keeps_color(self) -> bool {
        self != KeepMetadata::None
    }

    /// What is left of the metadata, with orientation 1. How samples, pages and frames are stored is no
    /// matter of choice and stays.
    pub fn filter(self, metadata: &Metadata) -> Metadata {
        let mut new = Metadata {
            orientation: 1,
            stored: metadata.stored,
            rgb_bands: metadata.rgb_bands,
            pages: metadata.pages,
            delay_ms: metadata.delay_ms,
            loops: metadata.loops,
            background: metadata.background,
            ..Metadata::default()
        };
        if self.keeps_color() {
            new.icc = metadata.icc.clone();
            new.coding = metadata.coding;
        }
        match self {
            KeepMetadata::All => {
                let exif = metadata.exif.clone().map(exif::upright);
                let had = exif
                    .as_deref()
                    .is_some_and(|block| exif::thumbnail(block).is_some());
                new.thumbnail = metadata.thumbnail || had;
                new.exif = exif.and_then(exif::without_thumbnail);
                let packet = metadata.xmp.as_deref();
                new.xmp = packet.map(|packet| match std::str::from_utf8(packet) {
                    Ok(xml) => xmp::without_thumbnails(&xmp::set(xml, "tiff:Orientation", "1"))
                        .into_bytes(),
                    Err(_) => packet.to_vec(),
                });
                new.iptc = metadata.iptc.clone();
                new.texts = metadata.texts.clone();
                new.resolution = metadata.resolution;
                new.geo = metadata.geo.clone();
                new.nodata = metadata.nodata.clone();
                new.gdal = metadata.gdal.clone();
            }
            KeepMetadata::Web => new.exif = copyright(metadata).map(|c| exif::only_copyright(&c)),
            KeepMetadata::Icc | KeepMetadata::None => {}
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Resolution, Text, Unit};

    #[test]
    fn the_web_gets_colours_and_copyright_alone() {
        let exif = exif::with_text(Some(exif::tests::block(true, 6)), 33432, "me, 2026");
        let mut metadata = Metadata {
            icc: Some(vec![1]),
            exif: Some(exif),
            orientation: 6,
            xmp: Some(b"<x/>".to_vec()),
            iptc: Some(b"\x1c\x02t\0\x03you".to_vec()),
            texts: vec![Text::comment(b"by Bob")],
            resolution: Resolution::new(300.0, 300.0, Unit::Inch),
            nodata: Some("0".into()),
            ..Metadata::default()
        };
        let web = Metadata {
            icc: Some(vec![1]),
            exif: Some(exif::only_copyright("me, 2026")),
            orientation: 1,
            ..Metadata::default()
        };
        assert_eq!(KeepMetadata::Web.filter(&metadata), web);
        metadata.exif = None;
        let web = KeepMetadata::Web.filter(&metadata);
        assert_eq!(web.exif, Some(exif::only_copyright("you")));
        let none = KeepMetadata::None.filter(&metadata);
        assert_eq!((none.icc, none.exif, none.resolution), (None, None, None));
        let icc = KeepMetadata::Icc.filter(&metadata);
        assert_eq!((icc.icc, icc.exif), (Some(vec![1]), None));
    }
}
