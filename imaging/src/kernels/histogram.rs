//! Counting samples: bins for each sample type and the planes of an image that are counted.

use super::ycrcb::YCrCb;
use crate::image::{Color, Element, SampleType};
use crate::ops::gray::luma_row;
use std::ops::Range;

/// Samples that fall into bins: one for each level of 8 and 16 bit, 65536 over 0..=1 for floats
/// (those outside count as the nearest).
pub trait Binned: YCrCb {
    /// Number of bins.
    const BINS: usize;
    /// The bin of this sample.
    fn bin(self) -> usize;
    /// The level that a bin stands for.
    fn level(bin: usize) -> Self;
    /// Whether it is a value at all: NaN and infinities are not counted.
    #[inline(always)]
    fn counts(self) -> bool {
        true
    }
}

impl Binned for u8 {
    const BINS: usize = 256;
    #[inline(always)]
    fn bin(self) -> usize {
        self as usize
    }
    #[inline(always)]
    fn level(bin: usize) -> u8 {
        bin as u8
    }
}

impl Binned for u16 {
    const BINS: usize = 65536;
    #[inline(always)]
    fn bin(self) -> usize {
        self as usize
    }
    #[inline(always)]
    fn level(bin: usize) -> u16 {
        bin as u16
    }
}

impl Binned for f32 {
    const BINS: usize = 65536;
    #[inline(always)]
    fn bin(self) -> usize {
        // The conversion clamps; NaN becomes 0.
        (self * 65535.0).round_ties_even() as u16 as usize
    }
    #[inline(always)]
    fn level(bin: usize) -> f32 {
        bin as f32 / 65535.0
    }
    #[inline(always)]
    fn counts(self) -> bool {
        self.is_finite()
    }
}

/// Number of bins for a sample type.
pub fn bins(sample: SampleType) -> usize {
    match sample {
        SampleType::U8 => u8::BINS,
        SampleType::U16 => u16::BINS,
        SampleType::F32 => f32::BINS,
        SampleType::F64 => crate::image::narrowed(),
    }
}

/// What is counted of each pixel. Gray images have one plane: themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plane {
    /// All colour channels, one after the other.
    Colors,
    /// One colour channel.
    Channel(usize),
    /// The greatest of red, green and blue.
    Value,
    /// Y of YCrCb.
    Luma,
    /// Gray as by `grayscale`.
    Gray,
}

impl Plane {
    /// The plane's samples of one row; `room` is used where they do not lie together.
    pub fn of<'r, T: YCrCb>(self, row: &'r [T], color: Color, room: &'r mut Vec<T>) -> &'r [T] {
        let step = color.channels();
        if color == Color::Gray || (self == Plane::Colors && color == Color::Rgb) {
            return row;
        }
        room.clear();
        match self {
            Plane::Colors if color == Color::Rgba => {
                room.extend(row.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]));
            }
            Plane::Channel(c) if !color.is_gray() => {
                room.extend(row.chunks_exact(step).map(|p| p[c]));
            }
            Plane::Value if !color.is_gray() => {
                room.resize(row.len() / step, T::default());
                greatest(row, step, room);
            }
            Plane::Luma if !color.is_gray() => {
                room.resize(row.len() / step, T::default());
                for (t, p) in room.iter_mut().zip(row.chunks_exact(step)) {
                    *t = T::luma(p[0], p[1], p[2]);
                }
            }
            Plane::Gray if !color.is_gray() => {
                room.resize(row.len() / step, T::default());
                luma_row(row, color, room);
            }
            _ => room.extend(row.chunks_exact(step).map(|p| p[0])),
        }
        room
    }
}

crate::simd! {
    /// The greatest of the first three channels of each pixel.
    pub fn greatest<T: Element>(row: &[T], step: usize, target: &mut [T]) {
        let most = |p: &[T]| {
            let m = if p[0] > p[1] { p[0] } else { p[1] };
            if m > p[2] { m } else { p[2] }
        };
        match step {
            3 => for (t, p) in target.iter_mut().zip(row.chunks_exact(3)) {
                *t = most(p);
            },
            _ => for (t, p) in target.iter_mut().zip(row.chunks_exact(step)) {
                *t = most(p);
            },
        }
    }
}

/// Counts that are added to a tally at the end.
pub struct Counter {
    /// Neighbours are often equal, and adding twice to one place must wait: so there are several places.
    eight: Box<[[u32; 256]; 8]>,
}

impl Counter {
    /// Counts nothing yet.
    pub fn new() -> Counter {
        Counter {
            eight: Box::new([[0; 256]; 8]),
        }
    }

    /// Counts samples: 8 bits here, wider ones in `sums` at once.
    pub fn add<T: Binned>(&mut self, samples: &[T], sums: &mut [i64]) {
        if T::TYPE == SampleType::U8 {
            self.bytes(bytemuck::cast_slice(samples));
            return;
        }
        for v in samples {
            sums[v.bin()] += i64::from(v.counts());
        }
    }

    fn bytes(&mut self, samples: &[u8]) {
        let [a, b, c, d, e, f, g, h] = &mut *self.eight;
        let chunks = samples.chunks_exact(8);
        for &v in chunks.remainder() {
            a[v as usize] += 1;
        }
        for chunk in chunks {
            a[chunk[0] as usize] += 1;
            b[chunk[1] as usize] += 1;
            c[chunk[2] as usize] += 1;
            d[chunk[3] as usize] += 1;
            e[chunk[4] as usize] += 1;
            f[chunk[5] as usize] += 1;
            g[chunk[6] as usize] += 1;
            h[chunk[7] as usize] += 1;
        }
    }

    /// Moves the counts into `sums`.
    pub fn flush(&mut self, sums: &mut [i64]) {
        for part in self.eight.iter_mut() {
            for (sum, count) in sums.iter_mut().zip(part) {
                *sum += i64::from(std::mem::take(count));
            }
        }
    }
}

impl Default for Counter {
    fn default() -> Counter {
        Counter::new()
    }
}

/// The pixels of a row that are not wholly transparent; `room` is used where there are others.
pub fn visible<'r, T: Element>(row: &'r [T], color: Color, room: &'r mut Vec<T>) -> &'r [T] {
    let step = color.channels();
    let seen = |pixel: &&[T]| pixel[step - 1] != T::default();
    if !color.has_alpha() || row.chunks_exact(step).all(|pixel| seen(&pixel)) {
        return row;
    }
    room.clear();
    room.extend(row.chunks_exact(step).filter(seen).flatten());
    room
}

/// Adds a plane of rows `rows`, without what is wholly transparent, to `sums`.
pub fn count<T: Binned>(
    input: &crate::window::Window<'_>,
    rows: Range<usize>,
    plane: Plane,
    sums: &mut [i64],
) {
    let mut counter = Counter::new();
    let (mut room, mut kept) = (Vec::new(), Vec::new());
    for y in rows {
        let row = visible(input.row::<T>(y as isize), input.shape().color, &mut kept);
        counter.add(plane.of(row, input.shape().color, &mut room), sums);
    }
    counter.flush(sums);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_counts_once() {
        for len in [0, 1, 7, 8, 9, 1000] {
            let samples: Vec<u8> = (0..len).map(|i| (i * i % 251) as u8).collect();
            let mut expected = vec![0i64; 256];
            samples.iter().for_each(|&v| expected[v as usize] += 1);
            let mut sums = vec![0; 256];
            let mut counter = Counter::new();
            counter.add(&samples, &mut sums);
            counter.flush(&mut sums);
            assert_eq!(sums, expected);
        }
    }

    #[test]
    fn floats_outside_count_as_black_or_white() {
        assert_eq!((-3.0f32).bin(), 0);
        assert_eq!(f32::NAN.bin(), 0);
        assert_eq!(9.0f32.bin(), 65535);
        assert_eq!(f32::level(65535), 1.0);
    }

    #[test]
    fn planes_leave_alpha_out() {
        let row = [1u8, 5, 3, 99, 7, 2, 4, 98];
        let plane = |p: Plane| p.of(&row, Color::Rgba, &mut Vec::new()).to_vec();
        assert_eq!(plane(Plane::Colors), [1, 5, 3, 7, 2, 4]);
        assert_eq!(plane(Plane::Value), [5, 7]);
        assert_eq!(plane(Plane::Channel(2)), [3, 4]);
        assert_eq!(
            Plane::Value.of(&[1u8, 9, 2, 9], Color::GrayAlpha, &mut Vec::new()),
            [1, 2]
        );
    }
}
