//! AVIF: RGB and RGBA of 8 bits out, 10 and 12 bits in as well.

use super::branded;
use super::picture::encode;
use crate::codec::format::{Choice, Values};
use crate::codec::table::{Codec, Keeps, Output, Reads, Target, Writer};
use crate::codec::{FormatKind, RowSink, WriteSeek};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, SampleType, Shape};

/// Longest side that encoders take.
const MAX_SIDE: usize = 16384;

/// AVIF.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "avif",
    title: "AVIF",
    extensions: &["avif", "avifs"],
    media_type: "image/avif",
    detect: |start| branded(start, &[b"avif", b"avis"]),
    probe: |input, limits, _page| super::probe(FormatKind::Avif, input, limits),
    open: |mut input, limits, _options| super::open(FormatKind::Avif, &mut *input, limits),
    streams: false,
    reads: Reads {
        samples: "8 to 16 bits: RGB, RGBA",
        coding: "AV1, by libheif",
        pictures: "the primary one",
    },
    needs: Some(super::version),
    shrinks: false,
    output: Output::Own(Writer {
        options: &[Choice {
            name: "quality",
            values: Values::Number {
                min: 0,
                max: 100,
                default: 60,
            },
        }],
        holds: &[
            (Color::Rgb, &[SampleType::U8]),
            (Color::Rgba, &[SampleType::U8]),
        ],
        bands: &[],
        pages: None,
        keeps: Keeps {
            icc: true,
            exif: true,
            ..Keeps::NOTHING
        },
        stored: false,
        exact: false,
        create,
        // The image, libheif's copy and planes, and what the encoder keeps of them.
        memory: |_, shape| 3 * shape.bytes() + 24 * shape.pixels() + (16 << 20),
    }),
};

fn create(target: Target<'_>) -> Result<Box<dyn RowSink>> {
    let Target {
        output,
        options,
        shape,
        metadata,
    } = target;
    super::library::needed("AVIF").map_err(|error| Error::Encode(error.to_string()))?;
    if shape.rows.max(shape.cols) > MAX_SIDE {
        return Err(Error::Encode(format!(
            "{}x{} is too large for AVIF, which holds {MAX_SIDE} pixels each way (tiff and png hold more)",
            shape.cols, shape.rows
        )));
    }
    Ok(Box::new(Sink {
        output,
        quality: options.number(0) as u8,
        shape,
        metadata: metadata.clone(),
        samples: Vec::with_capacity(shape.bytes()),
    }))
}

struct Sink {
    output: Box<dyn WriteSeek>,
    quality: u8,
    shape: Shape,
    metadata: Metadata,
    samples: Vec<u8>,
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let bytes = rows.count * self.shape.row_bytes();
        self.samples.extend_from_slice(&rows.data.bytes()[..bytes]);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        const AV1: i32 = 4;
        let bytes = encode(AV1, &self.samples, self.shape, self.quality, &self.metadata)?;
        self.output.write_all(&bytes)?;
        Ok(self.output.flush()?)
    }
}
