//! JPEG 2000 by hayro-jpeg2000, which is safe code alone; read only.

use super::foreign::guarded;
use super::table::{Codec, Output, Reads};
use super::whole::Whole;
use super::{FormatKind, Header, Limits, OpenOptions, PageKind, ReadSeek, RowSource};
use crate::error::{Error, Result};
use crate::image::{Color, Element, Metadata, SampleType, Shape, Stored};
use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext, Image};
use std::io::{Read, SeekFrom};

const TITLE: &str = "JPEG 2000";

/// JPEG 2000.
pub(super) static CODEC: Codec = Codec {
    name: "jp2",
    title: TITLE,
    extensions: &["jp2", "j2k", "j2c", "jpc", "jpf", "jpx"],
    media_type: "image/jp2",
    detect: |start| {
        start.starts_with(b"\0\0\0\x0CjP  \r\n\x87\n")
            || start.starts_with(&[0xFF, 0x4F, 0xFF, 0x51])
    },
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "integers of 1 to 38 bits: gray, RGB, with alpha, bands",
        coding: "JP2 files and bare codestreams; lossy and lossless",
        pictures: "one",
    },
    needs: None,
    shrinks: false,
    output: Output::As(FormatKind::Png),
};

fn bad(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("not a sound {TITLE}: {what}"))
}

fn bytes(input: &mut dyn ReadSeek, limits: &Limits) -> Result<Vec<u8>> {
    let len = limits.file(input)?;
    input.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::with_capacity(len as usize);
    input.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Strict: what is cut off is an error and no gray.
fn image(bytes: &[u8]) -> Result<Image<'_>> {
    let settings = DecodeSettings {
        strict: true,
        ..DecodeSettings::default()
    };
    Image::new(bytes, &settings).map_err(bad)
}

fn shape(image: &Image<'_>, limits: &Limits) -> Result<Shape> {
    let colors = image.color_space().num_channels();
    let color = match (colors, image.has_alpha()) {
        (1, false) => Color::Gray,
        (1, true) => Color::GrayAlpha,
        (3, false) => Color::Rgb,
        (3, true) => Color::Rgba,
        (n, alpha) => Color::Bands(u16::from(n) + u16::from(alpha)),
    };
    let sample = match image.original_bit_depth() {
        ..=8 => SampleType::U8,
        9..=16 => SampleType::U16,
        _ => SampleType::F64,
    };
    limits.shape(
        u64::from(image.height()),
        u64::from(image.width()),
        color,
        sample,
    )
}

fn stored(image: &Image<'_>) -> Option<Stored> {
    match image.original_bit_depth() {
        8 | 16 => None,
        bits @ 1..=32 => Some(Stored::Unsigned(bits)),
        _ => None,
    }
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    guarded(TITLE, || {
        let bytes = bytes(input, limits)?;
        let image = image(&bytes)?;
        let shape = shape(&image, limits)?;
        Ok(Header {
            kind: FormatKind::Jp2,
            shape,
            bits: image.original_bit_depth(),
            orientation: 1,
            has_icc: matches!(image.color_space(), ColorSpace::Icc { .. }),
            pages: 1,
            page_kind: PageKind::Pages,
            still: false,
            stored: stored(&image),
            lossless: false,
            streams: false,
            seekable: true,
            // The image, coefficients and planes of floats, and the file.
            decoder_bytes: shape.bytes() + 16 * shape.pixels() * shape.channels() + bytes.len(),
        })
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    guarded(TITLE, move || {
        let bytes = bytes(&mut *input, limits)?;
        let image = image(&bytes)?;
        let shape = shape(&image, limits)?;
        let icc = match image.color_space() {
            ColorSpace::Icc { profile, .. } => Some(profile.clone()),
            _ => None,
        };
        limits.metadata(icc.as_ref().map_or(0, Vec::len))?;
        let metadata = Metadata {
            icc,
            orientation: 1,
            stored: stored(&image),
            ..Metadata::default()
        };
        let mut context = DecoderContext::default();
        let decoded = image.decode(&mut context).map_err(bad)?;
        let planes = decoded.components();
        let whole = planes
            .iter()
            .all(|plane| plane.samples().len() == shape.pixels());
        if planes.len() != shape.channels() || !whole {
            return Err(bad("its components are not those of its header"));
        }
        let samples = crate::by_any_sample!(shape.sample, T => {
            let mut samples = vec![T::default(); shape.rows * shape.row_len()];
            for (channel, plane) in planes.iter().enumerate() {
                let top = ((1u64 << plane.bit_depth().min(38)) - 1) as f64;
                // Wide samples keep their own values.
                let by = if T::TOP > 1.0 { T::TOP / top } else { 1.0 };
                let places = samples[channel..].iter_mut().step_by(shape.channels());
                for (to, from) in places.zip(plane.samples()) {
                    *to = T::saturate((f64::from(*from).round() * by).round());
                }
            }
            bytemuck::cast_slice::<T, u8>(&samples).to_vec()
        });
        Ok(Box::new(Whole::new(shape, metadata, samples)) as Box<dyn RowSource>)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::hostile::{flipped, try_decode};

    fn data(name: &str) -> Vec<u8> {
        let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap()
    }

    #[test]
    fn lossless_files_have_their_writers_values() {
        // Sample k of row after row is a formula that the writer was given.
        let image = try_decode(&data("openjpeg_rgb8.jp2")).unwrap();
        assert_eq!(
            image.shape(),
            Shape::new(13, 17, Color::Rgb, SampleType::U8)
        );
        for (k, v) in image.rows.data.bytes().iter().enumerate() {
            assert_eq!(usize::from(*v), (k * 7 + k / 51 * 3) % 256);
        }
        let image = try_decode(&data("openjpeg_gray12.j2k")).unwrap();
        assert_eq!(
            image.shape(),
            Shape::new(13, 17, Color::Gray, SampleType::U16)
        );
        assert_eq!(image.metadata.stored, Some(Stored::Unsigned(12)));
        for (k, v) in u16::of(&image.rows.data).iter().enumerate() {
            let stored = (k * 37) % 4096;
            assert_eq!(usize::from(*v), (stored * 65535 + 2047) / 4095, "{k}");
        }
    }

    #[test]
    fn broken_files_are_images_or_errors() {
        let bytes = data("openjpeg_rgb8.jp2");
        for len in (0..bytes.len() * 9 / 10).step_by(3) {
            assert!(
                try_decode(&bytes[..len]).is_err(),
                "cut at {len} of {}",
                bytes.len()
            );
        }
        flipped(&bytes, 400);
    }
}
