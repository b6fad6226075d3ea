//! WebP by libwebp: lossy, lossless, alpha, animations.
//!
//! The container with ICC profile and EXIF is read and written here; libwebp sees one picture.

mod animation;
mod bitstream;
mod container;

use super::format::{Choice, Values};
use super::frames::{self, Placed};
use super::table::{Codec, Keeps, Output, Reads, Target, Writer};
use super::whole::Whole;
use super::{
    FormatKind, Header, Limits, NextPage, OpenOptions, PageKind, ReadSeek, RowSink, RowSource,
    WriteSeek,
};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, SampleType, Shape};
use animation::Animation;

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
    reads: Reads {
        samples: "8 bits: RGB, RGBA",
        coding: "lossy and lossless",
        pictures: "frames",
    },
    needs: None,
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
        pages: Some(PageKind::Animation),
        keeps: Keeps {
            iptc: false,
            ..Keeps::PHOTO
        },
        stored: false,
        exact: false,
        create,
        memory: |options, shape| encoder_memory(shape, options.flag(1)),
    }),
};

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    let found = container::parse(input, limits)?;
    let canvases = if found.frames.len() > 1 { 2 } else { 0 };
    Ok(Header {
        kind: FormatKind::WebP,
        shape: found.shape,
        bits: 8,
        orientation: found.metadata.orientation,
        has_icc: found.metadata.icc.is_some(),
        pages: found.frames.len().max(1) as u32,
        page_kind: PageKind::Animation,
        still: false,
        stored: None,
        lossless: found.lossless,
        streams: false,
        seekable: false,
        // The image, libwebp's pixels and tables, and the file.
        decoder_bytes: (1 + canvases) * found.shape.bytes()
            + 5 * found.shape.pixels()
            + found.len as usize
            + (1 << 20),
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let found = container::parse(&mut *input, limits)?;
    let mut metadata = found.metadata.clone();
    if found.frames.is_empty() {
        let bytes = found.bitstream(&mut *input, 0)?;
        let samples = bitstream::decode(&bytes, found.shape)?;
        return Ok(Box::new(Whole::new(found.shape, metadata, samples)));
    }
    let (page, pages) = (options.page as usize, found.frames.len());
    let Some(frame) = found.frames.get(page) else {
        return Err(super::no_page(options.page, pages as u32));
    };
    if pages > 1 {
        metadata.delay_ms = Some(frame.placed.delay_ms);
        metadata.loops = Some(found.loops);
    }
    let placed: Vec<Placed> = found.frames.iter().map(|frame| frame.placed).collect();
    let decode = |at: usize| {
        let bytes = found.bitstream(&mut *input, at)?;
        let Placed { rows, cols, .. } = placed[at];
        let shape = Shape {
            rows,
            cols,
            ..found.shape
        };
        bitstream::decode(&bytes, shape)
    };
    let source = frames::source(&placed, found.shape, page, metadata, decode)?;
    Ok(Box::new(source))
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
        animation: None,
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
    /// What the frames before began.
    animation: Option<Animation>,
}

impl Sink {
    fn encoded(&self) -> Result<Vec<u8>> {
        bitstream::encode(&self.samples, self.shape, self.quality)
    }
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        assert!(rows.shape == self.shape, "rows of another image");
        self.samples.extend_from_slice(rows.data.bytes());
        Ok(())
    }

    fn finish_page(mut self: Box<Self>) -> Result<Box<dyn NextPage>> {
        let frame = self.encoded()?;
        let mut animation = match self.animation.take() {
            Some(begun) => begun,
            None => Animation::begin(&mut *self.output, self.shape, &self.metadata)?,
        };
        let delay = self.metadata.delay_ms;
        animation.append(&mut *self.output, &frame, self.shape, delay)?;
        Ok(Box::new(Next {
            output: self.output,
            quality: self.quality,
            animation,
        }))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if self.animation.is_some() {
            return self.finish_page()?.end();
        }
        let plain = self.encoded()?;
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

struct Next {
    output: Box<dyn WriteSeek>,
    quality: Option<u8>,
    animation: Animation,
}

impl NextPage for Next {
    fn begin(self: Box<Self>, shape: Shape, metadata: &Metadata) -> Result<Box<dyn RowSink>> {
        super::same_size("WebP", self.animation.canvas, shape)?;
        Ok(Box::new(Sink {
            output: self.output,
            quality: self.quality,
            shape,
            metadata: metadata.clone(),
            samples: Vec::with_capacity(shape.bytes()),
            animation: Some(self.animation),
        }))
    }

    fn end(mut self: Box<Self>) -> Result<()> {
        self.animation.end(&mut *self.output)
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
            Err(Error::Limit { .. })
        ));
    }

    #[test]
    fn animations_come_back_as_they_went() {
        let kinds = [
            (lossless(), Color::Rgb, true),
            (lossless(), Color::Rgba, true),
            (lossy(70), Color::Rgb, false),
        ];
        for (format, color, exact) in kinds {
            let mut frames = vec![picture(9, 12, color, SampleType::U8); 3];
            for (at, frame) in frames.iter_mut().enumerate() {
                let bytes = frame.rows.data.bytes_mut();
                bytes.rotate_left(at * 4 * color.channels());
                if color == Color::Rgba {
                    bytes.chunks_exact_mut(4).for_each(|p| p[3] &= 0xF0);
                }
            }
            frames[0].metadata.icc = Some(vec![9; 41]);
            let bytes = crate::codec::hostile::animates(&format, &frames, exact);
            truncated(&bytes, 0);
            flipped(&bytes, 600);
        }
    }

    #[test]
    fn what_was_lossless_stays_so() {
        let image = picture(8, 9, Color::Rgb, SampleType::U8);
        for format in [lossless(), lossy(80)] {
            let bytes = encode(&image, &format, KeepMetadata::None).unwrap();
            let header = crate::codec::probe(&mut std::io::Cursor::new(bytes), &small()).unwrap();
            assert_eq!(Format::like(&header), format);
        }
        let frames = [image.clone(), image];
        let bytes = crate::codec::hostile::written(&frames, &lossless(), &[], 0).unwrap();
        let header = crate::codec::probe(&mut std::io::Cursor::new(bytes), &small()).unwrap();
        assert_eq!(Format::like(&header), lossless());
    }
}
