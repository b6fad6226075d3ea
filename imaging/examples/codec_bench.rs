//! Times decoding and encoding in memory: `codec_bench FILE [FORMAT] [THREADS] [RUNS]`; prints the best
//! of the runs.

#![allow(clippy::print_stdout)]

use imaging::codec::{Format, KeepMetadata, Limits, OpenOptions, decode, encode};
use std::time::Instant;

fn best<T>(runs: usize, mut work: impl FnMut() -> T) -> (f64, T) {
    let mut time = || {
        let start = Instant::now();
        let result = work();
        (start.elapsed().as_secs_f64(), result)
    };
    let mut best = time();
    for _ in 1..runs {
        let next = time();
        if next.0 < best.0 {
            best = next;
        }
    }
    best
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let bytes = std::fs::read(&args[1]).expect("a readable file");
    let format = args.get(2).map_or("png", String::as_str);
    let format = Format::parse(format).expect("a format");
    let number = |at: usize, default: usize| {
        args.get(at)
            .map_or(default, |v| v.parse().expect("a number"))
    };
    let (threads, runs) = (number(3, 1), number(4, 7));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads");
    pool.install(|| {
        let limits = Limits::default();
        let options = OpenOptions::default();
        let (seconds, image) = best(runs, || {
            decode(bytes.clone(), &limits, &options).expect("a sound image")
        });
        let size = image.shape().bytes() as f64;
        println!(
            "decode {:8.1} ms {:8.1} MB/s of pixels",
            seconds * 1e3,
            size / seconds / 1e6
        );
        let (seconds, encoded) = best(runs, || {
            encode(&image, &format, KeepMetadata::All).expect("it encodes")
        });
        println!(
            "encode {:8.1} ms {:8.1} MB/s of pixels, ratio {:.3}, {format}",
            seconds * 1e3,
            size / seconds / 1e6,
            encoded.len() as f64 / size
        );
    });
}
