//! From what a job names to its tasks: uploads, objects behind URLs, files of this machine.

mod finds;
mod naming;
mod objects;
mod sink;
mod told;
mod wide;

use crate::error::{Error, Result};
use crate::jobs::{Rules, Url, check_upload, check_url, file_of};
use crate::names::upload;
use cloud::config::Config;
use cloud::store::Store;
use finds::{Finds, Input};
use objects::objects;
use protocol::message::PlannedTask;
use protocol::{Job, name};
use sink::Sink;
use std::collections::HashMap;
pub(crate) use wide::Wide;
use worker::inputs::Skipped;

/// More inputs than are held in memory.
const MANY: usize = 20_000;
/// Inputs that are listed, or named, in one step.
const STEP: usize = 4096;
/// Files of a reduction at most: they are known all at once.
const MOST_REDUCED: usize = 100_000;

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

    /// All tasks of a job, None where they are very many. What cannot be read becomes a task with its reason; an error is a
    /// service's, or says that there are too many.
    pub(crate) async fn expand(&self, owner: &str, job: &Job) -> Result<Option<Expanded>> {
        let most = self.rules.max_tasks;
        let most = match job.reduce {
            Some(_) => most.min(MOST_REDUCED),
            None => most.min(MANY),
        };
        let mut found = Finds::of(job).up_to(most);
        for input in &job.inputs {
            match self.find(owner, input) {
                Ok(Found::File(path)) => files(path, &mut found).await?,
                Ok(Found::Objects(named)) => objects(&named, &mut found).await?,
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => found.hopeless(input, error.to_string())?,
            }
            if found.is_full() {
                return match job.reduce {
                    Some(_) => Err(too_many(most)),
                    None => Ok(None),
                };
            }
        }
        match job.reduce {
            // It has one output.
            Some(_) => found.once(),
            None => found.settle(job).await?,
        }
        Ok(Some(found.into()))
    }
}

/// A job that has more inputs than one may have.
fn too_many(most: usize) -> Error {
    let reason = format!("the inputs are more than {most} files (split the job)");
    Error::invalid("inputs", reason)
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
        Expanded {
            tasks: vec![sink::without_hope(input, reason)],
            skipped: Skipped::default(),
        }
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
            Err(error) => found.hopeless(input, error.to_string())?,
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

/// Tells what one URL names, some at a time, to `tell`, which says whether it wants more; returns how many objects were
/// passed over. However many there are, few are held.
pub async fn list_url(
    config: &Config,
    url: &str,
    tell: &mut (dyn FnMut(Vec<PlannedTask>) -> bool + Send),
) -> Result<u64> {
    let parsed = Url::parse(url)?;
    let named = Named {
        store: config.open(&parsed.location())?,
        root: parsed.root(),
        hidden: 0,
        closed: None,
        key: parsed.key,
    };
    let mut told = told::Told::new(tell);
    match objects(&named, &mut told).await {
        Err(error) if !error.is_transient() => told.hopeless(url, error.to_string())?,
        listed => listed?,
    }
    Ok(told.end())
}

async fn files(path: std::path::PathBuf, finds: &mut impl Sink) -> Result<()> {
    let any = finds.any();
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
        if !finds.add(task, Place::File(input.path), None)? {
            return Ok(());
        }
    }
    for (path, reason) in failures {
        finds.hopeless(&name::to_text(&path), reason)?;
    }
    for (kind, count) in skipped {
        finds.skip(&kind, count);
    }
    Ok(())
}
