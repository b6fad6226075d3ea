//! What a person or a program sees while a job runs: a bar with rate and time left, or JSON lines.

use crate::output;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use protocol::Event;
use protocol::event::{JobPlanned, TaskPlanned};
use protocol::state::TaskState;
use std::time::Duration;

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
}

impl Watcher {
    /// A watcher that has seen nothing yet.
    pub fn new(show: Show) -> Watcher {
        Watcher { show, bar: None }
    }

    /// Shows one event.
    pub fn event(&mut self, event: &Event) {
        match self.show {
            Show::Json => return output::json(event),
            Show::Silent => return,
            Show::Human | Show::Quiet => {}
        }
        match event {
            Event::JobStarted(job) if self.show == Show::Human && output::interactive() => {
                self.bar = Some(bar(job.tasks));
            }
            Event::TaskFinished(task) => {
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                }
                let failed = matches!(task.state, TaskState::Failed | TaskState::Rejected);
                if failed {
                    let reason = task.reason.as_deref().unwrap_or("no reason is known");
                    self.tell(&format!(
                        "{}: {}: {reason}",
                        output::red("failed"),
                        task.input
                    ));
                }
                for warning in &task.warnings {
                    self.tell(&format!("warning: {}: {warning}", task.input));
                }
            }
            Event::TaskPlanned(task) => output::line(planned(task)),
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

fn bar(tasks: u64) -> ProgressBar {
    let bar = ProgressBar::new(tasks);
    let template = "{bar:30} {pos}/{len} images  {per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("##-"));
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
    if let (Some(mode), Some(ranks)) = (task.mode, task.ranks) {
        let s = if ranks == 1 { "" } else { "s" };
        text += &format!("  {} on {ranks} rank{s}", mode.name());
        if !task.mode_reason.is_empty() {
            text += &format!(" ({})", task.mode_reason);
        }
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
        "{} task{} on {} rank{} of {} thread{}, {} image{} in flight; memory {} {cap}; nothing was written",
        job.tasks,
        plural(job.tasks as usize),
        job.ranks,
        plural(job.ranks),
        job.threads,
        plural(job.threads),
        job.in_flight,
        plural(job.in_flight),
        HumanBytes(job.memory_bytes),
    )
}
