//! OpenEXR: RGB and RGBA floats of the first layer.

use super::{Input, create, memory, read_by, sides};
use crate::codec::FormatKind;
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::image::{Color, SampleType};
use ::image::{ImageDecoder, ImageResult};

/// OpenEXR.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "exr",
    title: "OpenEXR",
    extensions: &["exr"],
    media_type: "image/x-exr",
    detect: |start| start.starts_with(&[0x76, 0x2F, 0x31, 0x01]),
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "floats of 16 and 32 bits: RGB, RGBA",
        coding: "all but DWA",
        pictures: "the first layer",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[
            (Color::Rgb, &[SampleType::F32]),
            (Color::Rgba, &[SampleType::F32]),
        ],
        bands: &[],
        pages: None,
        keeps: Keeps::NOTHING,
        stored: false,
        exact: true,
        create: |target| {
            Ok(create(FormatKind::Exr, target, |output, samples, shape| {
                let (cols, rows) = sides(shape);
                use ::image::ImageEncoder as _;
                let encoder = ::image::codecs::openexr::OpenExrEncoder::new(output);
                encoder.write_image(samples, cols, rows, super::color_type(shape))
            }))
        },
        memory: |_, shape| memory(shape),
    }),
};

fn begin(input: Input<'_>) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    Ok(Box::new(::image::codecs::openexr::OpenExrDecoder::new(
        input,
    )?))
}
read_by!(Exr, begin);
