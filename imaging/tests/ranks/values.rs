//! What samples mean: floats beyond 0..1, doubles, what is transparent.

use super::{picture, run, serial};
use imaging::{Buffer, Color, Image, Pipeline, Plan, Rows, SampleType, Shape};

#[test]
fn statistics_of_floats_span_the_images_own_range() {
    let shape = Shape::new(40, 30, Color::Gray, SampleType::F32);
    let Buffer::F32(unit) = picture(shape).rows.data else {
        unreachable!("floats were asked for")
    };
    let low = unit.iter().copied().fold(f32::INFINITY, f32::min);
    let high = unit.iter().copied().fold(0.0, f32::max);
    let unit: Vec<f32> = unit.iter().map(|v| (v - low) / (high - low)).collect();
    for text in [
        "equalize",
        "otsu",
        "autocontrast(low=0.05, high=0.05)",
        "clahe(tiles=2)",
    ] {
        let plan = Plan::new(&Pipeline::parse(text).unwrap(), shape).unwrap();
        let of = |samples: Vec<f32>| -> Vec<f32> {
            let bytes = serial(&plan, &Image::new(shape, Buffer::F32(samples)));
            bytes
                .chunks_exact(4)
                .map(|v| f32::from_ne_bytes(v.try_into().unwrap()))
                .collect()
        };
        let expected = of(unit.clone());
        // 2048 and 1024 are powers of two: nothing is lost on the way there and back.
        let mut wide: Vec<f32> = unit.iter().map(|v| v * 2048.0 - 1024.0).collect();
        wide[7] = f32::NAN;
        let got = of(wide);
        assert!(got[7].is_nan(), "{text}: NaN is no value");
        let away = |(at, (got, unit)): (usize, (&f32, &f32))| match at {
            7 => 0.0,
            _ => ((got + 1024.0) / 2048.0 - unit.clamp(0.0, 1.0)).abs(),
        };
        let worst = got.iter().zip(&expected).enumerate().map(away);
        let worst = worst.fold(0.0, f32::max);
        // One sample fewer counts.
        assert!(worst < 0.004, "{text}: {worst}");
        for ranks in [2, 3] {
            let mut wide: Vec<f32> = unit.iter().map(|v| v * 2048.0 - 1024.0).collect();
            wide[7] = f32::NAN;
            let image = Image::new(shape, Buffer::F32(wide));
            assert!(
                run(&plan, &image, ranks, 2).unwrap() == serial(&plan, &image),
                "{text}"
            );
        }
    }
}

#[test]
fn what_is_wholly_transparent_counts_nowhere() {
    let color = Color::Rgba;
    let shape = Shape::new(32, 32, color, SampleType::U8);
    let Buffer::U8(mut seen) = picture(shape).rows.data else {
        unreachable!("bytes were asked for")
    };
    seen.chunks_exact_mut(4).for_each(|p| p[3] = 255);
    for text in ["equalize", "autocontrast", "clahe(tiles=1, clip=0)", "otsu"] {
        let plan = |rows| {
            let shape = Shape { rows, ..shape };
            Plan::new(&Pipeline::parse(text).unwrap(), shape).unwrap()
        };
        // Twice as high, the lower half transparent and white: the upper half is as it was.
        let mut double = seen.clone();
        double.extend([255u8, 255, 255, 0].repeat(32 * 32));
        let tall = Image::new(Shape { rows: 64, ..shape }, Buffer::U8(double));
        let expected = serial(&plan(32), &Image::new(shape, Buffer::U8(seen.clone())));
        let got = serial(&plan(64), &tall);
        assert!(got[..expected.len()] == expected, "{text}");
    }
}

#[test]
fn weighted_smoothing_lets_no_hidden_colour_out() {
    for sample in [SampleType::U8, SampleType::U16, SampleType::F32] {
        let shape = Shape::new(9, 9, Color::Rgba, sample);
        let top = |unit: f32| match sample {
            SampleType::U8 => unit * 255.0,
            SampleType::U16 => unit * 65535.0,
            _ => unit,
        };
        // Opaque gray on the left, transparent red on the right.
        let pixel = |at: usize| match at % 9 < 5 {
            true => [0.4, 0.4, 0.4, 1.0],
            false => [1.0, 0.0, 0.0, 0.0],
        };
        let samples: Vec<f32> = (0..81).flat_map(pixel).map(top).collect();
        let data = match sample {
            SampleType::U8 => Buffer::U8(samples.iter().map(|&v| v.round() as u8).collect()),
            SampleType::U16 => Buffer::U16(samples.iter().map(|&v| v.round() as u16).collect()),
            _ => Buffer::F32(samples),
        };
        let image = Image::new(shape, data);
        for name in [
            "gaussian(sigma=1",
            "box_blur(radius=1",
            "median(radius=1",
            "dilate(radius=1",
        ] {
            let run = |alpha: &str| {
                let text = format!("{name}, alpha={alpha})");
                let plan = Plan::new(&Pipeline::parse(&text).unwrap(), shape).unwrap();
                assert_eq!(plan.output, shape);
                let mut rows = Rows::zeroed(shape, 0..9);
                rows.data
                    .bytes_mut()
                    .copy_from_slice(&serial(&plan, &image));
                rows
            };
            let channel = |rows: &Rows, x: usize, c: usize| match &rows.data {
                Buffer::U8(v) => f32::from(v[4 * x + c]) / 255.0,
                Buffer::U16(v) => f32::from(v[4 * x + c]) / 65535.0,
                Buffer::F32(v) => v[4 * x + c],
                Buffer::F64(v) => v[4 * x + c] as f32,
            };
            let weighted = run("weighted");
            for x in 0..9 {
                if channel(&weighted, x, 3) > 0.01 {
                    assert!(
                        (channel(&weighted, x, 0) - 0.4).abs() < 0.02,
                        "{name} {sample:?} {x}"
                    );
                }
            }
            assert!(channel(&weighted, 0, 3) > 0.99);
            let kept = run("keep");
            assert_eq!(channel(&kept, 4, 3), 1.0);
        }
    }
}

#[test]
fn doubles_are_carried_and_narrowed_with_a_word() {
    let shape = Shape::new(4, 3, Color::Gray, SampleType::F64);
    let values: Vec<f64> = (0..12).map(|v| 4_000_000_000.0 + f64::from(v)).collect();
    let image = Image::new(shape, Buffer::F64(values.clone()));
    let plan = |text: &str| Plan::new(&Pipeline::parse(text).unwrap(), shape).unwrap();
    let carried = plan(
        "flip(axis=vertical) | flip | rotate(degrees=180) | pad(left=1) | crop(x=1, width=3, height=4)",
    );
    assert!(carried.warnings.is_empty());
    let got = serial(&carried, &image);
    let double = |v: &[u8]| f64::from_ne_bytes(v.try_into().unwrap());
    let got: Vec<f64> = got.chunks_exact(8).map(double).collect();
    assert_eq!(got, values);
    let narrowed = plan("flip | median");
    assert_eq!(narrowed.output.sample, SampleType::F32);
    assert!(narrowed.warnings[0].text.contains("32 bits"));
    assert_eq!(serial(&narrowed, &image).len(), 48);
}
