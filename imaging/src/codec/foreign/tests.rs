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
    assert!(try_decode(&icon(&[])).is_err());
}

/// A texture of 3x2 pixels that is not packed.
fn texture(flags: u32, bits: u32, masks: [u32; 4], pixels: &[u8]) -> Vec<u8> {
    let mut file = b"DDS ".to_vec();
    let mut head = [0u32; 31];
    (head[0], head[2], head[3]) = (124, 2, 3);
    (head[18], head[19], head[21]) = (32, flags, bits);
    head[22..26].copy_from_slice(&masks);
    head.iter().for_each(|n| file.extend(n.to_le_bytes()));
    file.extend(pixels);
    file
}

#[test]
fn textures_that_are_not_packed_are_read_by_their_masks() {
    let bgra: Vec<u8> = (0..24).collect();
    let masks = [0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000];
    let file = texture(0x41, 32, masks, &bgra);
    let image = try_decode(&file).unwrap();
    assert_eq!(image.shape().color, Color::Rgba);
    assert_eq!(image.rows.data.bytes()[..8], [2, 1, 0, 3, 6, 5, 4, 7]);
    // Five, six and five bits: the top of each is white.
    let file565 = texture(0x40, 16, [0xF800, 0x7E0, 0x1F, 0], &[0xFF; 12]);
    assert_eq!(try_decode(&file565).unwrap().rows.data.bytes(), [255; 18]);
    let gray = texture(0x2_0000, 8, [0xFF, 0, 0, 0], &[9, 8, 7, 6, 5, 4]);
    assert_eq!(
        try_decode(&gray).unwrap().rows.data.bytes(),
        [9, 8, 7, 6, 5, 4]
    );
    // Masks beyond the pixel.
    let beyond = [0xFF00_0000, 0, 0, 0xFF00_0000];
    let gray = texture(0x2_0000, 8, beyond, &[9, 8, 7, 6, 5, 4]);
    assert_eq!(try_decode(&gray).unwrap().rows.data.bytes()[..2], [9, 8]);
    let with_alpha = texture(0x2_0001, 16, beyond, &bgra[..12]);
    let image = try_decode(&with_alpha).unwrap();
    assert_eq!(image.shape().color, Color::GrayAlpha);
    assert_eq!(image.rows.data.bytes()[..4], [0, 1, 2, 3]);
    for len in 0..file.len() {
        assert!(try_decode(&file[..len]).is_err(), "cut at {len}");
    }
    flipped(&file, 500);
}
