//! The program around the window: start, what is remembered, the picture of `--screenshot`.

use crate::args::Args;
use crate::presets::Presets;
use crate::remember::{Remembered, folder, remembered};
use crate::trace::Trace;
use crate::window::Window;
use eframe::egui::{self, ColorImage, ScreenshotCallback, ViewportBuilder, ViewportCommand, vec2};
use imaging::codec::{self, Format, FormatKind, KeepMetadata};
use imaging::{Buffer, Color, Image, SampleType, Shape};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What became of the picture of the window.
type Shot = Arc<Mutex<Option<Result<(), String>>>>;

struct App {
    window: Window,
    args: Args,
    began: Instant,
    frames: u64,
    asked: bool,
    shot: Shot,
    trace: Option<Trace>,
}

/// Runs the program to its end.
pub fn run(args: Args) -> ExitCode {
    let began = Instant::now();
    let remembered = Remembered::load(remembered_path());
    let size = remembered.size.map_or(vec2(1280.0, 800.0), |(w, h)| {
        vec2(w.max(640.0), h.max(420.0))
    });
    // A picture is always of the same size, whatever the window was last.
    let size = if args.screenshot.is_some() {
        vec2(1280.0, 800.0)
    } else {
        size
    };
    let viewport = ViewportBuilder::default()
        .with_title("Sundog")
        .with_app_id("sundog")
        .with_inner_size(size)
        .with_min_inner_size(vec2(880.0, 520.0))
        .with_icon(icon());
    let options = eframe::NativeOptions {
        viewport,
        ..eframe::NativeOptions::default()
    };
    let shot = Shot::default();
    let kept = shot.clone();
    let wanted = args.screenshot.is_some();
    let done = eframe::run_native(
        "sundog",
        options,
        Box::new(move |creation| {
            Ok(Box::new(App::new(
                &creation.egui_ctx,
                args,
                remembered,
                began,
                kept,
            )))
        }),
    );
    if let Err(error) = done {
        complain(&format!(
            "no window can be opened: {error} (is there a display? check DISPLAY or WAYLAND_DISPLAY and that OpenGL is installed; \
             without one: sundog run)"
        ));
        return ExitCode::from(4);
    }
    let taken = shot.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (wanted, taken) {
        (true, Some(Err(why))) => {
            complain(&why);
            ExitCode::FAILURE
        }
        (true, None) => {
            complain("the window was closed before its picture was taken");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn complain(text: &str) {
    // Who started it from a desktop sees no terminal; there is nowhere else to say it.
    drop(writeln!(std::io::stderr(), "error: {text}"));
}

fn remembered_path() -> Option<PathBuf> {
    Some(folder()?.join("window.json"))
}

/// The program's sign in pixels.
fn icon() -> egui::IconData {
    const SIDE: u32 = 64;
    let mut rgba = Vec::with_capacity((SIDE * SIDE * 4) as usize);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (dx, dy) = (x as f32 - 31.5, y as f32 - 31.5);
            let from = |cx: f32| ((dx - cx).powi(2) + dy.powi(2)).sqrt();
            let disc = |cx: f32, radius: f32| (radius + 0.5 - from(cx)).clamp(0.0, 1.0);
            let sun = disc(0.0, 10.0).max(disc(-25.0, 5.0)).max(disc(25.0, 5.0));
            let ring = (2.0 - (from(0.0) - 25.0).abs()).clamp(0.0, 1.0) * 0.7;
            let alpha = sun.max(ring);
            rgba.extend([0xf0, 0xa8, 0x3c, (alpha * 255.0) as u8]);
        }
    }
    egui::IconData {
        rgba,
        width: SIDE,
        height: SIDE,
    }
}

impl App {
    fn new(
        ctx: &egui::Context,
        args: Args,
        remembered: Remembered,
        began: Instant,
        shot: Shot,
    ) -> App {
        let presets = Presets::load(folder().map(|folder| folder.join("presets")));
        let mut window = Window::new(ctx, &args, presets);
        window.recall(ctx, &remembered, args.target.is_some());
        App {
            window,
            args,
            began,
            frames: 0,
            asked: false,
            shot,
            trace: Trace::wanted().then(Trace::default),
        }
    }

    /// Takes the picture once it is time for it.
    fn screenshot(&mut self, ctx: &egui::Context) {
        let Some(path) = self.args.screenshot.clone() else {
            return;
        };
        let elapsed = self.began.elapsed();
        let due = match self.args.after {
            Some(secs) => elapsed.as_secs_f64() >= secs,
            None => self.frames > 4 && self.window.is_idle(),
        };
        let taken = self
            .shot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if taken {
            return ctx.send_viewport_cmd(ViewportCommand::Close);
        }
        if due && !self.asked {
            self.asked = true;
            let (shot, wake) = (self.shot.clone(), ctx.clone());
            let callback = ScreenshotCallback::new(move |image| {
                let written = write(&image, &path);
                *shot.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
                wake.request_repaint();
            });
            ctx.send_viewport_cmd(ViewportCommand::Screenshot(callback));
        }
        ctx.request_repaint_after(Duration::from_millis(50));
    }
}

fn write(image: &ColorImage, path: &Path) -> Result<(), String> {
    let [width, height] = image.size;
    let samples = image
        .pixels
        .iter()
        .flat_map(|p| [p.r(), p.g(), p.b()])
        .collect();
    let shape = Shape::new(height, width, Color::Rgb, SampleType::U8);
    let picture = Image::new(shape, Buffer::U8(samples));
    let format = Format::of(FormatKind::Png);
    let bytes = codec::encode(&picture, &format, KeepMetadata::None).map_err(|e| e.to_string())?;
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.window.take_news(ctx);
        if let Some(trace) = &mut self.trace {
            for line in trace.changes(&self.window.state) {
                drop(writeln!(std::io::stderr(), "{line}"));
            }
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.window.ui(ui);
        self.frames += 1;
        if self.frames == 1 && std::env::var_os("SUNDOG_GUI_TIMES").is_some() {
            let ms = self.began.elapsed().as_millis();
            drop(writeln!(std::io::stderr(), "first frame after {ms} ms"));
        }
        self.screenshot(&ui.ctx().clone());
        let ctx = ui.ctx();
        if ctx.input(|i| i.viewport().close_requested())
            && self.args.screenshot.is_none()
            && let Some(path) = remembered_path()
        {
            remembered(&self.window.state, ctx).store(path);
        }
    }
}
