//! What is forgiven in a PNG whose pixels are whole: checksums of side chunks, a missing end chunk, and bits of a
//! transparent value beyond the depth. Each but the last is told in a warning.

use crate::codec::Limits;
use crate::codec::frames::{Dispose, Placed};
use crate::codec::mend::Mended;
use crate::error::{Error, Result};
use crate::{Warning, WarningKind};
use std::io::{Read, Seek, SeekFrom};

const SIGNATURE: u64 = 8;
const END: &[u8] = b"\0\0\0\0IEND\xAE\x42\x60\x82";
/// Longer chunks are not checked here; the decoder passes over them where their checksum is wrong.
const MOST: u64 = 16 << 20;

/// The file as the decoder wants it. One that is beyond mending is left to the decoder's verdict.
pub fn mend<R: Read + Seek>(input: R, limits: &Limits) -> Result<(Mended<R>, Found)> {
    let mut file = Mended::new(input)?;
    let mut found = Found::default();
    let warnings = &mut found.warnings;
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = SIGNATURE;
    let (mut depth, mut color) = (8, 0);
    let mut frames = 1;
    let mut canvas = (0, 0);
    let mut order = Order::default();
    // Chunks that make an animation of the first picture: where they are, and what is in them.
    let mut marks: Vec<(u64, Vec<u8>)> = Vec::new();
    // Where pixels are, compressed.
    let mut pixels: Vec<(u64, u64)> = Vec::new();
    loop {
        let mut head = [0; 8];
        let whole = at + 8 <= end;
        if whole {
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut head)?;
        }
        let [a, b, c, d, name @ ..] = head;
        let len = u64::from(u32::from_be_bytes([a, b, c, d]));
        if !whole || at + 12 + len > end {
            // Cut within pixels, or before further frames, it is for the decoder to say so.
            let left = matches!(&name, b"IDAT" | b"fdAT") || frames > 1;
            if frames > 1 {
                // The first frame is read where it is whole; the decoder looks for what follows it. Later ones end where
                // the file does, which is for the decoder to say.
                found.cut = true;
                if at <= end && found.frames.len() <= 1 && ends(&mut file, &pixels)? {
                    file.end(at, END);
                }
            }
            if at <= end && !left && ends(&mut file, &pixels)? {
                file.end(at, END);
                warnings.push(Warning::new(
                    WarningKind::Damaged,
                    "the PNG has no end chunk; its pixels are all there",
                ));
            }
            break;
        }
        match &name {
            b"IEND" => break,
            b"acTL" if len == 8 => {
                let mut count = [0; 4];
                file.read_exact(&mut count)?;
                frames = u32::from_be_bytes(count);
                let mut plays = [0; 4];
                file.read_exact(&mut plays)?;
                marks.push((at, [count, plays].concat()));
            }
            b"IDAT" => {
                if pixels.is_empty() {
                    found.still_apart = found.frames.is_empty();
                }
                pixels.push((at + 8, len));
                order.waits = false;
            }
            b"fcTL" if len == 26 => {
                let mut data = [0; 26];
                file.read_exact(&mut data)?;
                limits.metadata(found.frames.len() * size_of::<Placed>())?;
                found.frames.push(placed(&data));
                order.frame(&data, canvas);
                if pixels.is_empty() {
                    marks.push((at, data.to_vec()));
                }
            }
            b"fdAT" if len >= 4 => {
                let mut number = [0; 4];
                file.read_exact(&mut number)?;
                order.pixels(number);
            }
            b"IHDR" if len == 13 => {
                let mut data = [0; 13];
                file.read_exact(&mut data)?;
                (depth, color) = (data[8], data[9]);
                canvas = (long(&data, 0), long(&data, 4));
            }
            _ if name[0].is_ascii_lowercase()
                && !matches!(&name, b"fdAT" | b"acTL" | b"fcTL")
                && len <= MOST =>
            {
                let mut data = vec![0; len as usize + 4];
                file.read_exact(&mut data)?;
                let (body, sum) = data.split_at(len as usize);
                if checksum(&name, body).to_be_bytes() != sum {
                    let title = String::from_utf8_lossy(&name).into_owned();
                    if &name == b"tRNS" {
                        return Err(Error::Decode(
                            "not a sound PNG file: the checksum of its transparency is wrong"
                                .into(),
                        ));
                    }
                    warnings.push(Warning::new(
                        WarningKind::Damaged,
                        format!("the checksum of the chunk {title} is wrong; it was left out"),
                    ));
                } else if &name == b"iCCP" && !inflates(body) {
                    warnings.push(Warning::new(
                        WarningKind::Color,
                        "the ICC profile is damaged and was left out",
                    ));
                } else if &name == b"tRNS" && color == 0 && depth < 8 && len >= 2 {
                    // Only the low bits of the gray count.
                    let gray = [0, body[1] & ((1u16 << depth) - 1) as u8];
                    let mended = [&gray, &body[2..]].concat();
                    let sum = checksum(&name, &mended).to_be_bytes();
                    file.replace(at + 8, [&mended[..], &sum].concat());
                }
            }
            _ => {}
        }
        at += 12 + len;
    }
    let sound = !order.broken && !order.waits && found.frames.len() == frames as usize;
    if !marks.is_empty() && !found.cut && !sound {
        // Its first picture is a PNG of its own.
        for (at, data) in marks {
            let renamed = [NOTHING, &data].concat();
            let sum = checksum(NOTHING, &data).to_be_bytes();
            file.replace(at + 4, [&renamed[..], &sum].concat());
        }
        if let Some((at, len)) = pixels.last() {
            file.end(at + len + 4, END);
        }
        found.frames.clear();
        found.warnings.push(Warning::new(
            WarningKind::Damaged,
            "the animation of the PNG is out of order and was left out; its first picture is whole",
        ));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok((file, found))
}

/// A name of chunks that decoders pass over.
const NOTHING: &[u8] = b"noTH";

fn long(data: &[u8], at: usize) -> usize {
    let raw = [data[at], data[at + 1], data[at + 2], data[at + 3]];
    u32::from_be_bytes(raw) as usize
}

/// Whether the chunks of an animation come as they must.
#[derive(Default)]
struct Order {
    next: u32,
    any: bool,
    /// Whether a frame has no pixels yet.
    waits: bool,
    broken: bool,
}

impl Order {
    fn number(&mut self, number: u32) {
        self.broken |= number != self.next;
        self.next = self.next.wrapping_add(1);
    }

    fn frame(&mut self, data: &[u8; 26], canvas: (usize, usize)) {
        self.number(long(data, 0) as u32);
        let frame = placed(data);
        let reaches = frame.left.saturating_add(frame.cols) > canvas.0
            || frame.top.saturating_add(frame.rows) > canvas.1;
        self.broken |= self.waits || reaches || frame.cols == 0 || frame.rows == 0;
        (self.waits, self.any) = (true, true);
    }

    fn pixels(&mut self, number: [u8; 4]) {
        self.number(u32::from_be_bytes(number));
        self.broken |= !self.any;
        self.waits = false;
    }
}

/// What the walk over all chunks finds.
#[derive(Default)]
pub struct Found {
    pub warnings: Vec<Warning>,
    /// Of an animation.
    pub frames: Vec<Placed>,
    /// Whether an animation ends too early; its first frames may be whole.
    pub cut: bool,
    /// Whether the first picture is for readers without animations and none of its frames.
    pub still_apart: bool,
}

impl Found {
    /// Whether that page is the picture for readers without animations.
    pub fn is_still(&self, page: u32) -> bool {
        self.still_apart && !self.cut && page as usize == self.frames.len()
    }
}

/// A frame by its control chunk.
fn placed(data: &[u8; 26]) -> Placed {
    let short = |at: usize| u32::from(u16::from_be_bytes([data[at], data[at + 1]]));
    let per_second = match short(22) {
        0 => 100,
        other => other,
    };
    Placed {
        cols: long(data, 4),
        rows: long(data, 8),
        left: long(data, 12),
        top: long(data, 16),
        delay_ms: (short(20) * 1000 + per_second / 2) / per_second,
        dispose: match data[24] {
            0 => Dispose::Keep,
            1 => Dispose::Clear,
            _ => Dispose::Restore,
        },
        blends: data[25] == 1,
        opaque: false,
    }
}

/// Whether a profile behind its name can be unpacked.
fn inflates(body: &[u8]) -> bool {
    let stream = body.iter().position(|b| *b == 0);
    let stream = stream.and_then(|zero| body.get(zero + 2..)).unwrap_or(&[]);
    let mut reader = flate2::read::ZlibDecoder::new(stream).take(MOST);
    std::io::copy(&mut reader, &mut std::io::sink()).is_ok()
}

/// Whether the stream that is spread over these pieces comes to its end.
fn ends<R: Read + Seek>(file: &mut R, pieces: &[(u64, u64)]) -> Result<bool> {
    let mut stream = flate2::Decompress::new(true);
    let (mut data, mut out) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    for (at, len) in pieces {
        file.seek(SeekFrom::Start(*at))?;
        let mut left = *len;
        while left > 0 {
            let count = (data.len() as u64).min(left) as usize;
            file.read_exact(&mut data[..count])?;
            left -= count as u64;
            let mut input = &data[..count];
            while !input.is_empty() {
                let before = (stream.total_in(), stream.total_out());
                match stream.decompress(input, &mut out, flate2::FlushDecompress::None) {
                    Ok(flate2::Status::StreamEnd) => return Ok(true),
                    Err(_) => return Ok(false),
                    Ok(_) if (stream.total_in(), stream.total_out()) == before => return Ok(false),
                    Ok(_) => input = &input[(stream.total_in() - before.0) as usize..],
                }
            }
        }
    }
    Ok(false)
}

fn checksum(name: &[u8], data: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(name);
    sum.update(data);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::hostile::{picture, small, try_decode};
    use crate::codec::{Format, FormatKind, KeepMetadata, OpenOptions, encode, open};
    use crate::image::{Buffer, Color, Rows, SampleType};
    use crate::window::Band;
    use std::io::Cursor;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut out = (data.len() as u32).to_be_bytes().to_vec();
        out.extend(name);
        out.extend(data);
        out.extend(checksum(name, data).to_be_bytes());
        out
    }

    /// A gray image of few bits with a transparent value.
    fn gray(depth: u8, transparent: u16, cols: u32, rows: &[u8]) -> Vec<u8> {
        let mut header = cols.to_be_bytes().to_vec();
        let stride = (cols as usize * usize::from(depth)).div_ceil(8);
        header.extend(((rows.len() / stride) as u32).to_be_bytes());
        header.extend([depth, 0, 0, 0, 0]);
        let filtered: Vec<u8> = rows
            .chunks(stride)
            .flat_map(|r| [&[0], r].concat())
            .collect();
        [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &header),
            chunk(b"tRNS", &transparent.to_be_bytes()),
            chunk(b"IDAT", &crate::codec::deflate::zlib(&filtered)),
            chunk(b"IEND", &[]),
        ]
        .concat()
    }

    #[test]
    fn a_transparent_value_is_masked_to_the_depth() {
        let image = try_decode(&gray(1, 0x00FF, 8, &[0b1010_0001])).unwrap();
        assert_eq!(image.shape().color, Color::GrayAlpha);
        let expected = [1, 0, 1, 0, 0, 0, 0, 1].map(|bit| [bit * 255, (1 - bit) * 255]);
        assert_eq!(image.rows.data, Buffer::U8(expected.concat()));
        // 00FE of two bits is 2, which stands for 170.
        let image = try_decode(&gray(2, 0x00FE, 4, &[0b1011_0001])).unwrap();
        assert_eq!(
            image.rows.data,
            Buffer::U8(vec![170, 0, 255, 255, 0, 255, 85, 255])
        );
        let image = try_decode(&gray(4, 0x1234, 2, &[0x43])).unwrap();
        assert_eq!(image.rows.data, Buffer::U8(vec![0x44, 0, 0x33, 255]));
    }

    fn read(bytes: &[u8]) -> Result<(Rows, Vec<Warning>)> {
        let file = Box::new(Cursor::new(bytes.to_vec()));
        let mut source = open(file, &small(), &OpenOptions::default())?;
        let mut rows = Rows::zeroed(source.shape(), 0..source.shape().rows);
        source.read(&mut Band::of(&mut rows))?;
        Ok((rows, source.warnings().to_vec()))
    }

    #[test]
    fn side_chunks_with_a_wrong_checksum_are_left_out_with_a_warning() {
        let image = picture(9, 13, Color::Rgb, SampleType::U8);
        let plain = encode(&image, &Format::of(FormatKind::Png), KeepMetadata::None).unwrap();
        assert!(read(&plain).unwrap().1.is_empty());
        let pixels = plain.windows(4).position(|w| w == b"IDAT").unwrap() - 4;
        for (at, name) in [(33, b"iTXt"), (33, b"gAMA"), (plain.len() - 12, b"tEXt")] {
            let mut side = chunk(name, b"Comment\0\0\0\0\0hello");
            *side.last_mut().unwrap() ^= 1;
            let mut file = plain.clone();
            file.splice(at..at, side);
            let (rows, warnings) = read(&file).unwrap();
            assert_eq!(rows, image.rows);
            assert_eq!(warnings.len(), 1);
            assert_eq!(warnings[0].kind, WarningKind::Damaged);
            let name = std::str::from_utf8(name).unwrap();
            assert!(warnings[0].text.contains(name), "{}", warnings[0]);
        }
        // Those of pixels count.
        let mut wrong = plain.clone();
        let sum = wrong.len() - 13;
        wrong[sum] ^= 1;
        assert!(read(&wrong).is_err());
        let mut wrong = plain;
        wrong[pixels + 12] ^= 1;
        assert!(read(&wrong).is_err());
    }

    #[test]
    fn an_end_chunk_that_is_missing_or_cut_is_a_warning() {
        let image = picture(9, 13, Color::Rgb, SampleType::U8);
        let plain = encode(&image, &Format::of(FormatKind::Png), KeepMetadata::None).unwrap();
        for cut in 1..=12 {
            let (rows, warnings) = read(&plain[..plain.len() - cut]).unwrap();
            assert_eq!(rows, image.rows);
            assert_eq!(warnings.len(), 1, "less {cut}");
            assert!(warnings[0].text.contains("no end chunk"));
        }
        assert!(read(&plain[..plain.len() - 13]).is_err());
    }
}
