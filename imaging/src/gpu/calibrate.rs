//! How long a device takes for the way there and back and for reading samples, and this machine's processor for what it
//! would do instead, found by timing both once.

use super::{Device, Kernel, Speed, Trouble, place};
use crate::executor::{Stop, stream};
use crate::image::{Color, Rows, SampleType, Shape};
use crate::pipeline::Pipeline;
use crate::plan::Plan;
use crate::window::Band;
use std::time::Instant;

/// Times the device; where that fails it is given a speed at which it never wins.
pub fn time(device: &Device) -> Speed {
    let hopeless = Speed {
        fixed: 1e12,
        up: 1e3,
        down: 1e3,
        read: 1e3,
        processor: 1.0,
    };
    measure(device).unwrap_or(hopeless)
}

/// Columns of the images that are timed.
const COLS: usize = 2048;

/// Rows of the large one, of 16 MiB.
const ROWS: usize = 8192;

fn measure(device: &Device) -> Result<Speed, Trouble> {
    let pool = rayon::ThreadPoolBuilder::new()
        .build()
        .map_err(|e| Trouble(e.to_string()))?;
    let small = there(device, &pool, "invert", 8)?;
    let large = there(device, &pool, "invert", ROWS)?;
    let way = (large - small).max(1.0) / (ROWS * COLS) as f64;
    // What many reads of a sample add, without the ways.
    let plan = planned(SMOOTHING, ROWS)?;
    let rows = Rows::zeroed(plan.input, 0..ROWS);
    let compute = device.compute_time(&plan.stages, &rows, 5)?.as_nanos() as f64;
    let kernels = place::kernels(&plan.stages[0].segment).unwrap_or_default();
    let reads: f64 = kernels.iter().map(Kernel::reads).sum();
    let here = best(|| {
        let mut output = Rows::zeroed(plan.output, 0..ROWS);
        let start = Instant::now();
        let (segment, out) = (&plan.stages[0].segment, Band::of(&mut output));
        stream(segment, &[&rows], out, Some(&pool), &Stop::default())
            .map_err(|e| Trouble(e.to_string()))?;
        Ok(start.elapsed().as_nanos() as f64)
    })?;
    let said = plan.cost() / pool.current_num_threads() as f64;
    Ok(Speed {
        fixed: small,
        // What is timed is both ways, so each is given half.
        up: way / 2.0,
        down: way / 2.0,
        read: compute / reads.max(1.0),
        processor: (here / said.max(1.0)).clamp(0.2, 20.0),
    })
}

/// A pipeline whose time is computing, here and there.
const SMOOTHING: &str = "gaussian(sigma=6)";

fn planned(text: &str, rows: usize) -> Result<Plan, Trouble> {
    let shape = Shape::new(rows, COLS, Color::Gray, SampleType::U8);
    let plan = Pipeline::parse(text).and_then(|pipeline| Plan::new(&pipeline, shape));
    plan.map_err(|e| Trouble(e.to_string()))
}

fn best(mut run: impl FnMut() -> Result<f64, Trouble>) -> Result<f64, Trouble> {
    let mut least = f64::INFINITY;
    for _ in 0..6 {
        least = least.min(run()?);
    }
    Ok(least)
}

/// The least time in nanoseconds of a pipeline on the device, on an image of so many rows.
fn there(
    device: &Device,
    pool: &rayon::ThreadPool,
    text: &str,
    rows: usize,
) -> Result<f64, Trouble> {
    let plan = planned(text, rows)?;
    let input = Rows::zeroed(plan.input, 0..rows);
    let mut output = Rows::zeroed(plan.output, 0..rows);
    best(|| {
        let start = Instant::now();
        let (segment, out) = (&plan.stages[0].segment, Band::of(&mut output));
        device.stream(segment, &[&input], out, Some(pool), &Stop::default())?;
        Ok(start.elapsed().as_nanos() as f64)
    })
}
