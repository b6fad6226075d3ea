//! farbfeld: RGBA of 16 bits.

use super::{Input, create, memory, read_by, sides};
use crate::codec::FormatKind;
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::image::{Color, SampleType};
use ::image::{ImageDecoder, ImageResult};

/// farbfeld.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "farbfeld",
    title: "farbfeld",
    extensions: &["ff", "farbfeld"],
    media_type: "image/x-farbfeld",
    detect: |start| start.starts_with(b"farbfeld"),
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "16 bits: RGBA",
        coding: "none",
        pictures: "one",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[(Color::Rgba, &[SampleType::U16])],
        bands: &[],
        pages: None,
        keeps: Keeps::NOTHING,
        stored: false,
        exact: true,
        create: |target| {
            Ok(create(
                FormatKind::Farbfeld,
                target,
                |output, samples, shape| {
                    let (cols, rows) = sides(shape);
                    let _ = shape;
                    let encoder = ::image::codecs::farbfeld::FarbfeldEncoder::new(output);
                    encoder.encode(samples, cols, rows)
                },
            ))
        },
        memory: |_, shape| memory(shape),
    }),
};

fn begin(input: Input<'_>) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    Ok(Box::new(::image::codecs::farbfeld::FarbfeldDecoder::new(
        input,
    )?))
}
read_by!(Farbfeld, begin);
