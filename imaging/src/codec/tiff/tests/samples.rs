//! Samples of all types and meanings, in and out.

use super::{Made, round, tiff, u8s};
use crate::codec::hostile::{picture, try_decode};
use crate::codec::tiff::bits;
use crate::codec::{KeepMetadata, MemoryFile, create};
use crate::image::{Buffer, Color, Image, SampleType, Shape, Stored};

fn floats(image: &Image) -> Vec<f64> {
    match &image.rows.data {
        Buffer::F32(v) => v.iter().map(|&v| f64::from(v)).collect(),
        Buffer::F64(v) => v.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn signed_and_wide_whole_numbers_keep_their_values() {
    let case = |bits: u16, format: u16, data: &[u8], values: &[f64], stored: Stored| {
        let made = Made::new(1, values.len() as u64, &[bits], 1)
            .with(339, &[format])
            .chunks(&[data]);
        let image = made.image();
        assert_eq!(floats(&image), values);
        assert_eq!(image.metadata.stored, Some(stored));
        // And again after they were written.
        for compression in super::ALL {
            let again = round(&image, compression);
            assert_eq!(again, image, "{compression} {stored}");
        }
    };
    case(
        8,
        2,
        &[0x80, 0xFF, 0x7F],
        &[-128.0, -1.0, 127.0],
        Stored::Signed(8),
    );
    let words = [0x18, 0xFC, 0, 0x80, 0xFF, 0x7F];
    case(
        16,
        2,
        &words,
        &[-1000.0, -32768.0, 32767.0],
        Stored::Signed(16),
    );
    let longs = [[0xFF; 4], [0, 0, 0, 0x80], [1, 2, 0, 0]].concat();
    let signed = [-1.0, -2147483648.0, 513.0];
    case(32, 2, &longs, &signed, Stored::Signed(32));
    let unsigned = [4294967295.0, 2147483648.0, 513.0];
    case(32, 1, &longs, &unsigned, Stored::Unsigned(32));
    let halves = [0x00, 0x3C, 0x00, 0xC1, 0x01, 0x00];
    let values = [1.0, -2.5, 2f64.powi(-24)];
    case(16, 3, &halves, &values, Stored::Float(16));
}

#[test]
fn packed_bits_of_any_width_use_the_whole_range() {
    for bits in [3u16, 5, 6, 7, 9, 10, 12, 14, 15] {
        let top = (1u32 << bits) - 1;
        let values = [0, top, top / 2, 1, top - 1, 2, top / 3];
        let mut packed = Vec::new();
        bits::pack(values.into_iter(), usize::from(bits), &mut packed);
        let image = Made::new(1, 7, &[bits], 1).chunks(&[&packed]).image();
        let most = if bits < 8 { 255u32 } else { 65535 };
        let scaled = values.map(|v| (v * most * 2 + top) / (2 * top));
        match &image.rows.data {
            Buffer::U8(found) => assert!(found.iter().zip(scaled).all(|(a, b)| u32::from(*a) == b)),
            Buffer::U16(found) => {
                assert!(found.iter().zip(scaled).all(|(a, b)| u32::from(*a) == b));
                assert_eq!(image.metadata.stored, Some(Stored::Unsigned(bits as u8)));
                for compression in super::ALL {
                    assert_eq!(round(&image, compression), image);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn odd_widths_stand_in_every_channel_of_an_inverted_or_planar_picture() {
    let mut packed = Vec::new();
    bits::pack([1, 2, 3, 4094, 4093, 4092].into_iter(), 12, &mut packed);
    let image = Made::new(1, 2, &[12; 3], 2).chunks(&[&packed]).image();
    let scaled = |v: u32| ((v * 65535 + 2047) / 4095) as u16;
    let wanted = [1, 2, 3, 4094, 4093, 4092].map(scaled).to_vec();
    assert_eq!(image.rows.data, Buffer::U16(wanted));
    let mut row = Vec::new();
    bits::pack([0, 4095].into_iter(), 12, &mut row);
    let image = Made::new(1, 2, &[12], 0).chunks(&[&row]).image();
    assert_eq!(image.rows.data, Buffer::U16(vec![65535, 0]));
    let planar = Made::new(1, 2, &[12; 2], 1)
        .with(284, &[2])
        .with(338, &[0])
        .chunks(&[&row, &row]);
    let image = planar.image();
    assert_eq!(image.shape().color, Color::Bands(2));
    assert_eq!(image.rows.data, Buffer::U16(vec![0, 0, 65535, 65535]));
}

#[test]
fn channels_that_are_not_told_follow_from_the_bits_or_the_colour() {
    for bits in [&[8, 8, 8][..], &[8]] {
        let mut made = Made::new(1, 2, bits, 2).chunks(&[&[1, 2, 3, 4, 5, 6]]);
        made.fields.retain(|field| field.tag != 277);
        assert_eq!(u8s(&made.image()), [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn palettes_of_sixteen_bits_keep_their_colours() {
    let mut colors = vec![0u16; 3 << 16];
    for (at, value) in [(7, 0x1234), (65536 + 7, 0x5678), (131_072 + 65535, 0xFFFF)] {
        colors[at] = value;
    }
    let made = Made::new(1, 2, &[16], 3)
        .with(320, &colors)
        .chunks(&[&[7, 0, 255, 255]]);
    let image = try_decode(&made.bytes()).unwrap();
    assert_eq!(image.shape().color, Color::Rgb);
    let wanted = vec![0x1234, 0x5678, 0, 0, 0, 0xFFFF];
    assert_eq!(image.rows.data, Buffer::U16(wanted));
}

#[test]
fn inks_and_lab_become_rgb() {
    let cmyk = Made::new(1, 2, &[8; 4], 5).chunks(&[&[0, 255, 128, 0, 10, 20, 30, 40]]);
    assert_eq!(u8s(&cmyk.image()), [255, 0, 127, 207, 198, 190]);
    let wide = Made::new(1, 1, &[16; 4], 5).chunks(&[&[0, 0, 255, 255, 0, 0, 0, 0]]);
    assert_eq!(wide.image().rows.data, Buffer::U16(vec![65535, 0, 65535]));
    let alpha = Made::new(1, 1, &[8; 5], 5)
        .with(338, &[2])
        .chunks(&[&[0, 0, 0, 255, 9]]);
    assert_eq!(u8s(&alpha.image()), [0, 0, 0, 9]);
    let halves = [0.0f32, 0.5, 1.0, 0.5].map(f32::to_le_bytes).concat();
    let float = Made::new(1, 1, &[32; 4], 5)
        .with(339, &[3; 4])
        .chunks(&[&halves]);
    assert_eq!(float.image().rows.data, Buffer::F32(vec![0.5, 0.25, 0.0]));
    let nibbles = Made::new(1, 1, &[4; 4], 5).chunks(&[&[0x0F, 0x80]]);
    assert_eq!(u8s(&nibbles.image()), [255, 0, 119]);
    let spot = Made::new(1, 1, &[8; 5], 5)
        .with(338, &[0])
        .chunks(&[&[1, 2, 3, 4, 5]]);
    assert_eq!(spot.image().shape().color, Color::Bands(5));
    // White, and the red of sRGB, in both ways of writing a and b.
    let lab = Made::new(1, 2, &[8; 3], 8).chunks(&[&[255, 0, 0, 138, 81, 70]]);
    let image = lab.image();
    assert_eq!(u8s(&image)[..3], [255; 3]);
    let near = |found: &[u8]| found[0] > 252 && found[1] < 8 && found[2] < 8;
    assert!(near(&u8s(&image)[3..]), "{:?}", u8s(&image));
    let icc = Made::new(1, 2, &[8; 3], 9).chunks(&[&[255, 128, 128, 138, 209, 198]]);
    assert_eq!(u8s(&icc.image())[..3], [255; 3]);
    assert!(near(&u8s(&icc.image())[3..]));
    let wide = Made::new(1, 1, &[16; 3], 9).chunks(&[&[0, 255, 0, 128, 0, 128]]);
    assert_eq!(wide.image().rows.data, Buffer::U16(vec![65535; 3]));
}

#[test]
fn extra_channels_without_the_meaning_of_alpha_are_bands() {
    let five = Made::new(1, 1, &[8; 5], 1)
        .with(338, &[0; 4])
        .chunks(&[&[1, 2, 3, 4, 5]]);
    let image = five.image();
    assert_eq!(image.shape().color, Color::Bands(5));
    assert!(!image.metadata.rgb_bands);
    let infrared = Made::new(1, 1, &[8; 4], 2)
        .with(338, &[0])
        .chunks(&[&[1, 2, 3, 4]]);
    let image = infrared.image();
    assert_eq!(image.shape().color, Color::Bands(4));
    assert!(image.metadata.rgb_bands);
    // Both come back from a file of ours.
    for image in [five.image(), infrared.image()] {
        for compression in super::ALL {
            assert_eq!(round(&image, compression), image);
        }
    }
    for sample in [
        SampleType::U8,
        SampleType::U16,
        SampleType::F32,
        SampleType::F64,
    ] {
        let image = picture(9, 7, Color::Bands(6), sample);
        assert_eq!(round(&image, "deflate").rows, image.rows);
    }
}

#[test]
fn strips_that_were_left_out_hold_zeros_or_what_stands_for_no_data() {
    let mut made =
        Made::new(4, 2, &[8], 1)
            .with(278, &[1])
            .chunks(&[&[1, 2], &[3, 4], &[5, 6], &[7, 8]]);
    made.left_out = vec![1, 3];
    assert_eq!(u8s(&made.image()), [1, 2, 0, 0, 5, 6, 0, 0]);
    made = made.text(42113, "255");
    assert_eq!(u8s(&made.image()), [1, 2, 255, 255, 5, 6, 255, 255]);
    let packed = crate::codec::deflate::zlib(&[0; 256]);
    let mut tiles = Made::new(16, 32, &[8], 1)
        .with(259, &[8])
        .tiles(16)
        .chunks(&[&packed, &packed])
        .text(42113, "7");
    tiles.left_out = vec![0];
    let image = tiles.image();
    assert!(
        u8s(&image)
            .chunks(32)
            .all(|row| row[..16] == [7; 16] && row[16..] == [0; 16])
    );
}

#[test]
fn values_beyond_a_stored_type_are_clipped_and_told() {
    let shape = Shape::new(1, 4, Color::Gray, SampleType::F32);
    let mut image = Image::new(shape, Buffer::F32(vec![0.5, 1.5, 40000.0, f32::NAN]));
    image.metadata.stored = Some(Stored::Signed(16));
    let mut sink = create(
        Box::new(MemoryFile::default()),
        &tiff("none"),
        shape,
        &image.metadata,
        KeepMetadata::All,
    )
    .unwrap();
    sink.write(&image.rows).unwrap();
    let told = sink.warnings();
    assert_eq!(told.len(), 1);
    assert!(told[0].text.contains("-32768 to 32767"), "{}", told[0]);
    assert_eq!(floats(&round(&image, "none")), [0.0, 2.0, 32767.0, 0.0]);
    // A type whose units the samples have lost is not taken.
    image.metadata.stored = Some(Stored::Unsigned(12));
    assert_eq!(floats(&round(&image, "none"))[2], 40000.0);
}
