//! Times the window with 100,000 files while a run of 100,000 images goes on: frames that scroll, the first frame, memory.
//!
//! `cargo run --release -p sundog-gui --example frames`, on a screen or under Xvfb; prints one line of JSON.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use eframe::egui::{self, Event, MouseWheelUnit, Pos2, Vec2, vec2};
use gui::args::Args;
use gui::presets::Presets;
use gui::state::files::{Header, Info};
use gui::state::run::Ended;
use gui::window::Window;
use gui::work::News;
use std::path::{Path, PathBuf};
use std::time::Instant;
use worker::inputs::Input;

const FILES: u64 = 100_000;
const WARM: usize = 60;
const FRAMES: usize = 400;

struct Bench {
    window: Window,
    began: Instant,
    first: Option<f64>,
    last: Option<Instant>,
    times: Vec<f64>,
    own: Vec<f64>,
    task: u64,
    source: PathBuf,
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
        });
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
    }
}

impl eframe::App for Bench {
    fn raw_input_hook(&mut self, _: &egui::Context, raw: &mut egui::RawInput) {
        raw.events
            .push(Event::PointerMoved(Pos2::new(200.0, 400.0)));
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
        if self.times.len() >= WARM + FRAMES {
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
        let (whole, own) = (&self.times[WARM..], &self.own[WARM..]);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|l| l.trim().split(' ').next()?.parse::<f64>().ok());
        let report = serde_json::json!({
            "files": FILES,
            "frames": whole.len(),
            "first_frame_ms": self.first,
            "frame_ms": {"p50": share(whole, 0.5), "p95": share(whole, 0.95), "max": share(whole, 1.0)},
            "own_ms": {"p50": share(own, 0.5), "p95": share(own, 0.95), "max": share(own, 1.0)},
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
