//! Round trips, other writers' images, truncation and damage.

use crate::codec::hostile::{flipped, picture, pictures, round_trip, small, truncated, try_decode};
use crate::codec::{Format, KeepMetadata, OpenOptions, decode, encode, exif, probe};
use crate::error::Error;
use crate::image::{Buffer, Color, SampleType};
use std::io::Cursor;

const COLORS: [Color; 4] = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba];
const ALL: [&str; 4] = ["none", "fast", "balanced", "best"];

fn png(compression: &str) -> Format {
    Format::parse(&format!("png(compression={compression})")).unwrap()
}

#[test]
fn every_kind_of_image_survives_every_compression() {
    for image in pictures(&COLORS, &[SampleType::U8, SampleType::U16]) {
        for compression in ALL {
            assert_eq!(round_trip(&image, &png(compression)), image);
        }
    }
}

#[test]
fn segments_join_to_one_stream_on_any_number_of_threads() {
    for (rows, cols) in [(3, 200_000), (1500, 700)] {
        let image = picture(rows, cols, Color::Rgb, SampleType::U8);
        for compression in ALL {
            let format = png(compression);
            let alone = encode(&image, &format, KeepMetadata::All).unwrap();
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(3)
                .build()
                .unwrap();
            let shared = pool
                .install(|| encode(&image, &format, KeepMetadata::All))
                .unwrap();
            assert!(alone == shared);
            let limits = crate::codec::Limits::default();
            let back = decode(alone, &limits, &OpenOptions::default()).unwrap();
            assert!(back == image);
        }
    }
}

#[test]
fn metadata_survives() {
    let mut image = picture(5, 7, Color::Rgb, SampleType::U8);
    image.metadata.icc = Some((0..3000u32).map(|i| (i / 7) as u8).collect());
    image.metadata.exif = Some(exif::tests::block(true, 1));
    assert_eq!(round_trip(&image, &png("fast")), image);
}

#[test]
fn every_truncation_is_an_error() {
    let mut image = picture(9, 11, Color::Rgba, SampleType::U8);
    image.metadata.icc = Some(vec![5; 300]);
    for compression in ALL {
        let bytes = encode(&image, &png(compression), KeepMetadata::All).unwrap();
        // The end chunk.
        truncated(&bytes, 12);
    }
}

#[test]
fn every_changed_byte_is_an_error() {
    let image = picture(4, 5, Color::Gray, SampleType::U8);
    let bytes = encode(&image, &png("fast"), KeepMetadata::All).unwrap();
    for at in 0..bytes.len() {
        let mut wild = bytes.clone();
        wild[at] ^= 0x10;
        match try_decode(&wild) {
            Err(_) => {}
            // In the end chunk nothing is at stake.
            Ok(found) => assert!(at >= bytes.len() - 12 && found == image, "byte {at}"),
        }
    }
}

/// Corrects the checksums of all chunks, so that damage reaches the decoder.
fn mend(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while at + 12 <= bytes.len() {
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let Some(end) = len.checked_add(at + 8).filter(|e| e + 4 <= bytes.len()) else {
            break;
        };
        let sum = crc32fast::hash(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
    bytes
}

#[test]
fn damage_never_panics() {
    let image = picture(9, 11, Color::Rgb, SampleType::U16);
    let bytes = encode(&image, &png("fast"), KeepMetadata::All).unwrap();
    flipped(&bytes, 3000);
    for at in 0..bytes.len() {
        for change in [1, 4, 0x80, 0xFF] {
            let mut wild = bytes.clone();
            wild[at] ^= change;
            let _ = try_decode(&mend(wild));
        }
    }
}

#[test]
fn a_huge_image_is_refused_by_its_header() {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(50_000u32.to_be_bytes());
    bytes.extend(50_000u32.to_be_bytes());
    bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let result = probe(
        &mut Cursor::new(mend(bytes)),
        &crate::codec::Limits::default(),
    );
    assert!(matches!(result, Err(Error::Limit { .. })), "{result:?}");
}

/// A file of these chunks, with an image of one byte a row for the depth and colour type.
fn handmade(ihdr: [u8; 13], extra: &[(&[u8; 4], &[u8])], rows: &[u8]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let data = crate::codec::deflate::zlib(rows);
    let mut chunks: Vec<(&[u8; 4], &[u8])> = vec![(b"IHDR", &ihdr)];
    chunks.extend(extra);
    chunks.extend([(b"IDAT", &data[..]), (b"IEND", &[][..])]);
    for (name, data) in chunks {
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(*name);
        out.extend(data);
        out.extend([0; 4]);
    }
    mend(out)
}

#[test]
fn palettes_bits_and_transparent_colours_are_expanded() {
    let palette: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9];
    let head = |depth, color| [0, 0, 0, 3, 0, 0, 0, 1, depth, color, 0, 0, 0];
    let open = |bytes: Vec<u8>| decode(bytes, &small(), &OpenOptions::default()).unwrap();
    let image = open(handmade(
        head(2, 3),
        &[(b"PLTE", palette)],
        &[0, 0b10_01_00_00],
    ));
    assert_eq!(image.shape().color, Color::Rgb);
    assert_eq!(image.rows.data, Buffer::U8(vec![7, 8, 9, 4, 5, 6, 1, 2, 3]));
    let chunks: [(&[u8; 4], &[u8]); 2] = [(b"PLTE", palette), (b"tRNS", &[9])];
    let image = open(handmade(head(2, 3), &chunks, &[0, 0b10_01_00_00]));
    assert_eq!(
        image.rows.data,
        Buffer::U8(vec![7, 8, 9, 255, 4, 5, 6, 255, 1, 2, 3, 9])
    );
    let image = open(handmade(
        head(1, 0),
        &[(b"tRNS", &[0, 1])],
        &[0, 0b0110_0000],
    ));
    assert_eq!(image.shape().color, Color::GrayAlpha);
    assert_eq!(image.rows.data, Buffer::U8(vec![0, 255, 255, 0, 255, 0]));
    let image = open(handmade(head(4, 0), &[], &[0, 0x0F, 0x30]));
    assert_eq!(image.rows.data, Buffer::U8(vec![0, 255, 51]));
}

#[test]
fn missing_pixels_and_missing_ends_are_errors() {
    let head = [0, 0, 0, 3, 0, 0, 0, 2, 8, 0, 0, 0, 0];
    assert!(try_decode(&handmade(head, &[], &[0, 1, 2, 3, 0, 4, 5, 6])).is_ok());
    assert!(try_decode(&handmade(head, &[], &[0, 1, 2, 3, 0, 4, 5])).is_err());
    assert!(try_decode(&handmade(head, &[], &[0, 1, 2, 3, 9, 4, 5, 6])).is_err());
    let interlaced = [0, 0, 0, 1, 0, 0, 0, 2, 8, 0, 0, 0, 1];
    let file = handmade(interlaced, &[], &[0, 7, 0, 9]);
    assert_eq!(try_decode(&file).unwrap().rows.data, Buffer::U8(vec![7, 9]));
    truncated(&file, 12);
}

#[test]
fn animations_come_back_as_they_went() {
    use crate::codec::hostile::{animates, pages};
    for (color, sample) in [
        (Color::Rgb, SampleType::U8),
        (Color::GrayAlpha, SampleType::U16),
        (Color::Gray, SampleType::U8),
    ] {
        let mut frames = vec![picture(9, 12, color, sample); 3];
        for (at, frame) in frames.iter_mut().enumerate() {
            let by = at * color.channels() * sample.bytes();
            frame.rows.data.bytes_mut().rotate_left(by);
        }
        let bytes = animates(&png("fast"), &frames, true);
        // Readers without animations see the first.
        let control = bytes.windows(4).position(|w| w == b"acTL").unwrap();
        assert!(control < bytes.windows(4).position(|w| w == b"IDAT").unwrap());
        for len in 0..bytes.len() {
            assert!(pages(&bytes[..len]).is_err(), "cut at {len}");
        }
        flipped(&bytes, 1000);
    }
}

#[test]
fn frames_of_others_are_composed() {
    use crate::codec::hostile::pages;
    let file = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/pillow_animated.png"
    ));
    let all = pages(&file.unwrap()).unwrap();
    assert!(all.len() > 1);
    assert!(all.iter().any(|image| image.rows != all[0].rows));
}

#[test]
fn the_first_frame_of_a_cut_animation_is_read_with_a_word() {
    use crate::codec::hostile::animates;
    let frames = vec![picture(9, 12, Color::Rgb, SampleType::U8); 3];
    let bytes = animates(&png("fast"), &frames, true);
    let of = |name: &[u8; 4], nth: usize| {
        let mut all = bytes.windows(4).enumerate().filter(|(_, w)| *w == name);
        all.nth(nth).unwrap().0
    };
    // Behind the first frame, within the second, between it and the third, within the last.
    for end in [
        of(b"fcTL", 1),
        of(b"fdAT", 0) + 9,
        of(b"fcTL", 2),
        of(b"fdAT", 1) + 9,
    ] {
        let cut = &bytes[..end];
        let header = probe(&mut Cursor::new(cut), &Default::default()).unwrap();
        assert!(header.pages > 1, "cut at {end}");
        let open = |page| {
            let options = OpenOptions { shrink: 1, page };
            let input = Box::new(Cursor::new(cut.to_vec()));
            crate::codec::open(input, &Default::default(), &options)
        };
        let first = open(0).unwrap();
        assert!(
            first.warnings()[0]
                .text
                .contains("cut off within its animation")
        );
        let decoded = decode(cut.to_vec(), &Default::default(), &Default::default()).unwrap();
        assert_eq!(decoded.rows, frames[0].rows);
        let error = open(header.pages - 1).err().unwrap().to_string();
        assert!(error.contains("PNG"), "cut at {end}: {error}");
    }
}

/// The chunks of a file.
fn chunks(file: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rest = &file[8..];
    let mut all = Vec::new();
    while rest.len() >= 12 {
        let len = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        all.push((rest[4..8].to_vec(), rest[8..8 + len].to_vec()));
        rest = &rest[12 + len..];
    }
    all
}

/// A file of chunks, with sound checksums.
fn joined(chunks: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in chunks {
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(name);
        out.extend(data);
        out.extend([0; 4]);
    }
    mend(out)
}

/// Three frames, the chunks of their file, and where those of frames are.
fn animation() -> (Vec<crate::Image>, Vec<(Vec<u8>, Vec<u8>)>, Vec<usize>) {
    use crate::codec::hostile::animates;
    let mut frames = vec![picture(9, 12, Color::Rgb, SampleType::U8); 3];
    for (at, frame) in frames.iter_mut().enumerate() {
        frame.rows.data.bytes_mut().rotate_left(3 * at);
    }
    let all = chunks(&animates(&png("fast"), &frames, true));
    let controls = (0..all.len()).filter(|at| all[*at].0 == b"fcTL").collect();
    (frames, all, controls)
}

#[test]
fn the_first_picture_of_an_animation_out_of_order_is_read_with_a_word() {
    let (frames, all, controls) = animation();
    let count = all.iter().position(|chunk| chunk.0 == b"acTL").unwrap();
    type Break<'a> = &'a dyn Fn(&mut Vec<(Vec<u8>, Vec<u8>)>);
    let breaks: [Break<'_>; 6] = [
        &|all| all[count].1[3] = 4,
        &|all| all[controls[1]].1[3] = 9,
        &|all| all[controls[0]].1[3] = 1,
        &|all| all.insert(controls[1], all[controls[1]].clone()),
        &|all| drop(all.remove(controls[1])),
        // A place beyond the canvas.
        &|all| all[controls[2]].1[15] = 200,
    ];
    for (nth, broken) in breaks.iter().enumerate() {
        let mut all = all.clone();
        broken(&mut all);
        let file = joined(&all);
        let header = probe(&mut Cursor::new(&file), &small()).unwrap();
        assert_eq!(header.pages, 1, "break {nth}");
        let input = Box::new(Cursor::new(file.clone()));
        let source = crate::codec::open(input, &small(), &OpenOptions::default()).unwrap();
        let told = &source.warnings()[0].text;
        assert!(told.contains("out of order"), "break {nth}: {told}");
        assert_eq!(try_decode(&file).unwrap().rows, frames[0].rows);
    }
}

#[test]
fn a_picture_for_programs_without_animations_is_the_page_after_the_last() {
    let (frames, mut all, controls) = animation();
    all.remove(controls[0]);
    let mut number = 0u32;
    for (name, data) in &mut all {
        match &name[..] {
            b"acTL" => data[3] = 2,
            b"fcTL" | b"fdAT" => {
                data[..4].copy_from_slice(&number.to_be_bytes());
                number += 1;
            }
            _ => {}
        }
    }
    let file = joined(&all);
    let page = |page| {
        let options = OpenOptions { shrink: 1, page };
        decode(file.clone(), &small(), &options)
    };
    let header = probe(&mut Cursor::new(&file), &small()).unwrap();
    assert_eq!((header.pages, header.still), (2, true));
    assert_eq!(page(0).unwrap().rows, frames[1].rows);
    assert_eq!(page(1).unwrap().rows, frames[2].rows);
    assert_eq!(page(2).unwrap().rows, frames[0].rows);
    assert!(page(3).is_err());
    let still = crate::codec::probe_page(&mut Cursor::new(&file), &small(), 2).unwrap();
    assert!(still.streams, "it is no composed frame");
}

#[test]
fn errors_name_chunks_as_people_do() {
    let head = [0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0];
    let mut file = handmade(head, &[], &[0, 7]);
    let sum = file.len() - 13;
    file[sum] ^= 1;
    let wrong = try_decode(&file).unwrap_err().to_string();
    assert!(wrong.contains("while decoding IDAT chunk"), "{wrong}");
    let unknown = joined(&[(vec![0xF4, 0x1D, 0xA0, 5], vec![])]);
    let unknown = try_decode(&unknown).unwrap_err().to_string();
    assert!(
        !unknown.contains('{') && !unknown.contains("u{"),
        "{unknown}"
    );
}
