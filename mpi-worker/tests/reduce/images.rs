//! Stacks of images.

use super::{Dir, Random, WORLDS, go, naive};
use imaging::codec::{Format, KeepMetadata, Limits, OpenOptions, decode, encode};
use imaging::{Buffer, Color, Image, SampleType, Shape};
use std::path::PathBuf;
use worker::reduce::{Bits, Op, Request};

pub(super) fn picture(random: &mut Random, shape: Shape) -> Image {
    let len = shape.rows * shape.row_len();
    let data = match shape.sample {
        SampleType::U8 => Buffer::U8((0..len).map(|_| random.next() as u8).collect()),
        SampleType::U16 => Buffer::U16((0..len).map(|_| random.next() as u16).collect()),
        SampleType::F32 => {
            let mut samples: Vec<f32> = (0..len).map(|_| random.float() as f32).collect();
            if shape.color.has_alpha() {
                let alpha = samples.iter_mut().skip(shape.channels() - 1);
                (alpha.step_by(shape.channels())).for_each(|v| *v = v.abs());
            }
            Buffer::F32(samples)
        }
        SampleType::F64 => Buffer::F64((0..len).map(|_| random.float()).collect()),
    };
    Image::new(shape, data)
}

fn samples(buffer: &Buffer) -> Vec<f64> {
    match buffer {
        Buffer::U8(v) => v.iter().map(|&v| f64::from(v)).collect(),
        Buffer::U16(v) => v.iter().map(|&v| f64::from(v)).collect(),
        Buffer::F32(v) => v.iter().map(|&v| f64::from(v)).collect(),
        Buffer::F64(v) => v.clone(),
    }
}

#[test]
fn stacks_of_images() {
    let mut random = Random(99);
    for (color, sample, extension, count) in [
        (Color::Rgb, SampleType::U8, "png", 6),
        (Color::Gray, SampleType::U16, "png", 5),
        (Color::Rgba, SampleType::U16, "tif", 7),
        (Color::Gray, SampleType::F32, "tif", 9),
        (Color::GrayAlpha, SampleType::F32, "tif", 8),
    ] {
        let dir = Dir::new();
        let shape = Shape::new(130, 211, color, sample);
        let format = Format::parse(if extension == "png" { "png" } else { "tiff" }).unwrap();
        let images: Vec<Image> = (0..count).map(|_| picture(&mut random, shape)).collect();
        let paths: Vec<PathBuf> = images
            .iter()
            .enumerate()
            .map(|(i, image)| {
                let bytes = encode(image, &format, KeepMetadata::All).unwrap();
                dir.file(&format!("{i}.{extension}"), bytes)
            })
            .collect();
        let inputs: Vec<Vec<f64>> = images.iter().map(|i| samples(&i.rows.data)).collect();
        for op in Op::ALL {
            for output in [format!("out.{extension}"), "out.npy".to_owned()] {
                let mut request = Request::new(op, paths.clone(), dir.0.join(&output));
                request.fan_in = 3;
                let mut expected: Option<Vec<u8>> = None;
                for (n_ranks, n_threads, open) in WORLDS {
                    request.max_open_files = open;
                    request.memory = if n_threads == 2 { 1 << 16 } else { 1 << 30 };
                    let report = go(&request, n_ranks, n_threads).unwrap();
                    assert!(report.peak_open_files <= open);
                    let bytes = std::fs::read(&request.output).unwrap();
                    let expected = expected.get_or_insert_with(|| bytes.clone());
                    assert!(
                        *expected == bytes,
                        "{op:?} {output} {n_ranks} {n_threads} {open}"
                    );
                }
                let bytes = std::fs::read(&request.output).unwrap();
                let got: Vec<f64> = if output.ends_with("npy") {
                    let header = String::from_utf8_lossy(&bytes[..128]).into_owned();
                    let (values, _) = bytes[128..].as_chunks();
                    match header.contains("<i8") {
                        true => values
                            .iter()
                            .map(|&b| i64::from_le_bytes(b) as f64)
                            .collect(),
                        false => values.iter().map(|&b| f64::from_le_bytes(b)).collect(),
                    }
                } else {
                    samples(
                        &decode(bytes, &Limits::default(), &OpenOptions::default())
                            .unwrap()
                            .rows
                            .data,
                    )
                };
                assert_eq!(got.len(), shape.rows * shape.row_len());
                let (step, alpha) = (shape.channels(), color.has_alpha());
                for (i, &got) in got.iter().enumerate() {
                    let column: Vec<f64> = inputs.iter().map(|v| v[i]).collect();
                    let weights = |of: &Vec<f64>| of[i / step * step + step - 1];
                    let mut expected = match alpha && i % step < step - 1 {
                        true => {
                            let weights: Vec<f64> = inputs.iter().map(weights).collect();
                            let top = if sample.is_float() { 1.0 } else { 65535.0 };
                            seen(op, &column, &weights, top)
                        }
                        false => naive(op, &column),
                    };
                    if !output.ends_with("npy") {
                        expected = match sample {
                            SampleType::U8 => expected.round_ties_even().min(255.0),
                            SampleType::U16 => expected.round_ties_even().min(65535.0),
                            SampleType::F32 => f64::from(expected as f32),
                            SampleType::F64 => expected,
                        };
                    }
                    let error = (got - expected).abs();
                    // Weighted floats, and deviations from a weighted mean, are not summed exactly here.
                    let within = match alpha {
                        true if op == Op::Std => 1e-11,
                        true if sample.is_float() => 1e-12,
                        _ => 4e-16,
                    };
                    assert!(
                        error
                            <= within
                                * expected
                                    .abs()
                                    .max(f64::from(u8::from(op == Op::Std)) * 65535.0),
                        "{op:?} {output} {got} {expected}"
                    );
                }
            }
        }
    }
}

/// As [`naive`], of colours that are seen as much as their alpha says.
fn seen(op: Op, colors: &[f64], weights: &[f64], top: f64) -> f64 {
    let total: f64 = weights.iter().sum();
    let sum = |f: &dyn Fn(f64) -> f64| -> f64 {
        colors.iter().zip(weights).map(|(&c, w)| f(c) * w).sum()
    };
    let mean = sum(&|c| c) / total;
    let visible = colors.iter().zip(weights).filter(|(_, w)| **w > 0.0);
    match op {
        Op::Median => {
            let mut pairs: Vec<(f64, f64)> = visible.map(|(c, w)| (*c, *w)).collect();
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            let upto = |at: usize| pairs[..=at].iter().map(|p| p.1).sum::<f64>();
            let low = (0..pairs.len()).find(|&at| upto(at) >= total / 2.0);
            let high = (0..pairs.len()).find(|&at| upto(at) > total / 2.0);
            match (low, high) {
                (Some(low), Some(high)) => (pairs[low].0 + pairs[high].0) / 2.0,
                _ => 0.0,
            }
        }
        Op::Mean => mean,
        Op::Sum => sum(&|c| c) / top,
        Op::Std => (sum(&|c| (c - mean) * (c - mean)) / total).sqrt(),
        Op::Min => visible.map(|(c, _)| *c).fold(f64::INFINITY, f64::min),
        Op::Max => visible.map(|(c, _)| *c).fold(f64::NEG_INFINITY, f64::max),
    }
}

#[test]
fn transparent_halves_count_for_nothing() {
    let dir = Dir::new();
    let shape = Shape::new(1, 2, Color::Rgba, SampleType::U8);
    let png = Format::parse("png").unwrap();
    let file = |name: &str, pixels: [u8; 8]| {
        let image = Image::new(shape, Buffer::U8(pixels.to_vec()));
        dir.file(name, encode(&image, &png, KeepMetadata::None).unwrap())
    };
    let files = vec![
        file("a.png", [200, 100, 0, 255, 9, 9, 9, 0]),
        file("b.png", [0, 0, 0, 0, 50, 60, 70, 255]),
    ];
    let output = dir.0.join("out.png");
    for op in [Op::Mean, Op::Median] {
        let request = Request::new(op, files.clone(), output.clone());
        go(&request, 2, 1).unwrap();
        let bytes = std::fs::read(&output).unwrap();
        let got = decode(bytes, &Limits::default(), &OpenOptions::default()).unwrap();
        let expected = vec![200, 100, 0, 128, 50, 60, 70, 128];
        assert_eq!(got.rows.data, Buffer::U8(expected), "{op:?}");
    }
}

#[test]
fn depth_is_gained_where_it_is_asked_for() {
    let dir = Dir::new();
    let shape = Shape::new(3, 5, Color::Gray, SampleType::U8);
    let png = Format::parse("png").unwrap();
    let file = |name: &str, value: u8| {
        let image = Image::new(shape, Buffer::U8(vec![value; 15]));
        dir.file(name, encode(&image, &png, KeepMetadata::None).unwrap())
    };
    let files = vec![file("a.png", 100), file("b.png", 101)];
    for (bits, expected) in [
        (Bits::Eight, Buffer::U8(vec![100; 15])),
        (Bits::Sixteen, Buffer::U16(vec![25828; 15])),
        (Bits::Float, Buffer::F32(vec![(100.5 / 255.0) as f32; 15])),
    ] {
        let output = dir.0.join("out.tif");
        let mut request = Request::new(Op::Mean, files.clone(), output.clone());
        request.bits = Some(bits);
        go(&request, 1, 1).unwrap();
        let bytes = std::fs::read(&output).unwrap();
        let got = decode(bytes, &Limits::default(), &OpenOptions::default()).unwrap();
        assert_eq!(got.rows.data, expected);
    }
    let mut request = Request::new(Op::Mean, files, dir.0.join("out.jpg"));
    request.bits = Some(Bits::Float);
    let error = go(&request, 1, 1).unwrap_err().to_string();
    assert!(
        error.contains("no 32-bit float samples (hint: .tif)"),
        "{error}"
    );
    request.output = dir.0.join("out.npy");
    let error = go(&request, 1, 1).unwrap_err().to_string();
    assert!(error.contains("--bits is for images"), "{error}");
}

#[test]
fn images_of_another_shape_or_cut_off() {
    let dir = Dir::new();
    let mut random = Random(5);
    let png = Format::parse("png").unwrap();
    let mut image = |name: &str, rows, sample| {
        let image = picture(&mut random, Shape::new(rows, 40, Color::Gray, sample));
        dir.file(name, encode(&image, &png, KeepMetadata::All).unwrap())
    };
    let (a, b) = (
        image("a.png", 30, SampleType::U8),
        image("b.png", 30, SampleType::U8),
    );
    let (c, d) = (
        image("c.png", 30, SampleType::U16),
        image("d.png", 31, SampleType::U8),
    );
    let bytes = std::fs::read(&b).unwrap();
    let cut = dir.file("cut.png", &bytes[..bytes.len() / 2]);
    let text = dir.file("t.txt", "1 2 3");
    let left = dir.names().len();
    for (files, parts) in [
        (vec![&a, &b, &c], ["c.png", "16 bits"]),
        (
            vec![&a, &d, &c],
            [
                "d.png: 40x31 gray of 8 bits",
                "a.png has 40x30 gray of 8 bits",
            ],
        ),
        (vec![&a, &b, &cut, &b, &cut], ["cut.png", ""]),
        (vec![&a, &text], ["t.txt", "no image"]),
        (vec![&text, &a], ["a.png", "an image"]),
        (vec![&text], ["out.png", "numbers cannot be written"]),
    ] {
        let files: Vec<PathBuf> = files.into_iter().cloned().collect();
        for op in [Op::Mean, Op::Median] {
            for n_ranks in [1, 3] {
                let request = Request::new(op, files.clone(), dir.0.join("out.png"));
                let error = go(&request, n_ranks, 2).unwrap_err().to_string();
                parts
                    .iter()
                    .for_each(|part| assert!(error.contains(part), "{error:?} lacks {part:?}"));
                assert_eq!(dir.names().len(), left);
            }
        }
    }
}
