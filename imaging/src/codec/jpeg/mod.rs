//! JPEG by libjpeg-turbo's code (in MozJPEG, whose slower ways are off): streaming, strict.
//!
//! Progressive files take a faster entropy decoding of ours (see [`progressive`]).
//!
//! Pixels equal those of other programs on libjpeg-turbo to the bit: exact integer DCT, smooth
//! chroma. A truncated file, corrupt data and every warning of libjpeg are errors, except what costs no pixel:
//! stray bytes between markers, a missing end marker (see [`RowSource::warnings`]).

mod decode;
mod encode;
mod header;
mod late;
mod link;
mod progressive;
mod side;
mod thumbnail;

use super::format::{Choice, Values};
use super::mend::Mended;
use super::table::{Codec, Keeps, Output, Reads, Target, Writer};
use super::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSink, RowSource};
use crate::error::{Error, Result};
use crate::image::{Color, SampleType};
use std::io::BufReader;

/// How many pixels share one pair of chroma samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subsampling {
    /// Each its own.
    S444,
    /// Two side by side.
    S422,
    /// Two by two.
    S420,
}

const SUBSAMPLINGS: [Subsampling; 3] = [Subsampling::S444, Subsampling::S422, Subsampling::S420];

/// JPEG.
pub(super) static CODEC: Codec = Codec {
    name: "jpeg",
    title: "JPEG",
    extensions: &["jpg", "jpeg", "jpe", "jfif"],
    media_type: "image/jpeg",
    detect: |start| start.starts_with(&[0xFF, 0xD8, 0xFF]),
    probe,
    open,
    streams: true,
    reads: Reads {
        samples: "8 bits: gray, RGB, CMYK",
        coding: "baseline, extended and progressive; Huffman and arithmetic",
        pictures: "one",
    },
    needs: None,
    shrinks: true,
    output: Output::Own(Writer {
        options: &[
            Choice {
                name: "quality",
                values: Values::Number {
                    min: 1,
                    max: 100,
                    default: 90,
                },
            },
            Choice {
                name: "subsampling",
                values: Values::Words {
                    words: &["444", "422", "420"],
                    default: 2,
                },
            },
        ],
        holds: &[
            (Color::Gray, &[SampleType::U8]),
            (Color::Rgb, &[SampleType::U8]),
        ],
        bands: &[],
        pages: None,
        keeps: Keeps::PHOTO,
        stored: false,
        exact: false,
        create,
        // 16 rows of the planes before and after the transform.
        memory: |_, shape| 64 * shape.row_bytes(),
    }),
};

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    let head = header::parse(&mut BufReader::new(input), limits)?;
    Ok(Header {
        kind: FormatKind::Jpeg,
        shape: head.shape,
        bits: head.precision,
        lossless: false,
        orientation: head.metadata.orientation,
        has_icc: head.metadata.icc.is_some(),
        pages: 1,
        page_kind: super::PageKind::Pages,
        still: false,
        stored: None,
        streams: !head.whole,
        seekable: false,
        decoder_bytes: memory(&head),
    })
}

/// Some rows of each component before and after upsampling; coefficients of the whole image where
/// it comes in several scans.
fn memory(head: &header::Head) -> usize {
    let most = |f: fn(&(u8, u8)) -> u8| head.sampling.iter().map(f).max().unwrap_or(1) as usize;
    let (h, v) = (most(|s| s.0), most(|s| s.1));
    let (across, down) = (
        head.shape.cols.div_ceil(8 * h),
        head.shape.rows.div_ceil(8 * v),
    );
    let blocks: usize = (head.sampling.iter())
        .map(|(h, v)| usize::from(*h) * usize::from(*v))
        .sum();
    let coefficients = if head.whole {
        across * down * blocks * 128
    } else {
        0
    };
    let rows = head.shape.cols * head.sampling.len() * 8 * v * 5;
    coefficients + rows + (256 << 10)
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    if !matches!(options.shrink, 1 | 2 | 4 | 8) {
        return Err(Error::Pipeline(format!(
            "a JPEG is shrunk by 1, 2, 4 or 8, not by {}",
            options.shrink
        )));
    }
    let head = header::parse(&mut BufReader::new(&mut *input), limits)?;
    if let Some((at, height)) = head.height {
        let mut mended = Mended::new(input)?;
        mended.replace(at, height.to_be_bytes().to_vec());
        input = Box::new(mended);
    }
    Ok(Box::new(decode::Decoder::new(input, head, options.shrink)?))
}

fn create(target: Target<'_>) -> Result<Box<dyn RowSink>> {
    Ok(Box::new(encode::Encoder::new(
        target.output,
        target.options.number(0) as u8,
        target.options.pick(1, &SUBSAMPLINGS),
        target.shape,
        target.metadata,
    )?))
}

#[cfg(test)]
mod tests;
