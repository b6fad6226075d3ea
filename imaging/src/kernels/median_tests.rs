//! Medians against sorting the window.

use crate::comm::serial::Serial;
use crate::executor::{Context, run_rows};
use crate::kernels::median_network::Program;
use crate::{Buffer, Color, Pipeline, Plan, Rows, SampleType, Shape};
use proptest::prelude::*;

fn naive(samples: &[u8], shape: Shape, radius: usize) -> Vec<u8> {
    let (rows, cols, channels) = (shape.rows as isize, shape.cols as isize, shape.channels());
    let r = radius as isize;
    let mut out = samples.to_vec();
    for y in 0..rows {
        for x in 0..cols {
            for c in 0..shape.color.color_channels() {
                let mut all = Vec::new();
                for dy in -r..=r {
                    for dx in -r..=r {
                        let at = (y + dy).clamp(0, rows - 1) * cols + (x + dx).clamp(0, cols - 1);
                        all.push(samples[at as usize * channels + c]);
                    }
                }
                all.sort_unstable();
                out[(y * cols + x) as usize * channels + c] = all[all.len() / 2];
            }
        }
    }
    out
}

fn widened(samples: &[u8], sample: SampleType) -> Buffer {
    match sample {
        SampleType::U8 => Buffer::U8(samples.to_vec()),
        SampleType::U16 => Buffer::U16(samples.iter().map(|&v| v as u16 * 257).collect()),
        SampleType::F32 => Buffer::F32(samples.iter().map(|&v| v as f32 / 255.0 - 0.3).collect()),
        SampleType::F64 => unreachable!("kernels meet no 64-bit floats"),
    }
}

fn check(shape: Shape, radius: usize, seed: u64) {
    let mut state = seed | 1;
    let mask = if seed.is_multiple_of(3) { 3 } else { 255 };
    let samples: Vec<u8> = (0..shape.rows * shape.row_len())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as u8 & mask
        })
        .collect();
    let plan = Plan::new(
        &Pipeline::parse(&format!("median(radius={radius})")).unwrap(),
        shape,
    )
    .unwrap();
    let comm = Serial::default();
    let data = widened(&samples, shape.sample);
    let rows = Rows {
        shape,
        first: 0,
        count: shape.rows,
        data,
    };
    let got = run_rows(&mut Context::new(&comm), &plan, rows)
        .unwrap()
        .data;
    let expected = widened(&naive(&samples, shape, radius), shape.sample);
    assert!(got == expected, "radius {radius} on {shape:?}");
}

proptest! {
    #[test]
    fn medians_are_the_middle_of_the_sorted_window(
        rows in 1usize..30,
        cols in 1usize..90,
        color in prop::sample::select(vec![Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba]),
        sample in prop::sample::select(vec![SampleType::U8, SampleType::U16, SampleType::F32]),
        radius in 0usize..6,
        seed in any::<u64>(),
    ) {
        check(Shape::new(rows, cols, color, sample), radius, seed);
    }
}

#[test]
fn every_radius_is_right_for_every_sample_type() {
    for radius in (6..=20).chain([33, 50]) {
        for sample in [SampleType::U8, SampleType::U16, SampleType::F32] {
            check(
                Shape::new(23, 31, Color::Gray, sample),
                radius,
                radius as u64,
            );
        }
    }
}

#[test]
fn rows_longer_than_a_piece_have_no_seams() {
    for (radius, sample) in [
        (1, SampleType::U8),
        (2, SampleType::U16),
        (4, SampleType::F32),
        (7, SampleType::U8),
    ] {
        check(Shape::new(9, 700, Color::Rgb, sample), radius, 5);
    }
}

#[test]
fn programs_stay_small() {
    for (radius, most) in [(1, 40), (2, 180), (4, 700), (8, 3000)] {
        let n = Program::new(radius, 2).instructions.len();
        assert!(n <= most, "radius {radius}: {n} instructions");
    }
}
