//! Reductions against naive ones, for any number of files, ranks, threads and open files.
#![allow(clippy::unwrap_used)]

mod images;
mod numbers;
mod steps;

use imaging::Error;
use imaging::comm::{serial::Serial, threads};
use imaging::executor::Stop;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use worker::reduce::{Op, Report, Request, run};

/// A directory that is gone at the end of the test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("sundog-reduce-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn go(request: &Request, n_ranks: usize, n_threads: usize) -> Result<Report, Error> {
    let nothing = |_, _| ();
    if n_ranks == 1 {
        return run(
            &Serial::default(),
            n_threads,
            request,
            &Stop::default(),
            &nothing,
        );
    }
    let mut all = threads::run(n_ranks, |comm| {
        run(comm, n_threads, request, &Stop::default(), &nothing)
    });
    for other in &all[1..] {
        match (&all[0], other) {
            (Err(first), Err(other)) => assert_eq!(first, other),
            (Ok(_), Ok(_)) => {}
            other => panic!("ranks disagree: {other:?}"),
        }
    }
    all.swap_remove(0)
}

/// Random bits, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn float(&mut self) -> f64 {
        let exponent = (self.next() % 40) as i32 - 20;
        (self.next() as i64 as f64) / 2f64.powi(63) * 2f64.powi(exponent)
    }
}

fn naive(op: Op, values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let sum = |values: &[f64]| {
        // Neumaier's sum.
        let (mut s, mut c) = (0.0f64, 0.0);
        for &v in values {
            let t = s + v;
            c += if s.abs() >= v.abs() {
                (s - t) + v
            } else {
                (v - t) + s
            };
            s = t;
        }
        s + c
    };
    match op {
        Op::Sum => sum(values),
        Op::Mean => sum(values) / n,
        Op::Min => sorted[0],
        Op::Max => sorted[values.len() - 1],
        Op::Median => (sorted[(values.len() - 1) / 2] + sorted[values.len() / 2]) / 2.0,
        Op::Std => {
            let mean = sum(values) / n;
            let squares: Vec<f64> = values.iter().map(|v| (v - mean) * (v - mean)).collect();
            (sum(&squares) / n).sqrt()
        }
    }
}

const WORLDS: [(usize, usize, usize); 8] = [
    (1, 1, 1),
    (1, 2, 5),
    (2, 1, 2),
    (2, 2, 5),
    (3, 2, 1),
    (3, 1, 5),
    (5, 2, 5),
    (7, 1, 2),
];
