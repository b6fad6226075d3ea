//! From what a job names to its tasks: uploads, objects behind URLs, files of this machine.

use crate::error::{Error, Result};
use crate::jobs::{Rules, Url, check_upload, check_url, file_of, is_below};
use crate::names;
use cloud::config::Config;
use cloud::store::{Meta, Store};
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

enum Found {
    File(std::path::PathBuf),
    Objects(Box<Named>),
}

/// Objects that an input names.
struct Named {
    store: Store,
    /// The name of one, the prefix of some, or a pattern.
    key: String,
    /// What stands before their names in the tasks' texts …
    root: String,
    /// … which begin after these bytes.
    hidden: usize,
    /// The prefix of names that users do not get at.
    closed: Option<String>,
}

impl Sources {
    /// Where an input of a user's job lies.
    pub(crate) fn locate(&self, owner: &str, input: &str) -> Result<Place> {
        Ok(match self.find(owner, input)? {
            Found::File(path) => Place::File(path),
            Found::Objects(named) => Place::Object(named.store, named.key),
        })
    }

    fn find(&self, owner: &str, input: &str) -> Result<Found> {
        match file_of(input) {
            Some(path) if self.rules.local_inputs => Ok(Found::File(name::to_path(path))),
            Some(_) => Err(Error::invalid(
                "inputs",
                "files of this machine are not read here",
            )),
            None => Ok(Found::Objects(Box::new(self.named(owner, input)?))),
        }
    }

    fn named(&self, owner: &str, input: &str) -> Result<Named> {
        if Url::is_one(input) {
            let url = Url::parse(input)?;
            check_url(&url, &self.rules, self.own.address())?;
            return Ok(Named {
                store: self.config.open(&url.location())?,
                root: url.root(),
                hidden: 0,
                closed: url.prefix_of(self.own.address()),
                key: url.key,
            });
        }
        check_upload(input)?;
        let below = input.strip_prefix("uploads/").unwrap_or_default();
        let key = names::upload(owner, below.trim_end_matches('/'));
        Ok(Named {
            store: self.own.clone(),
            root: "uploads/".into(),
            hidden: names::upload(owner, "").len(),
            closed: None,
            key,
        })
    }

    /// All tasks of a job. What cannot be read becomes a task with its reason; an error is a service's.
    pub(crate) async fn expand(&self, owner: &str, job: &Job) -> Result<Vec<PlannedTask>> {
        let mut tasks = Vec::new();
        for input in &job.inputs {
            match self.find(owner, input) {
                Ok(Found::File(path)) => tasks.extend(files(path).await?),
                Ok(Found::Objects(named)) => tasks.extend(objects(&named).await?),
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

/// An object that a URL names.
#[derive(Clone, Debug)]
pub struct UrlInput {
    /// What it is called and where its output goes; a reason where it cannot be read.
    pub task: PlannedTask,
    /// Its bucket.
    pub store: Store,
    /// Its name in the bucket.
    pub key: String,
}

/// What the inputs of a job that are URLs come to, as dispatchers would find them: objects by name, those below a
/// prefix, those that match a pattern. What cannot be read has its reason; an error is a store's, or a URL's.
pub async fn expand_urls(config: &Config, job: &Job) -> Result<Vec<UrlInput>> {
    let (mut tasks, mut stores) = (Vec::new(), HashMap::new());
    for input in job.inputs.iter().filter(|input| Url::is_one(input)) {
        let url = Url::parse(input)?;
        let root = url.root();
        let store = match stores.get(&root) {
            Some(store) => Store::clone(store),
            None => config.open(&url.location())?,
        };
        stores.insert(root.clone(), store.clone());
        let named = Named {
            store,
            root,
            hidden: 0,
            closed: None,
            key: url.key,
        };
        match objects(&named).await {
            Ok(found) => tasks.extend(found),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => tasks.push(hopeless(input, error.to_string())),
        }
    }
    claim(&mut tasks, job);
    let located = tasks.into_iter().filter_map(|task| {
        // A bucket's own address may stand without the `/` at its end.
        let text = format!("{}/", task.input);
        let (root, store) = stores.iter().find(|(root, _)| text.starts_with(*root))?;
        let key = task.input.strip_prefix(root).unwrap_or_default().to_owned();
        let store = store.clone();
        Some(UrlInput { task, store, key })
    });
    Ok(located.collect())
}

fn hopeless(input: &str, reason: String) -> PlannedTask {
    PlannedTask {
        input: input.to_owned(),
        relative: String::new(),
        bytes: None,
        reason: Some(reason),
    }
}

async fn files(path: std::path::PathBuf) -> Result<Vec<PlannedTask>> {
    let find = move || {
        let found = worker::inputs::expand(&[path], None);
        let found_files = found.inputs.into_iter().map(|input| PlannedTask {
            input: name::to_text(&input.path),
            relative: name::to_text(&input.relative),
            bytes: std::fs::metadata(&input.path).ok().map(|found| found.len()),
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

/// The object of that name, those below it, or those that match it as a pattern.
async fn objects(named: &Named) -> Result<Vec<PlannedTask>> {
    let Named { store, key, .. } = named;
    let shown = |name: &str| format!("{}{}", named.root, &name[named.hidden..]);
    let task = |meta: &Meta, from: usize| PlannedTask {
        input: shown(&meta.name),
        relative: meta.name[from..].to_owned(),
        bytes: Some(meta.size),
        reason: None,
    };
    let folder = |key: &str| key.rfind('/').map_or(0, |at| at + 1);
    let open = |name: &str| {
        let closed = named.closed.as_deref();
        !closed.is_some_and(|prefix| is_below(name, prefix))
    };
    // First as it stands, since names may hold what patterns are made of.
    if !key.is_empty() {
        match store.head(key).await {
            Ok(meta) => return Ok(vec![task(&meta, folder(key))]),
            Err(cloud::Error::NotFound(_)) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            // A directory, where the store is one.
            Err(_) => {}
        }
    }
    if let Some(at) = key[named.hidden.min(key.len())..].find(['*', '?', '[']) {
        let base = folder(&key[..named.hidden + at]);
        let pattern = match glob::Pattern::new(&key[base..]) {
            Ok(pattern) => pattern,
            Err(error) => {
                return Ok(vec![hopeless(
                    &shown(key),
                    format!("not a pattern: {error}"),
                )]);
            }
        };
        let options = glob::MatchOptions {
            require_literal_separator: true,
            ..glob::MatchOptions::new()
        };
        let found = store.list(key[..base].trim_end_matches('/')).await?;
        let matches = |name: &str| open(name) && pattern.matches_with(&name[base..], options);
        let tasks: Vec<PlannedTask> = (found.iter())
            .filter(|meta| matches(&meta.name))
            .map(|meta| task(meta, base))
            .collect();
        return Ok(match tasks.is_empty() {
            true => vec![hopeless(
                &shown(key),
                "no object matches this pattern".into(),
            )],
            false => tasks,
        });
    }
    let found = store.list(key).await?;
    let found: Vec<_> = found.iter().filter(|meta| open(&meta.name)).collect();
    if found.is_empty() {
        return Ok(vec![hopeless(&shown(key), "no such object".into())]);
    }
    let from = if key.is_empty() { 0 } else { key.len() + 1 };
    let images = found.iter().filter(|meta| is_image(&meta.name));
    Ok(images.map(|meta| task(meta, from)).collect())
}

fn is_image(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| FormatKind::from_extension(e).is_some())
}

/// The output's path below the job: the input's relative path with an extension of the output's format.
pub fn output_path(relative: &str, format: Option<&Format>, kind: FormatKind) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn urls_above_the_own_store_leave_it_out() {
        let store = Store::memory();
        for name in [
            "a.jpg",
            "raw/b.jpg",
            "sundog/jobs/1/out/c.jpg",
            "sundogs/d.jpg",
        ] {
            store.put(name, "x".into(), "image/jpeg").await.unwrap();
        }
        let named = |key: &str| Named {
            store: store.clone(),
            key: key.into(),
            root: "s3://bucket/".into(),
            hidden: 0,
            closed: Some("sundog".into()),
        };
        let found = async |key: &str| {
            let tasks = objects(&named(key)).await.unwrap().into_iter();
            let tasks = tasks.filter(|task| task.reason.is_none());
            tasks.map(|task| task.input).collect::<Vec<_>>()
        };
        let all = [
            "s3://bucket/a.jpg",
            "s3://bucket/raw/b.jpg",
            "s3://bucket/sundogs/d.jpg",
        ];
        assert_eq!(found("").await, all);
        assert_eq!(found("s*/*.jpg").await, all[2..]);
        assert_eq!(found("**/*.jpg").await, all);
    }
}
