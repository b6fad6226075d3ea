//! Values of every type, pages, planes, truncation and damage.

use super::*;
use crate::codec::hostile::{flipped, pages, picture, pictures, round_trip, try_decode, written};
use crate::codec::{Format, KeepMetadata, encode};
use crate::error::Error;
use crate::image::{Buffer, Image, Stored};

fn format() -> Format {
    Format::of(FormatKind::Fits)
}

/// A part of these cards and data.
pub(super) fn part(cards: &[(&str, &str)], data: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = (cards.iter())
        .flat_map(|(key, value)| {
            format!("{:<80}", format!("{key:<8}= {value:>20} / c")).into_bytes()
        })
        .collect();
    out.extend(format!("{:<80}", "END").bytes());
    out.resize(out.len().next_multiple_of(2880), b' ');
    out.extend(data);
    out.resize(out.len().next_multiple_of(2880), 0);
    out
}

fn file(bits: &str, more: &[(&str, &str)], data: &[u8]) -> Vec<u8> {
    let size = data.len() / (bits.trim_start_matches('-').parse::<usize>().unwrap() / 8);
    let cols = (size / 2).to_string();
    let cards = [
        ("SIMPLE", "T"),
        ("BITPIX", bits),
        ("NAXIS", "2"),
        ("NAXIS1", &cols),
        ("NAXIS2", "2"),
    ];
    part(&[&cards, more].concat(), data)
}

#[test]
fn what_is_written_is_read_again() {
    let colors = [Color::Gray, Color::Rgb, Color::Rgba, Color::Bands(5)];
    for image in pictures(&colors, SAMPLES) {
        assert_eq!(round_trip(&image, &format()), image);
    }
    let gray = picture(4, 5, Color::GrayAlpha, SampleType::U8);
    assert_eq!(round_trip(&gray, &format()).shape().color, Color::Rgba);
}

#[test]
fn numbers_mean_what_their_cards_say_and_the_lowest_row_is_first() {
    let cases: [(&str, &[(&str, &str)], &[u8], Buffer, Option<Stored>); 9] = [
        ("8", &[], &[1, 2, 3, 4], Buffer::U8(vec![3, 4, 1, 2]), None),
        (
            "16",
            &[],
            &[0xFC, 0x18, 0, 7],
            Buffer::F32(vec![7.0, -1000.0]),
            Some(Stored::Signed(16)),
        ),
        (
            "16",
            &[("BZERO", "32768.0"), ("BSCALE", "1.0")],
            &[0x80, 0, 0x7F, 0xFF],
            Buffer::U16(vec![65535, 0]),
            None,
        ),
        (
            "32",
            &[],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0, 1, 0, 0],
            Buffer::F64(vec![65536.0, -1.0]),
            Some(Stored::Signed(32)),
        ),
        (
            "16",
            &[("BSCALE", "0.5"), ("BZERO", "1D1"), ("BLANK", "-1")],
            &[0, 4, 0xFF, 0xFF],
            Buffer::F32(vec![f32::NAN, 12.0]),
            None,
        ),
        (
            "8",
            &[("BZERO", "-128")],
            &[0, 200],
            Buffer::F32(vec![72.0, -128.0]),
            Some(Stored::Signed(8)),
        ),
        (
            "-32",
            &[],
            &[0x3F, 0xC0, 0, 0, 0xC1, 0x20, 0, 0],
            Buffer::F32(vec![-10.0, 1.5]),
            None,
        ),
        (
            "-64",
            &[],
            &[0x3F, 0xF8, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0],
            Buffer::F64(vec![-2.0, 1.5]),
            None,
        ),
        (
            "64",
            &[],
            &[
                0, 0, 0, 0, 0, 0, 1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE,
            ],
            Buffer::F64(vec![-2.0, 256.0]),
            None,
        ),
    ];
    for (bits, more, data, expected, stored) in cases {
        let image = try_decode(&file(bits, more, data)).unwrap();
        // NaN is no equal of itself.
        let text = |data: &Buffer| format!("{data:?}");
        assert_eq!(text(&image.rows.data), text(&expected), "{bits} {more:?}");
        assert_eq!(image.metadata.stored, stored, "{bits} {more:?}");
        let bytes = encode(&image, &format(), KeepMetadata::All).unwrap();
        let again = try_decode(&bytes).unwrap();
        assert_eq!(text(&again.rows.data), text(&expected));
        assert_eq!(again.metadata.stored, stored);
    }
}

#[test]
fn parts_are_pages_each_of_its_size_and_tables_are_none() {
    let images = [
        picture(3, 4, Color::Gray, SampleType::U16),
        picture(5, 2, Color::Bands(3), SampleType::F32),
        picture(1, 7, Color::Rgb, SampleType::U8),
    ];
    let bytes = written(&images, &format(), &[], 0).unwrap();
    let again = pages(&bytes).unwrap();
    assert_eq!(again.len(), 3);
    for (new, old) in again.iter().zip(&images) {
        assert_eq!(new.rows, old.rows);
    }
    let empty = part(&[("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "0")], &[]);
    let table = part(
        &[
            ("XTENSION", "'BINTABLE'"),
            ("BITPIX", "8"),
            ("NAXIS", "2"),
            ("NAXIS1", "3"),
            ("NAXIS2", "2"),
            ("PCOUNT", "10"),
            ("GCOUNT", "1"),
        ],
        &[9; 16],
    );
    let image = part(
        &[
            ("XTENSION", "'IMAGE   '"),
            ("BITPIX", "8"),
            ("NAXIS", "2"),
            ("NAXIS1", "2"),
            ("NAXIS2", "1"),
            ("PCOUNT", "0"),
            ("GCOUNT", "1"),
        ],
        &[5, 6],
    );
    let all = pages(&[empty.clone(), table, image].concat()).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].rows.data, Buffer::U8(vec![5, 6]));
    assert!(
        try_decode(&empty)
            .unwrap_err()
            .to_string()
            .contains("no image")
    );
}

#[test]
fn broken_files_are_errors() {
    let image = picture(9, 31, Color::Rgb, SampleType::U16);
    let bytes = encode(&image, &format(), KeepMetadata::All).unwrap();
    let data = 2880 + image.shape().bytes();
    for len in (0..data).step_by(7) {
        assert!(
            matches!(try_decode(&bytes[..len]), Err(Error::Decode(_))),
            "{len}"
        );
    }
    flipped(&bytes, 3000);
    let images = [
        image.clone(),
        Image::new(image.shape(), image.rows.data.clone()),
    ];
    flipped(&written(&images, &format(), &[], 0).unwrap(), 1000);
    let huge = file("8", &[("NAXIS1", "99999999999")], &[0; 4]);
    assert!(matches!(try_decode(&huge), Err(Error::Limit { .. })));
}
