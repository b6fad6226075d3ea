//! HEIC, as phones write it; read only.

use super::branded;
use crate::codec::FormatKind;
use crate::codec::table::{Codec, Output, Reads};

/// HEIC.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "heic",
    title: "HEIC",
    extensions: &["heic", "heif", "hif"],
    media_type: "image/heic",
    detect: |start| {
        branded(
            start,
            &[
                b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1",
            ],
        )
    },
    probe: |input, limits, _page| super::probe(FormatKind::Heic, input, limits),
    open: |mut input, limits, _options| super::open(FormatKind::Heic, &mut *input, limits),
    streams: false,
    reads: Reads {
        samples: "8 to 16 bits: RGB, RGBA",
        coding: "HEVC, by libheif",
        pictures: "the primary one",
    },
    needs: Some(super::version),
    shrinks: false,
    output: Output::As(FormatKind::Png),
};
