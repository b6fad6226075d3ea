//! JPEG round trips, strictness and hostile files.

use crate::codec::hostile::{flipped, picture, pictures, round_trip, small, truncated, try_decode};
use crate::codec::{Format, KeepMetadata, OpenOptions, decode, encode, exif, probe};
use crate::error::Error;
use crate::image::{Color, Image, SampleType};
use std::io::Cursor;

const ALL: [u16; 3] = [444, 422, 420];

fn format(quality: u8, subsampling: u16) -> Format {
    Format::parse(&format!(
        "jpeg(quality={quality}, subsampling={subsampling})"
    ))
    .unwrap()
}

fn bytes(rows: usize, cols: usize, color: Color, subsampling: u16) -> Vec<u8> {
    let image = picture(rows, cols, color, SampleType::U8);
    encode(&image, &format(80, subsampling), KeepMetadata::All).unwrap()
}

fn mean_difference(a: &Image, b: &Image) -> f64 {
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
fn what_is_written_is_nearly_read_again() {
    for subsampling in ALL {
        for image in pictures(&[Color::Gray, Color::Rgb], &[SampleType::U8]) {
            let again = round_trip(&image, &format(100, subsampling));
            assert_eq!(again.shape(), image.shape());
            let far = mean_difference(&again, &image);
            assert!(far < 30.0, "{subsampling:?} {:?}: {far}", image.shape());
            if subsampling == 444 || image.shape().color == Color::Gray {
                assert!(far < 1.5, "{:?}: {far}", image.shape());
            }
        }
    }
}

#[test]
fn other_samples_and_alpha_are_converted() {
    for sample in [SampleType::U8, SampleType::U16, SampleType::F32] {
        let image = picture(9, 9, Color::Rgba, sample);
        let file = encode(&image, &Format::parse("jpeg").unwrap(), KeepMetadata::All).unwrap();
        let again = try_decode(&file).unwrap();
        assert_eq!(again.shape().color, Color::Rgb);
        assert_eq!(again.shape().sample, SampleType::U8);
    }
}

#[test]
fn metadata_is_kept_and_the_orientation_is_reset() {
    let mut image = picture(5, 5, Color::Rgb, SampleType::U8);
    image.metadata.exif = Some(exif::tests::block(true, 6));
    image.metadata.icc = Some((0..150_000u32).map(|v| v as u8).collect());
    image.metadata.orientation = 6;
    let again = round_trip(&image, &format(90, 420));
    assert_eq!(again.metadata.exif, Some(exif::tests::block(true, 1)));
    assert_eq!(again.metadata.icc, image.metadata.icc);
    assert_eq!(again.metadata.orientation, 1);
    let file = encode(&image, &format(90, 420), KeepMetadata::Icc).unwrap();
    let again = try_decode(&file).unwrap();
    assert_eq!(
        (again.metadata.exif, again.metadata.icc),
        (None, image.metadata.icc.clone())
    );
}

#[test]
fn shrinking_rounds_sizes_up() {
    let file = bytes(37, 23, Color::Rgb, 420);
    let header = probe(&mut Cursor::new(&file), &small()).unwrap();
    for shrink in [1, 2, 4, 8] {
        let image = decode(file.clone(), &small(), &OpenOptions { shrink, page: 0 }).unwrap();
        assert_eq!(image.shape(), header.shrunk(shrink));
    }
    assert!(decode(file, &small(), &OpenOptions { shrink: 3, page: 0 }).is_err());
}

#[test]
fn truncated_files_are_errors() {
    for color in [Color::Gray, Color::Rgb] {
        for subsampling in ALL {
            truncated(&bytes(19, 21, color, subsampling), 3);
        }
    }
}

#[test]
fn broken_files_never_panic() {
    for subsampling in ALL {
        flipped(&bytes(19, 21, Color::Rgb, subsampling), 1500);
    }
    flipped(&bytes(40, 33, Color::Gray, 420), 1500);
}

#[test]
fn bombs_are_refused_by_their_header() {
    let mut file = bytes(8, 8, Color::Rgb, 444);
    let at = file.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap() + 5;
    file[at..at + 4].fill(0xFF);
    let refused = probe(&mut Cursor::new(&file), &Default::default()).unwrap_err();
    assert!(
        matches!(&refused, Error::Limit { text, .. } if text.contains("65535x65535")),
        "{refused}"
    );
    file[at..at + 2].fill(0);
    assert!(try_decode(&file).is_err());
}

#[test]
fn stray_bytes_before_the_end_are_only_a_warning() {
    let file = bytes(8, 8, Color::Rgb, 444);
    let (image, end) = file.split_at(file.len() - 2);
    let padded = [image, &[0; 5], end, b"trailing"].concat();
    let mut source = crate::codec::open(
        Box::new(Cursor::new(padded)),
        &small(),
        &OpenOptions::default(),
    )
    .unwrap();
    let mut rows = crate::Rows::zeroed(source.shape(), 0..8);
    source
        .read(&mut crate::window::Band::of(&mut rows))
        .unwrap();
    assert_eq!(rows, try_decode(&file).unwrap().rows);
    assert_eq!(source.warnings().len(), 1);
    assert!(
        source.warnings()[0].text.contains("extraneous bytes"),
        "{:?}",
        source.warnings()
    );
}

#[test]
fn a_write_that_fails_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("disk full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl std::io::Seek for Full {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    let image = picture(300, 300, Color::Rgb, SampleType::U8);
    let mut sink = crate::codec::create(
        Box::new(Full),
        &format(100, 444),
        image.shape(),
        &image.metadata,
        KeepMetadata::All,
    )
    .unwrap();
    let error = sink.write(&image.rows).unwrap_err();
    assert_eq!(error, Error::Io("disk full".into()));
    assert_eq!(sink.finish().unwrap_err(), error);
}

/// A progressive file of 23x17 pixels.
fn progressive() -> Vec<u8> {
    const HEX: &str = "\
        ffd8ffe000104a46494600010100000100010000ffdb0043001b12141714111b1716171e1c1b2028422b28252528\
        513a3d3042605565645f555d5b6a7899816a7190735b5d85b586909ea3abadab6780bcc9baa6c799a8aba4ffdb00\
        43011c1e1e2823284e2b2b4ea46e5d6ea4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4\
        a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4ffc20011080011001703012200021101031101ffc40017000101\
        010100000000000000000000000000030201ffc40017010003010000000000000000000000000000010302ffda00\
        0c03010002100310000001a6a5dc9d402d5085b21bffc40018100003010100000000000000000000000000011110\
        41ffda0008010100010502a52e31ef7fffc40017110003010000000000000000000000000000011210ffda000801\
        0301013f01864eff00ffc400161101010100000000000000000000000000130010ffda0008010201013f014937ff\
        c40014100100000000000000000000000000000030ffda0008010100063f021fffc4001910010101000300000000\
        00000000000000010011102171ffda0008010100013f21059931ec3a86472fffda000c0301000200030000001087\
        18fcffc40017110100030000000000000000000000000000011011ffda0008010301013f101aa87fffc400171100\
        03010000000000000000000000000000115110ffda0008010201013f105824dfffc4001d10000103050100000000\
        0000000000000000011191213141617181ffda0008010100013f10df83ac1be355a43b42d3a5b3f86625841fffd9";
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    let pairs = HEX.as_bytes().chunks_exact(2);
    pairs.map(|p| digit(p[0]) << 4 | digit(p[1])).collect()
}

#[test]
fn progressive_files_are_read_and_broken_ones_refused() {
    let file = progressive();
    let header = probe(&mut Cursor::new(&file), &small()).unwrap();
    assert!(!header.streams && header.shape.cols == 23);
    truncated(&file, 3);
    flipped(&file, 3000);
}

/// A file of three components, each in `times` scans of its own.
fn scan_by_scan(times: usize) -> Vec<u8> {
    let gray = bytes(16, 16, Color::Gray, 444);
    let find = |marker: u8| gray.windows(2).position(|w| w == [0xFF, marker]).unwrap();
    let (frame, scan, end) = (find(0xC0), find(0xDA), gray.len() - 2);
    let mut file = gray[..frame].to_vec();
    file.extend([0xFF, 0xC0, 0, 17, 8, 0, 16, 0, 16, 3]);
    file.extend([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    file.extend(&gray[frame + 13..scan]);
    for _ in 0..times {
        for component in 1..=3 {
            file.extend([0xFF, 0xDA, 0, 8, 1, component, 0, 0, 63, 0]);
            file.extend(&gray[scan + 10..end]);
        }
    }
    file.extend([0xFF, 0xD9]);
    file
}

#[test]
fn components_may_come_one_after_the_other() {
    let file = scan_by_scan(1);
    assert!(!probe(&mut Cursor::new(&file), &small()).unwrap().streams);
    try_decode(&file).unwrap();
    truncated(&file, 3);
}

#[test]
fn absurdly_many_scans_are_refused() {
    let refused = try_decode(&scan_by_scan(5_000)).unwrap_err().to_string();
    assert!(refused.contains("more than 200 scans"), "{refused}");
}

/// The rows, and what is told of the file.
fn read(file: Vec<u8>) -> (crate::Rows, Vec<crate::Warning>) {
    let input = Box::new(Cursor::new(file));
    let mut source = crate::codec::open(input, &small(), &OpenOptions::default()).unwrap();
    let shape = source.shape();
    let mut rows = crate::Rows::zeroed(shape, 0..shape.rows);
    let mut band = crate::window::Band::of(&mut rows);
    source.read(&mut band).unwrap();
    (rows, source.warnings().to_vec())
}

#[test]
fn a_missing_end_marker_is_a_warning_where_all_pixels_are_there() {
    let several = scan_by_scan(1);
    for whole in [bytes(48, 64, Color::Rgb, 444), progressive(), several] {
        let rows = try_decode(&whole).unwrap().rows;
        let cut = whole[..whole.len() - 2].to_vec();
        // Text that some cameras' movies leave behind the picture.
        let trailed = [&cut[..], &b"mp4 ".repeat(400)].concat();
        for file in [cut, trailed] {
            let (found, warnings) = read(file);
            assert_eq!(found, rows);
            assert_eq!(warnings[0].kind, crate::WarningKind::Damaged);
            let told = |w: &crate::Warning| w.text.contains("no end marker");
            assert!(warnings.iter().any(told), "{warnings:?}");
        }
    }
}

#[test]
fn the_height_may_be_told_after_the_first_scan() {
    for file in [bytes(45, 64, Color::Rgb, 420), progressive()] {
        let rows = try_decode(&file).unwrap().rows;
        let mut late = file.clone();
        let sof = |w: &[u8]| matches!(w, [0xFF, 0xC0 | 0xC2]);
        let at = late.windows(2).position(sof).unwrap() + 5;
        let height = [late[at], late[at + 1]];
        late[at..at + 2].fill(0);
        assert!(try_decode(&late).is_err());
        let scan = late.windows(2).position(|w| w == [0xFF, 0xDA]).unwrap() + 2;
        let marker = |w: &[u8]| w[0] == 0xFF && w[1] != 0;
        let end = late[scan..].windows(2).position(marker).unwrap() + scan;
        late.splice(end..end, [0xFF, 0xDC, 0, 4, height[0], height[1]]);
        let (found, warnings) = read(late);
        assert_eq!(found, rows);
        assert!(warnings[0].text.contains("height"), "{warnings:?}");
    }
}
