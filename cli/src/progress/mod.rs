//! What a person or a program sees while a job runs: a bar with rate and time left, or JSON lines.

mod eta;

use crate::output;
use eta::Eta;
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use protocol::Event;
use protocol::event::{JobPlanned, TaskPlanned};
use protocol::state::TaskState;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// A bar on a terminal, failures as they happen.
    Human,
    /// One JSON object a line on stdout.
    Json,
    /// Failures alone.
    Quiet,
    /// Nothing.
    Silent,
}

/// Follows a job's events.
pub struct Watcher {
    show: Show,
    bar: Option<ProgressBar>,
    /// Of the job that the bar is of.
    course: Arc<Mutex<Course>>,
    /// Events shown so far.
    seen: u64,
}

impl Watcher {
    /// A watcher that has seen nothing yet.
    pub fn new(show: Show) -> Watcher {
        Watcher {
            show,
            bar: None,
            course: Arc::default(),
            seen: 0,
        }
    }

    /// Shows one event.
    pub fn event(&mut self, event: &Event) {
        match self.show {
            Show::Json => {
                self.seen += 1;
                return output::json(&event.clone().numbered(self.seen));
            }
            Show::Silent => return,
            Show::Human | Show::Quiet => {}
        }
        match event {
            Event::JobStarted(job) if self.show == Show::Human && output::interactive() => {
                *course(&self.course) = Course {
                    begun: Some(Instant::now()),
                    eta: Eta::new(job.cost.unwrap_or_default()),
                };
                self.bar = Some(bar(job.tasks, self.course.clone()));
            }
            Event::TaskStarted(task) => {
                let mut course = course(&self.course);
                let now = course.now();
                course
                    .eta
                    .started(task.task, task.cost.unwrap_or_default(), now);
            }
            Event::TaskFinished(task) => {
                let worked = task.state == TaskState::Succeeded;
                let mut course = course(&self.course);
                let now = course.now();
                course.eta.ended(task.task, worked, now);
                drop(course);
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                }
                let failed = matches!(task.state, TaskState::Failed | TaskState::Rejected);
                if failed {
                    let reason = task.reason.as_deref().unwrap_or("no reason is known");
                    let reason = output::harmless(reason);
                    self.tell(&format!(
                        "{}: {}: {reason}",
                        output::red("failed"),
                        output::harmless(&task.input)
                    ));
                }
            }
            Event::Warning(warned) => self.tell(&output::warned(&warned.input, &warned.text)),
            Event::TaskPlanned(task) => {
                output::line(output::harmless(&planned(task)));
                for warning in &task.warnings {
                    self.tell(&output::warned(&task.input, &warning.text));
                }
            }
            Event::JobPlanned(job) => output::line(total(job)),
            Event::JobFinished(_) => self.close(),
            _ => {}
        }
    }

    /// Takes the bar away.
    pub fn close(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn tell(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::message(text)),
            None => output::message(text),
        }
    }
}

/// A job's course since it began.
#[derive(Debug, Default)]
struct Course {
    begun: Option<Instant>,
    eta: Eta,
}

impl Course {
    fn now(&self) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| begun.elapsed())
    }
}

fn course(shared: &Mutex<Course>) -> MutexGuard<'_, Course> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bar(tasks: u64, shared: Arc<Mutex<Course>>) -> ProgressBar {
    let bar = ProgressBar::new(tasks);
    // Images a second and the time left, once there is something to judge by.
    let rate = move |state: &ProgressState, text: &mut dyn Write| {
        if state.pos() > 0 {
            let course = course(&shared);
            let left = course.eta.left(course.now());
            let left = HumanDuration(left.unwrap_or_else(|| state.eta()));
            let _ = write!(text, "  {:.1}/s  {left:#} left", state.per_sec());
        }
    };
    let template = "{bar:30} {pos}/{len} images{rate}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("##-").with_key("rate", rate));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn planned(task: &TaskPlanned) -> String {
    let output = task.output.as_deref().unwrap_or("nothing");
    let mut text = format!("{} -> {output}", task.input);
    if let (Some(width), Some(height)) = (task.width, task.height) {
        text += &format!("  {width}x{height}");
    }
    if let Some(pages) = task.pages {
        let files = task.outputs.len().max(1);
        let s = |n: usize| if n == 1 { "" } else { "s" };
        text += &format!(
            "  {pages} page{} in {files} file{}",
            s(pages as usize),
            s(files)
        );
    }
    if let (Some(mode), Some(ranks)) = (task.mode, task.ranks) {
        let s = if ranks == 1 { "" } else { "s" };
        text += &format!("  {} on {ranks} rank{s}", mode.name());
        if !task.mode_reason.is_empty() {
            text += &format!(" ({})", task.mode_reason);
        }
    }
    if !task.device.is_empty() {
        text += &format!("  on the {} ({})", task.device, task.device_reason);
    }
    if let Some(bytes) = task.memory_bytes {
        text += &format!("  {}", HumanBytes(bytes));
    }
    if let Some(reason) = &task.reason {
        text += &format!("  {reason}");
    }
    text
}

fn total(job: &JobPlanned) -> String {
    let cap = match job.memory_limit {
        Some(limit) => format!("of {} allowed", HumanBytes(limit)),
        None => "without a cap (--memory SIZE sets one)".into(),
    };
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    format!(
        "{} task{} on {} rank{} of {} thread{}, {} image{} in flight; memory {} {cap}{}; nothing was written",
        job.tasks,
        plural(job.tasks as usize),
        job.ranks,
        plural(job.ranks),
        job.threads,
        plural(job.threads),
        job.in_flight,
        plural(job.in_flight),
        HumanBytes(job.memory_bytes),
        output::passed_over(&job.skipped),
    )
}
