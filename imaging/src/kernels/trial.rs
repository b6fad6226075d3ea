//! Small images and ways to run pipelines on them, for the operations' tests.

use crate::comm::serial::Serial;
use crate::executor::{Context, run_rows};
use crate::{Border, Buffer, Color, Image, Pipeline, Plan, SampleType, Shape};

/// Noise that is the same on every machine; every fourth sample is black or white.
pub fn noise(shape: Shape, seed: u64) -> Image {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state >> 61 {
            0 => 0,
            1 => u16::MAX,
            _ => (state >> 32) as u16,
        }
    };
    let len = shape.rows * shape.row_len();
    let data = match shape.sample {
        SampleType::U8 => Buffer::U8((0..len).map(|_| (next() >> 8) as u8).collect()),
        SampleType::U16 => Buffer::U16((0..len).map(|_| next()).collect()),
        SampleType::F32 => Buffer::F32((0..len).map(|_| next() as f32 / 65535.0).collect()),
        SampleType::F64 => Buffer::F64((0..len).map(|_| f64::from(next()) / 65535.0).collect()),
    };
    Image::new(shape, data)
}

/// The pipeline's result on one rank and thread.
pub fn run(text: &str, image: &Image) -> Image {
    let plan = Plan::new(&Pipeline::parse(text).unwrap(), image.shape()).unwrap();
    let comm = Serial::default();
    let rows = run_rows(&mut Context::new(&comm), &plan, image.rows.clone()).unwrap();
    Image::new(rows.shape, rows.data)
}

/// All samples as f64, in the image's own units.
pub fn values(image: &Image) -> Vec<f64> {
    match &image.rows.data {
        Buffer::U8(v) => v.iter().map(|&v| v as f64).collect(),
        Buffer::U16(v) => v.iter().map(|&v| v as f64).collect(),
        Buffer::F32(v) => v.iter().map(|&v| v as f64).collect(),
        Buffer::F64(v) => v.clone(),
    }
}

/// White in the image's own units.
pub fn white(shape: Shape) -> f64 {
    match shape.sample {
        SampleType::U8 => 255.0,
        SampleType::U16 => 65535.0,
        SampleType::F32 | SampleType::F64 => 1.0,
    }
}

/// The sum of `kernel(dy, dx)` times the sample there, over a window, for every sample; alpha is 0.
pub fn correlate(
    image: &Image,
    [ry, rx]: [isize; 2],
    border: Border,
    kernel: impl Fn(isize, isize) -> f64,
) -> Vec<f64> {
    let (shape, values) = (image.shape(), values(image));
    let (channels, colors) = (shape.channels(), shape.color.color_channels());
    let mut sums = vec![0.0; values.len()];
    for (at, sum) in sums.iter_mut().enumerate() {
        let (y, x, c) = (
            at / shape.row_len(),
            at % shape.row_len() / channels,
            at % channels,
        );
        if c >= colors {
            continue;
        }
        for dy in -ry..=ry {
            let Some(y) = border.index(y as isize + dy, shape.rows) else {
                continue;
            };
            for dx in -rx..=rx {
                if let Some(x) = border.index(x as isize + dx, shape.cols) {
                    *sum += kernel(dy, dx) * values[(y * shape.cols + x) * channels + c];
                }
            }
        }
    }
    sums
}

/// Asserts that colours are within `within` (8-bit levels) of `wanted`, clamped for integers, and that
/// alpha is the source's.
pub fn assert_near(source: &Image, got: &Image, wanted: &[f64], within: f64, what: &str) {
    let shape = source.shape();
    assert_eq!(got.shape(), shape, "{what}");
    let top = white(shape);
    let (source, got) = (values(source), values(got));
    for (at, &value) in got.iter().enumerate() {
        if at % shape.channels() >= shape.color.color_channels() {
            assert_eq!(value, source[at], "{what} changes alpha at {at}");
            continue;
        }
        let wanted = match shape.sample {
            SampleType::F32 => wanted[at],
            _ => wanted[at].clamp(0.0, top),
        };
        assert!(
            (value - wanted).abs() <= within * top / 255.0,
            "{what} on {shape:?} at {at}: {value} instead of {wanted}"
        );
    }
}

/// Shapes of every colour and sample type up to that size.
pub fn shapes(
    rows: std::ops::Range<usize>,
    cols: std::ops::Range<usize>,
) -> impl proptest::strategy::Strategy<Value = Shape> {
    use proptest::prelude::*;
    let color = prop_oneof![
        Just(Color::Gray),
        Just(Color::GrayAlpha),
        Just(Color::Rgb),
        Just(Color::Rgba)
    ];
    let sample = prop_oneof![
        Just(SampleType::U8),
        Just(SampleType::U16),
        Just(SampleType::F32)
    ];
    (rows, cols, color, sample)
        .prop_map(|(rows, cols, color, sample)| Shape::new(rows, cols, color, sample))
}
