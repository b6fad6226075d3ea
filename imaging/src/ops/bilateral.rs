//! bilateral: smoothing that leaves edges alone.

use crate::border::Border;
use crate::image::{Element, SampleType, Shape};
use crate::op::{ALPHA, Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::f64::consts::LOG2_E;
use std::ops::Range;

/// The operation.
pub static OP: Op = Op {
    name: "bilateral",
    about: "Averages a disc, weighted by nearness in space and in colour: smooths but keeps edges. Floats of any size stay \
            within those of their disc.",
    params: &[
        Param::int("radius", 1..=100, 4, "radius of the disc in pixels"),
        Param::float(
            "sigma_color",
            0.1..=1000.0,
            50.0,
            "difference (summed over channels, in 8-bit levels) at which weights fall off",
        ),
        Param::float(
            "sigma_space",
            0.1..=1000.0,
            50.0,
            "distance in pixels at which weights fall off",
        ),
        ALPHA,
    ],
    example: "bilateral(radius=3, sigma_color=30, sigma_space=2)",
    group: Group::Filter,
    channels: Channels::Each,
    build: |args| {
        let radius = args.size("radius");
        let fall = |sigma: f64| LOG2_E / (2.0 * sigma * sigma);
        let space = fall(args.float("sigma_space"));
        let r = radius as isize;
        let mut taps = Vec::new();
        for dy in -r..=r {
            for dx in -r..=r {
                let squared = dy * dy + dx * dx;
                if squared <= r * r {
                    taps.push(Tap {
                        row: (dy + r) as usize,
                        column: (dx + r) as usize,
                        fall: (squared as f64 * space) as f32,
                    });
                }
            }
        }
        Ok(vec![Step::local(Bilateral {
            radius,
            taps,
            color: fall(args.float("sigma_color")),
        })])
    },
};

/// One neighbour.
#[derive(Clone, Copy, Debug)]
struct Tap {
    /// Place within the window, from its upper left corner.
    row: usize,
    column: usize,
    /// Binary logarithm of one over the weight of its distance.
    fall: f32,
}

/// Weights are 2^-(color difference² + fall of the tap), sums are taken in f32 in the order of the taps.
struct Bilateral {
    radius: usize,
    taps: Vec<Tap>,
    /// Factor of the squared colour difference in 8-bit levels.
    color: f64,
}

/// The latest input rows as planes of floats, with the border at both sides.
#[derive(Default)]
struct Planes {
    rows: Vec<Vec<f32>>,
    result: Vec<f32>,
}

impl Local for Bilateral {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        let radius = self.radius as isize;
        out.start as isize - radius..out.end as isize + radius
    }

    fn border(&self) -> Border {
        Border::Reflect101
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.5 + 0.15 * self.taps.len() as f64
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        crate::by_sample!(input.shape().sample, T => self.rows::<T>(input, out, scratch));
    }
}

impl Bilateral {
    fn rows<T: Element>(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        let shape = input.shape();
        let (planes, goes_on) = scratch.state(out, Planes::default);
        let (side, n) = (2 * self.radius + 1, shape.color.color_channels());
        let stride = shape.cols.next_multiple_of(BLOCK) + 2 * self.radius;
        planes.rows.resize_with(side, Vec::new);
        for row in &mut planes.rows {
            row.resize(stride * n, 0.0);
        }
        planes.result.resize(stride * n, 0.0);
        let unit = match shape.sample {
            SampleType::U8 => 1.0,
            SampleType::U16 => 257.0,
            SampleType::F32 => 1.0 / 255.0,
            SampleType::F64 => crate::image::narrowed(),
        };
        let float = shape.sample.is_float();
        let unit = if float { unit * FLOAT_SCALE } else { unit };
        let color = (self.color / (unit * unit)) as f32;
        let first = out.first as isize - self.radius as isize;
        if !goes_on {
            for i in 0..side - 1 {
                self.load::<T>(&mut planes.rows[i], input, first + i as isize, stride);
            }
            // The oldest row comes first once the new one has taken its place at the end.
            planes.rows.rotate_right(1);
        }
        for y in out.range() {
            planes.rows.rotate_left(1);
            let newest = y as isize + self.radius as isize;
            self.load::<T>(&mut planes.rows[side - 1], input, newest, stride);
            let smooth = match (n, float) {
                (1, false) => smooth_gray,
                (_, false) => smooth_rgb,
                (1, true) => smooth_gray_floats,
                (_, true) => smooth_rgb_floats,
            };
            smooth(&planes.rows, &mut planes.result, &self.taps, stride, color);
            store(out.row::<T>(y), &planes.result, stride, shape.channels(), n);
        }
    }

    /// Takes a row apart into planes with `radius` pixels of border at both sides.
    fn load<T: Element>(&self, planes: &mut [f32], input: &Window<'_>, y: isize, stride: usize) {
        let shape = input.shape();
        let row = input.row::<T>(y);
        let (channels, cols, radius) = (shape.channels(), shape.cols, self.radius);
        let scale = if shape.sample.is_float() {
            FLOAT_SCALE as f32
        } else {
            1.0
        };
        for (c, plane) in planes.chunks_exact_mut(stride).enumerate() {
            let inside = plane[radius..].iter_mut();
            for (v, pixel) in inside.zip(row.chunks_exact(channels)) {
                *v = tame(pixel[c].to_f32()) * scale;
            }
            for at in (0..radius).chain(cols + radius..cols + 2 * radius) {
                let x = at as isize - radius as isize;
                if let Some(x) = self.border().index(x, cols) {
                    plane[at] = plane[x + radius];
                }
            }
        }
    }
}

/// By which floats are multiplied, so that no sum over a disc of the largest radius is infinite. A power of two, which
/// costs no bit.
const FLOAT_SCALE: f64 = 1.0 / 65536.0;

/// Keeps sums finite whatever a float image holds: not-a-number counts as black.
fn tame(v: f32) -> f32 {
    if v.is_nan() {
        0.0
    } else {
        v.clamp(f32::MIN, f32::MAX)
    }
}

/// Pixels computed at a time.
const BLOCK: usize = 32;

crate::simd! {
    fn smooth_gray(rows: &[Vec<f32>], result: &mut [f32], taps: &[Tap], stride: usize, color: f32) {
        smooth::<1, false>(rows, result, taps, stride, color);
    }
}

crate::simd! {
    fn smooth_gray_floats(rows: &[Vec<f32>], result: &mut [f32], taps: &[Tap], stride: usize, color: f32) {
        smooth::<1, true>(rows, result, taps, stride, color);
    }
}

crate::simd! {
    fn smooth_rgb(rows: &[Vec<f32>], result: &mut [f32], taps: &[Tap], stride: usize, color: f32) {
        smooth::<3, false>(rows, result, taps, stride, color);
    }
}

crate::simd! {
    fn smooth_rgb_floats(rows: &[Vec<f32>], result: &mut [f32], taps: &[Tap], stride: usize, color: f32) {
        smooth::<3, true>(rows, result, taps, stride, color);
    }
}

/// One row of `N` planes. Floats have no rounding to hide that of sums: they are kept between the least and the greatest
/// of the disc, and what is far away in colour has no weight at all, since it may be larger than any weight is small.
#[inline(always)]
fn smooth<const N: usize, const FLOATS: bool>(
    rows: &[Vec<f32>],
    result: &mut [f32],
    taps: &[Tap],
    stride: usize,
    color: f32,
) {
    let radius = rows.len() / 2;
    for x in (0..stride - 2 * radius).step_by(BLOCK) {
        let piece = |row: usize, plane: usize, column: usize| -> [f32; BLOCK] {
            let from = plane * stride + x + column;
            std::array::from_fn(|i| rows[row][from..from + BLOCK][i])
        };
        let centre: [[f32; BLOCK]; N] = std::array::from_fn(|c| piece(radius, c, radius));
        let mut weights = [0.0f32; BLOCK];
        let mut sums = [[0.0f32; BLOCK]; N];
        let (mut low, mut high) = (centre, centre);
        for tap in taps {
            let near: [[f32; BLOCK]; N] = std::array::from_fn(|c| piece(tap.row, c, tap.column));
            for i in 0..BLOCK {
                let mut difference = (near[0][i] - centre[0][i]).abs();
                for c in 1..N {
                    difference += (near[c][i] - centre[c][i]).abs();
                }
                let fall = difference * difference * color + tap.fall;
                let mut weight = power_of_half(fall);
                if FLOATS {
                    weight = if fall < FARTHEST { weight } else { 0.0 };
                    for c in 0..N {
                        low[c][i] = low[c][i].min(near[c][i]);
                        high[c][i] = high[c][i].max(near[c][i]);
                    }
                }
                weights[i] += weight;
                for c in 0..N {
                    sums[c][i] += weight * near[c][i];
                }
            }
        }
        for c in 0..N {
            let target = &mut result[c * stride + x..][..BLOCK];
            for i in 0..BLOCK {
                let mean = sums[c][i] / weights[i];
                target[i] = match FLOATS {
                    true => mean.max(low[c][i]).min(high[c][i]) * (1.0 / FLOAT_SCALE) as f32,
                    false => mean,
                };
            }
        }
    }
}

/// The least weight is 2^-126.
const FARTHEST: f32 = 126.0;

/// 2^-y for y >= 0, to about 1e-6 of the value; below 2^-126 it stays there.
#[inline(always)]
fn power_of_half(y: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let y = if y < FARTHEST { y } else { FARTHEST };
    let rounded = y + ROUND;
    let f = (rounded - ROUND) - y;
    // 2^f on -0.5..=0.5 by its Taylor series in f ln 2.
    let p = ((((1.333_355_8e-3 * f + 9.618_129e-3) * f + 5.550_411e-2) * f + 0.240_226_5) * f
        + std::f32::consts::LN_2)
        * f
        + 1.0;
    let n = rounded.to_bits() as i32 - ROUND.to_bits() as i32;
    f32::from_bits((p.to_bits() as i32 - (n << 23)) as u32)
}

crate::simd! {
    /// Puts the planes together again.
    fn store<T: Element>(out: &mut [T], planes: &[f32], stride: usize, channels: usize, n: usize) {
        for c in 0..n {
            let plane = &planes[c * stride..][..stride];
            for (pixel, v) in out.chunks_exact_mut(channels).zip(plane) {
                pixel[c] = T::saturate32(*v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comm::serial::Serial;
    use crate::executor::{Context, run_rows};
    use crate::{Buffer, Color, Pipeline, Plan, Rows};
    use proptest::prelude::*;

    #[test]
    fn powers_are_close_over_the_whole_range() {
        for i in 0..12_600 {
            let y = i as f32 / 100.0;
            let expected = libm::exp2(-f64::from(y));
            let off = (f64::from(power_of_half(y)) - expected).abs() / expected;
            assert!(off < 4e-6, "2^-{y} is off by {off}");
        }
        assert_eq!(power_of_half(0.0), 1.0);
        assert_eq!(power_of_half(f32::INFINITY), power_of_half(126.0));
    }

    fn naive(v: &[f64], shape: Shape, radius: usize, color: f64, space: f64) -> Vec<f64> {
        let (rows, cols, channels) = (shape.rows as isize, shape.cols as isize, shape.channels());
        let n = shape.color.color_channels();
        let r = radius as isize;
        let at = |y: isize, x: isize| {
            let y = Border::Reflect101.index(y, shape.rows).unwrap();
            let x = Border::Reflect101.index(x, shape.cols).unwrap();
            &v[(y * shape.cols + x) * channels..][..channels]
        };
        let mut out = v.to_vec();
        for y in 0..rows {
            for x in 0..cols {
                let (mut weights, mut sums) = (0.0, [0.0; 3]);
                for dy in -r..=r {
                    for dx in -r..=r {
                        let squared = (dy * dy + dx * dx) as f64;
                        if squared > (r * r) as f64 {
                            continue;
                        }
                        let (p, q) = (at(y, x), at(y + dy, x + dx));
                        let d: f64 = (0..n).map(|c| (p[c] - q[c]).abs()).sum();
                        let w = (-d * d / (2.0 * color * color) - squared / (2.0 * space * space))
                            .exp();
                        weights += w;
                        (0..n).for_each(|c| sums[c] += w * q[c]);
                    }
                }
                let to = (y * cols + x) as usize * channels;
                (0..n).for_each(|c| out[to + c] = sums[c] / weights);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn means_are_those_of_the_definition(
            rows in 1usize..20,
            cols in 1usize..50,
            color in prop::sample::select(vec![Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba]),
            sample in prop::sample::select(vec![SampleType::U8, SampleType::U16, SampleType::F32]),
            radius in 1usize..9,
            sigma_color in 0.1f64..200.0,
            sigma_space in 0.3f64..60.0,
            seed in any::<u64>(),
        ) {
            let shape = Shape::new(rows, cols, color, sample);
            let mut state = seed | 1;
            let levels: Vec<u8> = (0..rows * shape.row_len()).map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as u8
            }).collect();
            let (unit, data) = match sample {
                SampleType::U8 => (1.0, Buffer::U8(levels.clone())),
                SampleType::U16 => (257.0, Buffer::U16(levels.iter().map(|&v| v as u16 * 257).collect())),
                SampleType::F32 => (1.0 / 255.0, Buffer::F32(levels.iter().map(|&v| v as f32 / 255.0).collect())),
                SampleType::F64 => unreachable!(),
            };
            let text = format!("bilateral(radius={radius}, sigma_color={sigma_color}, sigma_space={sigma_space})");
            let plan = Plan::new(&Pipeline::parse(&text).unwrap(), shape).unwrap();
            let comm = Serial::default();
            let got = run_rows(&mut Context::new(&comm), &plan, Rows { shape, first: 0, count: rows, data }).unwrap();
            let values: Vec<f64> = levels.iter().map(|&v| f64::from(v)).collect();
            let expected = naive(&values, shape, radius, sigma_color, sigma_space);
            let got: Vec<f64> = match &got.data {
                Buffer::U8(v) => v.iter().map(|&v| f64::from(v)).collect(),
                Buffer::U16(v) => v.iter().map(|&v| f64::from(v) / unit).collect(),
                Buffer::F32(v) => v.iter().map(|&v| f64::from(v) / unit).collect(),
                Buffer::F64(_) => unreachable!(),
            };
            let worst = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            prop_assert!(worst <= 0.51, "{} on {:?}: off by {}", text, shape, worst);
        }
    }

    #[test]
    fn floats_of_any_size_stay_within_their_disc() {
        let comm = Serial::default();
        for (color, scale) in [
            (Color::Gray, 1e30f32),
            (Color::Gray, 3e38),
            (Color::Gray, -1e30),
            (Color::Rgb, 1e30),
            (Color::Rgb, 1e-30),
            (Color::Rgba, 0.7),
        ] {
            let shape = Shape::new(9, 40, color, SampleType::F32);
            // Flat on the left, of all sizes on the right.
            let samples: Vec<f32> = (0..9 * shape.row_len())
                .map(|at| match at % shape.row_len() / shape.channels() {
                    0..=19 => scale,
                    x => scale * [1.0, -1.0, 1e-8, 0.3][(x + at / 7) % 4],
                })
                .collect();
            for args in [
                "radius=3",
                "radius=9, sigma_color=1000, sigma_space=1000",
                "radius=5, sigma_color=0.1",
            ] {
                let plan = Plan::new(
                    &Pipeline::parse(&format!("bilateral({args})")).unwrap(),
                    shape,
                );
                let rows = Rows {
                    shape,
                    first: 0,
                    count: 9,
                    data: Buffer::F32(samples.clone()),
                };
                let got = run_rows(&mut Context::new(&comm), &plan.unwrap(), rows).unwrap();
                let Buffer::F32(got) = &got.data else {
                    panic!("floats")
                };
                for (at, v) in got.iter().enumerate() {
                    assert!(
                        v.is_finite() && v.abs() <= scale.abs(),
                        "{args} {scale}: {v}"
                    );
                    let x = at % shape.row_len() / shape.channels();
                    if x < 10 {
                        assert_eq!(*v, scale, "{args}: flat stays flat");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_far_away_in_colour_has_no_weight() {
        let shape = Shape::new(1, 5, Color::Gray, SampleType::F32);
        let known = [0.5f32, 3e38, 0.5, -3e38, 0.5];
        let plan = Plan::new(&Pipeline::parse("bilateral(radius=2)").unwrap(), shape).unwrap();
        let comm = Serial::default();
        let rows = Rows {
            shape,
            first: 0,
            count: 1,
            data: Buffer::F32(known.to_vec()),
        };
        let got = run_rows(&mut Context::new(&comm), &plan, rows).unwrap();
        let Buffer::F32(got) = &got.data else {
            panic!("floats")
        };
        for (new, old) in got.iter().zip(known) {
            assert!((new / old - 1.0).abs() < 1e-6, "{got:?}");
        }
    }

    #[test]
    fn wild_floats_stay_in_their_neighbourhood() {
        let shape = Shape::new(1, 12, Color::Gray, SampleType::F32);
        let mut samples = vec![0.5; 12];
        (samples[0], samples[1]) = (f32::NAN, f32::INFINITY);
        let plan = Plan::new(&Pipeline::parse("bilateral(radius=2)").unwrap(), shape).unwrap();
        let comm = Serial::default();
        let rows = Rows {
            shape,
            first: 0,
            count: 1,
            data: Buffer::F32(samples),
        };
        let got = run_rows(&mut Context::new(&comm), &plan, rows).unwrap();
        assert!(
            matches!(&got.data, Buffer::F32(v) if v[4..].iter().all(|v| (v - 0.5).abs() < 1e-6))
        );
    }
}
