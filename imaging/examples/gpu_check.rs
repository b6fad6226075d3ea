//! Verifies and times a graphics device against the processor: `gpu_check [verify] [time] [--software]`.
//!
//! One JSON object per line on standard output; `scripts/gpu-check` makes a table of them.
#![allow(clippy::print_stdout)]

use imaging::comm::serial::Serial;
use imaging::executor::{Context, run_rows};
use imaging::gpu::{Choice, Device, Offload};
use imaging::{Buffer, Color, Pipeline, Plan, Rows, SampleType, Shape};
use serde_json::json;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// One a line; each has at least one step with a form on a device.
const PIPELINES: &str = include_str!("../tests/gpu_pipelines.txt");

/// What is timed, with the number of channels.
const TIMED: &[(&str, usize)] = &[
    ("invert", 3),
    ("gaussian(sigma=2)", 3),
    ("gaussian(sigma=10)", 3),
    ("box_blur(radius=2)", 3),
    ("median(radius=1)", 3),
    ("median(radius=2)", 3),
    ("median(radius=4)", 3),
    ("erode(radius=2)", 3),
    ("sharpen", 3),
    ("resize(width=1480,filter=lanczos3)", 3),
    ("equalize", 3),
    ("equalize", 1),
    ("otsu", 1),
    ("sobel", 1),
    ("equalize | gaussian(sigma=2) | sharpen", 3),
    (
        "gamma(gamma=1.4) | median(radius=2) | gaussian(sigma=10) | sharpen | open(radius=3)",
        3,
    ),
];

/// A smooth picture with noise, the same on every machine.
fn picture(cols: usize, rows: usize, channels: usize, seed: u64) -> Rows {
    let color = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba][channels - 1];
    let shape = Shape::new(rows, cols, color, SampleType::U8);
    let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut samples = Vec::with_capacity(rows * shape.row_len());
    for y in 0..rows {
        for i in 0..shape.row_len() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let noise = (state & 63) + (state >> 20 & 63);
            let slope = (y / 7 + i / 11) % 160;
            samples.push(match state >> 58 {
                0 => 0,
                1 => 255,
                _ => (slope as u64 + noise).min(255) as u8,
            });
        }
    }
    Rows {
        shape,
        first: 0,
        count: rows,
        data: Buffer::U8(samples),
    }
}

fn plan(text: &str, shape: Shape) -> Option<Plan> {
    let pipeline = Pipeline::parse(text).expect("a pipeline");
    Plan::new(&pipeline, shape).ok()
}

fn placed(text: &str, shape: Shape, device: &Arc<Device>) -> Option<(Plan, Arc<Offload>)> {
    let mut plan = plan(text, shape)?;
    let offload = Arc::new(Offload::new(device.clone(), Choice::Gpu, 1));
    plan.place(&offload).gpu.then_some((plan, offload))
}

/// Every form on a device against the processor, over sizes and channels. Returns how many comparisons failed.
fn verify(device: &Arc<Device>, pool: &rayon::ThreadPool) -> usize {
    let (mut compared, mut wrong) = (0, 0);
    let sizes = [
        (1, 1),
        (37, 1),
        (1, 29),
        (64, 48),
        (257, 131),
        (1021, 703),
        (4000, 3000),
    ];
    for (n, text) in PIPELINES.lines().enumerate() {
        for (cols, rows) in sizes {
            // Large images of every channel count take long on the processor: those of one count.
            let channels = if rows > 1000 { 3..=3 } else { 1..=4 };
            for channels in channels {
                let image = picture(cols, rows, channels, n as u64);
                let Some((there, offload)) = placed(text, image.shape, device) else {
                    continue;
                };
                let comm = Serial::default();
                let mut context = Context::with_pool(&comm, pool);
                let here = plan(text, image.shape).expect("a plan");
                let expected = run_rows(&mut context, &here, image.clone()).expect("a result");
                let got = run_rows(&mut context, &there, image).expect("a result");
                compared += 1;
                let trouble = offload.trouble().map(|t| t.to_string());
                if got != expected || trouble.is_some() {
                    wrong += 1;
                    let pairs = got.data.bytes().iter().zip(expected.data.bytes());
                    let different = pairs.filter(|(a, b)| a != b).count();
                    println!(
                        "{}",
                        json!({"wrong": text, "size": format!("{cols}x{rows}x{channels}"),
                               "different": different, "trouble": trouble})
                    );
                }
            }
        }
    }
    println!(
        "{}",
        json!({"compared": compared, "wrong": wrong, "pipelines": PIPELINES.lines().count()})
    );
    wrong
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// The median of runs in memory, the first not counted.
fn timed(plan: &Plan, image: &Rows, pool: &rayon::ThreadPool, most: Duration) -> f64 {
    let comm = Serial::default();
    let mut context = Context::with_pool(&comm, pool);
    let (mut times, begun) = (Vec::new(), Instant::now());
    for run in 0..8 {
        let mut input = context.spare.rows(image.shape, 0..image.count);
        input.data.bytes_mut().copy_from_slice(image.data.bytes());
        let start = Instant::now();
        let result = run_rows(&mut context, plan, input).expect("a result");
        let took = start.elapsed();
        context.spare.give(std::hint::black_box(result));
        if run > 0 {
            times.push(took);
        }
        if run > 1 && begun.elapsed() > most {
            break;
        }
    }
    median(times)
}

/// Milliseconds for each image with several under way at once, each from a thread of its own.
fn together(plan: &Plan, image: &Rows, threads: usize, each: usize) -> f64 {
    let ready = Barrier::new(threads + 1);
    let work = || {
        let comm = Serial::default();
        let mut context = Context::new(&comm);
        for run in 0..=each {
            // The first run makes buffers.
            if run == 1 {
                ready.wait();
            }
            let mut input = context.spare.rows(image.shape, 0..image.count);
            input.data.bytes_mut().copy_from_slice(image.data.bytes());
            let result = run_rows(&mut context, plan, input).expect("a result");
            context.spare.give(std::hint::black_box(result));
        }
    };
    let start = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
        ready.wait();
        Instant::now()
    });
    start.elapsed().as_secs_f64() * 1e3 / (threads * each) as f64
}

fn time(device: &Arc<Device>, pool: &rayon::ThreadPool, sizes: &[(usize, usize)]) {
    let threads = pool.current_num_threads();
    for &(cols, rows) in sizes {
        for &(text, channels) in TIMED {
            let image = picture(cols, rows, channels, 3);
            let Some((there, offload)) = placed(text, image.shape, device) else {
                continue;
            };
            let here = plan(text, image.shape).expect("a plan");
            let most = Duration::from_millis(700);
            let cpu = timed(&here, &image, pool, most);
            let gpu = timed(&there, &image, pool, most);
            let computing = device.compute_time(&there.stages, &image, 5);
            let each = if rows > 4000 { 2 } else { 4 };
            let flying = threads.min(8);
            let gpu_flying = together(&there, &image, flying, each);
            let cpu_flying = together(&here, &image, threads, 1);
            let mut judged = plan(text, image.shape).expect("a plan");
            let auto = Arc::new(Offload::new(device.clone(), Choice::Auto, threads));
            let judgement = judged.place(&auto);
            println!(
                "{}",
                json!({"pipeline": text, "size": format!("{cols}x{rows}x{channels}"), "threads": threads,
                       "cpu_ms": cpu, "gpu_ms": gpu,
                       "gpu_compute_ms": computing.map(|t| t.as_secs_f64() * 1e3).ok(),
                       "gpu_in_flight": flying, "gpu_in_flight_ms": gpu_flying, "cpu_in_flight_ms": cpu_flying,
                       "auto": judgement.gpu, "why": judgement.reason,
                       "trouble": offload.trouble().map(|t| t.to_string())})
            );
        }
    }
}

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    let begun = Instant::now();
    let device = match Device::shared(has("--software")) {
        Ok(device) => device,
        Err(trouble) => {
            println!(
                "{}",
                json!({"skipped": trouble.to_string(), "devices": format!("{:?}", Device::list())})
            );
            return std::process::ExitCode::from(2);
        }
    };
    let opened = begun.elapsed().as_secs_f64() * 1e3;
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads");
    let info = device.info().clone();
    println!(
        "{}",
        json!({"device": info.name, "driver": info.driver, "software": info.software,
               "opened_ms": opened, "threads": pool.current_num_threads()})
    );
    let mut wrong = 0;
    if has("verify") {
        wrong = verify(&device, &pool);
    }
    if has("time") {
        let speed = device.speed();
        println!(
            "{}",
            json!({"fixed_ms": speed.fixed / 1e6, "up_ns_per_byte": speed.up, "down_ns_per_byte": speed.down,
                   "read_ns": speed.read, "processor": speed.processor})
        );
        let sizes: &[(usize, usize)] = match has("--software") {
            true => &[(1000, 750)],
            false => &[(4000, 3000), (8000, 6000)],
        };
        time(&device, &pool, sizes);
    }
    match wrong {
        0 => std::process::ExitCode::SUCCESS,
        _ => std::process::ExitCode::FAILURE,
    }
}
