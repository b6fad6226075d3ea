//! equalize: spreads the histogram evenly.

use crate::error::Result;
use crate::gpu::{Count, Kernel, Pass, programs};
use crate::image::{Element, SampleType, Shape};
use crate::kernels::histogram::{Binned, Plane, bins, count};
use crate::kernels::table::Table;
use crate::op::{Channels, Group, Local, Measured, Op, Param, Step, Tally};
use crate::window::{Band, Scratch, Window};
use std::ops::Range;
use std::sync::Arc;

/// The operation. Float samples are counted in 65536 bins over 0..=1 and take their levels.
pub static OP: Op = Op {
    name: "equalize",
    about: "Spreads the histogram evenly; of colours the value of HSV, the luma or each channel.",
    params: &[Param::word(
        "mode",
        &["value", "luma", "channels"],
        "what is equalized of a colour image",
    )],
    example: "equalize",
    group: Group::Histogram,
    channels: Channels::Each,
    build: |args| {
        let mode = match args.word("mode") {
            "value" => Mode::Value,
            "luma" => Mode::Luma,
            _ => Mode::Channels,
        };
        Ok(vec![Step::measured(Equalize { mode })])
    },
};

#[derive(Clone, Copy)]
enum Mode {
    Value,
    Luma,
    Channels,
}

struct Equalize {
    mode: Mode,
}

impl Equalize {
    fn planes(&self, input: Shape) -> Vec<Plane> {
        match self.mode {
            _ if input.color.is_gray() => vec![Plane::Channel(0)],
            Mode::Value => vec![Plane::Value],
            Mode::Luma => vec![Plane::Luma],
            Mode::Channels => (0..3).map(Plane::Channel).collect(),
        }
    }
}

impl Measured for Equalize {
    fn empty(&self, input: Shape) -> Tally {
        Tally {
            sums: vec![0; bins(input.sample) * self.planes(input).len()],
            ..Tally::default()
        }
    }

    fn measure(
        &self,
        input: &Window<'_>,
        rows: Range<usize>,
        tally: &mut Tally,
        _scratch: &mut Scratch,
    ) {
        let shape = input.shape();
        let parts = tally.sums.chunks_exact_mut(bins(shape.sample));
        crate::by_sample!(shape.sample, T => {
            for (plane, sums) in self.planes(shape).into_iter().zip(parts) {
                count::<T>(input, rows.clone(), plane, sums);
            }
        });
    }

    fn spans(&self) -> bool {
        true
    }

    fn gpu(&self, input: Shape) -> Option<Count> {
        let plane = match self.mode {
            _ if input.color.is_gray() => 0,
            Mode::Value => 1,
            Mode::Luma => 2,
            Mode::Channels => 4,
        };
        let bins = 256 * self.planes(input).len();
        Some(Count { plane, bins })
    }

    fn finish(&self, input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        let tables = tally.sums.chunks_exact(bins(input.sample)).map(levels);
        let mut tables: Vec<Vec<u16>> = tables.collect();
        if input.color.is_gray() {
            let table = Arc::new(tables.swap_remove(0));
            let (eight, float) = (table.clone(), table.clone());
            // Only the mapping of the image's own sample type has all its bins.
            return Ok(vec![Arc::new(Table::each(
                move |v| eight[v.bin()] as u8,
                move |v| table.get(v.bin()).map_or(v, |&w| w),
                move |v| float.get(v.bin()).map_or(v, |&w| f32::level(w as usize)),
            ))]);
        }
        let shares = match (self.mode, input.sample) {
            (Mode::Value, SampleType::U8) => tables[0]
                .iter()
                .enumerate()
                .map(|(v, &w)| f32::from(w) / v.max(1) as f32)
                .collect(),
            _ => Vec::new(),
        };
        Ok(vec![Arc::new(Spread {
            mode: self.mode,
            tables,
            shares,
        })])
    }
}

/// The new level of each bin, by the formula of OpenCV's `equalizeHist`.
fn levels(counts: &[i64]) -> Vec<u16> {
    let top = (counts.len() - 1) as f64;
    let total: i64 = counts.iter().sum();
    let first = counts.iter().position(|&n| n > 0).unwrap_or(0);
    let rest = total - counts[first];
    if rest == 0 {
        // One level only: it stays.
        return (0..counts.len()).map(|v| v as u16).collect();
    }
    let (scale32, scale) = (top as f32 / rest as f32, top / rest as f64);
    let mut sum = 0i64;
    let level = |(v, &n): (usize, &i64)| {
        if v <= first {
            return 0;
        }
        sum += n;
        match counts.len() {
            256 => u8::saturate32(sum as f32 * scale32) as u16,
            _ => u16::saturate(sum as f64 * scale),
        }
    };
    counts.iter().enumerate().map(level).collect()
}

/// Gives colours their new value, luma or channels.
struct Spread {
    mode: Mode,
    tables: Vec<Vec<u16>>,
    /// New value over old value, for 8 bits.
    shares: Vec<f32>,
}

impl Local for Spread {
    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        1.0
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        let pass = Pass::new(&programs::PIXELS, input).reads(4.0);
        let tables = || {
            self.tables
                .iter()
                .flatten()
                .map(|&v| v as u8)
                .collect::<Vec<u8>>()
        };
        Kernel::one(match self.mode {
            Mode::Value => {
                // Every product there can be, rounded here.
                let scaled = |share: &f32| {
                    (0..256)
                        .map(|v| u8::saturate32(v as f32 * share))
                        .collect::<Vec<u8>>()
                };
                let products: Vec<u8> = self.shares.iter().flat_map(scaled).collect();
                pass.constant("KIND", 2).bytes(&products)
            }
            Mode::Luma => pass.constant("KIND", 3).bytes(&tables()),
            Mode::Channels => pass.constant("KIND", 4).bytes(&tables()),
        })
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        crate::by_sample!(input.shape().sample, T => self.rows::<T>(input, out));
    }
}

impl Spread {
    fn rows<T: Binned>(&self, input: &Window<'_>, out: &mut Band<'_>) {
        let step = input.shape().channels();
        let new = |c: usize, v: T| T::level(self.tables[c][v.bin()] as usize);
        let mut room = Room::default();
        for y in out.range() {
            let (source, target) = (input.row::<T>(y as isize), out.row::<T>(y));
            if let (Mode::Value, SampleType::U8) = (self.mode, T::TYPE) {
                let target = bytemuck::cast_slice_mut(target);
                self.value_row(bytemuck::cast_slice(source), target, step, &mut room);
                continue;
            }
            for (t, p) in target.chunks_exact_mut(step).zip(source.chunks_exact(step)) {
                if !p[..3].iter().all(|v| v.counts()) {
                    t[..3].copy_from_slice(&p[..3]);
                    continue;
                }
                let rgb = match self.mode {
                    Mode::Channels => [new(0, p[0]), new(1, p[1]), new(2, p[2])],
                    Mode::Luma => T::with_luma([p[0], p[1], p[2]], |y| new(0, y)),
                    Mode::Value => {
                        let v = p[1..3].iter().fold(p[0], |a, &b| if b > a { b } else { a });
                        let least = 1.0 / 65535.0 * T::TOP;
                        let share = new(0, v).to_f64() / v.to_f64().max(least);
                        [p[0], p[1], p[2]].map(|c| T::saturate(c.to_f64() * share))
                    }
                };
                t[..3].copy_from_slice(&rgb);
            }
        }
    }

    fn value_row(&self, source: &[u8], target: &mut [u8], step: usize, room: &mut Room) {
        let Ok(shares) = <&[f32; 256]>::try_from(&self.shares[..]) else {
            unreachable!("8-bit images have 256 shares")
        };
        // Pieces that stay in the nearest cache.
        let piece = 512 * step;
        for (s, t) in source.chunks(piece).zip(target.chunks_mut(piece)) {
            let values = Plane::Value.of(
                s,
                if step == 3 {
                    crate::Color::Rgb
                } else {
                    crate::Color::Rgba
                },
                &mut room.values,
            );
            room.shares.clear();
            match step {
                3 => room
                    .shares
                    .extend(values.iter().flat_map(|&v| [shares[v as usize]; 3])),
                _ => room
                    .shares
                    .extend(values.iter().flat_map(|&v| [shares[v as usize]; 4])),
            }
            scale(s, &room.shares, t);
        }
    }
}

#[derive(Default)]
struct Room {
    values: Vec<u8>,
    shares: Vec<f32>,
}

crate::simd! {
    fn scale(source: &[u8], shares: &[f32], target: &mut [u8]) {
        for ((t, s), share) in target.iter_mut().zip(source).zip(shares) {
            *t = u8::saturate32(*s as f32 * share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_the_cumulated_counts() {
        let mut counts = vec![0; 256];
        (counts[10], counts[20], counts[30]) = (5, 1, 1);
        let levels = levels(&counts);
        assert_eq!(
            (levels[10], levels[20], levels[30], levels[255]),
            (0, 128, 255, 255)
        );
    }

    #[test]
    fn one_level_stays() {
        let mut counts = vec![0; 65536];
        counts[777] = 9;
        assert_eq!(levels(&counts)[777], 777);
    }
}
