//! What a person or a program sees while a job runs: a bar with rate and time left, or JSON lines.

use crate::output;
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use protocol::Event;
use protocol::event::{JobPlanned, TaskPlanned};
use protocol::state::TaskState;
use std::fmt::Write;
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
    /// Events shown so far.
    seen: u64,
}

impl Watcher {
    /// A watcher that has seen nothing yet.
    pub fn new(show: Show) -> Watcher {
        Watcher {
            show,
            bar: None,
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
                self.bar = Some(bar(job.tasks));
            }
            Event::TaskFinished(task) => {
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

fn bar(tasks: u64) -> ProgressBar {
    let bar = ProgressBar::new(tasks);
    let template = "{bar:30} {pos}/{len} images{rate}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("##-").with_key("rate", rate));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Images a second and the time left, once there is something to judge by.
fn rate(state: &ProgressState, text: &mut dyn Write) {
    if state.pos() > 0 {
        let (rate, left) = (state.per_sec(), HumanDuration(state.eta()));
        let _ = write!(text, "  {rate:.1}/s  {left:#} left");
    }
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
