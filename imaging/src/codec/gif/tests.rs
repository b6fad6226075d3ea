//! Frames, disposal, palettes, truncation and damage.

use crate::codec::hostile::{animates, flipped, pages, picture, round_trip, truncated, try_decode};
use crate::codec::{Format, FormatKind, KeepMetadata, MemoryFile, create};
use crate::image::{Buffer, Color, Image, SampleType, Shape};
use gif::{DisposalMethod, Repeat};

const PALETTE: [u8; 12] = [0, 0, 0, 10, 20, 30, 40, 50, 60, 255, 255, 255];

fn file(screen: (u16, u16), frame: gif::Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, screen.0, screen.1, &PALETTE).unwrap();
    encoder.write_frame(&frame).unwrap();
    drop(encoder);
    bytes
}

fn frame(cols: u16, rows: u16, buffer: Vec<u8>) -> gif::Frame<'static> {
    gif::Frame {
        width: cols,
        height: rows,
        buffer: buffer.into(),
        ..gif::Frame::default()
    }
}

#[test]
fn a_frame_that_fills_the_screen_is_rgb() {
    let image = try_decode(&file((2, 2), frame(2, 2, vec![0, 1, 2, 3]))).unwrap();
    assert_eq!(image.shape().color, Color::Rgb);
    assert_eq!(image.rows.data, Buffer::U8(PALETTE.to_vec()));
}

#[test]
fn what_is_free_or_transparent_has_alpha_zero() {
    let mut part = frame(2, 1, vec![1, 2]);
    (part.left, part.top, part.transparent) = (1, 1, Some(2));
    let image = try_decode(&file((3, 2), part)).unwrap();
    assert_eq!(image.shape(), Shape::new(2, 3, Color::Rgba, SampleType::U8));
    assert_eq!(image.rows.row::<u8>(0), [0; 12]);
    assert_eq!(
        image.rows.row::<u8>(1),
        [0, 0, 0, 0, 10, 20, 30, 255, 40, 50, 60, 0]
    );
}

#[test]
fn interlaced_rows_are_put_in_order() {
    // Rows 0 and 8 come first, then 4, then 2 and 6, then the odd ones.
    let order = [0, 8, 4, 2, 6, 1, 3, 5, 7];
    let mut mixed = frame(1, 9, order.iter().map(|y| y % 4).collect());
    mixed.interlaced = true;
    let image = try_decode(&file((1, 9), mixed)).unwrap();
    for y in 0..9 {
        assert_eq!(image.rows.row::<u8>(y), &PALETTE[y % 4 * 3..][..3]);
    }
}

#[test]
fn broken_files_are_errors() {
    let pixels: Vec<u8> = (0..400u32).map(|v| (v * v / 7 % 4) as u8).collect();
    let mut plain = frame(20, 20, pixels);
    let bytes = file((20, 20), plain.clone());
    // The mark at the end.
    truncated(&bytes, 1);
    flipped(&bytes, 3000);
    plain.transparent = Some(1);
    plain.interlaced = true;
    flipped(&file((30, 30), plain), 3000);
    let empty = file((0, 0), frame(1, 1, vec![0]));
    assert_eq!(try_decode(&empty).unwrap().shape().pixels(), 1);
}

/// The first picture of a file, and what is told of it.
fn told(bytes: &[u8]) -> (Image, Vec<String>) {
    let file = Box::new(std::io::Cursor::new(bytes.to_vec()));
    let mut source = crate::codec::open(file, &crate::codec::hostile::small(), &Default::default())
        .expect("it is opened");
    let shape = source.shape();
    let mut rows = crate::image::Rows::zeroed(shape, 0..shape.rows);
    source
        .read(&mut crate::window::Band::of(&mut rows))
        .expect("it is read");
    let metadata = source.metadata().clone();
    let warnings = source.warnings().iter().map(|w| w.text.clone()).collect();
    (Image { rows, metadata }, warnings)
}

#[test]
fn colours_beyond_the_palette_are_black_and_without_one_gray() {
    let (image, warnings) = told(&file((2, 1), frame(2, 1, vec![7, 3])));
    assert_eq!(image.rows.data, Buffer::U8(vec![0, 0, 0, 255, 255, 255]));
    assert!(
        warnings[0].contains("up to 7 of a palette of 4"),
        "{warnings:?}"
    );
    // The same without its palette: the flag, and the colours behind the head.
    let mut bare = file((2, 1), frame(2, 1, vec![1, 3]));
    bare[10] &= 0x7F;
    bare.drain(13..13 + PALETTE.len());
    let (image, warnings) = told(&bare);
    assert_eq!(image.rows.data, Buffer::U8(vec![1, 1, 1, 3, 3, 3]));
    assert!(warnings[0].contains("no palette"), "{warnings:?}");
}

#[test]
fn unknown_extensions_are_passed_over_and_junk_behind_frames_is_told_of() {
    let plain = file((2, 1), frame(2, 1, vec![1, 3]));
    let (expected, warnings) = told(&plain);
    assert!(warnings.is_empty());
    let mut known = plain.clone();
    let head = 13 + PALETTE.len();
    known.splice(head..head, *b"!\x2A\x05Hello\x05World\0");
    let (image, warnings) = told(&known);
    assert_eq!((image.rows, warnings), (expected.rows.clone(), vec![]));
    // A zero before the mark at the end, and another file behind the first frame.
    let last = plain.len() - 1;
    for junk in [b"\0".to_vec(), plain.clone()] {
        let mut odd = plain.clone();
        odd.splice(last..last, junk.clone());
        let (image, warnings) = told(&odd);
        assert_eq!(image.rows, expected.rows);
        let count = format!("last {} bytes", junk.len() + 1);
        assert!(warnings[0].contains(&count), "{warnings:?}");
    }
}

#[test]
fn later_frames_are_cut_off_by_the_screen() {
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, 2, 2, &PALETTE).unwrap();
    encoder.write_frame(&frame(2, 2, vec![1; 4])).unwrap();
    for (left, top) in [(1, 1), (60_000, 60_000), (0, 2), (2, 0)] {
        let mut beyond = frame(2, 2, vec![3; 4]);
        (beyond.left, beyond.top) = (left, top);
        encoder.write_frame(&beyond).unwrap();
    }
    drop(encoder);
    let all = pages(&bytes).unwrap();
    assert_eq!(all.len(), 5);
    let last = &all[4].rows;
    assert_eq!((last.shape.rows, last.shape.cols), (2, 2));
    assert_eq!(last.row::<u8>(0), [10, 20, 30, 10, 20, 30]);
    assert_eq!(last.row::<u8>(1), [10, 20, 30, 255, 255, 255]);
    // The first one is the picture.
    let first = try_decode(&file((1, 1), frame(2, 2, vec![1; 4]))).unwrap();
    assert_eq!(first.shape().cols, 2);
}

/// A file that is cut is an error; where it is cut between two frames it cannot be told from one that only lacks the
/// mark at its end, and is read with a warning.
fn cut(bytes: &[u8]) {
    let whole = try_decode(bytes).unwrap();
    for len in 0..bytes.len() {
        let file = Box::new(std::io::Cursor::new(bytes[..len].to_vec()));
        let options = crate::codec::OpenOptions::default();
        if let Ok(source) = crate::codec::open(file, &crate::codec::hostile::small(), &options) {
            assert!(
                source.warnings()[0].text.contains("no mark at its end"),
                "{len}"
            );
            assert_eq!(
                try_decode(&bytes[..len]).unwrap().rows.data.len(),
                whole.rows.data.len()
            );
        }
    }
}

fn format() -> Format {
    Format::of(FormatKind::Gif)
}

/// A picture of few colours.
fn few(rows: usize, cols: usize, color: Color, seed: usize) -> Image {
    let shape = Shape::new(rows, cols, color, SampleType::U8);
    let pixel = |at: usize| {
        let v = ((at * 7 + seed * 5) % 11 * 20) as u8;
        let opaque = at % 5 != seed % 5;
        match color {
            Color::Rgba if opaque => vec![v, 255 - v, v / 2, 255],
            Color::Rgba => vec![0; 4],
            _ => vec![v, 255 - v, v / 2],
        }
    };
    let mut image = Image::new(
        shape,
        Buffer::U8((0..rows * cols).flat_map(pixel).collect()),
    );
    image.metadata.orientation = 1;
    image
}

#[test]
fn up_to_256_colours_are_exact() {
    for color in [Color::Rgb, Color::Rgba] {
        let image = few(13, 17, color, 3);
        assert_eq!(round_trip(&image, &format()).rows, image.rows);
    }
    let gray = Image::new(
        Shape::new(16, 16, Color::Gray, SampleType::U8),
        Buffer::U8((0..=255).collect()),
    );
    let again = round_trip(&gray, &format());
    let expected: Vec<u8> = (0..=255).flat_map(|v| [v; 3]).collect();
    assert_eq!(again.rows.data, Buffer::U8(expected));
}

#[test]
fn more_colours_are_near_always_the_same_and_told() {
    let mut image = picture(60, 70, Color::Rgb, SampleType::U8);
    let smooth = |at: usize| {
        let (y, x) = (at / 70, at % 70);
        [x * 3, y * 4, x + y].map(|v| v as u8)
    };
    image.rows.data = Buffer::U8((0..60 * 70).flat_map(smooth).collect());
    let once = round_trip(&image, &format());
    assert_eq!(once, round_trip(&image, &format()));
    let far: u64 = (once.rows.data.bytes().iter().zip(image.rows.data.bytes()))
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    assert!(far / 60 / 210 < 8, "{far}");
    let file = Box::new(MemoryFile::default());
    let mut sink = create(
        file,
        &format(),
        image.shape(),
        &image.metadata,
        KeepMetadata::All,
    )
    .unwrap();
    sink.write(&image.rows).unwrap();
    assert!(sink.warnings()[0].text.contains("256"));
}

#[test]
fn animations_come_back_as_they_went() {
    for color in [Color::Rgb, Color::Rgba] {
        let frames: Vec<Image> = (0..3).map(|seed| few(9, 12, color, seed)).collect();
        let bytes = animates(&format(), &frames, true);
        cut(&bytes);
        flipped(&bytes, 1000);
    }
}

#[test]
fn frames_are_composed_as_their_disposal_says() {
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, 3, 1, &PALETTE).unwrap();
    encoder.set_repeat(Repeat::Infinite).unwrap();
    let steps = [
        (0, vec![1, 1, 1], DisposalMethod::Keep),
        (1, vec![2], DisposalMethod::Previous),
        (2, vec![3], DisposalMethod::Background),
        (0, vec![2], DisposalMethod::Any),
    ];
    for (left, indices, dispose) in steps {
        let mut next = frame(indices.len() as u16, 1, indices);
        (next.left, next.dispose, next.delay) = (left, dispose, 7);
        encoder.write_frame(&next).unwrap();
    }
    drop(encoder);
    let all = pages(&bytes).unwrap();
    let a = [10, 20, 30, 255];
    let b = [40, 50, 60, 255];
    let c = [255; 4];
    let expected = [[a, a, a], [a, b, a], [a, a, c], [b, a, [0; 4]]];
    assert_eq!(all.len(), 4);
    for (image, expected) in all.iter().zip(expected) {
        assert_eq!(image.rows.data, Buffer::U8(expected.concat()));
        assert_eq!(image.metadata.delay_ms, Some(70));
        assert_eq!(image.metadata.loops, Some(0));
    }
}
