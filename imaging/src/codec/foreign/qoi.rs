//! QOI: RGB and RGBA of 8 bits.

use super::{Input, create, memory, sides};
use crate::codec::limits::read_full;
use crate::codec::mend::Mended;
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::codec::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSource};
use crate::error::Result;
use crate::image::{Color, SampleType};
use crate::{Warning, WarningKind};
use ::image::{ImageDecoder, ImageResult};
use std::io::{BufReader, Read, Seek, SeekFrom};

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

const END: &[u8; 8] = b"\0\0\0\0\0\0\0\x01";

/// The same file with the mark at its end, and whether it had none though its pixels are all there.
fn mended<R: Read + Seek>(mut input: R) -> Result<(Mended<R>, bool)> {
    let len = input.seek(SeekFrom::End(0))?;
    let mut mark = [0; END.len()];
    if len >= mark.len() as u64 {
        input.seek(SeekFrom::Start(len - mark.len() as u64))?;
        read_full(&mut input, &mut mark, "QOI")?;
    }
    let bare = mark != *END && is_whole(&mut input)?;
    let mut file = Mended::new(input)?;
    if bare {
        file.end(len, END);
    }
    Ok((file, bare))
}

/// Whether a file has its pixels to the last.
fn is_whole<R: Read + Seek>(input: &mut R) -> Result<bool> {
    input.seek(SeekFrom::Start(0))?;
    let mut input = BufReader::new(input);
    let mut head = [0; 14];
    read_full(&mut input, &mut head, "QOI")?;
    let number = |at: usize| {
        let raw = [head[at], head[at + 1], head[at + 2], head[at + 3]];
        u64::from(u32::from_be_bytes(raw))
    };
    let mut left = number(4).saturating_mul(number(8));
    let mut byte = [0];
    while left > 0 {
        if input.read(&mut byte)? == 0 {
            return Ok(false);
        }
        let (more, pixels) = match byte[0] {
            0xFE => (3, 1),
            0xFF => (4, 1),
            0x80..=0xBF => (1, 1),
            run @ 0xC0.. => (0, u64::from(run & 63) + 1),
            _ => (0, 1),
        };
        for _ in 0..more {
            if input.read(&mut byte)? == 0 {
                return Ok(false);
            }
        }
        left = left.saturating_sub(pixels);
    }
    Ok(true)
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    super::probe(FormatKind::Qoi, begin, input, limits)
}

fn open(
    input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let (mut input, bare) = mended(input)?;
    let mut source = super::whole(FormatKind::Qoi, begin, &mut input, limits)?;
    if bare {
        source.warnings.push(Warning::new(
            WarningKind::Damaged,
            "the QOI has no mark at its end; its pixels are all there",
        ));
    }
    Ok(Box::new(source))
}
