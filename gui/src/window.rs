//! The window: takes in news, paints the panels, carries out what they ask for.

use crate::args::Args;
use crate::command::Command;
use crate::panels::canvas::Canvas;
use crate::panels::{self, Scene};
use crate::presets::Presets;
use crate::remember::{self, Remembered};
use crate::state::State;
use crate::state::jobs::Target;
use crate::thumbs::Thumbs;
use crate::work::{News, Post, Work};
use crate::{dropped, keys, logic, sight, theme};
use eframe::egui::{self, Context, ThemePreference};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// What is told in place of an end of the window.
const BROKEN: &str = "internal error: what was asked for last may not have been done; the window goes on (please report it)";

/// Time for news in one frame: what is left waits for the next.
const NEWS: Duration = Duration::from_millis(4);

/// The window, without the frame that the system puts around it.
pub struct Window {
    /// All that it knows.
    pub state: State,
    /// What works beside it.
    pub work: Work,
    /// The presets.
    pub presets: Presets,
    thumbs: Thumbs,
    canvas: Canvas,
    news: Receiver<News>,
    asked: Option<Asked>,
    stacked: Option<(protocol::job::ReduceOp, Option<u64>, usize)>,
    /// When the last frame that took in news found no more.
    settled: Option<Instant>,
}

/// What the latest preview was asked for.
#[derive(PartialEq)]
struct Asked {
    file: Option<u64>,
    known: bool,
    steps: Result<String, String>,
    format: String,
    output: String,
    base: protocol::Job,
}

/// Whether `work` came to its end: a panic of it is a message and not the end of the window.
fn survived(work: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_ok()
}

impl Window {
    /// A window that shows what the command line names.
    pub fn new(ctx: &Context, args: &Args, presets: Presets) -> Window {
        theme::set(ctx);
        // The size of text is a setting of ours, which is remembered.
        ctx.options_mut(|options| options.zoom_with_keyboard = false);
        let wake = ctx.clone();
        let (post, news) = Post::new(move || wake.request_repaint());
        let mut work = Work::new(post);
        let mut state = State {
            zoom: 1.0,
            far: true,
            widths: panels::WIDTHS,
            ..State::default()
        };
        if let Some(spec) = &args.spec {
            logic::open_job(&mut state, &work, spec);
        }
        let mut presets = presets;
        match args.target.as_deref().map(Target::parse) {
            None => {}
            Some(Ok(target)) => {
                let turn = Command::Target(target, None);
                logic::apply(&mut state, &mut work, &mut presets, turn);
            }
            Some(Err(why)) => state.tell(true, why),
        }
        if !args.files.is_empty() {
            let add = Command::Add(args.files.clone());
            logic::apply(&mut state, &mut work, &mut presets, add);
        }
        Window {
            state,
            work,
            presets,
            thumbs: Thumbs::default(),
            canvas: Canvas::default(),
            news,
            asked: None,
            stacked: None,
            settled: None,
        }
    }

    /// One frame.
    pub fn ui(&mut self, ui: &mut egui::Ui) {
        let ctx = ui.ctx().clone();
        self.take_news(&ctx);
        let mut commands = Vec::new();
        keys::pressed(&ctx, &self.state, &mut commands);
        dropped::take(&ctx, &mut commands);
        self.state.files.refresh();
        self.state.jobs.tasks.refresh();
        let mut scene = Scene {
            state: &self.state,
            thumbs: &self.thumbs,
            presets: &self.presets,
            canvas: &mut self.canvas,
            commands: &mut commands,
        };
        if !survived(|| panels::show(ui, &mut scene)) {
            self.state.tell(true, BROKEN);
        }
        self.close(&ctx);
        for command in commands {
            self.carry_out(&ctx, command);
        }
        self.ask_preview();
        self.ask_stack();
        let state = &self.state;
        if state.run.active() || state.files.is_stale() || state.jobs.tasks.is_stale() {
            // The clock and what is left move on by themselves.
            ctx.request_repaint_after(Duration::from_millis(250));
        }
    }

    /// A run is ended in order before the window goes, and only after asking.
    fn close(&mut self, ctx: &Context) {
        let state = &mut self.state;
        if !state.run.active() {
            if state.quitting {
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            }
            return;
        }
        if ctx.input(|i| i.viewport().close_requested()) {
            state.closing = true;
            ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
        }
    }

    fn carry_out(&mut self, ctx: &Context, command: Command) {
        let state = &mut self.state;
        match &command {
            Command::InSight(ids) => {
                if let Some(wanted) = self.thumbs.in_sight(ids) {
                    sight::ask(state, &self.work, &wanted);
                }
                return;
            }
            Command::Far(_) => self.thumbs.look_again(),
            Command::Clear => self.thumbs.clear(),
            Command::Start | Command::Retry => self.thumbs.forget_outputs(),
            Command::Theme(dark) => ctx.set_theme(match dark {
                None => ThemePreference::System,
                Some(true) => ThemePreference::Dark,
                Some(false) => ThemePreference::Light,
            }),
            Command::Zoom(zoom) => ctx.set_zoom_factor(zoom.clamp(0.6, 3.0)),
            _ => {}
        }
        // Told in every frame; what it changes comes as news.
        let told = matches!(command, Command::JobsInSight(_));
        let (work, presets) = (&mut self.work, &mut self.presets);
        if !survived(|| logic::apply(state, work, presets, command)) {
            state.tell(true, BROKEN);
        }
        if !told {
            ctx.request_repaint();
        }
    }

    /// Takes in news; also called while the window is hidden, so that nobody waits for it to be seen.
    pub fn take_news(&mut self, ctx: &Context) {
        let until = Instant::now() + NEWS;
        let mut any = false;
        while let Ok(news) = self.news.try_recv() {
            any = true;
            if let News::Thumbnail(id, picture) = news {
                self.thumbs.put(ctx, id, picture);
            } else {
                let (state, work) = (&mut self.state, &mut self.work);
                if !survived(|| logic::take(state, work, news)) {
                    state.tell(true, BROKEN);
                }
            }
            if Instant::now() >= until {
                ctx.request_repaint();
                break;
            }
        }
        if any {
            self.settled = None;
        } else if self.settled.is_none() {
            self.settled = Some(Instant::now());
        }
    }

    /// Whether nothing is being computed and nothing was told for a moment.
    pub fn is_idle(&self) -> bool {
        let state = &self.state;
        let quiet = self
            .settled
            .is_some_and(|at| at.elapsed() > Duration::from_millis(400));
        let making = matches!(state.plan, crate::state::run::Plan::Making);
        quiet && state.searching == 0 && !state.view.busy && !state.run.active() && !making
    }

    /// Asks for another preview where file, pipeline or format are no longer those of the last.
    fn ask_preview(&mut self) {
        let state = &self.state;
        let current = state.files.shown_file();
        let known = current.is_some_and(|e| matches!(e.info, crate::state::files::Info::Broken(_)));
        let steps = state.edit.pipeline();
        let asked = Asked {
            file: current.map(|e| e.id),
            known,
            steps: steps.map(|p| p.to_string()).map_err(|e| e.to_string()),
            format: state.setup.format.clone(),
            output: state.setup.output.clone(),
            base: state.setup.base.clone(),
        };
        if self.asked.as_ref() != Some(&asked) {
            self.asked = Some(asked);
            logic::ask_preview(&mut self.state, &self.work);
        }
    }

    /// Asks for another preview of the stack where it is seen and its operation or files changed.
    fn ask_stack(&mut self) {
        let state = &self.state;
        if state.tab != crate::state::Tab::Stack || state.searching > 0 {
            return;
        }
        let first = state.files.entries.first().map(|e| e.id);
        let asked = (state.stack.op, first, state.files.entries.len());
        if self.stacked != Some(asked) {
            self.stacked = Some(asked);
            logic::ask_stack(&mut self.state, &mut self.work);
        }
    }

    /// Takes over what was remembered, as far as the command line says nothing else; `target`: whether it names one.
    pub fn recall(&mut self, ctx: &Context, remembered: &Remembered, target: bool) {
        for command in remember::recall(&mut self.state, remembered, target) {
            self.carry_out(ctx, command);
        }
    }
}
