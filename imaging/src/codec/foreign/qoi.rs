//! QOI: RGB and RGBA of 8 bits.

use super::{Input, create, memory, read_by, sides};
use crate::codec::FormatKind;
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::image::{Color, SampleType};
use ::image::{ImageDecoder, ImageResult};

/// QOI.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "qoi",
    title: "QOI",
    extensions: &["qoi"],
    media_type: "image/qoi",
    detect: |start| start.starts_with(b"qoif"),
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "8 bits: RGB, RGBA",
        coding: "QOI",
        pictures: "one",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[
            (Color::Rgb, &[SampleType::U8]),
            (Color::Rgba, &[SampleType::U8]),
        ],
        bands: &[],
        pages: None,
        keeps: Keeps::NOTHING,
        stored: false,
        exact: true,
        create: |target| {
            Ok(create(FormatKind::Qoi, target, |output, samples, shape| {
                let (cols, rows) = sides(shape);
                use ::image::ImageEncoder as _;
                let encoder = ::image::codecs::qoi::QoiEncoder::new(output);
                encoder.write_image(samples, cols, rows, super::color_type(shape))
            }))
        },
        memory: |_, shape| memory(shape),
    }),
};

fn begin(input: Input<'_>) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    Ok(Box::new(::image::codecs::qoi::QoiDecoder::new(input)?))
}
read_by!(Qoi, begin);
