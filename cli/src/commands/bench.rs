//! `sundog bench`: a pipeline in memory, without codecs.

use crate::job_flags::Device;
use crate::mpi::{self, Start};
use crate::{interrupt, output};
use client::exit::{Exit, Failure, Result};
use client::settings;
use imaging::comm::{serial::Serial, threads};
use std::path::PathBuf;
use worker::bench::{self, Report, Request};

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Example: sundog bench -p 'gaussian(sigma=2)' --size 4000x3000x3 --threads 1 --json")]
pub struct Args {
    /// Operations in order
    #[arg(short, long, value_name = "PIPELINE")]
    pipeline: String,
    /// Width x height x channels of a made picture, the same on every machine
    #[arg(long, value_name = "WxHxC", default_value = "4000x3000x3", value_parser = size, conflicts_with = "input")]
    size: (usize, usize, usize),
    /// What a sample of it is: integers of 8 or 16 bits, or floats
    #[arg(
        long,
        value_enum,
        value_name = "BITS",
        default_value = "8",
        conflicts_with = "input"
    )]
    bits: Bits,
    /// Time a copy of the same bytes beside each run, too: what memory itself takes
    #[arg(long)]
    floor: bool,
    /// A file to take instead
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Threads of each rank [default: all cores, shared by the ranks]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    threads: Option<u32>,
    /// Run on N ranks of mpirun
    #[arg(long, value_name = "N", conflicts_with = "thread_ranks", value_parser = clap::value_parser!(u32).range(1..=65536))]
    ranks: Option<u32>,
    /// Machines for mpirun
    #[arg(long, value_name = "FILE")]
    hostfile: Option<PathBuf>,
    /// The mpirun to use
    #[arg(long, value_name = "PATH")]
    mpirun: Option<PathBuf>,
    /// Run N ranks as threads of this process
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    thread_ranks: Option<u32>,
    /// Runs that are timed, after one that is not; the median is reported
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// What computes; the ways to a graphics device and back are part of the time
    #[arg(long, value_enum, value_name = "DEVICE", default_value = "cpu")]
    device: Device,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Samples of made pictures.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Bits {
    /// Integers of 8 bits
    #[value(name = "8")]
    Eight,
    /// Integers of 16 bits
    #[value(name = "16")]
    Sixteen,
    /// Floats of 32 bits
    #[value(name = "32f")]
    Float,
}

/// `WIDTHxHEIGHT` or `WIDTHxHEIGHTxCHANNELS` (3 where not given).
pub fn size(text: &str) -> std::result::Result<(usize, usize, usize), String> {
    let parts: Option<Vec<usize>> = text.split(['x', 'X']).map(|n| n.parse().ok()).collect();
    let (width, height, channels) = match parts.as_deref() {
        Some([width, height]) => (*width, *height, 3),
        Some([width, height, channels]) => (*width, *height, *channels),
        _ => return Err("write it as 4000x3000x3: width, height, channels".into()),
    };
    let side = 1..=1 << 20;
    if !side.contains(&width) || !side.contains(&height) {
        return Err("width and height must be in 1..=1048576".into());
    }
    match channels {
        1..=4 => Ok((width, height, channels)),
        _ => Err("there are 1 to 4 channels".into()),
    }
}

/// Times the pipeline.
pub fn run(args: Args) -> Result {
    let count = |n: Option<u32>| n.map(|n| n as usize);
    let (ranks, thread_ranks) = (count(args.ranks), count(args.thread_ranks).unwrap_or(1));
    let request = Request {
        pipeline: args.pipeline,
        size: args.size,
        bits: match args.bits {
            Bits::Eight => bench::Bits::Eight,
            Bits::Sixteen => bench::Bits::Sixteen,
            Bits::Float => bench::Bits::Float,
        },
        floor: args.floor,
        input: args.input,
        threads: worker::here::threads_each(count(args.threads), ranks.unwrap_or(thread_ranks)),
        runs: args.runs as usize,
        device: match args.device {
            Device::Auto => protocol::job::Device::Auto,
            Device::Cpu => protocol::job::Device::Cpu,
            Device::Gpu => protocol::job::Device::Gpu,
        },
    };
    imaging::Pipeline::parse(&request.pipeline)
        .map_err(|e| Failure::usage(format!("--pipeline: {e}")))?;
    let report = match ranks {
        Some(ranks) => {
            let layers = settings::load()?;
            let start = Start::new(&layers, args.mpirun, args.hostfile);
            let stop = interrupt::stop();
            mpi::bench(request, count(args.threads), ranks, &start, &stop)?
        }
        None if thread_ranks == 1 => bench::run(&Serial::default(), &request)?,
        None => {
            let reports = threads::run(thread_ranks, |comm| bench::run(comm, &request));
            match reports.into_iter().next() {
                Some(report) => report?,
                None => return Err(Failure::failed("a world of no ranks")),
            }
        }
    };
    match args.json {
        true => output::json(&report),
        false => output::line(human(&report)),
    }
    Ok(Exit::Ok)
}

fn human(report: &Report) -> String {
    let halo = match report.halo_bytes {
        0 => String::new(),
        bytes => format!(
            ", {bytes} bytes of halo, {:.2} ms waiting for it",
            report.halo_wait_ms
        ),
    };
    let device = match report.device_reason.as_str() {
        "" => String::new(),
        reason => format!(", on the {}: {reason}", report.device),
    };
    let floor = match report.floor_ms {
        None => String::new(),
        Some(floor) => format!(
            ", a copy of the bytes {floor:.2} ms ({:.2} of it)",
            report.median_ms / floor
        ),
    };
    format!(
        "{} on {}, {} rank(s) of {} thread(s): median {:.2} ms, least {:.2} ms, {:.1} megapixels/s, peak {:.0} MB{floor}{halo}{device}",
        report.pipeline,
        report.size,
        report.ranks,
        report.threads,
        report.median_ms,
        report.min_ms,
        report.megapixels_per_s,
        report.peak_rss_mb,
    )
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_two_or_three_parts() {
        assert_eq!(size("40x30"), Ok((40, 30, 3)));
        assert_eq!(size("40x30x1"), Ok((40, 30, 1)));
        for wrong in ["", "4", "0x5", "5x5x5", "axb", "1x2x3x4", "99999999x2"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
