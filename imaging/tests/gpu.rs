//! Work on a graphics device: the same bytes as the processor's for every operation that has a form there, also for
//! images in pieces, from a file, and when the device is lost. Software Vulkan will do.
#![cfg(feature = "gpu")]
#![allow(clippy::unwrap_used)]

use imaging::comm::serial::Serial;
use imaging::executor::{Context, run_rows};
use imaging::gpu::{Choice, Device, Offload};
use imaging::{Buffer, Color, Image, Pipeline, Plan, SampleType, Shape};
use std::sync::Arc;

/// One a line; each has at least one step with a form on a device.
const PIPELINES: &str = include_str!("gpu_pipelines.txt");

fn device() -> Option<Arc<Device>> {
    Device::shared(true)
        .map_err(|trouble| eprintln!("SKIPPED: {trouble}"))
        .ok()
}

/// Noise with flat parts and extremes, the same on every machine.
fn picture(rows: usize, cols: usize, color: Color, seed: u64) -> Image {
    let shape = Shape::new(rows, cols, color, SampleType::U8);
    let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut samples = Vec::with_capacity(rows * shape.row_len());
    for i in 0..rows * shape.row_len() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        samples.push(match state >> 60 {
            0 => 0,
            1 => 255,
            2..=5 => (i / 37 % 256) as u8,
            _ => (state >> 32) as u8,
        });
    }
    Image::new(shape, Buffer::U8(samples))
}

fn run(plan: &Plan, image: &Image, threads: usize) -> Vec<u8> {
    let comm = Serial::default();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let mut context = match threads {
        1 => Context::new(&comm),
        _ => Context::with_pool(&comm, &pool),
    };
    let rows = run_rows(&mut context, plan, image.rows.clone()).unwrap();
    rows.data.bytes().to_vec()
}

/// The pipeline's bytes from the processor, and the plan placed on the device.
fn both(text: &str, image: &Image, device: &Arc<Device>) -> Option<(Vec<u8>, Plan, Arc<Offload>)> {
    let mut plan = Plan::new(&Pipeline::parse(text).unwrap(), image.shape()).ok()?;
    let expected = run(&plan, image, 1);
    let offload = Arc::new(Offload::new(device.clone(), Choice::Gpu, 1));
    plan.place(&offload)
        .gpu
        .then_some((expected, plan, offload))
}

#[test]
fn every_form_makes_the_bytes_of_the_processor() {
    let Some(device) = device() else { return };
    for (n, text) in PIPELINES.lines().enumerate() {
        let mut compared = 0;
        for (rows, cols) in [(1, 1), (1, 40), (40, 1), (7, 3), (33, 61), (130, 257)] {
            for color in [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba] {
                let image = picture(rows, cols, color, n as u64);
                let Some((expected, plan, offload)) = both(text, &image, &device) else {
                    continue;
                };
                let got = run(&plan, &image, 1);
                assert_eq!(offload.trouble(), None, "{text}");
                let different = got.iter().zip(&expected).filter(|(a, b)| a != b).count();
                assert!(
                    got == expected,
                    "{text} on {rows} x {cols} {}: {different} of {} bytes differ",
                    color.name(),
                    got.len()
                );
                compared += 1;
            }
        }
        assert!(compared > 0, "{text} has no form on a device");
    }
}

#[test]
fn images_in_several_pieces_have_no_seams() {
    let Some(device) = device() else { return };
    for text in [
        "gaussian(sigma=4) | sharpen | flip(axis=vertical)",
        "resize(width=700, height=5000) | erode(radius=3)",
        "otsu",
    ] {
        let image = picture(9001, 1203, Color::Rgb, 5);
        let (expected, mut plan, offload) = both(text, &image, &device).unwrap();
        assert!(run(&plan, &image, 2) == expected, "{text}");
        // Stages apart, as on several ranks: each counts and computes in pieces.
        for stage in &mut plan.stages {
            stage.gpu = None;
        }
        assert!(run(&plan, &image, 2) == expected, "{text}, stages apart");
        assert_eq!(offload.trouble(), None);
    }
}

#[test]
fn a_lost_device_leaves_the_work_to_the_processor() {
    let Ok(device) = Device::open(true).map(Arc::new) else {
        eprintln!("SKIPPED: there is no device to lose");
        return;
    };
    let image = picture(90, 120, Color::Rgb, 1);
    for text in ["gaussian(sigma=2)", "equalize | median(radius=1)"] {
        let (expected, plan, offload) = both(text, &image, &device).unwrap();
        device.destroy();
        assert!(run(&plan, &image, 1) == expected, "{text}");
        let trouble = offload.trouble().expect("a warning").to_string();
        assert!(trouble.contains("lost"), "{trouble}");
    }
}

#[test]
fn several_images_at_once_do_not_mix() {
    let Some(device) = device() else { return };
    std::thread::scope(|scope| {
        for n in 0..6 {
            let device = &device;
            scope.spawn(move || {
                for text in [
                    "equalize | gaussian(sigma=2)",
                    "median(radius=2) | resize(width=64)",
                ] {
                    let image = picture(200 + 31 * n, 300 - 17 * n, Color::Rgb, n as u64);
                    let (expected, plan, offload) = both(text, &image, device).unwrap();
                    for _ in 0..3 {
                        assert!(run(&plan, &image, 1) == expected, "{text}, image {n}");
                    }
                    assert_eq!(offload.trouble(), None);
                }
            });
        }
    });
}

#[test]
fn wide_samples_and_steps_without_a_form_stay_on_the_processor() {
    let Some(device) = device() else { return };
    let offload = Arc::new(Offload::new(device, Choice::Gpu, 1));
    let placed = |text: &str, sample| {
        let shape = Shape::new(50, 50, Color::Rgb, sample);
        let mut plan = Plan::new(&Pipeline::parse(text).unwrap(), shape).unwrap();
        plan.place(&offload).gpu
    };
    assert!(placed("gaussian", SampleType::U8));
    assert!(!placed("gaussian", SampleType::U16));
    assert!(!placed("gaussian", SampleType::F32));
    assert!(!placed("bilateral", SampleType::U8));
    assert!(!placed("sharpen(amount=0.5)", SampleType::U8));
}

#[test]
fn small_work_is_not_sent_where_it_would_lose() {
    let Some(device) = device() else { return };
    let offload = Arc::new(Offload::new(device, Choice::Auto, 1));
    let shape = Shape::new(8, 8, Color::Gray, SampleType::U8);
    let mut plan = Plan::new(&Pipeline::parse("invert").unwrap(), shape).unwrap();
    let placement = plan.place(&offload);
    assert!(!placement.gpu, "{placement:?}");
    assert!(placement.reason.contains("processor"), "{placement:?}");
}
