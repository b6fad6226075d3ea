//! The same pixels for any number of ranks, threads and any SIMD level.
#![allow(clippy::unwrap_used)]

mod bands;
mod heights;
mod plans;
mod values;

use imaging::comm::{Comm, serial::Serial, threads};
use imaging::executor::{Context, run_rows};
use imaging::halo::partition;
use imaging::simd::{self, Level};
use imaging::{Buffer, Color, Image, Pipeline, Plan, Rows, SampleType, Shape};

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
    texts.push(String::new());
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
    texts.push("box_blur(radius=3) | flip(axis=vertical) | dilate(radius=3) | rotate".into());
    texts.push("box_blur(radius=7, border=constant) | adaptive_threshold(block=41)".into());
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
