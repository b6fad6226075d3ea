//! Radiance: RGB floats with a common exponent, exact to about a hundredth.

use super::{Input, create, memory, read_by, sides};
use crate::codec::FormatKind;
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::image::{Color, SampleType};
use ::image::{ImageDecoder, ImageResult};

/// Radiance HDR.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "hdr",
    title: "Radiance HDR",
    extensions: &["hdr", "rgbe", "pic"],
    media_type: "image/vnd.radiance",
    detect: |start| start.starts_with(b"#?RADIANCE") || start.starts_with(b"#?RGBE"),
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "floats with a common exponent: RGB",
        coding: "none, run lengths",
        pictures: "one",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[(Color::Rgb, &[SampleType::F32])],
        bands: &[],
        pages: None,
        keeps: Keeps::NOTHING,
        stored: false,
        exact: false,
        create: |target| {
            Ok(create(FormatKind::Hdr, target, |output, samples, shape| {
                let (cols, rows) = sides(shape);
                use ::image::ImageEncoder as _;
                let encoder = ::image::codecs::hdr::HdrEncoder::new(output);
                encoder.write_image(samples, cols, rows, super::color_type(shape))
            }))
        },
        memory: |_, shape| memory(shape),
    }),
};

fn begin(input: Input<'_>) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    Ok(Box::new(::image::codecs::hdr::HdrDecoder::new(input)?))
}
read_by!(Hdr, begin);
