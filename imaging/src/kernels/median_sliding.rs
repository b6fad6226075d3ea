//! Medians of large windows of 16-bit and float samples by a histogram that slides along each row.
//!
//! The histogram counts the upper 16 bits of the samples' keys on two levels (T. S. Huang, G. J. Yang and
//! G. Y. Tang, "A fast two-dimensional median filtering algorithm", 1979). A bin is a sample of 16 bits;
//! of longer keys, those in the found bin are collected from the window.

use super::ranked::{Ordered, Ranked};
use crate::window::{Band, Window};

/// Samples whose keys have an upper part of 16 bits that sorts like them.
pub trait Upper: Ranked {
    /// The upper 16 bits of the key.
    fn upper(self) -> u16;
    /// The sample when the upper part says all; `None` for longer keys.
    fn whole(upper: u16) -> Option<Self>;
}

impl Upper for u8 {
    fn upper(self) -> u16 {
        self as u16
    }
    fn whole(upper: u16) -> Option<u8> {
        Some(upper as u8)
    }
}

impl Upper for u16 {
    fn upper(self) -> u16 {
        self
    }
    fn whole(upper: u16) -> Option<u16> {
        Some(upper)
    }
}

impl Upper for f32 {
    fn upper(self) -> u16 {
        ((self.key() as u32 ^ 0x8000_0000) >> 16) as u16
    }
    fn whole(_upper: u16) -> Option<f32> {
        None
    }
}

/// Counts of upper parts in the window, and the bin last found.
pub struct Sliding {
    coarse: Vec<u32>,
    fine: Vec<u32>,
    /// Coarse group of the last median, and the number of elements in the groups before it.
    group: usize,
    below: u32,
}

impl Default for Sliding {
    fn default() -> Sliding {
        Sliding {
            coarse: vec![0; 256],
            fine: vec![0; 1 << 16],
            group: 0,
            below: 0,
        }
    }
}

impl Sliding {
    fn add(&mut self, upper: u16) {
        let (upper, group) = (upper as usize, (upper >> 8) as usize);
        self.fine[upper] += 1;
        self.coarse[group] += 1;
        self.below += u32::from(group < self.group);
    }

    fn remove(&mut self, upper: u16) {
        let (upper, group) = (upper as usize, (upper >> 8) as usize);
        self.fine[upper] -= 1;
        self.coarse[group] -= 1;
        self.below -= u32::from(group < self.group);
    }

    /// The bin that holds the element of this rank (from 1), and the number of elements before the bin.
    fn find(&mut self, rank: u32) -> (u16, u32) {
        while self.below >= rank {
            self.group -= 1;
            self.below -= self.coarse[self.group];
        }
        while self.below + self.coarse[self.group] < rank {
            self.below += self.coarse[self.group];
            self.group += 1;
        }
        let (mut bin, mut count) = (self.group * 256, self.below);
        while count + self.fine[bin] < rank {
            count += self.fine[bin];
            bin += 1;
        }
        (bin as u16, count)
    }
}

/// Fills `out` with medians.
pub fn fill<T: Upper>(
    radius: usize,
    input: &Window<'_>,
    out: &mut Band<'_>,
    sliding: &mut Sliding,
) {
    let shape = input.shape();
    let (channels, cols) = (shape.channels(), shape.cols as isize);
    let (r, side) = (radius as isize, 2 * radius + 1);
    let rank = (side * side / 2 + 1) as u32;
    let mut found = Vec::new();
    for y in out.range() {
        let rows: Vec<&[T]> = (-r..=r).map(|dy| input.row::<T>(y as isize + dy)).collect();
        for c in 0..shape.color.color_channels() {
            let at = |x: isize| x.clamp(0, cols - 1) as usize * channels + c;
            let window = |x: isize| (x - r..=x + r).map(at);
            for x in window(0) {
                rows.iter().for_each(|row| sliding.add(row[x].upper()));
            }
            for x in 0..cols {
                let (bin, before) = sliding.find(rank);
                out.row::<T>(y)[at(x)] = match T::whole(bin) {
                    Some(sample) => sample,
                    None => {
                        found.clear();
                        for row in &rows {
                            found.extend(
                                window(x)
                                    .map(|x| row[x])
                                    .filter(|v| v.upper() == bin)
                                    .map(Ordered::key),
                            );
                        }
                        let nth = (rank - before - 1) as usize;
                        T::of_key(*found.select_nth_unstable(nth).1)
                    }
                };
                let (leaving, entering) = (at(x - r), at(x + r + 1));
                if x + 1 < cols {
                    for row in &rows {
                        sliding.remove(row[leaving].upper());
                        sliding.add(row[entering].upper());
                    }
                }
            }
            for x in window(cols - 1) {
                rows.iter().for_each(|row| sliding.remove(row[x].upper()));
            }
        }
    }
}
