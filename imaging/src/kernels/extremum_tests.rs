//! Erosions and dilations against the definition.

use crate::comm::serial::Serial;
use crate::executor::{Context, run_rows};
use crate::{Buffer, Color, Pipeline, Plan, Rows, SampleType, Shape};
use proptest::prelude::*;

/// Half-width of each element row by distance from the centre.
fn halves(shape: &str, radius: usize) -> Vec<usize> {
    let r = radius as f64;
    let disc = |d: usize| (r * r - (d * d) as f64).sqrt().round_ties_even() as usize;
    (0..=radius)
        .map(|d| match shape {
            "rect" => radius,
            "cross" => {
                if d == 0 {
                    radius
                } else {
                    0
                }
            }
            _ => disc(d),
        })
        .collect()
}

fn naive(samples: &[u8], shape: Shape, halves: &[usize], greatest: bool) -> Vec<u8> {
    let (rows, cols, channels) = (shape.rows as isize, shape.cols as isize, shape.channels());
    let reach = halves.len() as isize - 1;
    let mut out = samples.to_vec();
    for y in 0..rows {
        for x in 0..cols {
            for c in 0..shape.color.color_channels() {
                let mut all = Vec::new();
                for dy in -reach..=reach {
                    let half = halves[dy.unsigned_abs()] as isize;
                    for dx in -half..=half {
                        if (0..rows).contains(&(y + dy)) && (0..cols).contains(&(x + dx)) {
                            all.push(samples[((y + dy) * cols + x + dx) as usize * channels + c]);
                        }
                    }
                }
                let winner = if greatest {
                    all.iter().max()
                } else {
                    all.iter().min()
                };
                out[(y * cols + x) as usize * channels + c] = *winner.unwrap();
            }
        }
    }
    out
}

fn run(text: &str, shape: Shape, data: Buffer) -> Buffer {
    let plan = Plan::new(&Pipeline::parse(text).unwrap(), shape).unwrap();
    let comm = Serial::default();
    let rows = Rows {
        shape,
        first: 0,
        count: shape.rows,
        data,
    };
    run_rows(&mut Context::new(&comm), &plan, rows)
        .unwrap()
        .data
}

fn widened(samples: &[u8], sample: SampleType) -> Buffer {
    match sample {
        SampleType::U8 => Buffer::U8(samples.to_vec()),
        SampleType::U16 => Buffer::U16(samples.iter().map(|&v| v as u16 * 257).collect()),
        SampleType::F32 => Buffer::F32(samples.iter().map(|&v| v as f32 / 255.0).collect()),
        SampleType::F64 => unreachable!("kernels meet no 64-bit floats"),
    }
}

proptest! {
    #[test]
    fn every_operation_follows_its_definition(
        rows in 1usize..40,
        cols in 1usize..70,
        color in prop::sample::select(vec![Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba]),
        sample in prop::sample::select(vec![SampleType::U8, SampleType::U16, SampleType::F32]),
        radius in 0usize..9,
        iterations in 1usize..4,
        element in prop::sample::select(vec!["rect", "ellipse", "cross"]),
        name in prop::sample::select(vec!["erode", "dilate", "open", "close", "morph_gradient", "top_hat", "black_hat"]),
        seed in any::<u64>(),
    ) {
        let shape = Shape::new(rows, cols, color, sample);
        let mut state = seed | 1;
        let samples: Vec<u8> = (0..rows * shape.row_len())
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as u8
            })
            .collect();
        let halves = halves(element, radius);
        let times = |greatest: bool, from: &[u8]| {
            (0..iterations).fold(from.to_vec(), |v, _| naive(&v, shape, &halves, greatest))
        };
        let minus = |a: Vec<u8>, b: Vec<u8>| -> Vec<u8> {
            let channels = shape.channels();
            let alpha = |i: usize| color.has_alpha() && i % channels == channels - 1;
            let value = |i: usize| if alpha(i) { samples[i] } else { a[i] - b[i] };
            (0..a.len()).map(value).collect()
        };
        let expected = match name {
            "erode" => times(false, &samples),
            "dilate" => times(true, &samples),
            "open" => times(true, &times(false, &samples)),
            "close" => times(false, &times(true, &samples)),
            "morph_gradient" => minus(times(true, &samples), times(false, &samples)),
            "top_hat" => minus(samples.clone(), times(true, &times(false, &samples))),
            _ => minus(times(false, &times(true, &samples)), samples.clone()),
        };
        let text = format!("{name}(radius={radius}, shape={element}, iterations={iterations})");
        let got = run(&text, shape, widened(&samples, sample));
        match (got, widened(&expected, sample)) {
            (Buffer::F32(a), Buffer::F32(b)) => {
                prop_assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6), "{}", text);
            }
            (a, b) => prop_assert!(a == b, "{} on {:?}", text, shape),
        }
    }
}

#[test]
fn elements_far_larger_than_the_image_are_fine() {
    for element in ["rect", "cross", "ellipse"] {
        let shape = Shape::new(2, 3, Color::Gray, SampleType::U8);
        let text = format!("dilate(radius=500, shape={element}, iterations=3)");
        let got = run(&text, shape, Buffer::U8(vec![1, 9, 3, 4, 5, 6]));
        assert_eq!(got, Buffer::U8(vec![9; 6]), "{element}");
    }
}
