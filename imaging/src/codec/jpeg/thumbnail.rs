//! The small picture within EXIF, made anew of the rows that are written: room is kept for it in the block, and filled
//! at the end.

use crate::codec::{self, Format, KeepMetadata, WriteSeek, exif};
use crate::error::Result;
use crate::image::{Buffer, Image, Rows, SampleType, Shape};
use crate::metadata::SEGMENT;
use std::io::SeekFrom;

/// The longest side in pixels, as cameras have it.
const SIDE: usize = 160;
/// Bytes kept for the picture.
const ROOM: usize = 12 << 10;
/// Bytes before the block in its segment: the mark of EXIF.
const MARK: usize = 6;
/// Tried in this order until the picture fits into its room.
const QUALITIES: [u8; 4] = [85, 70, 50, 25];

/// A small picture in the making.
pub struct Thumbnail {
    place: exif::Room,
    /// Position in the file of the block.
    block: u64,
    from: Shape,
    to: Shape,
    /// Sums down each column of the rows at hand, and how many rows they are.
    sums: Vec<u32>,
    rows: u32,
    done: Vec<u8>,
}

impl Thumbnail {
    /// Keeps room in the block; none where the picture is as small itself, or the block would not fit into its segment.
    pub fn new(block: &mut Vec<u8>, shape: Shape) -> Option<Thumbnail> {
        let longest = shape.rows.max(shape.cols);
        if longest <= SIDE || block.len() + ROOM + 64 > SEGMENT - MARK {
            return None;
        }
        let (with, place) = exif::with_room(block, ROOM)?;
        *block = with;
        let small = |side: usize| (side * SIDE / longest).max(1);
        let to = Shape {
            rows: small(shape.rows),
            cols: small(shape.cols),
            ..shape
        };
        Some(Thumbnail {
            place,
            block: 0,
            from: shape,
            to,
            sums: vec![0; shape.row_len()],
            rows: 0,
            done: Vec::with_capacity(to.bytes()),
        })
    }

    /// Tells where in the file the segment's content begins.
    pub fn lies_at(&mut self, segment: u64) {
        self.block = segment + MARK as u64;
    }

    /// Takes the next rows.
    pub fn add(&mut self, rows: &Rows) {
        for y in rows.range() {
            for (sum, v) in self.sums.iter_mut().zip(rows.row::<u8>(y)) {
                *sum += u32::from(*v);
            }
            self.rows += 1;
            let row = |y: usize| y * self.to.rows / self.from.rows;
            if row(y + 1) > row(y) {
                self.end_row();
            }
        }
    }

    fn end_row(&mut self) {
        let channels = self.from.channels();
        // Column x goes to column x * to / from, rounded down.
        let first = |small: usize| (small * self.from.cols).div_ceil(self.to.cols);
        for small in 0..self.to.cols {
            let columns = first(small)..first(small + 1);
            let count = columns.len() as u64 * u64::from(self.rows);
            let sums = &self.sums[columns.start * channels..columns.end * channels];
            for channel in 0..channels {
                let sums = sums[channel..].iter().step_by(channels);
                let sum: u64 = sums.map(|&sum| u64::from(sum)).sum();
                self.done.push(((sum + count / 2) / count) as u8);
            }
        }
        self.sums.fill(0);
        self.rows = 0;
    }

    /// Fills the room, after all else was written. Room that stays empty is no thumbnail to anybody: its length is 0.
    pub fn write(&self, output: &mut dyn WriteSeek) -> Result<()> {
        let image = Image::new(self.to, Buffer::U8(self.done.clone()));
        for quality in QUALITIES {
            let format = Format::parse(&format!("jpeg(quality={quality}, subsampling=420)"))?;
            let bytes = codec::encode(&image, &format, KeepMetadata::None)?;
            if bytes.len() <= ROOM {
                output.seek(SeekFrom::Start(self.block + self.place.len_at as u64))?;
                output.write_all(&self.place.number(bytes.len() as u32))?;
                output.seek(SeekFrom::Start(self.block + self.place.at as u64))?;
                output.write_all(&bytes)?;
                break;
            }
        }
        output.seek(SeekFrom::End(0))?;
        Ok(())
    }
}

/// Whether rows of that type are thumbnails' matter.
pub fn possible(shape: Shape) -> bool {
    shape.sample == SampleType::U8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Limits, OpenOptions, decode, encode};
    use crate::image::Color;

    fn image(rows: usize, cols: usize, color: Color, thumbnail: bool) -> Image {
        let shape = Shape::new(rows, cols, color, SampleType::U8);
        let n = shape.channels();
        // Bright on the left, dark on the right.
        let samples =
            (0..rows * cols * n).map(|at| if at / n % cols < cols / 2 { 200 } else { 40 });
        let mut image = Image::new(shape, Buffer::U8(samples.collect()));
        image.metadata.exif = Some(match thumbnail {
            true => exif::tests::whole(b"as it was before"),
            false => exif::tests::block(false, 1),
        });
        image
    }

    fn written(image: &Image) -> Vec<u8> {
        let format = Format::parse("jpeg(quality=90, subsampling=444)").unwrap();
        encode(image, &format, KeepMetadata::All).unwrap()
    }

    fn read(bytes: Vec<u8>) -> Image {
        decode(bytes, &Limits::default(), &OpenOptions::default()).unwrap()
    }

    #[test]
    fn it_shows_the_picture_that_is_written() {
        for (rows, cols, color, small) in [
            (300, 400, Color::Rgb, (120, 160)),
            (1000, 170, Color::Gray, (160, 27)),
            (3, 900, Color::Rgb, (1, 160)),
        ] {
            let image = image(rows, cols, color, true);
            let bytes = written(&image);
            assert!(!bytes.windows(16).any(|w| w == b"as it was before"));
            let again = read(bytes);
            let exif = again.metadata.exif.unwrap();
            let thumbnail = read(exif::thumbnail(&exif).unwrap());
            let shape = thumbnail.shape();
            assert_eq!(
                (shape.rows, shape.cols, shape.color),
                (small.0, small.1, color)
            );
            let Buffer::U8(samples) = thumbnail.rows.data else {
                panic!("bytes")
            };
            assert!(samples[0].abs_diff(200) < 9 && samples[samples.len() - 1].abs_diff(40) < 9);
            // The picture itself is as without it.
            let mut plain = image.clone();
            plain.metadata.exif = None;
            assert_eq!(again.rows, read(written(&plain)).rows);
        }
    }

    #[test]
    fn there_is_none_where_there_was_none_or_no_use() {
        for (image, why) in [
            (image(300, 400, Color::Rgb, false), "none before"),
            (image(100, 160, Color::Rgb, true), "as small itself"),
        ] {
            let exif = read(written(&image)).metadata.exif.unwrap();
            assert_eq!(exif::thumbnail(&exif), None, "{why}");
        }
        let mut image = image(300, 400, Color::Rgb, true);
        let long = "d".repeat(60_000);
        image.metadata.exif = image
            .metadata
            .exif
            .map(|block| exif::with_text(Some(block), 270, &long));
        let exif = read(written(&image)).metadata.exif.unwrap();
        assert_eq!(exif::thumbnail(&exif), None);
        assert_eq!(exif::description(&exif), Some(long));
    }
}
