//! The same pixels for any number of ranks, threads and any SIMD level.
#![allow(clippy::unwrap_used)]

use imaging::comm::{Comm, serial::Serial, threads};
use imaging::executor::{Context, run_file, run_rows};
use imaging::halo::partition;
use imaging::simd::{self, Level};
use imaging::{Buffer, Color, Image, Pipeline, Plan, Rows, SampleType, Shape};
use imaging::{bands, codec};

/// A picture with edges, slopes and noise, the same on every machine.
fn picture(shape: Shape) -> Image {
    let mut state = 88172645463325252u64;
    let mut value = |y: usize, x: usize, c: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let slope = (x * 5 + y * 3 + c * 40) % 256;
        let block = if (x / 7 + y / 5).is_multiple_of(3) {
            90
        } else {
            0
        };
        ((slope / 2 + block + (state >> 60) as usize) % 256) as u16
    };
    let mut samples = Vec::with_capacity(shape.rows * shape.row_len());
    for y in 0..shape.rows {
        for x in 0..shape.cols {
            for c in 0..shape.channels() {
                samples.push(value(y, x, c));
            }
        }
    }
    let data = match shape.sample {
        SampleType::U8 => Buffer::U8(samples.iter().map(|&v| v as u8).collect()),
        SampleType::U16 => Buffer::U16(samples.iter().map(|&v| v * 251).collect()),
        SampleType::F32 => Buffer::F32(samples.iter().map(|&v| v as f32 / 255.0).collect()),
        SampleType::F64 => Buffer::F64(samples.iter().map(|&v| f64::from(v) / 255.0).collect()),
    };
    Image::new(shape, data)
}

fn part(image: &Image, comm: &dyn Comm) -> Rows {
    let shape = image.shape();
    let range = partition(shape.rows, comm.size(), comm.rank());
    let mut rows = Rows::zeroed(shape, range.clone());
    rows.data
        .bytes_mut()
        .copy_from_slice(image.rows.bytes_of(range));
    rows
}

/// The pixels on `ranks` ranks of `threads` threads each.
fn run(
    plan: &Plan,
    image: &Image,
    ranks: usize,
    n_threads: usize,
) -> Result<Vec<u8>, imaging::Error> {
    let parts = threads::run(ranks, |comm| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build()
            .unwrap();
        let mut context = Context::with_pool(comm, &pool);
        run_rows(&mut context, plan, part(image, comm)).map(|rows| rows.data.bytes().to_vec())
    });
    Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

fn serial(plan: &Plan, image: &Image) -> Vec<u8> {
    let comm = Serial::default();
    let mut context = Context::new(&comm);
    run_rows(&mut context, plan, image.rows.clone())
        .unwrap()
        .data
        .bytes()
        .to_vec()
}

/// Every operation's example and some chains.
fn pipelines() -> Vec<String> {
    let mut texts: Vec<String> = imaging::ops::ALL
        .iter()
        .map(|op| op.example.to_owned())
        .collect();
    texts.push("invert | gaussian(sigma=2) | invert | gaussian(sigma=0.7, border=constant)".into());
    texts.push("gaussian(sigma=9, border=reflect)".into());
    texts.push("gaussian(sigma=1) | flip(axis=vertical) | gaussian(sigma=0.8) | flip".into());
    texts.push("gaussian(sigma=1) | rotate | gaussian(sigma=2) | rotate(degrees=180)".into());
    texts.push("rotate(degrees=17, fill=99) | invert | rotate(degrees=-110)".into());
    texts
        .push("gaussian(sigma=1) | equalize(mode=luma) | gaussian(sigma=1) | otsu | invert".into());
    texts.push("equalize(mode=channels) | autocontrast(low=0.1) | rotate".into());
    texts.push("crop(x=1, y=1, width=2, height=4) | resize(width=30, height=33) | sharpen".into());
    texts.push("resize(width=90, height=20, filter=bilinear) | invert | thumbnail(size=11)".into());
    texts.push("resize(width=13, height=17, fit=cover) | resize(height=40, filter=nearest)".into());
    texts.push("gaussian(sigma=1) | clahe(clip=40, tiles=3) | flip".into());
    texts.push("pad(top=9, bottom=14, left=2, border=reflect101) | gaussian(sigma=1)".into());
    texts.push(
        "pad(right=2, bottom=3, value=80) | sepia | crop(x=1, y=2, width=2, height=2)".into(),
    );
    texts
        .push("close(radius=3, shape=cross) | erode(radius=30) | morph_gradient(radius=14)".into());
    texts.push("canny(aperture=5, l2=true, low=200, high=700)".into());
    texts.push(
        "butterworth(cutoff=0.2) | hough_lines(rho=0.7, theta=3, threshold=9, width=1)".into(),
    );
    texts
        .push("edge_overlay(style=mask, blur=4) | harris(block=9, aperture=5, threshold=0)".into());
    texts.push("canny(aperture=7, low=500, high=900) | gaussian".into());
    texts
        .push("close(radius=3, shape=cross) | erode(radius=30) | morph_gradient(radius=14)".into());
    texts.push("median(radius=1) | median(radius=20)".into());
    texts
}

fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for (rows, cols) in [(1, 1), (1, 23), (19, 1), (3, 5), (61, 47)] {
        for color in [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba] {
            for sample in [SampleType::U8, SampleType::U16, SampleType::F32] {
                shapes.push(Shape::new(rows, cols, color, sample));
            }
        }
    }
    shapes
}

#[test]
fn pixels_do_not_depend_on_ranks_threads_or_simd() {
    let best = simd::best();
    for text in pipelines() {
        let pipeline = Pipeline::parse(&text).unwrap();
        for shape in shapes() {
            let image = picture(shape);
            // An operation may refuse a shape (a crop beyond its edge); then there is nothing to compare.
            let Ok(plan) = Plan::new(&pipeline, shape) else {
                continue;
            };
            let expected = serial(&plan, &image);
            assert_eq!(expected.len(), plan.output.bytes());
            for ranks in [1, 2, 3, 4, 5, 7] {
                let got = run(&plan, &image, ranks, 1 + ranks % 2).unwrap();
                assert!(got == expected, "{text} on {shape:?}: {ranks} ranks differ");
            }
            for level in Level::ALL.into_iter().filter(|&l| l <= best) {
                assert!(simd::force(level));
                assert!(
                    serial(&plan, &image) == expected,
                    "{text} on {shape:?}: {} differs",
                    level.name()
                );
            }
            simd::force(best);
            on_a_device(&text, plan, &image, &expected);
        }
    }
}

/// Decoded, streamed and encoded as a file is, on so many threads.
fn streamed(plan: &Plan, file: &[u8], n_threads: usize) -> Vec<u8> {
    let source = std::io::Cursor::new(file.to_vec());
    let options = codec::OpenOptions::default();
    let mut source = codec::open(Box::new(source), &codec::Limits::default(), &options).unwrap();
    let out = codec::MemoryFile::default();
    let format = codec::Format::parse("tiff(compression=none)").unwrap();
    let metadata = source.metadata().clone();
    let writer = Box::new(out.clone());
    let keep = codec::KeepMetadata::None;
    let mut sink = codec::create(writer, &format, plan.output, &metadata, keep).unwrap();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .build()
        .unwrap();
    let comm = Serial::default();
    let mut context = Context::with_pool(&comm, &pool);
    run_file(&mut context, plan, &mut *source, &mut *sink).unwrap();
    sink.finish().unwrap();
    out.take_bytes()
}

#[test]
fn pixels_do_not_depend_on_the_height_of_bands() {
    let tiff = codec::Format::parse("tiff(compression=none)").unwrap();
    let samples = [SampleType::U8, SampleType::U16, SampleType::F32];
    for text in pipelines() {
        let pipeline = Pipeline::parse(&text).unwrap();
        for (color, sample) in [Color::Gray, Color::Rgba]
            .into_iter()
            .flat_map(|color| samples.map(|sample| (color, sample)))
            .chain([(Color::Bands(3), SampleType::U8)])
        {
            let shape = Shape::new(61, 47, color, sample);
            let image = picture(shape);
            let Ok(plan) = Plan::new(&pipeline, shape) else {
                continue;
            };
            let expected = serial(&plan, &image);
            let file = codec::encode(&image, &tiff, codec::KeepMetadata::None).unwrap();
            let whole = streamed(&plan, &file, 1);
            for rows in [1, 4, 7] {
                bands::force_rows(rows);
                assert!(
                    serial(&plan, &image) == expected,
                    "{text} on {shape:?}: bands of {rows} rows differ"
                );
                for ranks in [1, 3] {
                    let got = run(&plan, &image, ranks, 2).unwrap();
                    assert!(
                        got == expected,
                        "{text} on {shape:?}: {ranks} ranks in bands of {rows} rows differ"
                    );
                }
                for threads in [1, 2] {
                    assert!(
                        streamed(&plan, &file, threads) == whole,
                        "{text} on {shape:?}: streamed in bands of {rows} rows by {threads} differs"
                    );
                }
                bands::force_rows(0);
            }
        }
    }
}

/// One band of an image of bands, as a gray image.
fn plane(image: &Image, band: usize) -> Image {
    let bands = image.shape().channels();
    let shape = Shape {
        color: Color::Gray,
        ..image.shape()
    };
    let data = match &image.rows.data {
        Buffer::U8(v) => Buffer::U8(v.iter().skip(band).step_by(bands).copied().collect()),
        Buffer::U16(v) => Buffer::U16(v.iter().skip(band).step_by(bands).copied().collect()),
        Buffer::F32(v) => Buffer::F32(v.iter().skip(band).step_by(bands).copied().collect()),
        Buffer::F64(v) => Buffer::F64(v.iter().skip(band).step_by(bands).copied().collect()),
    };
    Image::new(shape, data)
}

#[test]
fn each_band_is_done_as_a_gray_image_is() {
    let mut refused = Vec::new();
    for op in imaging::ops::ALL {
        let pipeline = Pipeline::parse(op.example).unwrap();
        for sample in [SampleType::U8, SampleType::U16, SampleType::F32] {
            let image = picture(Shape::new(37, 29, Color::Bands(5), sample));
            let plan = match Plan::new(&pipeline, image.shape()) {
                Ok(plan) => plan,
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("select(bands=["), "{}: {text}", op.name);
                    assert!(text.contains("5 bands"), "{text}");
                    refused.push(op.name);
                    continue;
                }
            };
            if op.name == "select" {
                continue;
            }
            assert_eq!(plan.output.color, Color::Bands(5), "{}", op.name);
            let got = Image::new(plan.output, {
                let comm = Serial::default();
                run_rows(&mut Context::new(&comm), &plan, image.rows.clone())
                    .unwrap()
                    .data
            });
            for band in 0..5 {
                let gray = plane(&image, band);
                let alone = Plan::new(&pipeline, gray.shape()).unwrap();
                let expected = serial(&alone, &gray);
                assert!(
                    plane(&got, band).rows.data.bytes() == expected,
                    "{} on {sample:?}: band {band} differs",
                    op.name
                );
            }
            for ranks in [2, 5] {
                let same = run(&plan, &image, ranks, 2).unwrap();
                assert!(
                    same == got.rows.data.bytes(),
                    "{} on {ranks} ranks",
                    op.name
                );
            }
        }
    }
    refused.dedup();
    assert_eq!(
        refused,
        [
            "grayscale",
            "to_rgb",
            "saturation",
            "sepia",
            "otsu",
            "adaptive_threshold",
            "canny",
            "harris",
            "hough_lines",
            "edge_overlay"
        ]
    );
}

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

/// A graphics device as one more level, in software where there is no other: whatever part of the pipeline has a
/// form there makes the same bytes, on one rank and on several.
#[cfg(feature = "gpu")]
fn on_a_device(text: &str, mut plan: Plan, image: &Image, expected: &[u8]) {
    use imaging::gpu::{Choice, Device, Offload};
    use std::sync::{Arc, Once};
    let device = match Device::shared(true) {
        Ok(device) => device,
        Err(trouble) => {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| eprintln!("SKIPPED on a graphics device: {trouble}"));
            return;
        }
    };
    let offload = Arc::new(Offload::new(device, Choice::Gpu, 1));
    if !plan.place(&offload).gpu {
        return;
    }
    let shape = image.shape();
    for ranks in [1, 3] {
        let got = run(&plan, image, ranks, ranks).unwrap();
        assert_eq!(offload.trouble(), None, "{text} on {shape:?}");
        assert!(
            got == expected,
            "{text} on {shape:?}: the device differs on {ranks} ranks"
        );
    }
}

#[cfg(not(feature = "gpu"))]
fn on_a_device(_text: &str, _plan: Plan, _image: &Image, _expected: &[u8]) {}

#[test]
fn a_winding_edge_has_no_seam() {
    // A faint band winds through all rows; only at its beginning does it stand out.
    let shape = Shape::new(120, 90, Color::Gray, SampleType::U8);
    let mut samples = vec![100u8; 120 * 90];
    for turn in 0..9 {
        for y in 8..112 {
            samples[y * 90 + turn * 10 + 3..][..5].fill(125);
        }
        let y = if turn % 2 == 0 { 107 } else { 8 };
        for row in y..y + 5 {
            samples[row * 90 + turn * 10 + 3..][..if turn < 8 { 15 } else { 5 }].fill(125);
        }
    }
    samples[8 * 90 + 5] = 255;
    let image = Image::new(shape, Buffer::U8(samples));
    let plan = Plan::new(&Pipeline::parse("canny(low=40, high=200)").unwrap(), shape).unwrap();
    let expected = serial(&plan, &image);
    let far_end = &expected[60 * 90 + 80..][..10];
    assert!(far_end.contains(&255), "the whole edge is found");
    for ranks in [2, 3, 4, 5, 7, 119, 150] {
        assert!(
            run(&plan, &image, ranks, 1).unwrap() == expected,
            "{ranks} ranks differ"
        );
    }
}
