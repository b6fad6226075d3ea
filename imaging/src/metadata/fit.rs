//! Metadata cut to what a format holds.

use super::iptc;
use super::text::cut;
use crate::codec::{Format, FormatKind, exif};
use crate::image::Metadata;
use crate::warning::{Warning, WarningKind};

/// The longest payload of a JPEG's segment.
pub const SEGMENT: usize = 65_533;
const EXIF_MARK: usize = 6;
/// The mark of XMP in a JPEG.
pub const XMP_MARK: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const ICC_PART: usize = SEGMENT - 14;
/// The longest key word of a PNG.
const KEYWORD: usize = 79;

/// What files of that kind hold of the metadata. What is left out or cut is told; texts go to the EXIF
/// block where there is no other place for them.
pub fn fit(mut metadata: Metadata, kind: FormatKind, warnings: &mut Vec<Warning>) -> Metadata {
    let room = Format::of(kind).keeps();
    let mut lost = Vec::new();
    if !room.exif && metadata.exif.take().is_some() {
        lost.push("EXIF");
    }
    if !room.xmp && metadata.xmp.take().is_some() {
        lost.push("XMP");
    }
    if !room.iptc && metadata.iptc.take().is_some() {
        lost.push("IPTC");
    }
    if !room.texts && !std::mem::take(&mut metadata.texts).is_empty() {
        lost.push("comments");
    }
    if !room.resolution && metadata.resolution.take().is_some() {
        lost.push("resolution");
    }
    if !room.geo {
        let geo = metadata.geo.take().is_some();
        let gdal = metadata.gdal.take().is_some();
        let nodata = metadata.nodata.take().is_some();
        if geo || gdal || nodata {
            lost.push("GeoTIFF tags");
        }
    }
    let mut warn = |text: String| warnings.push(Warning::new(WarningKind::Metadata, text));
    if !lost.is_empty() {
        let (name, lost) = (kind.name(), lost.join(", "));
        warn(format!("{name} has no room for {lost}: left out"));
    }
    match kind {
        FormatKind::Jpeg => jpeg(&mut metadata, &mut warn),
        FormatKind::Png => png(&mut metadata),
        FormatKind::Tiff => texts_to_exif(&mut metadata, kind, &mut warn),
        FormatKind::WebP => {
            texts_to_exif(&mut metadata, kind, &mut warn);
            if let Some(resolution) = &metadata.resolution {
                metadata.exif = Some(exif::with_resolution(metadata.exif.take(), resolution));
            }
        }
        _ => {}
    }
    metadata
}

fn jpeg(metadata: &mut Metadata, warn: &mut dyn FnMut(String)) {
    if let Some(block) = metadata.exif.take() {
        let most = SEGMENT - EXIF_MARK;
        let (short, what) = match block.len() > most {
            true => exif::shortened(&block, most),
            false => (Some(block), None),
        };
        metadata.exif = short;
        if let Some(what) = what {
            warn(format!("EXIF does not fit into a JPEG's 64 KiB: {what}"));
        }
    }
    if let Some(packet) = metadata.xmp.take() {
        let (most, len) = (SEGMENT - XMP_MARK.len(), packet.len());
        metadata.xmp = Some(unpadded(packet, most)).filter(|packet| packet.len() <= most);
        if metadata.xmp.is_none() {
            warn(format!(
                "XMP of {len} bytes does not fit into a JPEG's 64 KiB: left out"
            ));
        }
    }
    let parts = |icc: &Vec<u8>| icc.len().div_ceil(ICC_PART);
    if let Some(icc) = metadata.icc.take_if(|icc| parts(icc) > 255) {
        warn(format!(
            "an ICC profile of {} bytes does not fit into a JPEG: left out",
            icc.len()
        ));
    }
    for text in &mut metadata.texts {
        let plain = text.plain();
        if plain.len() > SEGMENT {
            warn(format!(
                "the text `{}` of {} bytes was cut to the {SEGMENT} that a JPEG holds",
                cut(&text.key, KEYWORD),
                text.text.len()
            ));
            *text = super::Text {
                key: super::COMMENT.into(),
                text: cut(&plain, SEGMENT).to_owned(),
            };
        }
    }
}

/// Without the blanks that packets have for changes in place, if it is too long with them.
fn unpadded(packet: Vec<u8>, most: usize) -> Vec<u8> {
    let end = packet
        .windows(13)
        .rposition(|w| w == b"<?xpacket end")
        .filter(|_| packet.len() > most);
    let Some(end) = end else { return packet };
    let blank = |b: &u8| b.is_ascii_whitespace();
    let text = packet[..end]
        .iter()
        .rposition(|b| !blank(b))
        .map_or(0, |at| at + 1);
    [&packet[..text], b"\n", &packet[end..]].concat()
}

/// Key words of a PNG have 1 to 79 characters of Latin-1.
fn png(metadata: &mut Metadata) {
    for text in &mut metadata.texts {
        let sound = |c: char| u32::from(c) < 256 && !c.is_control();
        text.key = text
            .key
            .chars()
            .filter(|&c| sound(c))
            .take(KEYWORD)
            .collect();
        text.key = text.key.trim().to_owned();
        if text.key.is_empty() {
            text.key = super::COMMENT.into();
        }
    }
}

fn texts_to_exif(metadata: &mut Metadata, kind: FormatKind, warn: &mut dyn FnMut(String)) {
    let mut lost = Vec::new();
    for text in std::mem::take(&mut metadata.texts) {
        let there = |tag: u16| {
            metadata
                .exif
                .as_deref()
                .and_then(|exif| exif::text(exif, tag))
        };
        match text.tag() {
            Some(tag) if there(tag).is_none() => {
                metadata.exif = Some(exif::with_text(metadata.exif.take(), tag, &text.text));
            }
            Some(tag) if there(tag).as_deref() == Some(&text.text) => {}
            _ => lost.push(cut(&text.key, KEYWORD).to_owned()),
        }
    }
    if !lost.is_empty() {
        let (name, lost) = (kind.name(), lost.join(", "));
        warn(format!("{name} has no room for the texts {lost}: left out"));
    }
}

/// Who owns the rights, wherever it stands.
pub fn copyright(metadata: &Metadata) -> Option<String> {
    const NOTICE: u8 = 116;
    let exif = metadata.exif.as_deref().and_then(exif::copyright);
    let iptc = || {
        metadata
            .iptc
            .as_deref()
            .and_then(|iptc| iptc::text(iptc, NOTICE))
    };
    let text = || {
        let named = metadata.texts.iter().find(|text| text.key == "Copyright");
        named.map(|text| text.text.clone())
    };
    let xmp = || super::xmp::rights(metadata.xmp.as_deref()?);
    exif.or_else(iptc).or_else(text).or_else(xmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Resolution, Text, Unit};

    fn fitted(metadata: Metadata, kind: FormatKind) -> (Metadata, Vec<String>) {
        let mut warnings = Vec::new();
        let new = fit(metadata, kind, &mut warnings);
        let again = fit(new.clone(), kind, &mut Vec::new());
        assert_eq!(again, new, "what fits is left alone");
        (new, warnings.into_iter().map(|w| w.text).collect())
    }

    fn comment(text: &str) -> Metadata {
        Metadata {
            texts: vec![Text::comment(text.as_bytes())],
            ..Metadata::default()
        }
    }

    #[test]
    fn a_description_too_long_for_a_jpeg_is_cut() {
        let metadata = Metadata {
            exif: Some(exif::with_text(None, 270, &"ä".repeat(90_000))),
            ..Metadata::default()
        };
        let (new, warnings) = fitted(metadata, FormatKind::Jpeg);
        let block = new.exif.unwrap();
        assert!(block.len() <= SEGMENT - EXIF_MARK && block.len() > 65_000);
        assert!(exif::description(&block).unwrap().chars().all(|c| c == 'ä'));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("description"), "{warnings:?}");
    }

    #[test]
    fn a_comment_too_long_for_a_jpeg_is_cut() {
        let (new, warnings) = fitted(comment(&"x".repeat(70_000)), FormatKind::Jpeg);
        assert_eq!(new.texts[0].text.len(), SEGMENT);
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn padding_goes_before_the_packet_does() {
        let packet = |text: usize, blanks: usize| {
            let xml = format!(
                "<x>{}</x>{}<?xpacket end='w'?>",
                "a".repeat(text),
                " ".repeat(blanks)
            );
            Metadata {
                xmp: Some(xml.into_bytes()),
                ..Metadata::default()
            }
        };
        let (new, warnings) = fitted(packet(60_000, 9_000), FormatKind::Jpeg);
        assert!(new.xmp.unwrap().ends_with(b"</x>\n<?xpacket end='w'?>"));
        assert!(warnings.is_empty());
        let (new, warnings) = fitted(packet(70_000, 0), FormatKind::Jpeg);
        assert_eq!((new.xmp, warnings.len()), (None, 1));
    }

    #[test]
    fn what_a_format_has_no_room_for_is_told() {
        let mut metadata = comment("by Bob");
        metadata.nodata = Some("-9999".into());
        metadata.iptc = Some(vec![1]);
        metadata.resolution = Resolution::new(300.0, 300.0, Unit::Inch);
        let (new, warnings) = fitted(metadata.clone(), FormatKind::Pnm);
        assert_eq!(new, Metadata::default());
        assert_eq!(
            warnings,
            ["pnm has no room for IPTC, comments, resolution, GeoTIFF tags: left out"]
        );
        let (new, warnings) = fitted(metadata, FormatKind::WebP);
        let block = new.exif.unwrap();
        assert_eq!(exif::description(&block).as_deref(), Some("by Bob"));
        assert_eq!(exif::resolution(&block), new.resolution);
        assert_eq!(warnings.len(), 1);
    }
}
