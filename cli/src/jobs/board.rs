//! Where jobs stand, as a person or a program sees it: bars on a terminal, lines elsewhere, or JSON.

use crate::output;
use client::{Pace, Status, ended};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use protocol::Event;
use protocol::event::{JobFinished, TaskFinished};
use protocol::state::{JobState, TaskState};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// How jobs are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Bars or lines, failures as they happen.
    Human,
    /// Events, one JSON object a line on stdout.
    Json,
}

/// How often a line tells of progress where there is no terminal.
const LINES: Duration = Duration::from_secs(2);
/// Characters of a name beside a bar.
const NAME: usize = 24;

/// All jobs that are shown.
#[derive(Debug)]
pub struct Board {
    show: Show,
    bars: Option<MultiProgress>,
}

impl Board {
    /// No jobs yet.
    pub fn new(show: Show) -> Board {
        let bars = show == Show::Human && output::interactive();
        Board {
            show,
            bars: bars.then(MultiProgress::new),
        }
    }

    /// A line for one job.
    pub fn lane(&self, job: &str) -> Lane<'_> {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(0));
            set_style(&bar, IMAGES);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Lane {
            board: self,
            bar,
            job: job.to_owned(),
            name: String::new(),
            stage: String::new(),
            what: IMAGES,
            total: 0,
            reported: 0,
            ended: HashMap::new(),
            running: HashSet::new(),
            away: None,
            told: (Instant::now(), String::new()),
            pace: Pace::default(),
        }
    }

    /// Whether programs read it.
    pub fn is_json(&self) -> bool {
        self.show == Show::Json
    }

    /// A message above the bars.
    pub fn tell(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| output::message(text)),
            None => output::message(text),
        }
    }
}

/// Images a second, once there is something to judge by.
fn rate(state: &ProgressState, text: &mut dyn Write) {
    if state.pos() > 0 && Some(state.pos()) < state.len() {
        let _ = write!(text, "  {:.1}/s", state.per_sec());
    }
}

/// One job.
#[derive(Debug)]
pub struct Lane<'a> {
    board: &'a Board,
    bar: Option<ProgressBar>,
    job: String,
    name: String,
    stage: String,
    /// What its tasks are.
    what: &'static str,
    total: u64,
    /// Tasks that have ended according to the job's status.
    reported: u64,
    /// And according to events.
    ended: HashMap<u64, TaskState>,
    running: HashSet<u64>,
    away: Option<String>,
    /// When the last line was told, and which.
    told: (Instant, String),
    pace: Pace,
}

impl Lane<'_> {
    /// What to call the job.
    fn title(&self) -> String {
        match self.name.is_empty() {
            true => self.job.clone(),
            false => self.name.clone(),
        }
    }

    /// Takes over what the job's status says.
    pub fn status(&mut self, status: &Status) {
        self.name = output::harmless(&status.name).chars().take(NAME).collect();
        self.stage = match status.stage.is_empty() {
            true => status.state.name().to_owned(),
            false => output::harmless(&status.stage).into_owned(),
        };
        if self.what != status.tasks() {
            self.what = status.tasks();
            self.bar.iter().for_each(|bar| set_style(bar, self.what));
        }
        self.total = status.counts.tasks.max(self.total);
        self.reported = ended(&status.counts);
        self.pace.saw(status, Instant::now());
        if self.ended.is_empty()
            && self.reported > 0
            && let Some(bar) = &self.bar
        {
            // What was done before is no measure of the rate.
            bar.set_length(self.total);
            bar.set_position(self.reported);
            bar.reset_eta();
        }
        self.paint();
    }

    /// Takes an event over, and shows it.
    pub fn event(&mut self, event: &Event) {
        if self.board.show == Show::Json {
            return output::json(event);
        }
        match event {
            Event::JobStarted(started) => {
                self.total = self.total.max(started.tasks);
                self.stage = "processing".into();
            }
            Event::TaskStarted(started) => {
                self.ended.remove(&started.task);
                self.running.insert(started.task);
                self.stage = "processing".into();
            }
            Event::TaskFinished(finished) => self.finished(finished),
            Event::Warning(warned) => {
                (self.board).tell(&output::warned(&warned.input, &warned.text))
            }
            _ => {}
        }
        self.paint();
    }

    fn finished(&mut self, task: &TaskFinished) {
        self.running.remove(&task.task);
        let again = self.ended.insert(task.task, task.state) == Some(task.state);
        if matches!(task.state, TaskState::Failed | TaskState::Rejected) && !again {
            let reason = task.reason.as_deref().unwrap_or("no reason is known");
            self.board.tell(&format!(
                "{}: {}: {}",
                output::red("failed"),
                output::input(&task.input),
                output::harmless(reason)
            ));
        }
    }

    /// Forgets what events said, since some were lost.
    pub fn reset(&mut self) {
        self.ended.clear();
        self.running.clear();
        self.paint();
    }

    /// The source went away, or is back.
    pub fn away(&mut self, reason: Option<&str>) {
        if reason.is_some() == self.away.is_some() {
            return;
        }
        self.away = reason.map(|reason| output::harmless(reason).into_owned());
        match (&self.away, &self.bar) {
            (_, Some(_)) => self.paint(),
            (Some(reason), None) => {
                output::message(&format!("waiting for the job system: {reason}"))
            }
            (None, None) => output::message("the job system is back"),
        }
    }

    fn paint(&mut self) {
        let done = (self.ended.len() as u64).max(self.reported).min(self.total);
        let failed = |state: &&TaskState| matches!(state, TaskState::Failed | TaskState::Rejected);
        let failed = self.ended.values().filter(failed).count();
        let mut stage = match &self.away {
            Some(reason) => format!("waiting: {reason}"),
            None => self.stage.clone(),
        };
        if failed > 0 {
            stage += &format!(", {failed} failed");
        }
        if let Some(bar) = &self.bar {
            bar.set_prefix(self.title());
            bar.set_length(self.total);
            if bar.position() != done {
                bar.set_position(done);
            }
            let at_once = match self.running.len() {
                0 | 1 => String::new(),
                n => format!(" {n} at once"),
            };
            let left = match self.pace.left(Instant::now()) {
                Some(left) => format!("{:#} left  ", HumanDuration(left)),
                None => String::new(),
            };
            bar.set_message(format!("{left}{stage}{at_once}"));
            return;
        }
        if self.board.show == Show::Json {
            return;
        }
        let line = match self.total {
            0 => format!("{}: {stage}", self.title()),
            total => format!("{}: {stage}, {done} of {total} {}", self.title(), self.what),
        };
        let (when, last) = &self.told;
        if *last != line && (last.is_empty() || when.elapsed() >= LINES) {
            output::message(&line);
            self.told = (Instant::now(), line);
        }
    }

    /// Shows how the job ended.
    pub fn end(&mut self, status: &Status, finished: Option<&JobFinished>) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.board.show == Show::Human {
            self.board.tell(&summary(status, finished));
        }
    }
}

/// What tasks usually are.
const IMAGES: &str = "images";

fn set_style(bar: &ProgressBar, what: &str) {
    let template = format!("{{prefix}} {{bar:24}} {{pos}}/{{len}} {what}{{rate}}  {{wide_msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("##-").with_key("rate", rate));
    }
}

fn summary(status: &Status, finished: Option<&JobFinished>) -> String {
    let counts = &status.counts;
    let name = match status.name.is_empty() {
        true => String::new(),
        false => format!(" ({})", output::harmless(&status.name)),
    };
    let job = output::harmless(&status.job);
    let mut text = format!("job {job}{name} {}: ", status.state);
    text += &match counts.tasks {
        0 => "no image was found in its inputs".to_owned(),
        n => format!("{} of {n} {}", counts.succeeded, status.tasks()),
    };
    if let Some(finished) = finished {
        text += &format!(" in {:.2} s", finished.ms as f64 / 1000.0);
    }
    for (count, what) in [
        (counts.failed, "failed"),
        (counts.rejected, "refused by a limit"),
        (counts.cancelled, "not done"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text += &output::warnings(counts.warnings);
    if let Some(finished) = finished {
        text += &output::passed_over(&finished.skipped);
    }
    // Of a reduction there is a result or none.
    if counts.succeeded > 0 && (status.reduce.is_none() || status.state == JobState::Succeeded) {
        text += &format!("\nfetch: sundog results {job} --download DIR");
    }
    if matches!(
        status.state,
        JobState::Partial | JobState::Failed | JobState::Cancelled
    ) {
        text += &format!("\nrun what is left again: sundog retry {job}");
    }
    text
}
