//! GIF, read only: the first frame on the logical screen.
//!
//! What the frame leaves free and its transparent colour become alpha 0.

use super::table::{Codec, Output};
use super::whole::Whole;
use super::{FormatKind, Header, Limits, OpenOptions, ReadSeek, RowSource};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use gif::{DecodeOptions, Decoder, DecodingError, MemoryLimit};
use std::num::NonZeroU64;

/// GIF.
pub(super) static CODEC: Codec = Codec {
    name: "gif",
    title: "GIF",
    extensions: &["gif"],
    media_type: "image/gif",
    detect: |start| start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a"),
    probe,
    open,
    streams: false,
    shrinks: false,
    output: Output::As(FormatKind::Png),
};

/// Where the first frame lies on the canvas.
struct Frame {
    shape: Shape,
    left: usize,
    top: usize,
    cols: usize,
    rows: usize,
    transparent: Option<u8>,
}

fn failed(error: DecodingError) -> Error {
    match error {
        DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::Decode("truncated GIF: the file ends too early".into())
        }
        DecodingError::Io(error) => error.into(),
        other => Error::Decode(format!("not a sound GIF: {other}")),
    }
}

/// Reads up to the first frame's pixels.
fn begin<R: std::io::Read>(input: R, limits: &Limits) -> Result<(Decoder<R>, Frame)> {
    let mut options = DecodeOptions::new();
    let most = NonZeroU64::new(limits.max_metadata as u64).unwrap_or(NonZeroU64::MIN);
    options.set_memory_limit(MemoryLimit::Bytes(most));
    let mut decoder = options.read_info(input).map_err(failed)?;
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let Some(frame) = decoder.next_frame_info().map_err(failed)? else {
        return Err(Error::Decode(
            "not a sound GIF: there is no picture in it".into(),
        ));
    };
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (cols, rows) = (usize::from(frame.width), usize::from(frame.height));
    let transparent = frame.transparent;
    // A frame that reaches beyond the screen makes it larger.
    let (width, height) = (width.max(left + cols), height.max(top + rows));
    let covered = (cols, rows) == (width, height);
    let color = if covered && transparent.is_none() {
        Color::Rgb
    } else {
        Color::Rgba
    };
    limits.shape(rows as u64, cols as u64, color, SampleType::U8)?;
    let shape = limits.shape(height as u64, width as u64, color, SampleType::U8)?;
    limits.metadata(decoder.icc_profile().map_or(0, <[u8]>::len))?;
    Ok((
        decoder,
        Frame {
            shape,
            left,
            top,
            cols,
            rows,
            transparent,
        },
    ))
}

/// `frames` is 1 whatever follows: counting would mean to read the whole file.
fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    let (decoder, frame) = begin(input, limits)?;
    Ok(Header {
        kind: FormatKind::Gif,
        shape: frame.shape,
        bits: 8,
        orientation: 1,
        has_icc: decoder.icc_profile().is_some(),
        pages: 1,
        page_kind: super::PageKind::Pages,
        stored: None,
        streams: false,
        seekable: true,
        decoder_bytes: frame.shape.bytes() + frame.cols * frame.rows + (256 << 10),
    })
}

fn open(
    input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let (mut decoder, frame) = begin(input, limits)?;
    let mut indices = vec![0; frame.cols * frame.rows];
    decoder.read_into_buffer(&mut indices).map_err(failed)?;
    let palette = decoder.palette().map_err(failed)?;
    let channels = frame.shape.channels();
    let mut samples = vec![0; frame.shape.bytes()];
    for (y, row) in indices.chunks_exact(frame.cols).enumerate() {
        let at = (frame.top + y) * frame.shape.row_len() + frame.left * channels;
        for (to, index) in samples[at..].chunks_exact_mut(channels).zip(row) {
            let see_through = Some(*index) == frame.transparent;
            let at = usize::from(*index) * 3;
            match palette.get(at..at + 3) {
                Some(entry) => to[..3].copy_from_slice(entry),
                None if see_through => {}
                None => {
                    let colors = palette.len() / 3;
                    return Err(Error::Decode(format!(
                        "not a sound GIF: colour {index} of a palette of {colors}"
                    )));
                }
            }
            if channels == 4 {
                to[3] = if see_through { 0 } else { 255 };
            }
        }
    }
    let metadata = Metadata {
        icc: decoder.icc_profile().map(<[u8]>::to_vec),
        orientation: 1,
        ..Metadata::default()
    };
    Ok(Box::new(Whole {
        shape: frame.shape,
        metadata,
        samples,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::hostile::{flipped, truncated, try_decode};
    use crate::image::Buffer;

    const PALETTE: [u8; 12] = [0, 0, 0, 10, 20, 30, 40, 50, 60, 255, 255, 255];

    fn file(screen: (u16, u16), frame: gif::Frame<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = gif::Encoder::new(&mut bytes, screen.0, screen.1, &PALETTE).unwrap();
        encoder.write_frame(&frame).unwrap();
        drop(encoder);
        bytes
    }

    fn frame(cols: u16, rows: u16, buffer: Vec<u8>) -> gif::Frame<'static> {
        gif::Frame {
            width: cols,
            height: rows,
            buffer: buffer.into(),
            ..gif::Frame::default()
        }
    }

    #[test]
    fn a_frame_that_fills_the_screen_is_rgb() {
        let image = try_decode(&file((2, 2), frame(2, 2, vec![0, 1, 2, 3]))).unwrap();
        assert_eq!(image.shape().color, Color::Rgb);
        assert_eq!(image.rows.data, Buffer::U8(PALETTE.to_vec()));
    }

    #[test]
    fn what_is_free_or_transparent_has_alpha_zero() {
        let mut part = frame(2, 1, vec![1, 2]);
        (part.left, part.top, part.transparent) = (1, 1, Some(2));
        let image = try_decode(&file((3, 2), part)).unwrap();
        assert_eq!(image.shape(), Shape::new(2, 3, Color::Rgba, SampleType::U8));
        assert_eq!(image.rows.row::<u8>(0), [0; 12]);
        assert_eq!(
            image.rows.row::<u8>(1),
            [0, 0, 0, 0, 10, 20, 30, 255, 40, 50, 60, 0]
        );
    }

    #[test]
    fn interlaced_rows_are_put_in_order() {
        // Rows 0 and 8 come first, then 4, then 2 and 6, then the odd ones.
        let order = [0, 8, 4, 2, 6, 1, 3, 5, 7];
        let mut mixed = frame(1, 9, order.iter().map(|y| y % 4).collect());
        mixed.interlaced = true;
        let image = try_decode(&file((1, 9), mixed)).unwrap();
        for y in 0..9 {
            assert_eq!(image.rows.row::<u8>(y), &PALETTE[y % 4 * 3..][..3]);
        }
    }

    #[test]
    fn broken_files_are_errors() {
        let pixels: Vec<u8> = (0..400u32).map(|v| (v * v / 7 % 4) as u8).collect();
        let mut plain = frame(20, 20, pixels);
        let bytes = file((20, 20), plain.clone());
        // The end code, the end of the blocks and of the file.
        truncated(&bytes, 4);
        flipped(&bytes, 3000);
        plain.transparent = Some(1);
        plain.interlaced = true;
        flipped(&file((30, 30), plain), 3000);
        let wrong = file((1, 1), frame(1, 1, vec![7]));
        assert!(
            try_decode(&wrong)
                .unwrap_err()
                .to_string()
                .contains("colour 7 of a palette of 4")
        );
        let empty = file((0, 0), frame(1, 1, vec![0]));
        assert_eq!(try_decode(&empty).unwrap().shape().pixels(), 1);
    }
}
