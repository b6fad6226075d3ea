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
