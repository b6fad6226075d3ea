//! What a PNG says beside its pixels: chunks before and behind them, read apart from the decoder.
//!
//! Sources: PNG, third edition (2025), section 11.3; the texts in which ImageMagick and others keep EXIF and IPTC.

use crate::codec::{Limits, exif};
use crate::error::Result;
use crate::image::Metadata;
use crate::metadata::{Resolution, Text, iptc, latin1, xmp};
use flate2::read::ZlibDecoder;
use std::io::{Read, Seek, SeekFrom};

/// The key word of XMP.
pub const XMP: &str = "XML:com.adobe.xmp";
/// The key word of IPTC.
pub const IPTC: &str = "Raw profile type iptc";
/// Chunks looked at, so that a file of empty ones costs no minutes.
const MOST_CHUNKS: u32 = 1 << 20;
const RAW: &str = "Raw profile type ";

/// Adds what the chunks say; those that are damaged are passed over. The stream is left anywhere.
pub fn read<R: Read + Seek>(input: &mut R, limits: &Limits, metadata: &mut Metadata) -> Result<()> {
    let end = input.seek(SeekFrom::End(0))?;
    let (mut at, mut total) = (8, 0);
    let mut raw_exif = None;
    let mut chunks = 0;
    while at + 12 <= end && chunks < MOST_CHUNKS {
        chunks += 1;
        input.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        input.read_exact(&mut head)?;
        let [a, b, c, d, name @ ..] = head;
        let len = u64::from(u32::from_be_bytes([a, b, c, d]));
        at += 12 + len;
        if &name == b"IEND" {
            break;
        }
        let wanted = matches!(
            &name,
            b"pHYs" | b"gAMA" | b"cHRM" | b"sRGB" | b"cICP" | b"tEXt" | b"zTXt" | b"iTXt" | b"eXIf"
        );
        if !wanted || at > end {
            continue;
        }
        limits.metadata(usize::try_from(len).unwrap_or(usize::MAX))?;
        let mut chunk = vec![0; len as usize + 4];
        input.read_exact(&mut chunk)?;
        let sum = chunk.split_off(len as usize);
        let mut hash = crc32fast::Hasher::new();
        hash.update(&name);
        hash.update(&chunk);
        if hash.finalize().to_be_bytes() != sum[..] {
            continue;
        }
        let text = match &name {
            b"eXIf" if metadata.exif.is_none() => {
                metadata.exif = Some(chunk);
                continue;
            }
            b"tEXt" => plain(&chunk),
            b"zTXt" => packed(&chunk, limits),
            b"iTXt" => international(&chunk, limits),
            _ => {
                number(&name, &chunk, metadata);
                continue;
            }
        };
        let Some(text) = text else { continue };
        total += text.text.len();
        limits.metadata(total)?;
        match text.key.as_str() {
            XMP => metadata.xmp = Some(text.text.into_bytes()),
            key if key.starts_with(RAW) => {
                let Some(bytes) = raw_profile(&text.text) else {
                    continue;
                };
                match &key[RAW.len()..] {
                    "iptc" | "8bim" => metadata.iptc = iptc::find(&bytes).or(metadata.iptc.take()),
                    "exif" | "APP1" => {
                        let tiff = bytes.strip_prefix(b"Exif\0\0").unwrap_or(&bytes);
                        raw_exif = Some(tiff.to_vec())
                            .filter(|t| t.starts_with(b"II") || t.starts_with(b"MM"));
                    }
                    "xmp" if metadata.xmp.is_none() => metadata.xmp = Some(bytes),
                    _ => {}
                }
            }
            _ => metadata.texts.push(text),
        }
    }
    metadata.exif = metadata.exif.take().or(raw_exif);
    let stated = metadata.exif.as_deref().and_then(exif::stated_orientation);
    let stated = stated.or_else(|| metadata.xmp.as_deref().and_then(xmp::orientation));
    metadata.orientation = stated.unwrap_or(1);
    if metadata.resolution.is_none() {
        metadata.resolution = metadata.exif.as_deref().and_then(exif::resolution);
    }
    Ok(())
}

fn number(name: &[u8; 4], chunk: &[u8], metadata: &mut Metadata) {
    let long = |at: usize| -> Option<u32> {
        let raw = chunk.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(raw))
    };
    let coding = &mut metadata.coding;
    match name {
        b"pHYs" => {
            if let (Some(x), Some(y), Some(unit)) = (long(0), long(4), chunk.get(8)) {
                metadata.resolution = match unit {
                    1 => Resolution::per_metre(x, y),
                    _ => Resolution::of_exif(f64::from(x), f64::from(y), 1),
                };
            }
        }
        b"gAMA" => coding.gamma = long(0).filter(|&gamma| gamma > 0),
        b"cHRM" => {
            let mut all = [0; 8];
            let there = (all.iter_mut().enumerate())
                .all(|(k, value)| long(4 * k).map(|v| *value = v).is_some());
            coding.chromaticities = there.then_some(all);
        }
        b"sRGB" => coding.srgb = chunk.first().copied().filter(|&intent| intent < 4),
        b"cICP" => coding.cicp = chunk.try_into().ok(),
        _ => {}
    }
}

/// A key word, and what is behind the zero that ends it.
fn keyword(chunk: &[u8]) -> Option<(String, &[u8])> {
    let zero = chunk.iter().position(|&b| b == 0)?;
    Some((latin1(&chunk[..zero]), &chunk[zero + 1..]))
}

fn plain(chunk: &[u8]) -> Option<Text> {
    let (key, text) = keyword(chunk)?;
    let text = latin1(text);
    Some(Text { key, text })
}

fn packed(chunk: &[u8], limits: &Limits) -> Option<Text> {
    let (key, rest) = keyword(chunk)?;
    let text = latin1(&inflate(rest.get(1..)?, limits)?);
    Some(Text { key, text })
}

fn international(chunk: &[u8], limits: &Limits) -> Option<Text> {
    let (key, rest) = keyword(chunk)?;
    let ([packed, _], rest) = rest.split_first_chunk::<2>()?;
    let (_, rest) = keyword(rest)?;
    let (_, rest) = keyword(rest)?;
    let bytes = match packed {
        1 => inflate(rest, limits)?,
        _ => rest.to_vec(),
    };
    let text = String::from_utf8(bytes).ok()?;
    Some(Text { key, text })
}

fn inflate(bytes: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let most = limits.max_metadata as u64;
    let mut reader = ZlibDecoder::new(bytes).take(most + 1);
    reader.read_to_end(&mut out).ok()?;
    Some(out).filter(|out| out.len() as u64 <= most)
}

/// The bytes that stand in hexadecimal behind a name and their number.
fn raw_profile(text: &str) -> Option<Vec<u8>> {
    let mut words = text.split_ascii_whitespace();
    let _name = words.next()?;
    let len: usize = words.next()?.parse().ok()?;
    let digits: Vec<u8> = words.flat_map(str::bytes).collect();
    let half = |d: u8| char::from(d).to_digit(16);
    let byte = |pair: &[u8]| Some((half(pair[0])? << 4 | half(pair[1])?) as u8);
    let bytes: Vec<u8> = digits.chunks_exact(2).map(byte).collect::<Option<_>>()?;
    (bytes.len() == len).then_some(bytes)
}

/// The chunks that say it, but for the profile, to stand before the pixels: name and content.
pub fn chunks(metadata: &Metadata) -> Vec<([u8; 4], Vec<u8>)> {
    let mut all: Vec<([u8; 4], Vec<u8>)> = Vec::new();
    let coding = &metadata.coding;
    if let Some(cicp) = coding.cicp {
        all.push((*b"cICP", cicp.to_vec()));
    }
    if let Some(intent) = coding.srgb.filter(|_| metadata.icc.is_none()) {
        all.push((*b"sRGB", vec![intent]));
    }
    if let Some(gamma) = coding.gamma {
        all.push((*b"gAMA", gamma.to_be_bytes().to_vec()));
    }
    if let Some(points) = coding.chromaticities {
        let bytes = points.iter().flat_map(|v| v.to_be_bytes()).collect();
        all.push((*b"cHRM", bytes));
    }
    if let Some(resolution) = &metadata.resolution {
        let (unit, x, y) = match resolution.in_metres() {
            Some((x, y)) => (1, x, y),
            None => {
                let (_, x, y) = resolution.in_jfif();
                (0, u32::from(x), u32::from(y))
            }
        };
        let bytes = [&x.to_be_bytes()[..], &y.to_be_bytes(), &[unit]].concat();
        all.push((*b"pHYs", bytes));
    }
    if let Some(exif) = &metadata.exif {
        all.push((*b"eXIf", exif.clone()));
    }
    if let Some(xmp) = &metadata.xmp {
        all.push((*b"iTXt", [XMP.as_bytes(), &[0; 5], xmp].concat()));
    }
    if let Some(iptc) = &metadata.iptc {
        let bytes = iptc::resource(iptc);
        let mut text = format!("\niptc\n{:8}\n", bytes.len());
        for line in bytes.chunks(36) {
            text.extend(line.iter().map(|b| format!("{b:02x}")));
            text.push('\n');
        }
        let packed = crate::codec::deflate::zlib(text.as_bytes());
        all.push((*b"zTXt", [IPTC.as_bytes(), &[0, 0], &packed].concat()));
    }
    for text in &metadata.texts {
        let key: Vec<u8> = text.key.chars().map(|c| c as u8).collect();
        let short: Option<Vec<u8>> = (text.text.chars())
            .map(|c| u8::try_from(u32::from(c)).ok().filter(|&b| b != 0))
            .collect();
        all.push(match short {
            Some(latin1) => (*b"tEXt", [&key[..], &[0], &latin1].concat()),
            None => (*b"iTXt", [&key[..], &[0; 5], text.text.as_bytes()].concat()),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::hostile::{picture, round_trip, small, try_decode};
    use crate::codec::{Format, KeepMetadata, encode};
    use crate::image::{Color, SampleType};
    use crate::metadata::{Coding, Unit};

    fn metadata() -> Metadata {
        Metadata {
            orientation: 1,
            exif: Some(exif::tests::block(true, 1)),
            xmp: Some(b"<x:xmpmeta>\xC3\xA4</x:xmpmeta>".to_vec()),
            iptc: Some(b"\x1c\x02P\0\x03Bob".to_vec()),
            texts: vec![
                Text::comment(b"by Bob"),
                Text {
                    key: "Title".into(),
                    text: "zwölf \u{2026}".into(),
                },
            ],
            resolution: Resolution::new(300.0, 150.0, Unit::Inch),
            coding: Coding {
                srgb: Some(1),
                gamma: Some(45455),
                chromaticities: Some([31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000]),
                cicp: Some([12, 13, 0, 1]),
            },
            ..Metadata::default()
        }
    }

    #[test]
    fn everything_is_read_as_it_was_written() {
        let mut image = picture(5, 7, Color::Rgb, SampleType::U8);
        image.metadata = metadata();
        let format = Format::parse("png").unwrap();
        assert_eq!(round_trip(&image, &format).metadata, metadata());
    }

    #[test]
    fn chunks_behind_the_pixels_count_and_damaged_ones_do_not() {
        let image = picture(5, 7, Color::Rgb, SampleType::U8);
        let format = Format::parse("png").unwrap();
        let mut bytes = encode(&image, &format, KeepMetadata::All).unwrap();
        let chunk = |name: &[u8; 4], data: &[u8]| {
            let mut hash = crc32fast::Hasher::new();
            hash.update(name);
            hash.update(data);
            let (len, sum) = (
                (data.len() as u32).to_be_bytes(),
                hash.finalize().to_be_bytes(),
            );
            [&len[..], name, data, &sum].concat()
        };
        let raw = "\nexif\n      40\n".to_owned()
            + &[b"Exif\0\0", &exif::tests::block(false, 6)[..34]]
                .concat()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<String>();
        let text = [b"Raw profile type exif\0", raw.as_bytes()].concat();
        let end = bytes.len() - 12;
        let behind = [chunk(b"tEXt", b"Comment\0late"), chunk(b"tEXt", &text)].concat();
        bytes.splice(end..end, behind);
        let read = try_decode(&bytes).unwrap().metadata;
        assert_eq!(read.texts, [Text::comment(b"late")]);
        assert_eq!(read.orientation, 6);
    }

    #[test]
    fn a_text_that_inflates_beyond_the_limit_is_refused() {
        let packed = crate::codec::deflate::zlib(&vec![b'a'; 2 << 20]);
        let chunk = [b"Comment\0\0", &packed[..]].concat();
        assert!(super::packed(&chunk, &small()).is_none());
        assert!(super::packed(&chunk, &Limits::default()).is_some());
    }
}
