//! What the main views look like, in both themes, against pictures that are kept.
//!
//! `SUNDOG_SNAPSHOTS=write` renews these; look at them before they are committed.

use super::common::photos;
use super::paint::Screen;
use eframe::egui::ThemePreference;
use gui::args::Args;
use gui::picture::Picture;
use gui::presets::Presets;
use gui::state::inspect::{Side, Subject};
use gui::state::record::{Line, Record};
use gui::state::run::{Ended, Run};
use gui::state::view::Exactness;
use gui::state::{State, Tab};
use gui::window::Window;
use imaging::codec::{self, Format, KeepMetadata};
use imaging::{Buffer, Color, Image, SampleType, Shape};
use protocol::state::JobState;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SIZE: (usize, usize) = (1180, 700);
/// Levels by which a pixel may differ unnoticed.
const LEVELS: u8 = 24;
/// Of a thousand pixels so many may differ by more.
const PERMILLE: usize = 2;

/// A window on a screen of pixels, with some photos; what is shown of it comes from `state`.
pub struct Shown {
    screen: Screen,
    window: Window,
    _folder: tempfile::TempDir,
}

impl Shown {
    pub fn new(dark: bool, files: bool) -> Shown {
        Shown::of(photos(), dark, files)
    }

    /// The same with the folder `photos` in that one.
    pub fn of(folder: tempfile::TempDir, dark: bool, files: bool) -> Shown {
        let args = Args {
            files: Vec::from_iter(files.then(|| folder.path().join("photos"))),
            ..Args::default()
        };
        let screen = Screen::new(SIZE.0, SIZE.1);
        let window = Window::new(&screen.ctx, &args, Presets::load(None));
        let theme = if dark {
            ThemePreference::Dark
        } else {
            ThemePreference::Light
        };
        screen.ctx.set_theme(theme);
        let mut shown = Shown {
            screen,
            window,
            _folder: folder,
        };
        shown.window.state.setup.output = "/home/me/results".into();
        shown
            .window
            .state
            .edit
            .type_text("equalize | unsharp(sigma=2)".into());
        if files {
            shown.until(|s| {
                matches!(s.view.exactness, Exactness::Exact(_)) && !s.view.busy && s.searching == 0
            });
        }
        shown
    }

    pub fn state(&mut self) -> &mut State {
        &mut self.window.state
    }

    pub fn until(&mut self, holds: impl Fn(&State) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !holds(&self.window.state) || !self.window.is_idle() {
            assert!(Instant::now() < end, "{:?}", self.window.state.banners);
            std::thread::sleep(Duration::from_millis(5));
            self.screen.frame(|ui| self.window.ui(ui));
        }
    }

    /// Compares with what is kept under that name.
    pub fn check(mut self, name: &str, dark: bool) {
        self.state().banners.clear();
        // Twice for what is laid out by what was seen before; then until nothing moves any more.
        for _ in 0..6 {
            self.screen.frame(|ui| self.window.ui(ui));
        }
        let output = self.screen.frame(|ui| self.window.ui(ui));
        let seen = self.screen.paint(output);
        let name = format!("{name}-{}", if dark { "dark" } else { "light" });
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let kept = here.join(format!("tests/snapshots/{name}.png"));
        if std::env::var_os("SUNDOG_SNAPSHOTS").is_some_and(|v| v == "write") {
            return write(&seen, &kept);
        }
        let bytes = std::fs::read(&kept).unwrap_or_else(|e| panic!("{}: {e}", kept.display()));
        let image = codec::decode(bytes, &Default::default(), &Default::default()).unwrap();
        let was = Picture::of(&image.rows);
        assert_eq!((was.width, was.height), (seen.width, seen.height));
        let differ = |(a, b): (&[u8], &[u8])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > LEVELS);
        let pixels = was.rgba.chunks(4).zip(seen.rgba.chunks(4));
        let other = pixels.filter(|pair| differ(*pair)).count();
        if other * 1000 > SIZE.0 * SIZE.1 * PERMILLE {
            let now = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
            write(&seen, &now);
            panic!(
                "{other} pixels differ from {}; what is seen now: {} (SUNDOG_SNAPSHOTS=write takes it over)",
                kept.display(),
                now.display()
            );
        }
    }
}

fn write(picture: &Picture, path: &Path) {
    let samples = picture
        .rgba
        .chunks(4)
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect();
    let shape = Shape::new(picture.height, picture.width, Color::Rgb, SampleType::U8);
    let image = Image::new(shape, Buffer::U8(samples));
    let format = Format::parse("png(compression=best)").unwrap();
    let bytes = codec::encode(&image, &format, KeepMetadata::None).unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

pub fn both(name: &str, files: bool, arrange: impl Fn(&mut State)) {
    for dark in [false, true] {
        let mut shown = Shown::new(dark, files);
        arrange(shown.state());
        shown.check(name, dark);
    }
}

#[test]
fn the_empty_window_looks_as_it_did() {
    both("empty", false, |_| {});
}

#[test]
fn composing_looks_as_it_did() {
    both("compose", true, |state| {
        state.edit.open = state.edit.steps.last().map(|step| step.id);
    });
}

fn ended(name: &str, reason: Option<&str>) -> Ended {
    Ended {
        file: None,
        input: name.into(),
        path: Path::new("/photos").join(name),
        outputs: Vec::from_iter(reason.is_none().then(|| Path::new("/results").join(name))),
        reason: reason.map(str::to_owned),
        ms: 41,
        warnings: Vec::new(),
    }
}

fn after_a_run(state: &mut State) {
    state.tab = Tab::Results;
    state.run = Run::begin("/results".into(), Default::default());
    state.run.took = Some(Duration::from_millis(2300));
    state.run.started(3, None);
    let all = [
        ended("sunrise.jpg", None),
        ended("harbour.jpg", None),
        ended(
            "cut.png",
            Some("truncated PNG: the data ends after 2 of 40 rows"),
        ),
    ];
    for (number, one) in (0..).zip(all) {
        state.run.task_ended(number, one);
    }
    state.run.state = Some(JobState::Partial);
    state.run.receipt = Some("/results/sundog-receipt.json".into());
    state.run.verified = Some(Ok("2 outputs match the receipt".into()));
    state.run.chosen = Some(0);
    let subject = Subject::Result {
        number: 0,
        name: "/photos/sunrise.jpg".into(),
        input: "/photos/sunrise.jpg".into(),
        output: Some("/results/sunrise.jpg".into()),
        receipt: None,
    };
    state.inspect.turn(Some(subject));
    let side = |seen: &Option<gui::state::view::Seen>| Side::Seen(seen.clone().unwrap());
    state.inspect.before = side(&state.view.before);
    state.inspect.after = side(&state.view.after);
}

#[test]
fn results_look_as_they_did() {
    both("results", true, after_a_run);
}

#[test]
fn a_result_beside_its_input_looks_as_it_did() {
    both("receipt", true, |state| {
        after_a_run(state);
        let line = |(name, text, code): (&'static str, &str, bool)| Line {
            name,
            text: text.into(),
            code,
        };
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let lines = [
            ("Input", "/photos/sunrise.jpg", false),
            ("Output", "/results/sunrise.jpg", false),
            ("SHA-256 of the output", hash, true),
            ("Size", "60 × 40 pixels, 3.2 kB", false),
            ("State", "succeeded", false),
            ("Operations", "equalize | unsharp(sigma=2)", true),
            ("Time", "decode 12 ms, compute 31 ms, encode 3 ms", false),
        ];
        state.inspect.record = Some(Ok(Box::new(Record {
            lines: lines.map(line).into(),
            sha256: Some(hash.into()),
        })));
        state.inspect.checked = Some(Ok("It has the hash of its receipt".into()));
        (state.inspect.open, state.inspect.asked) = (true, true);
    });
}
