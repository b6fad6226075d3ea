//! DDS textures of DXT1, DXT3 and DXT5; read only.

use super::{Input, read_by};
use crate::codec::FormatKind;
use crate::codec::table::{Codec, Output, Reads};
use ::image::{ImageDecoder, ImageResult};

/// DDS.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "dds",
    title: "DDS",
    extensions: &["dds"],
    media_type: "image/vnd-ms.dds",
    detect: |start| start.starts_with(b"DDS "),
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "8 bits: RGB, RGBA",
        coding: "DXT1, DXT3, DXT5",
        pictures: "one",
    },
    needs: None,
    shrinks: false,
    output: Output::As(FormatKind::Png),
};

fn begin(input: Input<'_>) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    Ok(Box::new(::image::codecs::dds::DdsDecoder::new(input)?))
}
read_by!(Dds, begin);
