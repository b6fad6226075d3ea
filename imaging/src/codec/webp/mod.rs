//! WebP by libwebp: lossy, lossless, alpha, and the first frame of an animation.
//!
//! The container with ICC profile and EXIF is read and written here; libwebp sees one picture.

mod bitstream;
mod container;

use super::format::{Choice, Values};
use super::table::{Codec, Output, Target, Writer};
use super::whole::Whole;
use super::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSink, RowSource, WriteSeek};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, SampleType, Shape};

/// Longest side of a WebP.
const MAX_SIDE: usize = 16383;

/// WebP, lossy or lossless.
pub(super) static CODEC: Codec = Codec {
    name: "webp",
    title: "WebP",
    extensions: &["webp"],
    media_type: "image/webp",
    detect: |start| start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP"),
    probe,
    open,
    streams: false,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[
            Choice {
                name: "quality",
                values: Values::Number {
                    min: 0,
                    max: 100,
                    default: 80,
                },
            },
            Choice {
                name: "lossless",
                values: Values::Flag,
            },
        ],
        holds: &[
            (Color::Rgb, &[SampleType::U8]),
            (Color::Rgba, &[SampleType::U8]),
        ],
        bands: &[],
        pages: None,
        create,
        memory: |options, shape| encoder_memory(shape, options.flag(1)),
    }),
};

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    let found = container::parse(input, limits)?;
    Ok(Header {
        kind: FormatKind::WebP,
        shape: found.shape,
        bits: 8,
        orientation: found.metadata.orientation,
        has_icc: found.metadata.icc.is_some(),
        pages: found.frames,
        page_kind: super::PageKind::Animation,
        stored: None,
        streams: false,
        seekable: false,
        // The image, libwebp's pixels and tables, and the file.
        decoder_bytes: found.shape.bytes()
            + 5 * found.shape.pixels()
            + found.len as usize
            + (1 << 20),
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let found = container::parse(&mut *input, limits)?;
    let bytes = found.bitstream(&mut *input)?;
    let samples = match &found.first_frame {
        None => bitstream::decode(&bytes, found.shape)?,
        Some(frame) => {
            let shape = Shape {
                rows: frame.rows,
                cols: frame.cols,
                ..found.shape
            };
            let part = bitstream::decode(&bytes, shape)?;
            if (shape.rows, shape.cols) == (found.shape.rows, found.shape.cols) {
                part
            } else {
                let mut canvas = vec![0; found.shape.bytes()];
                for (y, row) in part.chunks_exact(shape.row_len()).enumerate() {
                    let at =
                        (frame.top + y) * found.shape.row_len() + frame.left * shape.channels();
                    canvas[at..at + row.len()].copy_from_slice(row);
                }
                canvas
            }
        }
    };
    Ok(Box::new(Whole {
        shape: found.shape,
        metadata: found.metadata,
        samples,
    }))
}

/// The whole image waits in memory until the last row is there.
fn create(target: Target<'_>) -> Result<Box<dyn RowSink>> {
    let Target {
        output,
        options,
        shape,
        metadata,
    } = target;
    let quality = (!options.flag(1)).then(|| options.number(0) as u8);
    if shape.rows.max(shape.cols) > MAX_SIDE {
        return Err(Error::Encode(format!(
            "{}x{} is too large for WebP, which holds {MAX_SIDE} pixels each way (tiff and png hold more)",
            shape.cols, shape.rows
        )));
    }
    Ok(Box::new(Sink {
        output,
        quality,
        shape,
        metadata: metadata.clone(),
        samples: Vec::with_capacity(shape.bytes()),
    }))
}

/// Bytes held while encoding: the image, libwebp's planes or (lossless) its search tables.
fn encoder_memory(shape: Shape, lossless: bool) -> usize {
    shape.bytes() + shape.pixels() * if lossless { 32 } else { 6 } + (4 << 20)
}

struct Sink {
    output: Box<dyn WriteSeek>,
    quality: Option<u8>,
    shape: Shape,
    metadata: Metadata,
    samples: Vec<u8>,
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        assert!(rows.shape == self.shape, "rows of another image");
        self.samples.extend_from_slice(rows.data.bytes());
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let plain = bitstream::encode(&self.samples, self.shape, self.quality)?;
        let Metadata { icc, exif, xmp, .. } = &self.metadata;
        let bytes = if icc.is_none() && exif.is_none() && xmp.is_none() {
            plain
        } else {
            let mut flags = 0;
            let mut chunks: Vec<(&[u8], &[u8])> = Vec::new();
            if let Some(icc) = icc {
                flags |= container::ICC;
                chunks.push((b"ICCP", icc));
            }
            if self.shape.color == Color::Rgba {
                flags |= container::ALPHA;
            }
            let body = plain.get(12..).unwrap_or(&[]);
            chunks.extend(container::chunks(body).filter(|(name, _)| *name != b"VP8X"));
            if let Some(exif) = exif {
                flags |= container::EXIF;
                chunks.push((b"EXIF", exif));
            }
            if let Some(xmp) = xmp {
                flags |= container::XMP;
                chunks.push((b"XMP ", xmp));
            }
            container::riff(self.shape, flags, &chunks)?
        };
        self.output.write_all(&bytes)?;
        Ok(self.output.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::hostile::{
        flipped, picture, pictures, round_trip, small, truncated, try_decode,
    };
    use crate::codec::{Format, KeepMetadata, encode, exif};

    fn lossless() -> Format {
        Format::parse("webp(lossless)").unwrap()
    }

    fn lossy(quality: u8) -> Format {
        Format::parse(&format!("webp(quality={quality})")).unwrap()
    }

    const COLORS: [Color; 2] = [Color::Rgb, Color::Rgba];

    #[test]
    fn lossless_is_lossless() {
        for image in pictures(&COLORS, &[SampleType::U8]) {
            let mut again = round_trip(&image, &lossless());
            // A picture without transparency needs no alpha.
            if again.shape().color == Color::Rgb && image.shape().color == Color::Rgba {
                assert!(image.rows.data.bytes().chunks(4).all(|p| p[3] == 255));
                again = image.clone();
            }
            assert_eq!(again, image);
        }
    }

    #[test]
    fn lossy_is_near() {
        for image in pictures(&COLORS, &[SampleType::U8]) {
            let again = round_trip(&image, &lossy(95));
            assert_eq!(again.shape(), image.shape());
        }
        let gray = picture(9, 9, Color::Gray, SampleType::U16);
        assert_eq!(round_trip(&gray, &lossless()).shape().color, Color::Rgb);
    }

    #[test]
    fn metadata_is_kept() {
        for color in COLORS {
            for format in [lossless(), lossy(50)] {
                let mut image = picture(11, 7, color, SampleType::U8);
                image.metadata.icc = Some(vec![7; 31]);
                image.metadata.exif = Some(exif::tests::block(false, 8));
                let again = round_trip(&image, &format);
                assert_eq!(again.metadata.icc, image.metadata.icc);
                assert_eq!(again.metadata.exif, Some(exif::tests::block(false, 1)));
                assert_eq!(again.shape(), image.shape());
            }
        }
    }

    /// An animation of one frame inside of a larger canvas.
    fn animation() -> Vec<u8> {
        let image = picture(6, 4, Color::Rgb, SampleType::U8);
        let plain = encode(&image, &lossless(), KeepMetadata::None).unwrap();
        let mut frame = vec![1, 0, 0, 1, 0, 0, 3, 0, 0, 5, 0, 0, 9, 0, 0, 0];
        frame.extend(&plain[12..]);
        let canvas = Shape {
            rows: 10,
            cols: 9,
            ..image.shape()
        };
        container::riff(
            canvas,
            container::ANIMATION,
            &[(b"ANIM", &[0; 6]), (b"ANMF", &frame)],
        )
        .unwrap()
    }

    #[test]
    fn the_first_frame_lies_on_a_transparent_canvas() {
        let image = picture(6, 4, Color::Rgb, SampleType::U8);
        let canvas = try_decode(&animation()).unwrap();
        assert_eq!(
            canvas.shape(),
            Shape::new(10, 9, Color::Rgba, SampleType::U8)
        );
        assert_eq!(canvas.rows.row::<u8>(0), [0; 36]);
        assert_eq!(canvas.rows.row::<u8>(2)[..8], [0; 8]);
        assert_eq!(
            canvas.rows.row::<u8>(2)[8..11],
            image.rows.row::<u8>(0)[..3]
        );
        assert_eq!(canvas.rows.row::<u8>(2)[11], 255);
        truncated(&animation(), 0);
        flipped(&animation(), 500);
    }

    #[test]
    fn broken_files_are_errors() {
        for color in COLORS {
            for format in [lossless(), lossy(50)] {
                let mut image = picture(17, 19, color, SampleType::U8);
                image.metadata.exif = Some(exif::tests::block(false, 1));
                let bytes = encode(&image, &format, KeepMetadata::All).unwrap();
                truncated(&bytes, 0);
                flipped(&bytes, 1000);
                let bytes = encode(&image, &format, KeepMetadata::None).unwrap();
                truncated(&bytes, 0);
                flipped(&bytes, 1000);
            }
        }
    }

    #[test]
    fn a_container_cut_and_mended_is_still_an_error() {
        let image = picture(64, 64, Color::Rgb, SampleType::U8);
        for format in [lossless(), lossy(90)] {
            let bytes = encode(&image, &format, KeepMetadata::None).unwrap();
            for cut in [20, 100, bytes.len() / 2] {
                let mut short = bytes[..(bytes.len() - cut) & !1].to_vec();
                let len = short.len() as u32;
                short[4..8].copy_from_slice(&(len - 8).to_le_bytes());
                short[16..20].copy_from_slice(&(len - 20).to_le_bytes());
                assert!(try_decode(&short).is_err(), "{format} less {cut}");
            }
        }
    }

    #[test]
    fn a_large_canvas_is_refused() {
        let image = picture(4, 4, Color::Rgb, SampleType::U8);
        let plain = encode(&image, &lossless(), KeepMetadata::None).unwrap();
        let canvas = Shape {
            rows: 1 << 24,
            cols: 1 << 24,
            ..image.shape()
        };
        let chunks: Vec<_> = container::chunks(&plain[12..]).collect();
        let bytes = container::riff(canvas, 0, &chunks).unwrap();
        assert!(matches!(
            probe(&mut std::io::Cursor::new(bytes), &small(), 0),
            Err(Error::Limit(_))
        ));
    }
}
