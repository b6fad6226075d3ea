//! Several pages: which of them are pictures, faults among them, and writing them.

use super::{Made, tiff, u8s};
use crate::codec::hostile::{flipped, picture, small};
use crate::codec::{
    Format, KeepMetadata, MemoryFile, OpenOptions, create, open, probe, probe_page,
};
use crate::error::{Error, Result};
use crate::image::{Color, Image, Rows, SampleType, Stored};
use crate::window::Band;
use std::io::Cursor;

fn page(bytes: &[u8], page: u32) -> Result<(Image, Vec<String>)> {
    let header = probe_page(&mut Cursor::new(bytes), &small(), page)?;
    let options = OpenOptions {
        page,
        ..OpenOptions::default()
    };
    let mut source = open(Box::new(Cursor::new(bytes.to_vec())), &small(), &options)?;
    assert_eq!(header.shape, source.shape());
    let mut rows = Rows::zeroed(source.shape(), 0..header.shape.rows);
    source.read(&mut Band::of(&mut rows))?;
    let metadata = source.metadata().clone();
    let warnings = source.warnings().iter().map(|w| w.text.clone()).collect();
    Ok((Image { rows, metadata }, warnings))
}

fn count(bytes: &[u8]) -> u32 {
    probe(&mut Cursor::new(bytes), &small()).unwrap().pages
}

/// Files one after the other, their directories linked.
fn linked(pages: &[Made]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut link = None;
    for made in pages {
        let place = made.append(&mut out);
        if let Some(link) = link {
            let at = (place as u32).to_le_bytes();
            out[link..link + 4].copy_from_slice(&at);
        }
        link = Some(place + 2 + 12 * made.entries());
    }
    out
}

fn plain(value: u8) -> Made {
    Made::new(1, 2, &[8], 1).chunks(&[&[value, value]])
}

#[test]
fn every_page_is_read_and_one_beyond_the_last_is_an_error() {
    let bytes = linked(&[
        plain(1),
        Made::new(1, 1, &[16], 1).chunks(&[&[3, 2]]),
        plain(5),
    ]);
    assert_eq!(count(&bytes), 3);
    assert_eq!(u8s(&page(&bytes, 0).unwrap().0), [1, 1]);
    assert_eq!(page(&bytes, 1).unwrap().0.shape().sample, SampleType::U16);
    assert_eq!(u8s(&page(&bytes, 2).unwrap().0), [5, 5]);
    let error = page(&bytes, 3).unwrap_err();
    assert!(
        error.to_string().contains("no page 4 (the file has 3)"),
        "{error}"
    );
    flipped(&bytes, 1000);
}

#[test]
fn thumbnails_masks_and_reduced_copies_are_no_pages_wherever_they_stand() {
    for (tag, kind) in [(254, 1), (254, 4), (254, 5), (255, 2)] {
        let small = plain(9).with(tag, &[kind]);
        let bytes = linked(&[small.clone(), plain(1), small.clone(), plain(2), small]);
        assert_eq!(count(&bytes), 2, "{tag} {kind}");
        assert_eq!(u8s(&page(&bytes, 0).unwrap().0), [1, 1]);
        assert_eq!(u8s(&page(&bytes, 1).unwrap().0), [2, 2]);
    }
    // Pages of a document, and full pictures, are pictures.
    let bytes = linked(&[plain(1).with(254, &[2]), plain(2).with(255, &[1])]);
    assert_eq!(count(&bytes), 2);
    // Where nothing else is there, the copy is the picture.
    assert_eq!(
        u8s(&page(&linked(&[plain(9).with(254, &[1])]), 0).unwrap().0),
        [9, 9]
    );
}

#[test]
fn a_picture_beneath_its_thumbnail_is_found() {
    let mut bytes = linked(&[plain(9).with(254, &[1]).with(330, &[0])]);
    let place = plain(4).append(&mut bytes) as u16;
    let entry = [74, 1, 3, 0, 1, 0, 0, 0];
    let at = bytes.windows(8).position(|w| w == entry).unwrap();
    bytes[at + 8..at + 10].copy_from_slice(&place.to_le_bytes());
    assert_eq!(count(&bytes), 1);
    assert_eq!(u8s(&page(&bytes, 0).unwrap().0), [4, 4]);
}

#[test]
fn faults_of_side_data_and_later_pages_cost_only_those() {
    let said = |made: Made| {
        let bytes = made.bytes();
        let (image, warnings) = page(&bytes, 0).unwrap();
        assert_eq!(u8s(&image), [1, 1]);
        flipped(&bytes, 300);
        warnings.join("; ")
    };
    assert_eq!(said(plain(1)), "");
    assert!(said(plain(1).with(34665, &[60_000])).contains("EXIF (tag 34665)"));
    assert!(said(plain(1).with(34853, &[60_000])).contains("GPS (tag 34853)"));
    assert!(said(plain(1).with(274, &[77])).contains("orientation"));
    assert!(said(plain(1).lost(42112)).contains("tag 42112"));
    assert!(said(plain(1).lost(34675)).contains("the ICC profile"));
    let mut bytes = linked(&[plain(1)]);
    let link = bytes.len() - 4;
    bytes[link..].copy_from_slice(&2_000_000_000u32.to_le_bytes());
    let (image, warnings) = page(&bytes, 0).unwrap();
    assert_eq!(u8s(&image), [1, 1]);
    assert!(
        warnings[0].contains("directory 2 cannot be read"),
        "{warnings:?}"
    );
    let first = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    bytes[link..].copy_from_slice(&first.to_le_bytes());
    assert!(page(&bytes, 0).unwrap().1[0].contains("circle"));
    // A fault in what pixels depend on is an error.
    let error = page(
        &Made::new(1, 2, &[], 1).lost(258).chunks(&[&[1, 1]]).bytes(),
        0,
    );
    assert!(matches!(error, Err(Error::Decode(_))));
}

fn written(pages: &[Image], format: &Format) -> Vec<u8> {
    let file = MemoryFile::default();
    let mut metadata = pages[0].metadata.clone();
    metadata.pages = pages.len() as u32;
    let mut sink = create(
        Box::new(file.clone()),
        format,
        pages[0].shape(),
        &metadata,
        KeepMetadata::All,
    )
    .unwrap();
    for (at, image) in pages.iter().enumerate() {
        sink.write(&image.rows).unwrap();
        let next = sink.finish_page().unwrap();
        let Some(image) = pages.get(at + 1) else {
            next.end().unwrap();
            break;
        };
        sink = next.begin(image.shape(), &image.metadata).unwrap();
    }
    file.take_bytes()
}

#[test]
fn pages_of_different_kinds_are_written_one_after_the_other() {
    let mut pages = vec![
        picture(9, 7, Color::Rgb, SampleType::U8),
        picture(300, 401, Color::Gray, SampleType::U16),
        picture(1, 1, Color::Rgba, SampleType::F32),
        picture(5, 3, Color::Bands(5), SampleType::F64),
        picture(5, 3, Color::Gray, SampleType::F32),
    ];
    pages[1].metadata.icc = Some(vec![7; 501]);
    let shape = pages[4].shape();
    let values = (0..shape.pixels())
        .map(|i| i as f32 * 100.0 - 500.0)
        .collect();
    pages[4] = Image::new(shape, crate::image::Buffer::F32(values));
    pages[4].metadata.stored = Some(Stored::Signed(16));
    pages[4].metadata.orientation = 1;
    for compression in super::ALL {
        let bytes = written(&pages, &tiff(compression));
        assert_eq!(count(&bytes), 5);
        for (at, image) in pages.iter().enumerate() {
            let (found, warnings) = page(&bytes, at as u32).unwrap();
            assert_eq!(found.rows, image.rows, "{compression} {at}");
            assert_eq!(found.metadata.icc, image.metadata.icc);
            assert_eq!(found.metadata.stored, image.metadata.stored);
            assert!(warnings.is_empty(), "{warnings:?}");
        }
    }
}

#[test]
fn a_page_with_too_few_rows_is_an_error_and_other_formats_hold_one() {
    let image = picture(9, 7, Color::Rgb, SampleType::U8);
    for (format, text) in [("tiff", "of 9 rows"), ("png", "of 9 rows")] {
        let sink = create(
            Box::new(MemoryFile::default()),
            &Format::parse(format).unwrap(),
            image.shape(),
            &image.metadata,
            KeepMetadata::All,
        );
        let error = sink.unwrap().finish_page().err().unwrap();
        assert!(error.to_string().contains(text), "{error}");
    }
    let mut sink = create(
        Box::new(MemoryFile::default()),
        &Format::parse("jpeg").unwrap(),
        image.shape(),
        &image.metadata,
        KeepMetadata::All,
    )
    .unwrap();
    sink.write(&image.rows).unwrap();
    let error = sink.finish_page().err().unwrap();
    assert!(error.to_string().contains("one image only"), "{error}");
}
