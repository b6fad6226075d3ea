//! Round trips and hostile files.

use crate::codec::hostile::{flipped, picture, round_trip, try_decode};
use crate::codec::{Format, FormatKind, KeepMetadata, encode};
use crate::error::Error;
use crate::image::{Color, SampleType};

const KINDS: [FormatKind; 6] = [
    FormatKind::Qoi,
    FormatKind::Tga,
    FormatKind::Exr,
    FormatKind::Hdr,
    FormatKind::Ico,
    FormatKind::Farbfeld,
];

#[test]
fn what_is_held_comes_back() {
    for kind in KINDS {
        let format = Format::of(kind);
        for (color, samples) in format.writer().holds {
            for sample in *samples {
                for (rows, cols) in [(1, 1), (1, 19), (17, 1), (23, 37)] {
                    let mut image = picture(rows, cols, *color, *sample);
                    if kind == FormatKind::Hdr {
                        // Its exponent is that of the largest, and nothing is negative.
                        let crate::image::Buffer::F32(values) = &mut image.rows.data else {
                            unreachable!("floats");
                        };
                        values.iter_mut().for_each(|v| *v = v.abs() + 0.5);
                        let again = round_trip(&image, &format);
                        let again = again.rows.data.bytes().chunks_exact(4);
                        for (new, old) in again.zip(image.rows.data.bytes().chunks_exact(4)) {
                            let float = |b: &[u8]| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]);
                            assert!((float(new) - float(old)).abs() < 0.02);
                        }
                        continue;
                    }
                    assert_eq!(round_trip(&image, &format), image, "{kind:?} {rows}x{cols}");
                }
            }
        }
    }
}

#[test]
fn broken_files_are_images_or_errors() {
    for kind in KINDS {
        let format = Format::of(kind);
        let image = picture(11, 13, Color::Rgb, SampleType::U8);
        let bytes = encode(&image, &format, KeepMetadata::None).unwrap();
        let whole = try_decode(&bytes).unwrap();
        let mut taken = 0;
        for len in 0..bytes.len() {
            match try_decode(&bytes[..len]) {
                Err(Error::Decode(_) | Error::Limit { .. }) => {}
                Err(other) => panic!("{kind:?} cut at {len}: {other}"),
                Ok(image) => {
                    assert_eq!(image, whole, "{kind:?} cut at {len}");
                    taken = taken.max(bytes.len() - len);
                }
            }
        }
        // Ends that hold no pixel: the footer of a TGA, the mark of a QOI.
        assert!(taken <= 26, "{kind:?} less {taken}");
        flipped(&bytes, 1500);
    }
}

#[test]
fn texts_are_no_targas() {
    for text in [
        &b"Once upon a time there was a text."[..],
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07\x00\x08\x00\x09\x00",
        &[0xFF; 64],
    ] {
        assert_ne!(FormatKind::detect(text), Some(FormatKind::Tga));
    }
}

#[test]
fn what_is_too_large_is_refused_by_name() {
    let wide = picture(1, 300, Color::Rgba, SampleType::U8);
    let refused = encode(&wide, &Format::of(FormatKind::Ico), KeepMetadata::None);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("ICO"), "{refused}");
}

/// An icon of these pictures, each with the sides that its entry tells.
fn icon(pictures: &[(u8, &[u8])]) -> Vec<u8> {
    let mut file = vec![0, 0, 1, 0, pictures.len() as u8, 0];
    let mut at = 6 + 16 * pictures.len();
    for (side, picture) in pictures {
        file.extend([*side, *side, 0, 0, 1, 0, 32, 0]);
        file.extend((picture.len() as u32).to_le_bytes());
        file.extend((at as u32).to_le_bytes());
        at += picture.len();
    }
    pictures
        .iter()
        .for_each(|(_, picture)| file.extend(*picture));
    file
}

#[test]
fn icons_hold_any_png_and_the_largest_is_read() {
    let png = Format::of(FormatKind::Png);
    for color in [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba] {
        let small = encode(
            &picture(16, 16, color, SampleType::U8),
            &png,
            KeepMetadata::None,
        );
        let large = picture(256, 256, color, SampleType::U8);
        let bytes = encode(&large, &png, KeepMetadata::None).unwrap();
        let file = icon(&[(16, &small.unwrap()), (0, &bytes)]);
        assert_eq!(try_decode(&file).unwrap().rows, large.rows);
        flipped(&file[..200], 300);
        assert!(try_decode(&file[..file.len() - 400]).is_err());
    }
    // The bitmap of the second entry, found by its own place.
    let rgba = picture(20, 20, Color::Rgba, SampleType::U8);
    let alone = encode(&rgba, &Format::of(FormatKind::Ico), KeepMetadata::None).unwrap();
    let small = picture(8, 8, Color::Rgba, SampleType::U8);
    let small = encode(&small, &png, KeepMetadata::None).unwrap();
    let file = icon(&[(8, &small), (20, &alone[22..])]);
    assert_eq!(try_decode(&file).unwrap().rows, rgba.rows);
    // A cursor is the same, with the place of its tip where icons have bits a pixel.
    let mut cursor = file.clone();
    cursor[2] = 2;
    (cursor[12], cursor[28]) = (200, 0);
    assert_eq!(FormatKind::detect(&cursor), Some(FormatKind::Ico));
    assert_eq!(try_decode(&cursor).unwrap().rows, rgba.rows);
    assert!(try_decode(&icon(&[])).is_err());
}

/// A bitmap of an icon: its header with twice the height, what is given, and bits of pixels that are not seen.
fn bitmap(cols: u32, rows: u32, bits: u16, rest: &[&[u8]]) -> Vec<u8> {
    let mut file = Vec::new();
    for field in [
        40,
        cols,
        2 * rows,
        1 | u32::from(bits) << 16,
        0,
        0,
        0,
        0,
        0,
        0,
    ] {
        file.extend(u32::to_le_bytes(field));
    }
    rest.iter().for_each(|part| file.extend(*part));
    file
}

#[test]
fn bits_of_icons_hide_pixels_unless_there_is_alpha() {
    // Two colours; the lower row comes first.
    let palette = [10, 20, 30, 0, 40, 50, 60, 0];
    let colors = [0b0100_0000, 0, 0, 0, 0b1000_0000, 0, 0, 0];
    let hidden = [0b1000_0000, 0, 0, 0, 0, 0, 0, 0];
    let two = bitmap(2, 2, 1, &[&palette, &colors, &hidden]);
    let image = try_decode(&icon(&[(2, &two)])).unwrap();
    let (first, second) = ([30, 20, 10], [60, 50, 40]);
    let pixel = |rgb: [u8; 3], alpha| [&rgb[..], &[alpha]].concat();
    let expected = [
        pixel(second, 255),
        pixel(first, 255),
        pixel(first, 0),
        pixel(second, 255),
    ];
    assert_eq!(image.rows.data.bytes(), expected.concat());
    // The entry's size does not count.
    let other = try_decode(&icon(&[(9, &two)])).unwrap();
    assert_eq!(other.rows, image.rows);
    // Alpha counts and the bits do not, unless it is 0 everywhere.
    let all = [0xC0, 0, 0, 0];
    let with_alpha = bitmap(2, 1, 32, &[&[1, 2, 3, 64, 4, 5, 6, 255], &all]);
    let image = try_decode(&icon(&[(2, &with_alpha)])).unwrap();
    assert_eq!(image.rows.data.bytes(), [3, 2, 1, 64, 6, 5, 4, 255]);
    let without = bitmap(2, 1, 32, &[&[1, 2, 3, 0, 4, 5, 6, 0], &[0x40, 0, 0, 0]]);
    let image = try_decode(&icon(&[(2, &without)])).unwrap();
    assert_eq!(image.rows.data.bytes(), [3, 2, 1, 255, 6, 5, 4, 0]);
    // Without the bits all is seen.
    let bare = bitmap(2, 1, 24, &[&[1, 2, 3, 4, 5, 6, 0, 0]]);
    let image = try_decode(&icon(&[(2, &bare)])).unwrap();
    assert_eq!(image.rows.data.bytes(), [3, 2, 1, 255, 6, 5, 4, 255]);
    for file in [two, with_alpha, bare] {
        let file = icon(&[(2, &file)]);
        flipped(&file, 500);
        assert!(try_decode(&file[..60]).is_err());
    }
}

/// A Targa of two pixels side by side.
fn targa(kind: u8, bits: u8, flags: u8, pixels: &[u8]) -> Vec<u8> {
    let mut file = vec![
        0, 0, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, bits, flags,
    ];
    file.extend(pixels);
    file
}

#[test]
fn alpha_of_targas_is_what_their_bits_and_their_end_say() {
    let bgra = [1, 2, 3, 40, 5, 6, 7, 80];
    // Any number of alpha's bits, none included, that a pixel of that depth can have.
    for flags in [0x20, 0x24, 0x28] {
        let image = try_decode(&targa(2, 32, flags, &bgra)).unwrap();
        assert_eq!(image.rows.data.bytes(), [3, 2, 1, 40, 7, 6, 5, 80]);
    }
    let five = try_decode(&targa(2, 16, 0x28, &[0x1F, 0, 0, 0x7C])).unwrap();
    assert_eq!(five.rows.data.bytes(), [0, 0, 255, 255, 0, 0]);
    // An extension area that says that there is no alpha, and one that says that there is.
    for kind in [0, 3] {
        let mut file = targa(2, 32, 0x28, &bgra);
        let at = file.len() as u32;
        file.extend(vec![0; 495]);
        *file.last_mut().unwrap() = kind;
        file.extend(at.to_le_bytes());
        file.extend([0; 4]);
        file.extend(b"TRUEVISION-XFILE.\0");
        let image = try_decode(&file).unwrap();
        let color = if kind == 0 { Color::Rgb } else { Color::Rgba };
        assert_eq!(image.shape().color, color);
        assert_eq!(image.rows.data.bytes()[..3], [3, 2, 1]);
        let header = crate::codec::probe(&mut std::io::Cursor::new(file), &Default::default());
        assert_eq!(header.unwrap().shape, image.shape());
    }
}

#[test]
fn a_qoi_without_its_mark_is_read_where_all_pixels_are_there() {
    let image = picture(7, 9, Color::Rgba, SampleType::U8);
    let whole = encode(&image, &Format::of(FormatKind::Qoi), KeepMetadata::None).unwrap();
    let bare = &whole[..whole.len() - 8];
    let input = Box::new(std::io::Cursor::new(bare.to_vec()));
    let source = crate::codec::open(input, &Default::default(), &Default::default()).unwrap();
    assert!(source.warnings()[0].text.contains("no mark at its end"));
    assert_eq!(try_decode(bare).unwrap().rows, image.rows);
    assert!(try_decode(&bare[..bare.len() - 1]).is_err());
}

mod floats;
mod textures;
