//! From what a job names to its tasks: uploads, objects behind URLs, files of this machine.

use crate::error::{Error, Result};
use crate::jobs::Rules;
use cloud::config::{Config, Location};
use cloud::store::Store;
use imaging::codec::{Format, FormatKind};
use protocol::message::PlannedTask;
use protocol::{Job, name};
use std::collections::HashMap;
use std::path::Path;

/// Where inputs come from.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) own: Store,
    /// Opens the buckets of URLs.
    pub(crate) config: Config,
    pub(crate) rules: Rules,
}

/// An input that was found.
pub(crate) enum Place {
    /// A file of this machine.
    File(std::path::PathBuf),
    /// An object.
    Object(Store, String),
}

impl Sources {
    /// Where an input of a job lies.
    pub(crate) fn locate(&self, job: &str, input: &str) -> Result<Place> {
        if input.starts_with("s3://") || input.starts_with("gs://") {
            if !self.rules.url_inputs {
                return Err(Error::invalid("inputs", "URLs are not read here"));
            }
            let (store, key) = match Location::parse(input)? {
                Location::S3 { bucket, prefix } => (self.bucket("s3", &bucket)?, prefix),
                Location::Gcs { bucket, prefix } => (self.bucket("gs", &bucket)?, prefix),
                _ => {
                    return Err(Error::invalid(
                        "inputs",
                        format!("`{input}` is no such URL"),
                    ));
                }
            };
            return Ok(Place::Object(store, key));
        }
        if input.starts_with('/') || input.starts_with("file://") {
            if !self.rules.local_inputs {
                return Err(Error::invalid(
                    "inputs",
                    "files of this machine are not read here",
                ));
            }
            let path = input.strip_prefix("file://").unwrap_or(input);
            return Ok(Place::File(name::to_path(path)));
        }
        let key = format!("jobs/{job}/{}", input.trim_end_matches('/'));
        Ok(Place::Object(self.own.clone(), key))
    }

    fn bucket(&self, scheme: &str, bucket: &str) -> Result<Store> {
        let location = Location::parse(&format!("{scheme}://{bucket}"))?;
        Ok(self.config.open(&location)?)
    }

    /// All tasks of a job. What cannot be read becomes a task with its reason; an error is a service's.
    pub(crate) async fn expand(&self, id: &str, job: &Job) -> Result<Vec<PlannedTask>> {
        let mut tasks = Vec::new();
        for input in &job.inputs {
            match self.locate(id, input) {
                Ok(Place::File(path)) => tasks.extend(files(path).await?),
                Ok(Place::Object(store, key)) => {
                    let root = &input[..input.len() - tail(input, &key)];
                    tasks.extend(objects(&store, root, &key).await?);
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => tasks.push(hopeless(input, error.to_string())),
            }
            if tasks.len() > self.rules.max_tasks {
                let most = self.rules.max_tasks;
                let reason = format!("the inputs are more than {most} files (split the job)");
                return Ok(vec![hopeless(input, reason)]);
            }
        }
        claim(&mut tasks, job);
        Ok(tasks)
    }
}

/// Length of the key's part of an input's text: `inputs/a` of `jobs/<id>/inputs/a`, `raw/a` of `s3://b/raw/a`.
fn tail(input: &str, key: &str) -> usize {
    let text = input.trim_end_matches('/');
    let cut = input.len() - text.len();
    match text.contains("://") {
        true => key.len() + cut,
        false => input.len(),
    }
}

fn hopeless(input: &str, reason: String) -> PlannedTask {
    PlannedTask {
        input: input.to_owned(),
        relative: String::new(),
        reason: Some(reason),
    }
}

async fn files(path: std::path::PathBuf) -> Result<Vec<PlannedTask>> {
    let find = move || {
        let found = worker::inputs::expand(&[path], None);
        let found_files = found.inputs.into_iter().map(|input| PlannedTask {
            input: name::to_text(&input.path),
            relative: name::to_text(&input.relative),
            reason: None,
        });
        let failures = found.failures.into_iter();
        let failures = failures.map(|(path, reason)| hopeless(&name::to_text(&path), reason));
        found_files.chain(failures).collect()
    };
    tokio::task::spawn_blocking(find)
        .await
        .map_err(|error| Error::State(format!("looking for files: {error}")))
}

/// The object of that key, those below it, or those that match it as a pattern. `root` stands before the keys
/// in the tasks' texts; for uploads the job's own prefix is left out of them.
async fn objects(store: &Store, root: &str, key: &str) -> Result<Vec<PlannedTask>> {
    // An upload's text begins with `inputs`, its key with the job's prefix.
    let hidden = match root {
        "" => key.find("/inputs").map_or(0, |at| at + 1),
        _ => 0,
    };
    let task = |name: &str, from: usize| PlannedTask {
        input: format!("{root}{}", &name[hidden..]),
        relative: name[from..].to_owned(),
        reason: None,
    };
    let folder = |key: &str| key.rfind('/').map_or(0, |at| at + 1);
    let shown = format!("{root}{}", &key[hidden..]);
    if let Some(at) = key.find(['*', '?', '[']) {
        let base = folder(&key[..at]);
        let pattern = match glob::Pattern::new(key) {
            Ok(pattern) => pattern,
            Err(error) => return Ok(vec![hopeless(&shown, format!("not a pattern: {error}"))]),
        };
        let options = glob::MatchOptions {
            require_literal_separator: true,
            ..glob::MatchOptions::new()
        };
        let found = store.list(key[..base].trim_end_matches('/')).await?;
        let names = found.iter().map(|meta| meta.name.as_str());
        let tasks: Vec<PlannedTask> = names
            .filter(|name| pattern.matches_with(name, options))
            .map(|name| task(name, base))
            .collect();
        return Ok(match tasks.is_empty() {
            true => vec![hopeless(&shown, "no object matches this pattern".into())],
            false => tasks,
        });
    }
    if !key.is_empty() {
        match store.head(key).await {
            Ok(_) => return Ok(vec![task(key, folder(key))]),
            Err(cloud::Error::NotFound(_)) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            // A directory, where the store is one.
            Err(_) => {}
        }
    }
    let found = store.list(key).await?;
    if found.is_empty() {
        return Ok(vec![hopeless(&shown, "no such object".into())]);
    }
    let from = if key.is_empty() { 0 } else { key.len() + 1 };
    let images = found.iter().filter(|meta| is_image(&meta.name));
    Ok(images.map(|meta| task(&meta.name, from)).collect())
}

fn is_image(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| FormatKind::from_extension(e).is_some())
}

/// The output's path below the job: the input's relative path with an extension of the output's format.
pub(crate) fn output_path(relative: &str, format: Option<&Format>, kind: FormatKind) -> String {
    let kind = format.map_or(kind, Format::kind);
    let path = Path::new(relative);
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    match extension {
        Some(e) if kind.extensions().contains(&e.as_str()) => format!("out/{relative}"),
        _ => format!(
            "out/{}",
            path.with_extension(kind.extensions()[0]).display()
        ),
    }
}

/// Of several inputs with the same output the first keeps it; a file named twice counts once.
fn claim(tasks: &mut Vec<PlannedTask>, job: &Job) {
    let format = job.format.as_deref().and_then(|f| Format::parse(f).ok());
    let mut owners: HashMap<String, String> = HashMap::new();
    tasks.retain_mut(|task| {
        if task.reason.is_some() {
            return true;
        }
        let extension = Path::new(&task.relative).extension();
        let kind = extension.and_then(|e| FormatKind::from_extension(&e.to_string_lossy()));
        let output = match kind {
            Some(kind) => output_path(&task.relative, format.as_ref(), kind),
            None => format!("out/{}", task.relative),
        };
        let Some(owner) = owners.get(&output) else {
            owners.insert(output, task.input.clone());
            return true;
        };
        if *owner == task.input {
            return false;
        }
        task.reason = Some(format!(
            "its output is already that of {owner} (rename one, or submit them apart)"
        ));
        true
    });
}
