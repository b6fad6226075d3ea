//! Times the window with 100,000 files and 500 thumbnails while a run of 100,000 images goes on and a job of 100,000 images
//! is looked at: frames that scroll in each part, the first frame, memory.
//!
//! `cargo run --release -p sundog-gui --example frames`, on a screen or under Xvfb; prints one line of JSON.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use eframe::egui::{self, Event, MouseWheelUnit, Pos2, Vec2, vec2};
use gui::args::Args;
use gui::picture::Picture;
use gui::presets::Presets;
use gui::state::Tab;
use gui::state::files::{Header, Info};
use gui::state::jobs::{Listed, Target, Task};
use gui::state::run::Ended;
use gui::window::Window;
use gui::work::News;
use protocol::state::TaskState;
use std::path::{Path, PathBuf};
use std::time::Instant;
use worker::inputs::Input;

const FILES: u64 = 100_000;
const WARM: usize = 60;
const FRAMES: usize = 400;
const THUMBNAILS: u64 = 500;
/// The parts that are scrolled, one after the other.
const PARTS: [(Tab, &str); 3] = [
    (Tab::Compose, "compose"),
    (Tab::Results, "results"),
    (Tab::Queue, "queue"),
];

struct Bench {
    window: Window,
    began: Instant,
    first: Option<f64>,
    last: Option<Instant>,
    times: Vec<f64>,
    own: Vec<f64>,
    done: Vec<(&'static str, Vec<f64>, Vec<f64>)>,
    task: u64,
    source: PathBuf,
}

/// A job that runs.
fn job(done: u64) -> client::Status {
    serde_json::from_value(serde_json::json!({
        "job": "J", "name": "holiday", "state": "running", "progress": done as f64 / FILES as f64,
        "counts": {"tasks": FILES, "succeeded": done, "failed": 0, "rejected": 0},
    }))
    .unwrap()
}

fn task(n: u64, over: bool) -> Task {
    let failed = over && n.is_multiple_of(50);
    Task {
        input: format!("IMG_{n:06}.jpg"),
        state: match (over, failed) {
            (false, _) => TaskState::Queued,
            (true, false) => TaskState::Succeeded,
            (true, true) => TaskState::Failed,
        },
        reason: if failed {
            "truncated JPEG".into()
        } else {
            String::new()
        },
        ms: over.then_some(40),
        attempt: 1,
        node: "node-1".into(),
    }
}

fn input(n: u64) -> Input {
    let relative = PathBuf::from(format!("2026/11/{:03}/IMG_{n:06}.jpg", n % 365));
    Input {
        path: Path::new("/photos").join(&relative),
        relative,
    }
}

impl Bench {
    fn fill(&mut self) {
        let post = self.window.work.post.clone();
        let source = self.window.state.files.add_source("/photos".into());
        std::thread::spawn(move || {
            for first in (0..FILES).step_by(1000) {
                let files =
                    (first..first + 1000).map(|n| (input(n), 4_000_000 + n * 13, Info::Unread));
                post.send(News::Found(source, files.collect()));
            }
            for n in 0..FILES {
                let header = Header {
                    format: "jpeg",
                    width: 4000,
                    height: 3000,
                    pages: 1,
                };
                post.send(News::Header(n, Info::Ready(header)));
            }
            post.send(News::Started(FILES, Some(FILES as f64)));
            for n in 0..THUMBNAILS {
                let picture = Picture {
                    width: 96,
                    height: 72,
                    rgba: vec![n as u8; 96 * 72 * 4],
                };
                post.send(News::Thumbnail(n, Ok(picture)));
            }
        });
        let jobs = &mut self.window.state.jobs;
        jobs.turn(Target::Cluster);
        jobs.listed(Listed::Newest(vec![job(0)], false));
        jobs.choose(Some("J".into()));
        jobs.learn(true, (0..FILES).map(|n| (n, task(n, false))).collect());
        // Nothing is read: the files are not there.
        self.window.work.shelf.quiet(true);
    }

    /// As many images end as a fast cluster ends in a frame.
    fn progress(&mut self) {
        let post = self.window.work.post.clone();
        for _ in 0..20 {
            let n = self.task % FILES;
            self.task += 1;
            let ended = Ended {
                file: Some(n),
                input: format!("IMG_{n:06}.jpg"),
                path: input(n).path,
                outputs: vec![self.source.clone()],
                reason: n.is_multiple_of(50).then(|| "truncated JPEG".to_owned()),
                ms: 40,
                warnings: Vec::new(),
            };
            post.send(News::TaskEnded(n, Box::new(ended)));
        }
        let last = self.task;
        let jobs = &mut self.window.state.jobs;
        let some = (last - 20..last).map(|n| (n % FILES, task(n % FILES, true)));
        jobs.learn(false, some.collect());
        jobs.listed(Listed::Some(vec![job(last % FILES)], Vec::new()));
    }
}

impl eframe::App for Bench {
    fn raw_input_hook(&mut self, _: &egui::Context, raw: &mut egui::RawInput) {
        raw.events.push(Event::PointerMoved(Pos2::new(
            if self.window.state.tab == Tab::Queue {
                800.0
            } else {
                200.0
            },
            400.0,
        )));
        raw.events.push(Event::MouseWheel {
            unit: MouseWheelUnit::Point,
            delta: vec2(
                0.0,
                if self.times.len() % 200 < 150 {
                    -230.0
                } else {
                    310.0
                },
            ),
            phase: egui::TouchPhase::Move,
            modifiers: egui::Modifiers::NONE,
            source: egui::MouseWheelSource::Wheel,
        });
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        let start = Instant::now();
        self.window.ui(ui);
        if self.first.is_none() {
            self.first = Some(self.began.elapsed().as_secs_f64() * 1e3);
            self.window.state.run.began = Some(Instant::now());
            self.fill();
        }
        let ready = self.window.state.files.pixels.1 as u64 == FILES;
        if ready {
            self.own.push(start.elapsed().as_secs_f64() * 1e3);
            if let Some(last) = self.last {
                self.times.push(last.elapsed().as_secs_f64() * 1e3);
            }
            self.last = Some(Instant::now());
            self.progress();
        }
        if self.times.len() >= WARM + FRAMES && self.done.len() < PARTS.len() {
            let name = PARTS[self.done.len()].1;
            let (times, own) = (
                std::mem::take(&mut self.times),
                std::mem::take(&mut self.own),
            );
            self.done.push((name, times, own));
            self.last = None;
            if let Some((tab, _)) = PARTS.get(self.done.len()) {
                self.window.state.tab = *tab;
            }
        }
        if self.done.len() == PARTS.len() {
            if self.window.state.run.took.is_none() {
                self.report();
            }
            // A window does not close while a run goes on.
            self.window.state.run.took = Some(std::time::Duration::ZERO);
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
        ctx.request_repaint();
    }
}

fn share(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

impl Bench {
    fn report(&self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|l| l.trim().split(' ').next()?.parse::<f64>().ok());
        let parts: Vec<serde_json::Value> = (self.done.iter())
            .map(|(name, whole, own)| {
                let told = |times: &[f64]| {
                    let times = &times[WARM..];
                    serde_json::json!({
                        "p50": share(times, 0.5), "p95": share(times, 0.95), "max": share(times, 1.0)
                    })
                };
                serde_json::json!({"part": name, "frame_ms": told(whole), "own_ms": told(own)})
            })
            .collect();
        let report = serde_json::json!({
            "files": FILES,
            "thumbnails": THUMBNAILS,
            "frames": FRAMES,
            "first_frame_ms": self.first,
            "parts": parts,
            "rss_mb": rss.map(|kb| kb / 1024.0),
        });
        println!("{report}");
    }
}

fn main() {
    let began = Instant::now();
    let viewport = egui::ViewportBuilder::default().with_inner_size(Vec2::new(1280.0, 800.0));
    let mut options = eframe::NativeOptions {
        viewport,
        ..eframe::NativeOptions::default()
    };
    // Frames are timed, not the screen.
    options.glow_options.vsync = false;
    let bench = move |creation: &eframe::CreationContext<'_>| -> Box<dyn eframe::App> {
        Box::new(Bench {
            window: Window::new(&creation.egui_ctx, &Args::default(), Presets::load(None)),
            began,
            first: None,
            last: None,
            times: Vec::new(),
            own: Vec::new(),
            done: Vec::new(),
            task: 0,
            source: "/out/x.jpg".into(),
        })
    };
    eframe::run_native(
        "sundog frames",
        options,
        Box::new(|creation| Ok(bench(creation))),
    )
    .unwrap();
}
