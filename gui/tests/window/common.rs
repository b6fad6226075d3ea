//! A window without a screen, and pictures to open in it.

use eframe::egui;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use egui_kittest::{Harness, Node};
use gui::args::Args;
use gui::presets::Presets;
use gui::state::State;
use gui::window::Window;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A window that is painted step by step.
pub struct Desk {
    /// The harness around it.
    pub harness: Harness<'static, Option<Window>>,
    /// Its files.
    pub dir: TempDir,
    clipboard: Vec<String>,
}

/// A PPM with slopes.
pub fn picture(path: &Path, width: usize, height: usize) {
    let mut bytes = format!("P6 {width} {height} 255\n").into_bytes();
    for y in 0..height {
        for x in 0..width {
            bytes.extend([(x * 7 + y) as u8, (y * 5) as u8, (x ^ y) as u8]);
        }
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Two sound pictures, one in a folder below, and one that is cut off.
pub fn photos() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("photos/a.ppm"), 60, 40);
    picture(&dir.path().join("photos/more/b.ppm"), 31, 17);
    std::fs::write(dir.path().join("photos/cut.png"), b"\x89PNG\r\n\x1a\n\0\0").unwrap();
    dir
}

impl Desk {
    /// A window with the folder `photos` of some files.
    pub fn with_photos() -> Desk {
        let dir = photos();
        let files = vec![dir.path().join("photos")];
        Desk::open(
            dir,
            Args {
                files,
                ..Args::default()
            },
        )
    }

    /// A window.
    pub fn open(dir: TempDir, args: Args) -> Desk {
        let presets = dir.path().join("presets");
        let harness = Harness::builder()
            .with_size(egui::vec2(1280.0, 800.0))
            .with_context_setup(gui::theme::set)
            .build_ui_state(
                move |ui, window: &mut Option<Window>| {
                    let new = || Window::new(ui.ctx(), &args, Presets::load(Some(presets.clone())));
                    let mut made = window.take().unwrap_or_else(new);
                    made.ui(ui);
                    *window = Some(made);
                },
                None,
            );
        let mut desk = Desk {
            harness,
            dir,
            clipboard: Vec::new(),
        };
        desk.frames(2);
        desk
    }

    /// The window.
    pub fn window(&self) -> &Window {
        self.harness.state().as_ref().unwrap()
    }

    /// What it knows.
    pub fn state(&self) -> &State {
        &self.window().state
    }

    /// Changes what it knows, as a test may.
    pub fn change(&mut self, change: impl FnOnce(&mut State)) {
        change(&mut self.harness.state_mut().as_mut().unwrap().state);
        self.frames(2);
    }

    /// Asks for something, as a panel does.
    pub fn ask(&mut self, command: gui::command::Command) {
        let window = self.harness.state_mut().as_mut().unwrap();
        gui::logic::apply(
            &mut window.state,
            &mut window.work,
            &mut window.presets,
            command,
        );
        self.frames(2);
    }

    /// Sends news, as what works beside the window does.
    pub fn post(&mut self, news: gui::work::News) {
        self.window().work.post.send(news);
        self.frames(2);
    }

    /// Paints.
    pub fn frames(&mut self, count: usize) {
        for _ in 0..count {
            self.harness.step();
            for command in &self.harness.output().platform_output.commands {
                if let egui::OutputCommand::CopyText(text) = command {
                    self.clipboard.push(text.clone());
                }
            }
        }
    }

    /// Paints until something holds.
    pub fn until(&mut self, what: &str, holds: impl Fn(&State) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !holds(self.state()) {
            assert!(
                Instant::now() < end,
                "{what} did not come; told: {:?}",
                self.state().banners
            );
            // News wake a window that is on a screen; this one looks by itself.
            std::thread::sleep(Duration::from_millis(2));
            self.harness.step();
        }
        self.frames(2);
    }

    /// Runs that pipeline on this computer, with results at `output`, to a good end.
    pub fn run(&mut self, output: &str, format: &str, pipeline: &str) {
        self.change(|state| {
            state.setup.output = output.into();
            state.setup.format = format.into();
            state.edit.type_text(pipeline.into());
        });
        self.click("Start");
        self.until("the end of the run", |s| s.run.took.is_some());
        let how = self.state().run.state;
        let told = &self.state().banners;
        assert_eq!(how, Some(protocol::state::JobState::Succeeded), "{told:?}");
    }

    /// Waits until all headers are read.
    pub fn until_read(&mut self) {
        use gui::state::files::Info;
        self.until("headers", |s| {
            s.searching == 0
                && !s.files.entries.is_empty()
                && s.files.entries.iter().all(|e| e.info != Info::Unread)
        });
    }

    /// Waits for the exact preview.
    pub fn until_exact(&mut self) {
        use gui::state::view::Exactness;
        self.until("the exact preview", |s| {
            matches!(s.view.exactness, Exactness::Exact(_)) && !s.view.busy
        });
    }

    /// What has that name and is more than text.
    fn named<'n>(
        &'n self,
        label: &'n str,
        find: impl Fn(&'n Harness<'static, Option<Window>>, &'n str) -> Vec<Node<'n>>,
    ) -> Node<'n> {
        let found = find(&self.harness, label);
        let text = |node: &Node<'n>| node.accesskit_node().role() == egui::Role::Label;
        let found = found.into_iter().find(|node| !text(node));
        found.unwrap_or_else(|| panic!("nothing to press is called {label:?}"))
    }

    /// Sets the slider of that name.
    pub fn slide(&mut self, label: &str, value: f64) {
        self.named(label, |all, label| all.query_all_by_label(label).collect())
            .set_value_accesskit(value);
        self.frames(3);
    }

    /// Types into the field of that name.
    pub fn write(&mut self, label: &str, text: &str) {
        let field = self.named(label, |all, label| all.query_all_by_label(label).collect());
        field.focus();
        self.frames(2);
        self.harness.root().type_text(text);
        self.frames(3);
    }

    /// Clicks what has that name.
    pub fn click(&mut self, label: &str) {
        self.named(label, |all, label| all.query_all_by_label(label).collect())
            .click();
        self.frames(3);
    }

    /// Clicks what has that text in its name.
    pub fn click_containing(&mut self, label: &str) {
        self.named(label, |all, label| {
            all.query_all_by_label_contains(label).collect()
        })
        .click();
        self.frames(3);
    }

    /// Whether what has that name can be pressed.
    pub fn can_press(&self, label: &str) -> bool {
        let node = self.named(label, |all, label| all.query_all_by_label(label).collect());
        !node.accesskit_node().is_disabled()
    }

    /// What was put on the clipboard in the frames of the last click.
    pub fn copied(&mut self) -> Vec<String> {
        std::mem::take(&mut self.clipboard)
    }

    /// Whether something has that name.
    pub fn sees(&self, label: &str) -> bool {
        self.harness
            .query_all_by_label_contains(label)
            .next()
            .is_some()
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Presses a key.
    pub fn press(&mut self, held: egui::Modifiers, key: egui::Key) {
        self.harness.key_press_modifiers(held, key);
        self.frames(3);
    }
}
