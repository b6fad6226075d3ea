//! Times previews of a 12-megapixel photograph: the first picture after a change, the exact one, and how soon a newer
//! change is answered while an older one is being computed.
//!
//! `cargo run --release -p sundog-gui --example previews [PHOTO]`; needs no screen; prints one line of JSON.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use gui::state::view::Exactness;
use gui::work::objects::Services;
use gui::work::preview::{Previewer, Request};
use gui::work::{News, Post};
use imaging::codec::{self, Format, KeepMetadata};
use imaging::{Buffer, Color, Image, Pipeline, SampleType, Shape};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// What a change may be: an operation of points, one of neighbours, one that measures the whole image.
const CHANGES: [&str; 3] = [
    "gamma(gamma=1.3)",
    "unsharp(sigma=3, amount=0.8)",
    "equalize",
];
/// Takes long enough to be stopped.
const LONG: &str = "median(radius=40) | median(radius=40)";
const RUNS: usize = 7;

/// A picture of 12 megapixels with the grain and slopes of a photograph, as JPEG.
fn photograph(path: &Path) {
    let (width, height) = (4000_usize, 3000_usize);
    let mut noise = 1_u32;
    let mut samples = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let grain = (noise >> 28) as usize;
            let cloud =
                ((x as f32 / 310.0).sin() * (y as f32 / 270.0).cos() * 50.0 + 60.0) as usize;
            for slope in [x / 27, y / 21, (x + y) / 48] {
                samples.push((slope / 2 + cloud + grain).min(255) as u8);
            }
        }
    }
    let shape = Shape::new(height, width, Color::Rgb, SampleType::U8);
    let image = Image::new(shape, Buffer::U8(samples));
    let format = Format::parse("jpeg(quality=92)").unwrap();
    let bytes = codec::encode(&image, &format, KeepMetadata::None).unwrap();
    std::fs::write(path, bytes).unwrap();
}

struct Bench {
    previewer: Previewer,
    news: Receiver<News>,
    path: PathBuf,
    serial: u64,
}

impl Bench {
    fn ask(&mut self, pipeline: &str) -> Instant {
        self.serial += 1;
        let pipeline = Pipeline::parse(pipeline).unwrap();
        let job = protocol::Job {
            pipeline: pipeline.to_string().as_str().into(),
            format: Some("jpeg(quality=90)".into()),
            ..protocol::Job::default()
        };
        self.previewer.ask(Request {
            serial: self.serial,
            file: 0,
            path: self.path.clone(),
            services: Services::default(),
            job,
            pipeline,
        });
        Instant::now()
    }

    /// Milliseconds until the first picture of the latest change, and until the exact one; answers to older ones.
    fn answers(&self, asked: Instant) -> (f64, f64, usize) {
        let (mut first, mut late) = (None, 0);
        loop {
            let News::After(serial, _, exactness) = self.news.recv().unwrap() else {
                continue;
            };
            let ms = asked.elapsed().as_secs_f64() * 1e3;
            match exactness {
                _ if serial != self.serial => late += 1,
                Exactness::Approximate => first = Some(ms),
                Exactness::Exact(_) => return (first.unwrap_or(ms), ms, late),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2] * 10.0).round() / 10.0
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => {
            let path = folder.path().join("photograph.jpg");
            photograph(&path);
            path
        }
    };
    let (post, news) = Post::new(|| {});
    let mut bench = Bench {
        previewer: Previewer::new(post),
        news,
        path,
        serial: 0,
    };
    let asked = bench.ask("invert");
    let (opened, ..) = bench.answers(asked);
    let mut changes = Vec::new();
    for change in CHANGES {
        let (mut firsts, mut exacts) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let asked = bench.ask(change);
            let (first, exact, _) = bench.answers(asked);
            firsts.push(first);
            exacts.push(exact);
        }
        changes.push(serde_json::json!({
            "change": change, "first_ms": median(firsts), "exact_ms": median(exacts)
        }));
    }
    // A slider that is dragged: each change comes while the one before is computed.
    let (mut firsts, mut late) = (Vec::new(), 0);
    for _ in 0..RUNS {
        bench.ask(LONG);
        std::thread::sleep(std::time::Duration::from_millis(120));
        let asked = bench.ask(CHANGES[0]);
        let (first, _, old) = bench.answers(asked);
        firsts.push(first);
        late += old;
    }
    let report = serde_json::json!({
        "opened_ms": (opened * 10.0).round() / 10.0, "changes": changes,
        "newer": {"first_ms": median(firsts), "answers_to_older": late},
        "cores": std::thread::available_parallelism().map_or(0, |n| n.get()),
    });
    println!("{report}");
}
