//! Times a reduction of files, to be compared with `benches/peers/numpy_mean.py`:
//! `reduce_bench OP OUT THREADS RANKS MAX_OPEN_FILES FILE...` prints one JSON line.
#![allow(clippy::print_stdout)]

use imaging::comm::{serial::Serial, threads};
use imaging::executor::Stop;
use std::time::Instant;
use worker::reduce::{Op, Request, run};

/// Peak resident memory of this process in MiB, where the system tells.
fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    let kib = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [op, out, n_threads, n_ranks, open, files @ ..] = &args[..] else {
        return Err("usage: reduce_bench OP OUT THREADS RANKS MAX_OPEN_FILES FILE...".into());
    };
    let op = Op::ALL
        .into_iter()
        .find(|o| o.name() == op)
        .ok_or("no such operation")?;
    let mut request = Request::new(op, files.iter().map(Into::into).collect(), out.into());
    request.max_open_files = open.parse()?;
    let (n_threads, n_ranks): (usize, usize) = (n_threads.parse()?, n_ranks.parse()?);
    let start = Instant::now();
    let report = match n_ranks {
        1 => run(
            &Serial::default(),
            n_threads,
            &request,
            &Stop::default(),
            &|_, _| (),
        )?,
        _ => {
            let rank = |comm: &threads::Threads| {
                run(comm, n_threads, &request, &Stop::default(), &|_, _| ())
            };
            threads::run(n_ranks, rank).swap_remove(0)?
        }
    };
    println!(
        "{{\"op\": \"{}\", \"files\": {}, \"values\": {}, \"seconds\": {:.3}, \"peak_rss_mib\": {:.1}, \"spooled_mib\": {:.1}, \"open\": {}}}",
        op.name(),
        report.files,
        report.values,
        start.elapsed().as_secs_f64(),
        peak_rss_mib(),
        report.spooled_bytes as f64 / f64::from(1 << 20),
        report.peak_open_files
    );
    Ok(())
}
