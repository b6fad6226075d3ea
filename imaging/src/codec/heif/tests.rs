//! What is written is nearly read again; damage ends in an image or an error. Without libheif there is nothing to test.

use super::library::get;
use super::picture::encode as write;
use crate::codec::hostile::{picture, round_trip, try_decode};
use crate::codec::{Format, FormatKind, KeepMetadata, encode, exif};
use crate::image::{Color, Image, SampleType, Shape};

const HEVC: i32 = 1;

fn smooth(rows: usize, cols: usize, color: Color) -> Image {
    let mut image = picture(rows, cols, color, SampleType::U8);
    let channels = color.channels();
    for (at, sample) in image.rows.data.bytes_mut().iter_mut().enumerate() {
        let (pixel, channel) = (at / channels, at % channels);
        *sample = (pixel % cols * 3 + pixel / cols * 2 + channel * 40) as u8;
    }
    image
}

fn far(a: &Image, b: &Image) -> f64 {
    let (a, b) = (a.rows.data.bytes(), b.rows.data.bytes());
    assert_eq!(a.len(), b.len());
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

#[test]
fn brands_tell_the_two_apart() {
    let file = |major: &[u8], other: &[u8]| {
        [b"\0\0\0\x18ftyp", major, b"\0\0\0\0", other, b"miaf"].concat()
    };
    let detect = FormatKind::detect;
    assert_eq!(detect(&file(b"avif", b"mif1")), Some(FormatKind::Avif));
    assert_eq!(detect(&file(b"mif1", b"avif")), Some(FormatKind::Avif));
    assert_eq!(detect(&file(b"heic", b"mif1")), Some(FormatKind::Heic));
    assert_eq!(detect(&file(b"mif1", b"heic")), Some(FormatKind::Heic));
    assert_eq!(detect(&file(b"isom", b"mp42")), None);
}

#[test]
fn the_picture_of_a_file_branded_as_a_sequence_is_read() {
    if get().is_none() {
        return;
    }
    let image = smooth(40, 56, Color::Rgb);
    let format = Format::parse("avif(quality=90)").unwrap();
    let mut bytes = encode(&image, &format, KeepMetadata::None).unwrap();
    let expected = try_decode(&bytes).unwrap();
    let size = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    for at in (8..size).step_by(4).filter(|at| *at != 12) {
        let brand = if at == 8 { b"avis" } else { b"miaf" };
        bytes[at..at + 4].copy_from_slice(brand);
    }
    assert_eq!(FormatKind::detect(&bytes), Some(FormatKind::Avif));
    assert_eq!(try_decode(&bytes).unwrap().rows, expected.rows);
}

#[test]
fn avif_is_near_and_keeps_its_metadata() {
    if get().is_none() {
        return;
    }
    for color in [Color::Rgb, Color::Rgba] {
        let mut image = smooth(40, 56, color);
        image.metadata.icc = Some(vec![7; 200]);
        image.metadata.exif = Some(exif::tests::block(false, 1));
        let format = Format::parse("avif(quality=90)").unwrap();
        let again = round_trip(&image, &format);
        assert_eq!(again.shape(), image.shape());
        assert!(far(&again, &image) < 4.0, "{}", far(&again, &image));
        assert_eq!(again.metadata.icc, image.metadata.icc);
        assert_eq!(again.metadata.exif, image.metadata.exif);
    }
}

#[test]
fn heic_is_read() {
    let image = smooth(48, 64, Color::Rgb);
    let shape = Shape::new(48, 64, Color::Rgb, SampleType::U8);
    // Not every libheif has an encoder for it.
    let Ok(bytes) = write(HEVC, image.rows.data.bytes(), shape, 95, &image.metadata) else {
        return;
    };
    assert_eq!(FormatKind::detect(&bytes), Some(FormatKind::Heic));
    let again = try_decode(&bytes).unwrap();
    assert_eq!(again.shape(), shape);
    assert!(far(&again, &image) < 4.0, "{}", far(&again, &image));
}

#[test]
fn cut_files_are_errors() {
    if get().is_none() {
        return;
    }
    let image = smooth(24, 24, Color::Rgb);
    let bytes = encode(&image, &Format::of(FormatKind::Avif), KeepMetadata::None).unwrap();
    for len in (0..bytes.len()).step_by(9) {
        assert!(try_decode(&bytes[..len]).is_err(), "cut at {len}");
    }
}
