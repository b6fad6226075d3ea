//! Files and job files that are opened and saved, and presets.

use crate::presets::Presets;
use crate::state::{State, job};
use crate::text::harmless;
use crate::work::dialogs::Purpose;
use crate::work::{Work, find};
use imaging::Pipeline;
use std::path::{Path, PathBuf};

/// Adds files and folders.
pub(super) fn add(state: &mut State, work: &Work, paths: Vec<PathBuf>) {
    for path in paths {
        let path = job::absolute(&path);
        // A folder or file that was added as a whole brings nothing new.
        let known =
            |s: &crate::state::files::Source| s.path == path && s.removed == 0 && s.left > 0;
        if state.files.sources.iter().any(known) {
            continue;
        }
        let source = state.files.add_source(path.clone());
        state.searching += 1;
        find::find(
            &work.post,
            source,
            path,
            &work.services,
            work.finding.clone(),
        );
    }
}

/// Takes a job over; with `all`, its inputs, output and settings as well.
pub(super) fn take_over(state: &mut State, job: &protocol::Job, all: bool) -> Option<Vec<PathBuf>> {
    match Pipeline::from_json(&job.pipeline.to_value()) {
        Ok(pipeline) => state.edit.load(pipeline),
        Err(error) => {
            state.tell(true, error.to_string());
            return None;
        }
    }
    match all {
        true => state.setup.load(job),
        false if job.format.is_some() => {
            state.setup.format = job.format.clone().unwrap_or_default();
        }
        false => {}
    }
    all.then(|| {
        job.inputs
            .iter()
            .map(|text| protocol::name::to_path(text))
            .collect()
    })
}

/// Opens a job file.
pub fn open_job(state: &mut State, work: &Work, path: &Path) {
    match worker::jobfile::read::<protocol::Job>(path) {
        Ok(file) => {
            if let Some(inputs) = take_over(state, &file.typed, true) {
                add(state, work, inputs);
            }
        }
        Err(message) => state.tell(true, harmless(&message)),
    }
}

pub(super) fn save_job(state: &mut State, path: &Path) {
    let mut path = path.to_owned();
    if path.extension().is_none() {
        path.set_extension("toml");
    }
    let written = state.job().and_then(|mut job| {
        if !job.output.contains("://") {
            let output = job::absolute(&protocol::name::to_path(&job.output));
            let slash = if job.output.ends_with('/') { "/" } else { "" };
            job.output = protocol::name::to_text(&output) + slash;
        }
        let text = match path.extension().and_then(|e| e.to_str()) {
            Some("json") => serde_json::to_string_pretty(&job).map_err(|e| e.to_string()),
            _ => job::to_toml(&job),
        }?;
        std::fs::write(&path, text).map_err(|error| error.to_string())
    });
    let name = harmless(&path.to_string_lossy()).into_owned();
    match written {
        Ok(()) => state.tell(
            false,
            format!("Saved. The same from a terminal: sundog run --spec {name}"),
        ),
        Err(why) => state.tell(true, format!("{name}: {why}")),
    }
}

pub(super) fn keep_preset(state: &mut State, presets: &mut Presets, name: &str) {
    let pipeline = state.edit.pipeline().map_err(|e| e.to_string());
    let job = pipeline.and_then(|pipeline| state.setup.look(Vec::new(), &pipeline));
    let kept = job.and_then(|mut job| {
        job.output.clear();
        presets.keep(name, job)
    });
    match kept {
        Ok(path) => state.tell(
            false,
            format!("Preset kept as {}", harmless(&path.to_string_lossy())),
        ),
        Err(why) => state.tell(true, why),
    }
}

/// Does what a dialog was for.
pub(super) fn chosen(state: &mut State, work: &Work, purpose: Purpose, mut paths: Vec<PathBuf>) {
    match purpose {
        Purpose::Files | Purpose::Folder => add(state, work, paths),
        Purpose::Output => state.setup.output = protocol::name::to_text(&paths.remove(0)),
        Purpose::OpenJob => open_job(state, work, &paths.remove(0)),
        Purpose::SaveJob => save_job(state, &paths.remove(0)),
    }
}
