//! The window: takes in news, paints the panels, carries out what they ask for.

use crate::args::Args;
use crate::command::Command;
use crate::panels::canvas::Canvas;
use crate::panels::{self, Scene};
use crate::presets::Presets;
use crate::state::jobs::Target;
use crate::state::{State, job};
use crate::thumbs::Thumbs;
use crate::work::{News, Post, Work};
use crate::{keys, logic, theme};
use eframe::egui::{self, Context, ThemePreference};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

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
        dropped(&ctx, &mut commands);
        self.state.files.refresh();
        let mut scene = Scene {
            state: &self.state,
            thumbs: &self.thumbs,
            presets: &self.presets,
            canvas: &mut self.canvas,
            commands: &mut commands,
        };
        panels::show(ui, &mut scene);
        self.close(&ctx);
        for command in commands {
            self.carry_out(&ctx, command);
        }
        self.ask_preview();
        self.ask_stack();
        if self.state.run.active() || self.state.files.is_stale() {
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
                    let unread = |e: &crate::state::files::Entry| {
                        e.info == crate::state::files::Info::Unread
                    };
                    let files = wanted.iter().filter_map(|id| {
                        panels::results::output_of(state, *id).or_else(|| {
                            let entry = state.files.get(*id)?;
                            // Nothing is fetched for a thumbnail.
                            crate::work::objects::url_of(&entry.input.path)
                                .is_none()
                                .then_some(())?;
                            Some((*id, entry.input.path.clone(), unread(entry)))
                        })
                    });
                    self.work.shelf.in_sight(files.collect());
                }
                return;
            }
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
        logic::apply(state, &mut self.work, &mut self.presets, command);
        ctx.request_repaint();
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
                logic::take(&mut self.state, &mut self.work, news);
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

    /// Takes over what was remembered, as far as the command line says nothing else.
    pub fn recall(&mut self, ctx: &Context, remembered: &crate::remember::Remembered) {
        let setup = &mut self.state.setup;
        if setup.output.is_empty() {
            setup.output.clone_from(&remembered.output);
        }
        if setup.format.is_empty() && setup.base == protocol::Job::default() {
            setup.format.clone_from(&remembered.format);
        }
        self.state.view.histograms = remembered.histograms.unwrap_or(true);
        let zoom = remembered.zoom.filter(|z| z.is_finite()).unwrap_or(1.0);
        for command in [Command::Theme(remembered.dark), Command::Zoom(zoom)] {
            self.carry_out(ctx, command);
        }
    }

    /// What is worth remembering for the next start.
    pub fn remembered(&self, ctx: &Context) -> crate::remember::Remembered {
        let size = ctx
            .input(|i| i.viewport().inner_rect)
            .map(|r| (r.width(), r.height()));
        crate::remember::Remembered {
            dark: self.state.dark,
            zoom: Some(self.state.zoom),
            size,
            output: self.state.setup.output.clone(),
            format: self.state.setup.format.clone(),
            histograms: Some(self.state.view.histograms),
        }
    }
}

/// Files that were dropped on the window, or pasted as paths.
fn dropped(ctx: &Context, commands: &mut Vec<Command>) {
    let mut paths: Vec<std::path::PathBuf> = ctx.input(|i| {
        let files = i.raw.dropped_files.iter();
        files.map(|file| file.path().to_owned()).collect()
    });
    if !ctx.egui_wants_keyboard_input() {
        ctx.input(|i| {
            for event in &i.events {
                if let egui::Event::Paste(text) = event {
                    paths.extend(text.lines().filter_map(pasted));
                }
            }
        });
    }
    if !paths.is_empty() {
        commands.push(Command::Add(paths));
    }
}

/// The file that is there, or the URL, of a line of text.
fn pasted(line: &str) -> Option<std::path::PathBuf> {
    let line = line.trim();
    if crate::work::objects::is_url(line) {
        return Some(protocol::name::to_path(line));
    }
    let path = std::path::PathBuf::from(line.trim_start_matches("file://"));
    (path.is_absolute() && path.exists()).then(|| job::absolute(&path))
}
