//! butterworth: smoothing or sharpening by a gain on frequencies.
//!
//! The image is continued by its mirror image, so its spectrum is a cosine transform. Each rank
//! transforms its rows, then all ranks exchange strips of columns, transform, weigh and transform them
//! back, and return them. A row or column is always transformed whole by one thread in the same way.

mod dct;
mod fft;

use crate::comm::{Incoming, Outgoing, agree};
use crate::error::Result;
use crate::executor::{Context, guarded};
use crate::halo::partition;
use crate::image::{Element, Rows, Shape};
use crate::op::{Channels, Collective, Group, Op, Param, Step};
use dct::{Dct, Work};
use fft::{LANES, Lanes};
use rayon::prelude::*;
use std::ops::Range;

/// The operation.
pub static OP: Op = Op {
    name: "butterworth",
    about: "Keeps low or high frequencies, with a smooth (Butterworth) transition; `high` adds mid-grey.",
    params: &[
        Param::word("kind", &["low", "high"], "frequencies that are kept"),
        Param::float(
            "cutoff",
            0.0001..=1.0,
            0.1,
            "frequency of half the gain, in cycles per pixel",
        ),
        Param::int("order", 1..=100, 2, "steepness of the transition"),
    ],
    example: "butterworth(kind=high, cutoff=0.05, order=3)",
    group: Group::Filter,
    channels: Channels::Each,
    build: |args| {
        Ok(vec![Step::collective(Butterworth {
            high: args.word("kind") == "high",
            cutoff: args.float("cutoff"),
            order: args.size("order"),
        })])
    },
};

/// Columns that a rank takes in one exchange.
const STRIP: usize = 16 * LANES;

struct Butterworth {
    high: bool,
    cutoff: f64,
    order: usize,
}

impl Collective for Butterworth {
    fn run(&self, context: &mut Context<'_>, mut input: Rows) -> Result<Rows> {
        let shape = input.shape;
        if shape.pixels() == 0 {
            return Ok(input);
        }
        let (down, across) = (Dct::new(shape.rows), Dct::new(shape.cols));
        let gain = |fy: usize| self.gain(fy, shape, down.scale() * across.scale());
        for channel in 0..shape.color.color_channels() {
            let mut plane = crate::by_sample!(shape.sample, T => read::<T>(&input, channel));
            let forward = guarded(|| {
                context.stop.check()?;
                rows(context, &mut plane, shape.cols, |x, work| {
                    across.forward(x, work)
                });
                Ok(())
            });
            agree(context.comm, forward)?;
            columns(context, &mut plane, shape, &|x, first, work| {
                down.forward(x, work);
                for (fy, x) in x.iter_mut().enumerate() {
                    weigh(x, gain(fy), first);
                }
                down.inverse(x, work);
            })?;
            let inverse = guarded(|| {
                rows(context, &mut plane, shape.cols, |x, work| {
                    across.inverse(x, work)
                });
                crate::by_sample!(shape.sample, T => self.write::<T>(&plane, &mut input, channel));
                Ok(())
            });
            agree(context.comm, inverse)?;
        }
        Ok(input)
    }

    fn in_place(&self, _input: Shape) -> bool {
        true
    }

    fn memory(&self, input: Shape, ranks: usize) -> usize {
        // A channel of this rank's rows and a strip of columns, sent and received.
        let share = input.pixels().div_ceil(ranks.max(1));
        8 * share + 32 * STRIP * input.rows
    }

    fn cost(&self) -> f64 {
        40.0
    }
}

/// The gain of one row of the spectrum.
#[derive(Clone, Copy)]
struct Gain {
    /// Squared frequency down the columns, and its unit across, in units of the cutoff.
    y: f64,
    x: f64,
    order: usize,
    high: bool,
    scale: f64,
}

impl Butterworth {
    fn gain(&self, fy: usize, shape: Shape, scale: f64) -> Gain {
        let y = fy as f64 / (2 * shape.rows) as f64 / self.cutoff;
        Gain {
            y: y * y,
            x: 1.0 / (2 * shape.cols) as f64 / self.cutoff,
            order: self.order,
            high: self.high,
            scale,
        }
    }

    fn write<T: Element>(&self, plane: &[f64], rows: &mut Rows, channel: usize) {
        let channels = rows.shape.channels();
        let grey = match (self.high, T::TYPE) {
            (false, _) => 0.0,
            (true, crate::SampleType::F32) => 0.5,
            (true, _) => (T::TOP + 1.0) / 2.0,
        };
        let mut data = rows.data.as_mut();
        let pixels = T::of_mut(&mut data).chunks_exact_mut(channels);
        for (pixel, v) in pixels.zip(plane) {
            pixel[channel] = T::saturate(v + grey);
        }
    }
}

fn read<T: Element>(rows: &Rows, channel: usize) -> Vec<f64> {
    let pixels = T::of(&rows.data).chunks_exact(rows.shape.channels());
    pixels.map(|pixel| pixel[channel].to_f64()).collect()
}

crate::simd! {
    /// Weighs the frequencies of one row in columns `first` and following.
    fn weigh(x: &mut Lanes, gain: Gain, first: usize) {
        for (i, v) in x.iter_mut().enumerate() {
            let fx = (first + i) as f64 * gain.x;
            let square = gain.y + fx * fx;
            let mut power = 1.0;
            for _ in 0..gain.order {
                power *= square;
            }
            let low = 1.0 / (1.0 + power);
            *v *= gain.scale * if gain.high { 1.0 - low } else { low };
        }
    }
}

/// Applies `transform` to each row of a plane.
fn rows(
    context: &Context<'_>,
    plane: &mut [f64],
    cols: usize,
    transform: impl Fn(&mut [Lanes], &mut Work) + Send + Sync,
) {
    let one = |(work, lanes): &mut (Work, Vec<Lanes>), rows: &mut [f64]| {
        lanes.resize(cols, Lanes::default());
        for (l, row) in rows.chunks_exact(cols).enumerate() {
            for (x, v) in lanes.iter_mut().zip(row) {
                x[l] = *v;
            }
        }
        transform(lanes, work);
        for (l, row) in rows.chunks_exact_mut(cols).enumerate() {
            for (x, v) in lanes.iter().zip(row) {
                *v = x[l];
            }
        }
    };
    match context.pool {
        Some(pool) if pool.current_num_threads() > 1 => pool.install(|| {
            let groups = plane.par_chunks_mut(LANES * cols);
            groups.for_each_init(Default::default, one);
        }),
        _ => {
            let mut state = Default::default();
            let groups = plane.chunks_mut(LANES * cols);
            groups.for_each(|rows| one(&mut state, rows));
        }
    }
}

/// What is done to columns: all their rows, the index of the first column, working memory.
type Transform<'a> = dyn Fn(&mut [Lanes], usize, &mut Work) + Sync + 'a;

/// Applies `transform` to each column of the plane that the ranks share.
fn columns(
    context: &mut Context<'_>,
    plane: &mut [f64],
    shape: Shape,
    transform: &Transform<'_>,
) -> Result<()> {
    let comm = context.comm;
    let (size, rank) = (comm.size(), comm.rank());
    for first in (0..shape.cols).step_by(size * STRIP) {
        let strip = |rank: usize| {
            let start = (first + rank * STRIP).min(shape.cols);
            start..(start + STRIP).min(shape.cols)
        };
        if size == 1 {
            let groups = guarded(|| filter(context, plane, shape.cols, strip(0), 0, transform))?;
            put(&groups, plane, shape.cols, strip(0));
            continue;
        }
        let mine = strip(rank);
        let width = mine.len();
        let mut tall = vec![0.0; shape.rows * width];
        // This rank's rows of the others' strips go out, all rows of its own strip come in, and back.
        let mut parts: Vec<Vec<f64>> = (0..size)
            .map(|other| take(plane, shape.cols, strip(other)))
            .collect();
        trade(context, &mut parts, &mut tall, shape.rows, width, true);
        let work = guarded(|| filter(context, &tall, width, 0..width, mine.start, transform));
        let groups = agree(comm, work)?;
        put(&groups, &mut tall, width, 0..width);
        trade(context, &mut parts, &mut tall, shape.rows, width, false);
        for (other, part) in parts.iter().enumerate() {
            let range = strip(other);
            if range.is_empty() {
                continue;
            }
            for (row, part) in plane
                .chunks_exact_mut(shape.cols)
                .zip(part.chunks_exact(range.len()))
            {
                row[range.clone()].copy_from_slice(part);
            }
        }
    }
    Ok(())
}

/// Some columns of a plane, row by row.
fn take(plane: &[f64], cols: usize, range: Range<usize>) -> Vec<f64> {
    let rows = plane.chunks_exact(cols);
    rows.flat_map(|row| &row[range.clone()]).copied().collect()
}

/// Exchanges `parts` (this rank's rows of each rank's strip) for `tall` (all rows of this rank's
/// strip, `width` wide), or the other way round.
fn trade(
    context: &mut Context<'_>,
    parts: &mut [Vec<f64>],
    tall: &mut [f64],
    rows: usize,
    width: usize,
    gather: bool,
) {
    let comm = context.comm;
    let mut pieces = Vec::new();
    let mut rest = tall;
    for rank in 0..comm.size() {
        let (piece, more) = rest.split_at_mut(partition(rows, comm.size(), rank).len() * width);
        pieces.push(piece);
        rest = more;
    }
    let (sent, received): (Vec<&[f64]>, Vec<&mut [f64]>) = if gather {
        let sent = parts.iter().map(Vec::as_slice).collect();
        (sent, pieces)
    } else {
        let sent = pieces.into_iter().map(|piece| &*piece).collect();
        (sent, parts.iter_mut().map(Vec::as_mut_slice).collect())
    };
    let sends: Vec<Outgoing<'_>> = (sent.iter().enumerate())
        .filter(|(_, part)| !part.is_empty())
        .map(|(to, part)| Outgoing {
            to,
            bytes: bytemuck::cast_slice(part),
        })
        .collect();
    let mut receives: Vec<Incoming<'_>> = (received.into_iter().enumerate())
        .filter(|(_, part)| !part.is_empty())
        .map(|(from, part)| Incoming {
            from,
            bytes: bytemuck::cast_slice_mut(part),
        })
        .collect();
    let others = sends.iter().filter(|s| s.to != comm.rank());
    context.halo.bytes += others.map(|s| s.bytes.len() as u64).sum::<u64>();
    context.halo.exchanges += 1;
    comm.exchange(&sends, &mut receives, &mut || ());
}

/// Transforms the columns `range` of `plane`, in groups of lanes. The first of them is column `first` of
/// the image when the plane is a strip, else its own index counts.
fn filter(
    context: &Context<'_>,
    plane: &[f64],
    cols: usize,
    range: Range<usize>,
    first: usize,
    transform: &Transform<'_>,
) -> Result<Vec<Vec<Lanes>>> {
    context.stop.check()?;
    let one = |start: usize| {
        let end = (start + LANES).min(range.end);
        let rows = plane.chunks_exact(cols);
        let mut lanes: Vec<Lanes> = rows
            .map(|row| {
                let mut x = Lanes::default();
                x[..end - start].copy_from_slice(&row[start..end]);
                x
            })
            .collect();
        transform(&mut lanes, first + start, &mut Work::default());
        lanes
    };
    let starts: Vec<usize> = range.clone().step_by(LANES).collect();
    Ok(match context.pool {
        Some(pool) if pool.current_num_threads() > 1 => {
            pool.install(|| starts.into_par_iter().with_max_len(1).map(one).collect())
        }
        _ => starts.into_iter().map(one).collect(),
    })
}

/// Puts transformed columns back into the columns `range` of `plane`.
fn put(groups: &[Vec<Lanes>], plane: &mut [f64], cols: usize, range: Range<usize>) {
    if range.is_empty() {
        return;
    }
    for (y, row) in plane.chunks_exact_mut(cols).enumerate() {
        for (part, group) in row[range.clone()].chunks_mut(LANES).zip(groups) {
            part.copy_from_slice(&group[y][..part.len()]);
        }
    }
}
