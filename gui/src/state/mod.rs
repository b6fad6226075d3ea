//! All that the window knows; nothing here paints, reads files or computes images.

pub mod edit;
pub mod files;
pub mod inspect;
pub mod job;
pub mod jobs;
mod natural;
mod order;
mod pick;
pub mod record;
pub mod run;
pub mod scale;
pub mod stack;
pub mod view;

use edit::Edit;
use files::Files;
use inspect::Inspect;
use job::Setup;
use jobs::Jobs;
use run::{Plan, Run};
use stack::Stack;
use view::View;

/// The parts of the window that are seen one at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// Files, preview and pipeline.
    #[default]
    Compose,
    /// One picture out of many.
    Stack,
    /// What came out of the latest run.
    Results,
    /// Jobs of the job system.
    Queue,
    /// Its nodes.
    Monitor,
}

impl Tab {
    /// All of them, with their names.
    pub const ALL: [(Tab, &'static str); 5] = [
        (Tab::Compose, "Compose"),
        (Tab::Stack, "Stack"),
        (Tab::Results, "Results"),
        (Tab::Queue, "Queue"),
        (Tab::Monitor, "Monitor"),
    ];
}

/// Something to be told, which stays until it is put away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// Whether something went wrong.
    pub error: bool,
    /// The text.
    pub text: String,
}

/// The window's state.
#[derive(Default)]
pub struct State {
    /// Which part is seen.
    pub tab: Tab,
    /// The files.
    pub files: Files,
    /// The pipeline.
    pub edit: Edit,
    /// Output, format and the rest of the job.
    pub setup: Setup,
    /// The preview.
    pub view: View,
    /// The plan of what Start would do.
    pub plan: Plan,
    /// The run of this computer.
    pub run: Run,
    /// A result beside its input.
    pub inspect: Inspect,
    /// One picture out of many.
    pub stack: Stack,
    /// The job system.
    pub jobs: Jobs,
    /// What is to be told, the newest last.
    pub banners: Vec<Banner>,
    /// A path or the address of a store as it is being typed.
    pub typed: String,
    /// Whether what lies in stores is fetched for thumbnails.
    pub far: bool,
    /// Folders and stores that are being searched.
    pub searching: usize,
    /// Text by which operations are searched.
    pub search: String,
    /// The theme that the user chose; none: the system's.
    pub dark: Option<bool>,
    /// The size of text, 1 being usual.
    pub zoom: f32,
    /// Widths of the files and of the pipeline.
    pub widths: [f32; 2],
    /// Whether the overview of keys is open.
    pub help: bool,
    /// Whether the window asks before it closes.
    pub closing: bool,
    /// Whether it closes once the run has been stopped.
    pub quitting: bool,
}

impl State {
    /// Tells something.
    pub fn tell(&mut self, error: bool, text: impl Into<String>) {
        let banner = Banner {
            error,
            text: text.into(),
        };
        if self.banners.last() != Some(&banner) {
            self.banners.push(banner);
        }
        // Old ones make room; all of them were seen.
        if self.banners.len() > 4 {
            self.banners.remove(0);
        }
    }

    /// Seconds that the whole list takes on so many threads, as long for each pixel as the previewed image took.
    pub fn estimate(&self, threads: usize) -> Option<f64> {
        let view::Exactness::Exact(written) = &self.view.exactness else {
            return None;
        };
        let (width, height) = self.view.before.as_ref()?.size;
        let (pixels, known) = self.files.pixels;
        let all = pixels as f64 / known.max(1) as f64 * self.files.entries.len() as f64;
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let each = written.core_ms / 1e3 / (width * height).max(1) as f64;
        Some(all * each / threads.clamp(1, cores) as f64).filter(|_| known > 0)
    }

    /// What is missing before the job can be run, told at once however many files there are.
    pub fn ready(&self) -> Result<(), String> {
        self.edit.pipeline().map_err(|error| error.to_string())?;
        self.placed().ready(self.files.entries.is_empty())
    }

    /// The job as it stands, or why it cannot be run.
    pub fn job(&self) -> Result<protocol::Job, String> {
        let pipeline = self.edit.pipeline().map_err(|error| error.to_string())?;
        self.placed().job(self.files.inputs(), &pipeline)
    }

    /// What is missing before files can be stacked.
    pub fn stack_job(&self) -> Result<(), String> {
        let first = self.files.entries.first().map(|e| e.input.path.clone());
        self.stack
            .job(first.as_slice(), &self.stack.output)
            .map(drop)
    }

    /// The rest of the job with a place for the results.
    fn placed(&self) -> Setup {
        let mut setup = self.setup.clone();
        if self.jobs.target != jobs::Target::Local && setup.output.trim().is_empty() {
            // Results stay in the job system until they are fetched.
            setup.output = "results".into();
        }
        setup
    }
}
