//! What is remembered from one start to the next: theme, text size, window, output, format.

use crate::command::Command;
use crate::state::State;
use crate::state::jobs::Target;
use crate::state::view::Compare;
use eframe::egui::Context;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is remembered. Unknown keys of a later program are passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// The theme; none: the system's.
    pub dark: Option<bool>,
    /// The size of text.
    pub zoom: Option<f32>,
    /// Width and height of the window.
    pub size: Option<(f32, f32)>,
    /// Where results went.
    pub output: String,
    /// The format with its options.
    pub format: String,
    /// Whether histograms are shown.
    pub histograms: Option<bool>,
    /// How before and after are compared.
    pub compare: Compare,
    /// The pipeline as text.
    pub pipeline: String,
    /// Where jobs run, as `--target` names it. What lets in there is kept elsewhere.
    pub target: String,
    /// Whether what lies in stores is fetched for thumbnails.
    pub far: Option<bool>,
    /// Widths of the files and of the pipeline.
    pub widths: Option<[f32; 2]>,
}

/// The user's folder for the program's own files.
pub fn folder() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let config = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    Some(config?.join("sundog"))
}

impl Remembered {
    /// What was remembered last; nothing where there is no such file or it cannot be read.
    pub fn load(path: Option<PathBuf>) -> Remembered {
        let text = path.and_then(|path| std::fs::read(path).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Remembers; that this fails is no reason not to close.
    pub fn store(&self, path: PathBuf) {
        let written = serde_json::to_vec_pretty(self).map_err(std::io::Error::other);
        let stored = written.and_then(|bytes| {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, bytes)
        });
        drop(stored);
    }
}

/// Takes over what was remembered, as far as `state` does not say otherwise by the command line; what is left to be
/// carried out. `target`: whether the command line names one.
pub fn recall(state: &mut State, remembered: &Remembered, target: bool) -> Vec<Command> {
    let setup = &mut state.setup;
    if setup.output.is_empty() {
        setup.output.clone_from(&remembered.output);
    }
    let fresh = setup.base == protocol::Job::default() && state.edit.steps.is_empty();
    if fresh && setup.format.is_empty() {
        setup.format.clone_from(&remembered.format);
    }
    if fresh && state.edit.fault.is_none() {
        state.edit.recall(&remembered.pipeline);
    }
    state.view.histograms = remembered.histograms.unwrap_or(true);
    state.view.compare = remembered.compare;
    state.far = remembered.far.unwrap_or(true);
    if let Some(widths) = remembered.widths {
        state.widths = widths.map(|width| width.clamp(200.0, 900.0));
    }
    let zoom = remembered.zoom.filter(|z| z.is_finite()).unwrap_or(1.0);
    let mut commands = vec![Command::Theme(remembered.dark), Command::Zoom(zoom)];
    if let (false, Ok(there)) = (target, Target::parse(&remembered.target))
        && there != Target::Local
    {
        if let Target::Gateway(address) = &there {
            commands.push(Command::Address(address.clone()));
        }
        commands.push(Command::Target(there, None));
    }
    commands
}

/// What is worth remembering for the next start.
pub fn remembered(state: &State, ctx: &Context) -> Remembered {
    let size = ctx
        .input(|i| i.viewport().inner_rect)
        .map(|r| (r.width(), r.height()));
    Remembered {
        dark: state.dark,
        zoom: Some(state.zoom),
        size,
        output: state.setup.output.clone(),
        format: state.setup.format.clone(),
        histograms: Some(state.view.histograms),
        compare: state.view.compare,
        pipeline: state.edit.text.clone(),
        target: state.jobs.target.text().to_owned(),
        far: Some(state.far),
        widths: Some(state.widths),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_before_what_is_remembered() {
        let kept = Remembered {
            pipeline: "equalize | gaussian(sigma=2)".into(),
            target: "https://images.example.org".into(),
            format: "png".into(),
            compare: Compare::Beside,
            ..Remembered::default()
        };
        let mut state = State::default();
        let commands = recall(&mut state, &kept, false);
        assert_eq!(state.edit.text, kept.pipeline);
        assert_eq!(state.edit.history(), (false, false));
        assert_eq!(
            (state.setup.format.as_str(), state.view.compare),
            ("png", Compare::Beside)
        );
        let turned = |c: &Command| matches!(c, Command::Target(Target::Gateway(_), None));
        assert!(commands.iter().any(turned));
        // A job file was opened, and a target named.
        let mut state = State::default();
        state.edit.type_text("invert".into());
        let commands = recall(&mut state, &kept, true);
        assert_eq!(state.edit.text, "invert");
        assert_eq!(state.setup.format, "");
        assert!(!commands.iter().any(turned));
    }

    #[test]
    fn what_is_remembered_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sundog/window.json");
        assert_eq!(Remembered::load(Some(path.clone())), Remembered::default());
        let kept = Remembered {
            dark: Some(true),
            size: Some((1280.0, 800.0)),
            output: "/out".into(),
            ..Remembered::default()
        };
        kept.store(path.clone());
        assert_eq!(Remembered::load(Some(path.clone())), kept);
        std::fs::write(&path, "{broken").unwrap();
        assert_eq!(Remembered::load(Some(path)), Remembered::default());
    }
}
