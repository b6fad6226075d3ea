//! Inputs made from a seed: number files and pictures, the same bytes on every machine.
//!
//! File `n` of a seed depends on both alone, so that any part of a set can be made anywhere, in any order.

use imaging::codec::{self, Format, KeepMetadata, WriteSeek};
use imaging::{Buffer, Color, Metadata, Result, Rows, SampleType, Shape};
use std::io::{self, Write};
use std::ops::Range;

/// Rows of a picture that are made at once.
const BAND: usize = 64;

/// A sequence of 64-bit numbers: SplitMix64 (Steele, Lea and Flood, 2014).
struct Sequence(u64);

impl Sequence {
    fn new(seed: u64, file: u64) -> Sequence {
        let mut outer = Sequence(seed);
        Sequence(outer.next() ^ file.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Writes `count` lines of one number each, from 0 to below 1000 with six digits behind the point.
pub fn numbers(seed: u64, file: u64, count: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 18, out);
    let mut sequence = Sequence::new(seed, file);
    for _ in 0..count {
        // Millionths below 10^9, each as likely as the next but for one part in 2^34.
        let millionths = ((u128::from(sequence.next()) * 1_000_000_000) >> 64) as u64;
        writeln!(
            out,
            "{}.{:06}",
            millionths / 1_000_000,
            millionths % 1_000_000
        )?;
    }
    out.flush()
}

/// Writes an RGB picture of 8 bits.
pub fn image(
    seed: u64,
    file: u64,
    (width, height): (usize, usize),
    format: &Format,
    out: Box<dyn WriteSeek>,
) -> Result<()> {
    let shape = Shape::new(height, width, Color::Rgb, SampleType::U8);
    let metadata = Metadata::default();
    let mut sink = codec::create(out, format, shape, &metadata, KeepMetadata::None)?;
    let salt = Sequence::new(seed, file).next() | 1;
    for first in (0..height).step_by(BAND) {
        sink.write(&picture(shape, first..(first + BAND).min(height), salt))?;
    }
    sink.finish()
}

/// A smooth picture with noise, the same on every machine and for any division into rows; another for each `salt`.
pub fn picture(shape: Shape, part: Range<usize>, salt: u64) -> Rows {
    let mut data = Buffer::zeroed(shape.sample, part.len() * shape.row_len());
    // Where the waves begin; that of 0 is what benchmarks have always measured.
    let (along, down) = (
        (salt & 0x3ff) as f64 / 163.0,
        (salt >> 10 & 0x3ff) as f64 / 163.0,
    );
    let waves: Vec<f64> = (0..shape.cols)
        .map(|x| libm::cos(x as f64 / 131.0 + along))
        .collect();
    let mut at = 0;
    for y in part.clone() {
        let mut state = ((y as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (salt & !1)) | 1;
        for wave in &waves {
            for c in 0..shape.channels() {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let smooth = libm::sin(y as f64 / 97.0 + c as f64 + down) * wave * 0.35 + 0.5;
                // The sum of three uniform numbers is close to normal.
                let uniform = (state & 0x3ff) + (state >> 20 & 0x3ff) + (state >> 40 & 0x3ff);
                let noise = (uniform as f64 / 1536.0 - 1.0) * 30.0;
                let level = (smooth * 255.0 + noise).clamp(0.0, 255.0);
                // Deeper samples have what lies between two levels of 8 bits, too.
                match &mut data {
                    Buffer::U8(samples) => samples[at] = level as u8,
                    Buffer::U16(samples) => samples[at] = (level * 257.0) as u16,
                    Buffer::F32(samples) => samples[at] = (level / 255.0) as f32,
                    Buffer::F64(samples) => samples[at] = level / 255.0,
                }
                at += 1;
            }
        }
    }
    Rows {
        shape,
        first: part.start,
        count: part.len(),
        data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seed: u64, file: u64, count: u64) -> String {
        let mut bytes = Vec::new();
        numbers(seed, file, count, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn numbers_depend_on_seed_and_file_alone() {
        let first = text(7, 0, 1000);
        assert_eq!(first, text(7, 0, 1000));
        assert!(first.starts_with(&text(7, 0, 10)));
        assert_ne!(first, text(7, 1, 1000));
        assert_ne!(first, text(8, 0, 1000));
        let values: Vec<f64> = first.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(values.len(), 1000);
        assert!(values.iter().all(|v| (0.0..1000.0).contains(v)));
        let mean = values.iter().sum::<f64>() / 1000.0;
        assert!((450.0..550.0).contains(&mean), "{mean}");
    }

    #[test]
    fn pictures_differ_by_file_and_not_by_their_parts() {
        let shape = Shape::new(70, 30, Color::Rgb, SampleType::U8);
        let whole = picture(shape, 0..70, 5);
        let part = picture(shape, 33..70, 5);
        assert_eq!(&whole.data.bytes()[33 * 90..], part.data.bytes());
        assert_ne!(whole.data.bytes(), picture(shape, 0..70, 6).data.bytes());
    }
}
