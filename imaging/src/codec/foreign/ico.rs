//! Windows icons: the largest picture of the file; written with one of up to 256 pixels each way.

use super::{Input, create, memory, read_by, sides};
use crate::codec::FormatKind;
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::image::{Color, SampleType};
use ::image::{ImageDecoder, ImageResult};

/// ICO.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "ico",
    title: "ICO",
    extensions: &["ico"],
    media_type: "image/vnd.microsoft.icon",
    detect: |start| {
        start.starts_with(&[0, 0, 1, 0]) && start.get(4..6).is_some_and(|n| n != [0, 0])
    },
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "8 bits: RGBA",
        coding: "BMP, PNG",
        pictures: "the largest",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[(Color::Rgba, &[SampleType::U8])],
        bands: &[],
        pages: None,
        keeps: Keeps::NOTHING,
        stored: false,
        exact: true,
        create: |target| {
            Ok(create(FormatKind::Ico, target, |output, samples, shape| {
                let (cols, rows) = sides(shape);
                use ::image::ImageEncoder as _;
                let encoder = ::image::codecs::ico::IcoEncoder::new(output);
                encoder.write_image(samples, cols, rows, super::color_type(shape))
            }))
        },
        memory: |_, shape| memory(shape),
    }),
};

fn begin(input: Input<'_>) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    Ok(Box::new(::image::codecs::ico::IcoDecoder::new(input)?))
}
read_by!(Ico, begin);
