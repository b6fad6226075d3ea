//! Times a pipeline in memory, without any codec, on whatever world of ranks it is given.

use imaging::codec::{self, Limits, OpenOptions, RowSource};
use imaging::comm::{Comm, Reduce, agree};
use imaging::executor::{Context, guarded, run_rows, scatter};
use imaging::gpu::{Choice, Device, Offload};
use imaging::{Color, Error, Pipeline, Plan, Result, Rows, SampleType, Shape};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// What to time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The pipeline's text.
    pub pipeline: String,
    /// Columns, rows and channels of a made picture…
    pub size: (usize, usize, usize),
    /// What a sample of the made picture is.
    #[serde(default)]
    pub bits: Bits,
    /// Whether a copy of the same bytes is timed beside each run.
    #[serde(default)]
    pub floor: bool,
    /// …or a file to take instead.
    pub input: Option<PathBuf>,
    /// Threads of each rank.
    pub threads: usize,
    /// What computes.
    #[serde(default)]
    pub device: protocol::job::Device,
    /// Runs that count, after one that does not.
    pub runs: usize,
}

/// What a sample of a made picture is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bits {
    /// An integer of 8 bits.
    #[default]
    #[serde(rename = "8")]
    Eight,
    /// An integer of 16 bits.
    #[serde(rename = "16")]
    Sixteen,
    /// A float of 32 bits.
    #[serde(rename = "32f")]
    Float,
}

impl Bits {
    fn sample(self) -> SampleType {
        match self {
            Bits::Eight => SampleType::U8,
            Bits::Sixteen => SampleType::U16,
            Bits::Float => SampleType::F32,
        }
    }
}

/// The figures, as `sundog bench --json` prints them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The pipeline in its canonical form.
    pub pipeline: String,
    /// `WxHxC`.
    pub size: String,
    /// Threads of each rank.
    pub threads: usize,
    /// Number of ranks.
    pub ranks: usize,
    /// Median over the runs of the slowest rank's time.
    pub median_ms: f64,
    /// Least over the runs.
    pub min_ms: f64,
    /// Input pixels per second at the median.
    pub megapixels_per_s: f64,
    /// Highest resident size of any rank.
    pub peak_rss_mb: f64,
    /// Median of a copy of the input's bytes by the same threads, timed beside each run, where asked for: what memory
    /// itself takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor_ms: Option<f64>,
    /// Bytes sent as halos in one run, all ranks together.
    pub halo_bytes: u64,
    /// Time blocked in halo waits in one run, the mean over ranks and runs.
    pub halo_wait_ms: f64,
    /// `gpu` where a graphics device computed at least a part.
    #[serde(default = "processor")]
    pub device: String,
    /// What of it did, or why none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device_reason: String,
}

fn processor() -> String {
    "cpu".into()
}

/// Sends the plan to a graphics device where that is asked for.
fn place(
    plan: &mut Plan,
    request: &Request,
    ranks: usize,
) -> Result<(String, String, Option<Arc<Offload>>)> {
    let choice = match request.device {
        protocol::job::Device::Cpu => return Ok((processor(), String::new(), None)),
        protocol::job::Device::Auto => Choice::Auto,
        protocol::job::Device::Gpu => Choice::Gpu,
    };
    let device = match Device::shared(choice == Choice::Gpu) {
        Ok(device) => device,
        Err(trouble) if choice == Choice::Auto => {
            return Ok((processor(), trouble.to_string(), None));
        }
        Err(trouble) => return Err(Error::Unsuitable(format!("--device gpu: {trouble}"))),
    };
    let offload = Arc::new(Offload::new(device, choice, request.threads * ranks));
    let placement = plan.place(&offload);
    match placement.gpu {
        true => Ok(("gpu".into(), placement.reason, Some(offload))),
        false => Ok((processor(), placement.reason, None)),
    }
}

/// Runs the benchmark; all ranks call this together with the same request.
pub fn run(comm: &dyn Comm, request: &Request) -> Result<Report> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(request.threads)
        .build()
        .map_err(|error| Error::Io(format!("cannot start threads: {error}")))?;
    let pipeline = agree(comm, Pipeline::parse(&request.pipeline))?;
    let mut context = Context::with_pool(comm, &pool);
    let rows = source(&mut context, request)?;
    let mut plan = agree(comm, Plan::new(&pipeline, rows.shape))?;
    let (device, device_reason, offload) = agree(comm, place(&mut plan, request, comm.size()))?;
    let (mut times, mut waits, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut floor = request
        .floor
        .then(|| (vec![0; rows.data.bytes().len()], Vec::new()));
    for _ in 0..=request.runs {
        context.halo = Default::default();
        let mut input = context.spare.rows(rows.shape, rows.range());
        input.data.bytes_mut().copy_from_slice(rows.data.bytes());
        comm.barrier();
        let start = Instant::now();
        let result = run_rows(&mut context, &plan, input)?;
        let mut nanos = [start.elapsed().as_nanos() as i64];
        context.spare.give(std::hint::black_box(result));
        comm.all_reduce(&mut nanos, Reduce::Max);
        let mut sums = [
            context.halo.wait.as_nanos() as i64,
            context.halo.bytes as i64,
        ];
        comm.all_reduce(&mut sums, Reduce::Sum);
        times.push(nanos[0] as f64 / 1e6);
        waits.push(sums[0] as f64 / 1e6 / comm.size() as f64);
        bytes = sums[1] as u64;
        if let Some((to, floors)) = &mut floor {
            comm.barrier();
            let start = Instant::now();
            copy(&pool, rows.data.bytes(), to);
            let mut nanos = [start.elapsed().as_nanos() as i64];
            comm.all_reduce(&mut nanos, Reduce::Max);
            floors.push(nanos[0] as f64 / 1e6);
        }
    }
    let failed = offload.and_then(|offload| offload.trouble());
    let failed = failed.map_or(Ok(()), |trouble| {
        Err(Error::Unsuitable(trouble.to_string()))
    });
    agree(comm, failed)?;
    let mut peak = [peak_rss_bytes() as i64];
    comm.all_reduce(&mut peak, Reduce::Max);
    // The first run warms caches and page tables.
    let sorted = |mut times: Vec<f64>| {
        let mut times = times.split_off(1);
        times.sort_by(f64::total_cmp);
        times
    };
    let times = sorted(times);
    let median = times[times.len() / 2];
    let floor = floor.map(|(_, floors)| sorted(floors));
    let shape = rows.shape;
    Ok(Report {
        pipeline: pipeline.to_string(),
        size: format!("{}x{}x{}", shape.cols, shape.rows, shape.channels()),
        threads: request.threads,
        ranks: comm.size(),
        median_ms: round(median),
        min_ms: round(times[0]),
        megapixels_per_s: round(shape.pixels() as f64 / 1e3 / median),
        peak_rss_mb: round(peak[0] as f64 / 1e6),
        floor_ms: floor.map(|floors| round(floors[floors.len() / 2])),
        halo_bytes: bytes,
        halo_wait_ms: round(waits[1..].iter().sum::<f64>() / times.len() as f64),
        device,
        device_reason,
    })
}

/// Copies by all threads of the pool, each a part of its own.
fn copy(pool: &rayon::ThreadPool, from: &[u8], to: &mut [u8]) {
    let part = from.len().div_ceil(pool.current_num_threads()).max(4096);
    pool.install(|| {
        let parts = to.par_chunks_mut(part).zip(from.par_chunks(part));
        parts.for_each(|(to, from)| to.copy_from_slice(from));
    });
    std::hint::black_box(to);
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn source(context: &mut Context<'_>, request: &Request) -> Result<Rows> {
    let comm = context.comm;
    let Some(path) = &request.input else {
        let (cols, rows, channels) = request.size;
        let color = match channels {
            1 => Color::Gray,
            2 => Color::GrayAlpha,
            3 => Color::Rgb,
            4 => Color::Rgba,
            n => {
                return Err(Error::Pipeline(format!(
                    "--size with {n} channels (1 to 4 are possible)"
                )));
            }
        };
        let shape = Shape::new(rows, cols, color, request.bits.sample());
        let part = context.part(shape);
        return Ok(crate::generate::picture(shape, part, 0));
    };
    let opened = agree(
        comm,
        guarded(|| {
            let file = crate::source::open(path)?;
            codec::open(Box::new(file), &Limits::default(), &OpenOptions::default())
        }),
    )?;
    let mut opened = opened;
    let shape = opened.shape();
    let source = match comm.rank() {
        0 => Some(&mut *opened as &mut dyn RowSource),
        _ => None,
    };
    scatter(context, shape, source)
}

/// The highest resident size of this process so far, in bytes; 0 where the system does not tell.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
