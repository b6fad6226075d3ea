//! What libtiff unpacks. Files of tests/data/tiff are made by its `make.py` with other programs.

use super::{Made, cut, u8s};
use crate::codec::hostile::{flipped, small, try_decode};
use crate::codec::tiff::library_version;
use crate::codec::{Format, KeepMetadata, Limits, OpenOptions, encode, open, probe};
use crate::image::{Buffer, Color, Image, Rows, SampleType, Shape};
use crate::window::Band;
use std::io::Cursor;

const COLS: usize = 37;
const ROWS: usize = 29;

fn pixels<const N: usize>(value: impl Fn(usize, usize) -> [u8; N]) -> Vec<u8> {
    let row = |y| (0..COLS).flat_map(move |x| [(x, y)]);
    (0..ROWS)
        .flat_map(row)
        .flat_map(|(x, y)| value(x, y))
        .collect()
}

fn bits() -> Vec<u8> {
    pixels(|x, y| [if (x / 3 + y) % 4 == 0 { 255 } else { 0 }])
}

fn gray() -> Vec<u8> {
    pixels(|x, y| [((x * 7 + y * 5) % 256) as u8])
}

fn rgb() -> Vec<u8> {
    pixels(|x, y| [(x * 6) as u8, (y * 8) as u8, (255 - x * 3 - y * 4) as u8])
}

/// Decodes, also with every truncation and some damage.
fn read(bytes: &[u8]) -> Image {
    let image = try_decode(bytes).unwrap();
    cut(bytes);
    flipped(bytes, 300);
    image
}

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/data/tiff/", $name, ".tif"))
    };
}

#[test]
fn faxes_of_all_kinds_are_read() {
    if library_version().is_none() {
        return;
    }
    let faxes: [&[u8]; 5] = [
        data!("fax_rle"),
        data!("fax_g3"),
        data!("fax_g3_2d"),
        data!("fax_g4"),
        data!("fax_white"),
    ];
    for fax in faxes {
        let image = read(fax);
        assert_eq!(image.shape().color, Color::Gray);
        assert!(u8s(&image) == bits());
    }
}

#[test]
fn compressions_without_loss_give_back_every_sample() {
    if library_version().is_none() {
        return;
    }
    for file in [&data!("lzma")[..], data!("lerc")] {
        assert!(u8s(&read(file)) == gray());
    }
    for file in [&data!("zstd")[..], data!("zstd_planes")] {
        assert!(u8s(&read(file)) == rgb());
    }
}

#[test]
fn jpeg_and_webp_are_close_to_what_was_packed() {
    if library_version().is_none() {
        return;
    }
    for file in [&data!("jpeg")[..], data!("jpeg_tiles"), data!("webp")] {
        let image = read(file);
        let far = u8s(&image).iter().zip(rgb());
        let far = far.map(|(a, b)| a.abs_diff(b)).max().unwrap();
        assert!(far <= 12, "{far}");
    }
}

/// Codes of 9 bits, the lowest bit first, as the first LZW of TIFF had them.
fn old_lzw(data: &[u8]) -> Vec<u8> {
    let mut codes = Vec::new();
    for part in data.chunks(200) {
        codes.push(256u32);
        codes.extend(part.iter().map(|&b| u32::from(b)));
    }
    codes.push(257);
    let (mut out, mut held, mut count) = (Vec::new(), 0u32, 0);
    for code in codes {
        held |= code << count;
        count += 9;
        while count >= 8 {
            out.push(held as u8);
            held >>= 8;
            count -= 8;
        }
    }
    out.extend([held as u8, 0]);
    out
}

#[test]
fn old_lzw_and_thunderscan_are_read() {
    if library_version().is_none() {
        return;
    }
    let data: Vec<u8> = (0..600u32).map(|i| (i * 31 % 251) as u8).collect();
    let made = Made::new(20, 30, &[8], 1)
        .with(259, &[5])
        .chunks(&[&old_lzw(&data)]);
    assert_eq!(u8s(&made.image()), data);
    let raw: Vec<u8> = (0..16u8).map(|v| 0xC0 | v).collect();
    let made = Made::new(2, 8, &[4], 1).with(259, &[32809]).chunks(&[&raw]);
    let grays: Vec<u8> = (0..16).map(|v| v * 17).collect();
    assert_eq!(u8s(&made.image()), grays);
}

#[test]
fn ycbcr_that_is_not_packed_becomes_rgb() {
    if library_version().is_none() {
        return;
    }
    // Two by two pixels share one pair of chroma samples: gray, then red.
    let data = [100, 110, 120, 130, 128, 128, 76, 76, 76, 76, 85, 255];
    let made = Made::new(2, 4, &[8; 3], 6)
        .with(530, &[2, 2])
        .chunks(&[&data]);
    let image = made.image();
    assert_eq!(u8s(&image)[..6], [100, 100, 100, 110, 110, 110]);
    assert_eq!(u8s(&image)[12..18], [120, 120, 120, 130, 130, 130]);
    let red = &u8s(&image)[6..9];
    assert!(red[0] > 250 && red[1] < 4 && red[2] < 4, "{red:?}");
}

#[test]
fn a_long_strip_of_ycbcr_stays_whole() {
    if library_version().is_none() {
        return;
    }
    // More than 8 KiB in one strip, which libtiff would cut by itself; brightness grows from row to row.
    let (rows, cols) = (61, 83);
    let row = |y: usize| [2 * y as u8 + 60, 128, 128].repeat(cols);
    let data: Vec<u8> = (0..rows).flat_map(row).collect();
    let made = Made::new(rows as u64, cols as u64, &[8; 3], 6)
        .with(530, &[1, 1])
        .with(278, &[rows as u16])
        .chunks(&[&data]);
    let image = try_decode(&made.bytes()).unwrap();
    for (y, line) in u8s(&image).chunks_exact(3 * cols).enumerate() {
        assert_eq!(line, [2 * y as u8 + 60; 3].repeat(cols), "row {y}");
    }
}

#[test]
fn old_jpeg_is_read_where_its_stream_stands_in_one_piece() {
    if library_version().is_none() {
        return;
    }
    let shape = Shape::new(16, 16, Color::Rgb, SampleType::U8);
    let plain = Image::new(shape, Buffer::U8([200, 60, 90].repeat(256)));
    let format = Format::parse("jpeg(quality=95, subsampling=444)").unwrap();
    let stream = encode(&plain, &format, KeepMetadata::None).unwrap();
    let mut made = Made::new(16, 16, &[8; 3], 6)
        .with(259, &[6])
        .with(278, &[16])
        .with(530, &[1, 1])
        .with(513, &[8])
        .with(514, &[stream.len() as u16]);
    made = made.chunks(&[&stream]);
    let bytes = made.bytes();
    let image = try_decode(&bytes).unwrap();
    for pixel in u8s(&image).chunks_exact(3) {
        let far = |i: usize| pixel[i].abs_diff([200, 60, 90][i]);
        assert!(far(0) < 4 && far(1) < 4 && far(2) < 4, "{pixel:?}");
    }
    flipped(&bytes, 300);
}

#[test]
fn logarithmic_luminance_becomes_linear_floats() {
    if library_version().is_none() {
        return;
    }
    // Runs of the high bytes, then of the low ones: 2 to the power of (value + 1/2) / 256 - 64.
    let row = [2, 0x40, 0x41, 2, 0x00, 0x00];
    let made = Made::new(1, 2, &[16], 32844)
        .with(259, &[34676])
        .with(339, &[2])
        .chunks(&[&row]);
    let Buffer::F32(light) = made.image().rows.data else {
        panic!("floats");
    };
    assert!(
        (light[0] - 1.00135).abs() < 1e-4 && (light[1] - 2.0027).abs() < 2e-4,
        "{light:?}"
    );
    // 10 bits of luminance and 14 of the colour's place, which is white.
    let pixel: u32 = 768 << 14 | 0x24C3;
    let packed = &pixel.to_be_bytes()[1..];
    let made = Made::new(1, 1, &[16; 3], 32845)
        .with(259, &[34677])
        .with(339, &[2; 3])
        .chunks(&[packed]);
    let image = made.image();
    assert_eq!(image.shape().color, Color::Rgb);
    let Buffer::F32(rgb) = image.rows.data else {
        panic!("floats");
    };
    assert!(rgb.iter().all(|v| v.is_finite()), "{rgb:?}");
    let luminance = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
    assert!((luminance - 1.0054).abs() < 0.01, "{rgb:?}");
}

#[test]
fn strips_too_high_to_be_held_are_read_by_rows() {
    if library_version().is_none() {
        return;
    }
    // One strip of white lines: a run of 2560, one of none, and four bits up to the next byte.
    let (rows, cols) = (8000, 2560);
    let white = [0b0000_0001, 0b1111_0011, 0b0101_0000].repeat(rows);
    let made = Made::new(rows as u64, cols, &[1], 0)
        .with(259, &[2])
        .chunks(&[&white]);
    let limits = Limits::default();
    let bytes = made.bytes();
    let header = probe(&mut Cursor::new(&bytes), &limits).unwrap();
    assert!(header.streams);
    let mut source = open(
        Box::new(Cursor::new(bytes)),
        &limits,
        &OpenOptions::default(),
    )
    .unwrap();
    let mut part = Rows::zeroed(source.shape(), 0..rows);
    source.read(&mut Band::of(&mut part)).unwrap();
    assert!(part.data.bytes().iter().all(|&v| v == 255));
}

#[test]
fn a_lying_size_costs_no_memory() {
    if library_version().is_none() {
        return;
    }
    let made = Made::new(1 << 20, 1 << 20, &[8], 1)
        .with(259, &[7])
        .chunks(&[&[0; 9]]);
    let error = probe(&mut Cursor::new(made.bytes()), &small()).unwrap_err();
    assert!(error.to_string().contains("max-pixels"), "{error}");
    let made = Made::new(1000, 1000, &[8], 1)
        .with(259, &[50000])
        .chunks(&[&[0; 9]]);
    assert!(try_decode(&made.bytes()).is_err());
}
