//! Test support: what every decoder must withstand, and images to encode.

use super::{
    Format, KeepMetadata, Limits, MemoryFile, OpenOptions, PageKind, create, decode, encode, open,
    probe, probe_page,
};
use crate::error::{Error, Result};
use crate::image::{Buffer, Color, Image, Metadata, Rows, SampleType, Shape};
use crate::window::Band;
use std::io::Cursor;

/// Small limits, so that a lying header cannot make a test slow.
pub fn small() -> Limits {
    Limits {
        max_pixels: 1 << 20,
        max_bytes: 1 << 24,
        max_metadata: 1 << 20,
    }
}

/// A picture of smooth and rough parts; the same for the same shape.
pub fn picture(rows: usize, cols: usize, color: Color, sample: SampleType) -> Image {
    let shape = Shape::new(rows, cols, color, sample);
    let mut state = 0x2545_F491u32;
    let value = |at: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let (y, x) = (at / shape.row_len(), at % shape.row_len());
        (x * 977 + y * 1409 + (state >> 22) as usize * (x / 8 % 2) * 8) % 65536
    };
    let values: Vec<usize> = (0..rows * shape.row_len()).map(value).collect();
    let data = match sample {
        SampleType::U8 => Buffer::U8(values.iter().map(|v| (v / 257) as u8).collect()),
        SampleType::U16 => Buffer::U16(values.iter().map(|v| *v as u16).collect()),
        SampleType::F32 => Buffer::F32(values.iter().map(|v| *v as f32 / 50000.0 - 0.1).collect()),
        SampleType::F64 => Buffer::F64(values.iter().map(|v| *v as f64 / 50000.0 - 0.1).collect()),
    };
    let mut image = Image::new(shape, data);
    image.metadata.orientation = 1;
    image
}

/// Decodes band by band with all that a caller may ask on the way.
pub fn try_decode(bytes: &[u8]) -> Result<Image> {
    probe(&mut Cursor::new(bytes), &small())?;
    let mut source = open(
        Box::new(Cursor::new(bytes.to_vec())),
        &small(),
        &OpenOptions::default(),
    )?;
    let shape = source.shape();
    let mut rows = Rows::zeroed(shape, 0..shape.rows);
    let mut band = Band::of(&mut rows);
    for at in (0..shape.rows).step_by(3) {
        source.read(&mut band.part(at..(at + 3).min(shape.rows)))?;
    }
    source.warnings();
    let metadata = source.metadata().clone();
    Ok(Image { rows, metadata })
}

/// The file cut at every length must be an error, except within the last `harmless` bytes.
pub fn truncated(bytes: &[u8], harmless: usize) {
    let whole = try_decode(bytes).expect("the whole file is sound");
    for len in 0..bytes.len() {
        match try_decode(&bytes[..len]) {
            Err(Error::Decode(_)) => {}
            Err(other) => panic!("cut at {len}: {other:?}"),
            Ok(image) if len + harmless >= bytes.len() => assert_eq!(image, whole),
            Ok(_) => panic!("cut at {len} of {} decodes", bytes.len()),
        }
    }
}

/// Files with some bits and bytes changed must end in an image or an error, never a panic.
pub fn flipped(bytes: &[u8], cases: u32) {
    let mut state = 0x9E37_79B9u32;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below.max(1)
    };
    for case in 0..cases {
        let mut wild = bytes.to_vec();
        for _ in 0..1 + next(4) {
            // Headers are where it matters.
            let reach = if case % 2 == 0 {
                64.min(wild.len())
            } else {
                wild.len()
            };
            let at = next(reach);
            match next(3) {
                0 => wild[at] ^= 1 << next(8),
                1 => wild[at] = next(256) as u8,
                _ => wild[at] = [0, 0xFF, 0x7F, 0x80][next(4)],
            }
        }
        let _ = try_decode(&wild);
    }
}

/// Encodes and decodes again.
pub fn round_trip(image: &Image, format: &Format) -> Image {
    let bytes = encode(image, format, KeepMetadata::All).expect("it encodes");
    let header = probe(&mut Cursor::new(&bytes), &small()).expect("it probes");
    let result = decode(bytes, &small(), &OpenOptions::default()).expect("it decodes");
    assert_eq!(header.shape, result.shape());
    assert_eq!(header.orientation, result.metadata.orientation);
    assert_eq!(header.kind, format.kind());
    result
}

/// All shapes worth a round trip.
pub fn pictures(colors: &[Color], samples: &[SampleType]) -> Vec<Image> {
    let sizes = [(1, 1), (1, 19), (17, 1), (23, 37)];
    let mut all = Vec::new();
    for color in colors {
        for sample in samples {
            all.extend(sizes.map(|(rows, cols)| picture(rows, cols, *color, *sample)));
        }
    }
    all
}

/// The pages of an animation or of a file of several pictures, as they come out.
pub fn pages(bytes: &[u8]) -> Result<Vec<Image>> {
    let header = probe(&mut Cursor::new(bytes), &small())?;
    (0..header.pages)
        .map(|page| {
            let there = probe_page(&mut Cursor::new(bytes), &small(), page)?;
            let options = OpenOptions { page, shrink: 1 };
            let image = decode(bytes.to_vec(), &small(), &options)?;
            assert_eq!(there.shape, image.shape());
            Ok(image)
        })
        .collect()
}

/// Writes images as the pages of one file, each shown so many milliseconds.
pub fn written(images: &[Image], format: &Format, delays: &[u32], loops: u32) -> Result<Vec<u8>> {
    let file = MemoryFile::default();
    let metadata = |at: usize| Metadata {
        pages: images.len() as u32,
        delay_ms: delays.get(at).copied(),
        loops: Some(loops),
        ..images[at].metadata.clone()
    };
    let keep = KeepMetadata::All;
    let first = images[0].shape();
    let mut sink = create(Box::new(file.clone()), format, first, &metadata(0), keep)?;
    sink.write(&images[0].rows)?;
    let mut next = sink.finish_page()?;
    for (at, image) in images.iter().enumerate().skip(1) {
        let mut sink = next.begin(image.shape(), &metadata(at))?;
        sink.write(&image.rows)?;
        next = sink.finish_page()?;
    }
    next.end()?;
    Ok(file.take_bytes())
}

/// Frames that are written come back with their times, and a frame of another size is refused.
pub fn animates(format: &Format, frames: &[Image], exact: bool) -> Vec<u8> {
    let delays = [100, 250, 40, 70];
    let bytes = written(frames, format, &delays[..frames.len()], 3).expect("it is written");
    let header = probe(&mut Cursor::new(&bytes), &small()).expect("it is sound");
    assert_eq!(header.page_kind, PageKind::Animation);
    let again = pages(&bytes).expect("all are read");
    assert_eq!(again.len(), frames.len());
    for (at, (new, old)) in again.iter().zip(frames).enumerate() {
        assert_eq!(new.metadata.delay_ms, Some(delays[at]));
        assert_eq!(new.metadata.loops, Some(3));
        if exact {
            assert_eq!(new.rows, old.rows, "frame {at}");
        }
    }
    let other = picture(2, 3, frames[0].shape().color, frames[0].shape().sample);
    let refused = written(&[frames[0].clone(), other], format, &[1, 1], 0);
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("a frame of 3x2 cannot follow"),
        "{refused}"
    );
    bytes
}
