//! JPEG XL: read by jxl-oxide, written losslessly by zune-jpegxl, both without code of other languages.

use super::foreign::guarded;
use super::table::{Codec, Keeps, Output, Reads, Target, Writer};
use super::whole::Whole;
use super::{
    FormatKind, Header, Limits, OpenOptions, PageKind, ReadSeek, RowSink, RowSource, WriteSeek,
};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, SampleType, Shape, Stored};
use jxl_oxide::image::BitDepth;
use jxl_oxide::{AllocTracker, AuxBoxData, FrameBufferSample, JxlImage, PixelFormat};
use std::io::{BufReader, SeekFrom};
use zune_core::bit_depth::BitDepth as Depth;
use zune_core::colorspace::ColorSpace;
use zune_core::options::EncoderOptions;
use zune_jpegxl::JxlSimpleEncoder;

const TITLE: &str = "JPEG XL";
const SAMPLES: &[SampleType] = &[SampleType::U8, SampleType::U16];

/// JPEG XL.
pub(super) static CODEC: Codec = Codec {
    name: "jxl",
    title: TITLE,
    extensions: &["jxl"],
    media_type: "image/jxl",
    detect: |start| {
        start.starts_with(&[0xFF, 0x0A]) || start.starts_with(b"\0\0\0\x0CJXL \r\n\x87\n")
    },
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "integers of 1 to 16 bits, floats: gray, RGB, with alpha",
        coding: "lossy and lossless",
        pictures: "frames",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[
            (Color::Gray, SAMPLES),
            // The encoder writes alpha of 8 bits alone.
            (Color::GrayAlpha, &[SampleType::U8]),
            (Color::Rgb, SAMPLES),
            (Color::Rgba, &[SampleType::U8]),
        ],
        bands: &[],
        pages: None,
        keeps: Keeps::NOTHING,
        stored: false,
        exact: true,
        create,
        // The image, and the coded groups, which grow to about as much.
        memory: |_, shape| 4 * shape.bytes() + (4 << 20),
    }),
};

fn bad(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("not a sound {TITLE}: {what}"))
}

/// Reads all of the file; no pixel is decoded.
fn load(input: &mut dyn ReadSeek, limits: &Limits) -> Result<(JxlImage, Shape)> {
    input.seek(SeekFrom::Start(0))?;
    let most = usize::try_from(limits.max_bytes).unwrap_or(usize::MAX);
    let tracker = AllocTracker::with_limit(most.saturating_mul(8));
    let builder = JxlImage::builder().alloc_tracker(tracker);
    let image = builder.read(BufReader::new(input)).map_err(bad)?;
    let (color, bits) = (color(&image), image.image_header().metadata.bit_depth);
    let sample = match bits {
        BitDepth::FloatSample { .. } => SampleType::F32,
        BitDepth::IntegerSample {
            bits_per_sample: ..=8,
        } => SampleType::U8,
        BitDepth::IntegerSample { .. } => SampleType::U16,
    };
    let (rows, cols) = (u64::from(image.height()), u64::from(image.width()));
    let shape = limits.shape(rows, cols, color, sample)?;
    if !image.is_loading_done() || image.num_loaded_keyframes() == 0 {
        return Err(Error::Decode(format!(
            "truncated {TITLE}: the file ends before the image does"
        )));
    }
    Ok((image, shape))
}

fn color(image: &JxlImage) -> Color {
    match image.pixel_format() {
        PixelFormat::Gray => Color::Gray,
        PixelFormat::Graya => Color::GrayAlpha,
        PixelFormat::Rgb => Color::Rgb,
        PixelFormat::Rgba => Color::Rgba,
        // Inks have no meaning without their profile.
        PixelFormat::Cmyk => Color::Bands(4),
        PixelFormat::Cmyka => Color::Bands(5),
    }
}

fn stored(image: &JxlImage) -> Option<Stored> {
    match image.image_header().metadata.bit_depth {
        BitDepth::IntegerSample {
            bits_per_sample: bits @ (1..=7 | 9..=15),
        } => Some(Stored::Unsigned(bits as u8)),
        BitDepth::FloatSample {
            bits_per_sample: 16,
            ..
        } => Some(Stored::Float(16)),
        _ => None,
    }
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    guarded(TITLE, || {
        let (image, shape) = load(input, limits)?;
        let info = &image.image_header().metadata;
        let file = limits.file(input)? as usize;
        Ok(Header {
            kind: FormatKind::Jxl,
            shape,
            bits: info.bit_depth.bits_per_sample() as u8,
            orientation: 1,
            has_icc: image.original_icc().is_some(),
            pages: image.num_loaded_keyframes() as u32,
            page_kind: PageKind::Animation,
            still: false,
            stored: stored(&image),
            lossless: !info.xyb_encoded,
            streams: false,
            seekable: true,
            // The image, planes of floats for it and for what is restored, and the file.
            decoder_bytes: shape.bytes()
                + 12 * shape.pixels() * shape.channels()
                + 2 * file
                + (4 << 20),
        })
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let page = options.page;
    guarded(TITLE, move || {
        let (image, shape) = load(&mut *input, limits)?;
        let pages = image.num_loaded_keyframes();
        if page as usize >= pages {
            return Err(super::no_page(page, pages as u32));
        }
        // sRGB needs no profile.
        let plain = image.rendered_cicp() == Some([1, 13, 0, 1]) || color(&image).is_gray();
        let icc = match image.original_icc() {
            Some(icc) => Some(icc.to_vec()),
            None if plain => None,
            None => Some(image.rendered_icc()),
        };
        limits.metadata(icc.as_ref().map_or(0, Vec::len))?;
        let mut metadata = Metadata {
            icc,
            orientation: 1,
            stored: stored(&image),
            ..Metadata::default()
        };
        if let Ok(AuxBoxData::Data(block)) = image.aux_boxes().first_exif() {
            limits.metadata(block.payload().len())?;
            metadata.exif = Some(super::exif::upright(block.payload().to_vec()));
        }
        if let Some(animation) = &image.image_header().metadata.animation
            && pages > 1
        {
            metadata.loops = Some(animation.num_loops);
            let ticks = image
                .frame_header(page as usize)
                .map_or(0, |frame| frame.duration);
            let per_second = u64::from(animation.tps_numerator.max(1));
            let ms = u64::from(ticks) * 1000 * u64::from(animation.tps_denominator) / per_second;
            metadata.delay_ms = Some(u32::try_from(ms).unwrap_or(u32::MAX));
        }
        let samples = match shape.sample {
            SampleType::U8 => rendered::<u8>(&image, page, shape)?,
            SampleType::U16 => rendered::<u16>(&image, page, shape)?,
            _ => rendered::<f32>(&image, page, shape)?,
        };
        Ok(Box::new(Whole::new(shape, metadata, samples)) as Box<dyn RowSource>)
    })
}

fn rendered<T>(image: &JxlImage, page: u32, shape: Shape) -> Result<Vec<u8>>
where
    T: FrameBufferSample + bytemuck::Pod + Default,
{
    let render = image.render_frame(page as usize).map_err(bad)?;
    let mut stream = render.stream();
    let found = (stream.height(), stream.width(), stream.channels() as usize);
    if found != (shape.rows as u32, shape.cols as u32, shape.channels()) {
        return Err(bad("its picture has another size than its header"));
    }
    let mut samples = vec![T::default(); shape.rows * shape.row_len()];
    if stream.write_to_buffer(&mut samples) != samples.len() {
        return Err(bad("samples are missing"));
    }
    Ok(bytemuck::cast_slice(&samples).to_vec())
}

fn create(target: Target<'_>) -> Result<Box<dyn RowSink>> {
    let Target { output, shape, .. } = target;
    const MOST: usize = 1 << 18;
    let sides = 2..=MOST;
    if !sides.contains(&shape.rows) || !sides.contains(&shape.cols) {
        return Err(Error::Encode(format!(
            "{}x{} is no size that is written as {TITLE}: sides have 2 to {MOST} pixels (png and tiff hold more)",
            shape.cols, shape.rows
        )));
    }
    Ok(Box::new(Sink {
        output,
        shape,
        samples: Vec::with_capacity(shape.bytes()),
    }))
}

struct Sink {
    output: Box<dyn WriteSeek>,
    shape: Shape,
    samples: Vec<u8>,
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let bytes = rows.count * self.shape.row_bytes();
        self.samples.extend_from_slice(&rows.data.bytes()[..bytes]);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let space = match self.shape.color {
            Color::Gray => ColorSpace::Luma,
            Color::GrayAlpha => ColorSpace::LumaA,
            Color::Rgba => ColorSpace::RGBA,
            _ => ColorSpace::RGB,
        };
        let depth = match self.shape.sample {
            SampleType::U8 => Depth::Eight,
            _ => Depth::Sixteen,
        };
        let (cols, rows) = (self.shape.cols, self.shape.rows);
        // One thread: others work on other images.
        let options = EncoderOptions::new(cols, rows, space, depth).set_num_threads(1);
        let mut out: Vec<u8> = Vec::new();
        let samples = &self.samples;
        guarded(TITLE, || {
            let encoder = JxlSimpleEncoder::new(samples, options);
            // Its errors have no text for people.
            let done = encoder.encode(&mut out);
            done.map_err(|_| Error::Encode(format!("the encoder of {TITLE} gave up")))
        })?;
        self.output.write_all(&out)?;
        Ok(self.output.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::hostile::{flipped, picture, round_trip, try_decode};
    use crate::codec::{Format, KeepMetadata, encode};

    #[test]
    fn what_is_written_is_read_again() {
        for (color, samples) in Format::of(FormatKind::Jxl).writer().holds {
            for sample in *samples {
                for (rows, cols) in [(2, 2), (2, 19), (23, 37), (300, 270)] {
                    let image = picture(rows, cols, *color, *sample);
                    let again = round_trip(&image, &Format::of(FormatKind::Jxl));
                    assert_eq!(again.rows, image.rows, "{color:?} {sample:?} {rows}x{cols}");
                }
            }
        }
    }

    #[test]
    fn broken_files_are_images_or_errors() {
        let image = picture(24, 31, Color::Rgb, SampleType::U8);
        let format = Format::of(FormatKind::Jxl);
        let bytes = encode(&image, &format, KeepMetadata::None).unwrap();
        for len in (0..bytes.len() - 4).step_by(5) {
            assert!(
                try_decode(&bytes[..len]).is_err(),
                "cut at {len} of {}",
                bytes.len()
            );
        }
        flipped(&bytes, 400);
        let thin = picture(1, 9, Color::Rgb, SampleType::U8);
        let refused = encode(&thin, &format, KeepMetadata::None).unwrap_err();
        assert!(refused.to_string().contains("9x1"), "{refused}");
    }
}
