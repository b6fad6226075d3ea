//! Flags over a job file over settings, merged into one job and checked.

use client::exit::{Failure, Result};
use client::settings::{Layers, flatten, insert};
use protocol::Job;
use serde_json::{Map, Value};
use std::path::Path;
use worker::jobfile::{self, File};

/// What one command line asks for.
pub struct Request<'a> {
    /// Settings below the job file.
    pub layers: &'a Layers,
    /// The job file, if any.
    pub spec: Option<&'a Path>,
    /// A whole job in place of a job file, from a receipt.
    pub base: Option<&'a Job>,
    /// Keys that flags set, in the job file's names.
    pub flags: Vec<(&'static str, Value)>,
}

/// The merged job. Errors name the flag, file and line, or variable that set the wrong value.
pub fn job(request: &Request<'_>) -> Result<Job> {
    let file = request.spec.map(jobfile::read::<Job>).transpose();
    let file = file.map_err(Failure::usage)?;
    let mut tree = match serde_json::to_value(Job::default()) {
        Ok(Value::Object(tree)) => tree,
        _ => Map::new(),
    };
    for (key, setting) in &request.layers.settings {
        if !matches!(key.as_str(), "mpirun" | "hostfile") && is_job_key(key) {
            overlay(&mut tree, key, setting.value.clone());
        }
    }
    if let Some(file) = &file {
        if file.typed.ranks.is_some() && file.typed.thread_ranks.is_some() {
            let name = place_in(request.spec, file, "thread_ranks");
            return Err(Failure::usage(format!(
                "{name}: `ranks` and `thread_ranks` exclude each other (keep one)"
            )));
        }
        for (key, value) in flatten(&file.given) {
            overlay(&mut tree, &key, value);
        }
    }
    if let Some(base) = request.base.and_then(|job| serde_json::to_value(job).ok()) {
        for (key, value) in flatten(&base) {
            overlay(&mut tree, &key, value);
        }
    }
    for (key, value) in &request.flags {
        overlay(&mut tree, key, value.clone());
    }
    let mut job: Job = serde_json::from_value(Value::Object(tree))
        .map_err(|error| Failure::usage(jobfile::plain(&error.to_string())))?;
    worker::color::embed(&mut job).map_err(|error| Failure::usage(error.to_string()))?;
    worker::check::job(&job).map_err(|(key, message)| {
        let place = place(request, file.as_ref(), key);
        Failure::usage(format!("{place}: {message}"))
    })?;
    Ok(job)
}

/// Refuses keys of a job file that a submitted job cannot have, by name.
pub fn refuse(path: &Path, keys: &[&str], why: &str) -> Result<()> {
    let file = jobfile::read::<Job>(path).map_err(Failure::usage)?;
    let named = |key: &&&str| file.given.get(**key).is_some_and(|value| !value.is_null());
    match keys.iter().find(named) {
        Some(key) => {
            let place = place_in(Some(path), &file, key);
            Err(Failure::usage(format!("{place}: `{key}`: {why}")))
        }
        None => Ok(()),
    }
}

fn is_job_key(key: &str) -> bool {
    !matches!(
        key,
        "broker" | "redis" | "store" | "s3_endpoint" | "gateway" | "token"
    )
}

fn overlay(tree: &mut Map<String, Value>, key: &str, value: Value) {
    match key {
        "ranks" => drop(tree.remove("thread_ranks")),
        "thread_ranks" => drop(tree.remove("ranks")),
        // A job does one or the other.
        "pipeline" if value != "" => drop(tree.remove("reduce")),
        "reduce.op" => drop(tree.remove("pipeline")),
        _ => {}
    }
    insert(tree, key, value);
}

/// Where a key was set, for messages.
fn place(request: &Request<'_>, file: Option<&File<Job>>, key: &str) -> String {
    if request.flags.iter().any(|(k, _)| *k == key) {
        let flag = key
            .rsplit('.')
            .next()
            .unwrap_or(key)
            .trim_end_matches("_secs");
        return format!("--{}", flag.replace('_', "-"));
    }
    if let Some(file) = file
        && flatten(&file.given).iter().any(|(k, _)| k == key)
    {
        return format!("{}: `{key}`", place_in(request.spec, file, key));
    }
    match request.layers.settings.get(key) {
        Some(setting) => format!("{}: `{key}`", setting.origin),
        None => format!("`{key}`"),
    }
}

fn place_in(path: Option<&Path>, file: &File<Job>, key: &str) -> String {
    let name = path.map_or(String::new(), |p| p.display().to_string());
    let last = key.rsplit('.').next().unwrap_or(key);
    match jobfile::line_of(&file.text, last) {
        Some(line) => format!("{name}:{line}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(spec: &str, flags: Vec<(&'static str, Value)>) -> Result<Job> {
        let dir = tempfile::tempdir().map_err(|e| Failure::failed(e.to_string()))?;
        let path = dir.path().join("job.toml");
        std::fs::write(&path, spec).map_err(|e| Failure::failed(e.to_string()))?;
        let layers = Layers::default();
        job(&Request {
            layers: &layers,
            spec: Some(&path),
            base: None,
            flags,
        })
        .map_err(|failure| Failure {
            message: failure
                .message
                .replace(&format!("{}/", dir.path().display()), ""),
            ..failure
        })
    }

    #[test]
    fn flags_win_over_the_job_file() {
        let job = merged(
            "pipeline = \"invert\"\nranks = 2\n[limits]\nmax_pixels = 5\nmemory = \"1GiB\"\n",
            vec![("thread_ranks", 3.into()), ("limits.max_pixels", 7.into())],
        )
        .unwrap();
        assert_eq!((job.ranks, job.thread_ranks), (None, Some(3)));
        assert_eq!(job.limits.max_pixels, 7);
        assert_eq!(job.limits.memory, Some(protocol::Size(1 << 30)));
    }

    #[test]
    fn errors_say_who_set_the_value() {
        let message = |spec, flags| merged(spec, flags).map(drop).unwrap_err().message;
        assert_eq!(
            message("version = 1\npipeline = \"invrt\"\n", vec![]),
            "job.toml:2: `pipeline`: there is no operation `invrt` (did you mean `invert`?)"
        );
        assert_eq!(
            message("", vec![("pipeline", "invrt".into())]),
            "--pipeline: there is no operation `invrt` (did you mean `invert`?)"
        );
        assert_eq!(
            message("version = 2\n", vec![]),
            "job.toml:1: `version`: 2 is not known; this program reads version 1"
        );
        assert!(message("[reduce]\nop = \"mean\"\nfan_in = 1\n", vec![]).starts_with("job.toml:3"));
        assert!(message("ranks = 1\nthread_ranks = 2\n", vec![]).contains("exclude each other"));
    }
}
