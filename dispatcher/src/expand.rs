//! From what a job names to its tasks: uploads, objects behind URLs, files of this machine.

mod finds;

use crate::error::{Error, Result};
use crate::jobs::{Rules, Url, check_upload, check_url, file_of, is_below};
use crate::names::upload;
use cloud::config::Config;
use cloud::store::{Meta, Store};
use finds::{AT_ONCE, Finds, Input, judge};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::message::PlannedTask;
use protocol::{Job, name};
use std::collections::HashMap;
use std::path::Path;
use worker::inputs::{self, Kind, Skipped};

/// Where inputs come from.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) own: Store,
    /// Opens the buckets of URLs.
    pub(crate) config: Config,
    pub(crate) rules: Rules,
}

/// An input that was found.
#[derive(Clone)]
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
        let key = upload(owner, below.trim_end_matches('/'));
        Ok(Named {
            store: self.own.clone(),
            root: "uploads/".into(),
            hidden: upload(owner, "").len(),
            closed: None,
            key,
        })
    }

    /// All tasks of a job. What cannot be read becomes a task with its reason; an error is a service's.
    pub(crate) async fn expand(&self, owner: &str, job: &Job) -> Result<Expanded> {
        let mut found = Finds::of(job);
        for input in &job.inputs {
            match self.find(owner, input) {
                Ok(Found::File(path)) => files(path, &mut found).await?,
                Ok(Found::Objects(named)) => objects(&named, &mut found).await?,
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => found.hopeless(input, error.to_string()),
            }
            if found.inputs.len() > self.rules.max_tasks {
                let most = self.rules.max_tasks;
                let reason = format!("the inputs are more than {most} files (split the job)");
                let mut found = Finds::default();
                found.hopeless(input, reason);
                return Ok(found.into());
            }
        }
        match job.reduce {
            // It has one output.
            Some(_) => found.once(),
            None => found.settle(job).await?,
        }
        Ok(found.into())
    }
}

/// What a job's inputs come to.
pub(crate) struct Expanded {
    pub(crate) tasks: Vec<PlannedTask>,
    /// Files and objects that were passed over, by what they are.
    pub(crate) skipped: Skipped,
}

impl Expanded {
    /// One task that fails.
    pub(crate) fn hopeless(input: &str, reason: String) -> Expanded {
        let mut found = Finds::default();
        found.hopeless(input, reason);
        found.into()
    }
}

impl From<Finds> for Expanded {
    fn from(found: Finds) -> Expanded {
        let tasks = found.inputs.into_iter().map(|input| input.task);
        Expanded {
            tasks: tasks.collect(),
            skipped: found.skipped,
        }
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
pub async fn expand_urls(config: &Config, job: &Job) -> Result<(Vec<UrlInput>, Skipped)> {
    let (mut found, mut stores) = (Finds::of(job), HashMap::new());
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
        match objects(&named, &mut found).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => found.hopeless(input, error.to_string()),
        }
    }
    // Clashes are the batch's to find, which knows all its inputs.
    found.once();
    let located = found.inputs.into_iter().filter_map(|Input { task, .. }| {
        // A bucket's own address may stand without the `/` at its end.
        let text = format!("{}/", task.input);
        let (root, store) = stores.iter().find(|(root, _)| text.starts_with(*root))?;
        let key = task.input.strip_prefix(root).unwrap_or_default().to_owned();
        let store = store.clone();
        Some(UrlInput { task, store, key })
    });
    Ok((located.collect(), found.skipped))
}

async fn files(path: std::path::PathBuf, finds: &mut Finds) -> Result<()> {
    let any = finds.any;
    let find = move || {
        let found = match any {
            true => worker::inputs::expand_any(&[path], None),
            false => worker::inputs::expand(&[path], None),
        };
        let inputs = found.inputs.into_iter().map(|input| {
            let bytes = std::fs::metadata(&input.path).ok().map(|found| found.len());
            (input, bytes)
        });
        (inputs.collect::<Vec<_>>(), found.failures, found.skipped)
    };
    let found = tokio::task::spawn_blocking(find).await;
    let (inputs, failures, skipped) =
        found.map_err(|error| Error::State(format!("looking for files: {error}")))?;
    for (input, bytes) in inputs {
        let task = PlannedTask {
            input: name::to_text(&input.path),
            relative: name::to_text(&input.relative),
            bytes,
            clash: None,
            reason: None,
        };
        finds.add(task, Place::File(input.path), None);
    }
    for (path, reason) in failures {
        finds.hopeless(&name::to_text(&path), reason);
    }
    for (kind, count) in skipped {
        *finds.skipped.entry(kind).or_default() += count;
    }
    Ok(())
}

/// The object of that name, those below it, or those that match it as a pattern.
async fn objects(named: &Named, finds: &mut Finds) -> Result<()> {
    let Named { store, key, .. } = named;
    let shown = |name: &str| format!("{}{}", named.root, &name[named.hidden..]);
    let task = |meta: &Meta, from: usize| PlannedTask {
        input: shown(&meta.name),
        relative: meta.name[from..].to_owned(),
        bytes: Some(meta.size),
        clash: None,
        reason: None,
    };
    let place = |meta: &Meta| Place::Object(store.clone(), meta.name.clone());
    let folder = |key: &str| key.rfind('/').map_or(0, |at| at + 1);
    let open = |name: &str| {
        let closed = named.closed.as_deref();
        !closed.is_some_and(|prefix| is_below(name, prefix))
    };
    // First as it stands, since names may hold what patterns are made of.
    if !key.is_empty() {
        match store.head(key).await {
            Ok(meta) => {
                finds.add(task(&meta, folder(key)), place(&meta), None);
                return Ok(());
            }
            Err(cloud::Error::NotFound(_)) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            // A directory, where the store is one.
            Err(_) => {}
        }
    }
    let wild = key[named.hidden.min(key.len())..].find(['*', '?', '[']);
    let (from, found, dots) = match wild {
        Some(at) => {
            let base = folder(&key[..named.hidden + at]);
            let pattern = match glob::Pattern::new(&key[base..]) {
                Ok(pattern) => pattern,
                Err(error) => {
                    finds.hopeless(&shown(key), format!("not a pattern: {error}"));
                    return Ok(());
                }
            };
            let options = glob::MatchOptions {
                require_literal_separator: true,
                ..glob::MatchOptions::new()
            };
            let mut found = store.list(key[..base].trim_end_matches('/')).await?;
            found.retain(|meta| {
                open(&meta.name) && pattern.matches_with(&meta.name[base..], options)
            });
            (
                base,
                found,
                key[base..].split('/').any(|part| part.starts_with('.')),
            )
        }
        None => {
            let mut found = store.list(key).await?;
            found.retain(|meta| open(&meta.name));
            (if key.is_empty() { 0 } else { key.len() + 1 }, found, false)
        }
    };
    if found.is_empty() {
        let reason = match wild {
            Some(_) => "no object matches this pattern",
            None => "no such object",
        };
        finds.hopeless(&shown(key), reason.into());
        return Ok(());
    }
    let judged = stream::iter(found.into_iter().map(|meta| async move {
        let judged = judge(store, &meta.name, from, dots).await;
        judged.map(|(kind, own)| (meta, kind, own))
    }));
    let judged: Vec<_> = judged.buffered(AT_ONCE).try_collect().await?;
    // Of a reduction whatever matches a pattern is taken, and of a prefix without images its files of numbers.
    let images = judged.iter().any(|(_, kind, _)| *kind == Kind::Image);
    let takes = |meta: &Meta| match (finds.any, wild) {
        (false, _) => false,
        (true, Some(_)) => true,
        (true, None) => !images && inputs::is_text(Path::new(&meta.name)),
    };
    let taken: Vec<bool> = (judged.iter())
        .map(|(meta, kind, _)| *kind == Kind::Image || *kind == Kind::Unknown && takes(meta))
        .collect();
    for ((meta, kind, own), taken) in judged.into_iter().zip(taken) {
        match taken {
            true => finds.add(task(&meta, from), place(&meta), own),
            false => finds.skip(kind),
        }
    }
    Ok(())
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
            let mut finds = Finds::default();
            objects(&named(key), &mut finds).await.unwrap();
            let tasks = Expanded::from(finds).tasks.into_iter();
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

    #[tokio::test]
    async fn objects_are_taken_by_what_they_hold_and_no_two_have_one_name() {
        let store = Store::memory();
        let (jpeg, png) = (&b"\xff\xd8\xff\xe0"[..], &b"\x89PNG\r\n\x1a\n"[..]);
        for (name, bytes) in [
            ("u/._photo.jpg", jpeg),
            ("u/.git/x.png", png),
            ("u/Thumbs.db", b"x"),
            ("u/frame.000", png),
            ("u/frame.001", png),
            ("u/notes.txt", b"x"),
            ("u/photo.jpg", jpeg),
            ("u/photo.png", jpeg),
            ("u/photo.tif", png),
        ] {
            let bytes = bytes.to_vec().into();
            store.put(name, bytes, "image/jpeg").await.unwrap();
        }
        let named = Named {
            store,
            key: "u".into(),
            root: String::new(),
            hidden: 0,
            closed: None,
        };
        let expand = async |job: &Job| {
            let mut finds = Finds::default();
            // Twice the same.
            for _ in 0..2 {
                objects(&named, &mut finds).await.unwrap();
            }
            finds.settle(job).await.unwrap();
            Expanded::from(finds)
        };
        let found = expand(&Job::default()).await;
        let kinds: Vec<_> = found
            .skipped
            .iter()
            .map(|(k, n)| (k.as_str(), n / 2))
            .collect();
        assert_eq!(kinds, [("hidden", 1), ("junk", 2), ("unknown", 1)]);
        let refused: Vec<_> = (found.tasks.iter())
            .map(|task| (task.relative.as_str(), task.reason.is_some()))
            .collect();
        let expected = [
            ("frame.000", false),
            ("frame.001", false),
            ("photo.jpg", false),
            // It holds a JPEG.
            ("photo.png", true),
            // And this one a PNG.
            ("photo.tif", false),
        ];
        assert_eq!(refused, expected);
        let reason = found.tasks[3].reason.as_deref().unwrap();
        assert!(
            reason.contains("photo.jpg is already that of u/photo.jpg"),
            "{reason}"
        );
        assert!(
            reason.contains("--names '{stem}-{ext}.{format}'"),
            "{reason}"
        );
        let job = Job {
            on_clash: protocol::job::OnClash::Number,
            ..Job::default()
        };
        let clashes: Vec<_> = expand(&job).await.tasks.iter().map(|t| t.clash).collect();
        assert_eq!(clashes, [None, None, None, Some(2), None]);
        let job = Job {
            names: Some("{stem}-{ext}.{format}".into()),
            ..Job::default()
        };
        assert!(expand(&job).await.tasks.iter().all(|t| t.reason.is_none()));
    }
}
