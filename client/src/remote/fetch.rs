//! Objects become files of this machine, before the batch begins: all of them, since the plan of a batch depends
//! on each image's header.

use super::Target;

use crate::exit::{Exit, Failure, Result};
use cloud::config::Config;
use dispatcher::{UrlInput, expand_urls};
use futures_util::{StreamExt as _, stream};
use imaging::codec::{Format, Limits};
use indicatif::HumanBytes;
use protocol::job::OnClash;
use protocol::{Job, name};
use std::collections::HashSet;
use std::path::{Component, Path};
use worker::batch::Request;
use worker::elsewhere::{Elsewhere, Fetched};
use worker::names::{self, Facts, Template};

/// Objects on their way at once.
const AT_ONCE: usize = 8;
/// Tries of one object whose connection breaks.
const TRIES: u32 = 3;

/// Fetches what the request's inputs name. What cannot be had is a failure of that image; an error is a store
/// that does not answer, or a disk that is too small.
pub async fn all(
    request: &Request,
    config: &Config,
    target: Option<&Target>,
    folder: &Path,
) -> Result<Elsewhere> {
    let job = &request.job;
    let mut elsewhere = Elsewhere::default();
    let found = expand_urls(config, job).await;
    let (found, skipped) = found.map_err(crate::from_jobs)?;
    elsewhere.passed_over = skipped;
    let only: Option<HashSet<&str>> =
        (request.only.as_ref()).map(|only| only.iter().map(String::as_str).collect());
    let there = match target {
        Some(target) if job.skip_existing => existing(target).await?,
        _ => HashSet::new(),
    };
    let most = job
        .limits
        .max_bytes
        .map_or(Limits::default().max_bytes, |size| size.0);
    let mut wanted = Vec::new();
    for input in found {
        let name = name::to_text(Path::new(&input.task.input));
        if only
            .as_ref()
            .is_some_and(|only| !only.contains(name.as_str()))
        {
            continue;
        }
        let bytes = input.task.bytes.unwrap_or(0);
        if let Some(reason) = &input.task.reason {
            elsewhere.failures.push((name, reason.clone()));
        } else if !is_sound(&input.task.relative) {
            let reason = "its name cannot be that of an output (rename it)";
            elsewhere.failures.push((name, reason.into()));
        } else if bytes > most {
            elsewhere.refused.push((name, format!(
                "the object has {bytes} bytes, more than the limit of {most} (raise it with --max-bytes)"
            )));
        } else if predicted(target, job, &input).is_some_and(|output| there.contains(&output)) {
            elsewhere.skipped += 1;
        } else {
            wanted.push((name, input));
        }
    }
    fetch(wanted, folder, most, &mut elsewhere).await?;
    Ok(elsewhere)
}

/// Whether a path stays below the folder that it is put into.
fn is_sound(relative: &str) -> bool {
    let mut parts = Path::new(relative).components();
    !relative.is_empty()
        && !relative.contains('\0')
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Names of the objects that are where outputs go.
async fn existing(target: &Target) -> Result<HashSet<String>> {
    let at = target
        .staged
        .name(&target.staged.output)
        .unwrap_or_default();
    let key = at.strip_prefix(&target.root).unwrap_or_default();
    let found = target.store.list(key.trim_end_matches('/')).await;
    let found = found.map_err(|error| crate::from_cloud(&error))?;
    let named = found.into_iter();
    Ok(named
        .map(|meta| format!("{}{}", target.root, meta.name))
        .collect())
}

/// The name of an input's output below a prefix, as far as the input's own name tells.
fn predicted(target: Option<&Target>, job: &Job, input: &UrlInput) -> Option<String> {
    let staged = &target?.staged;
    let format = job.format.as_deref().and_then(|f| Format::parse(f).ok());
    let relative = name::to_text(Path::new(&input.task.relative));
    let own = names::kind_of(&relative)?;
    let template = job.names.as_deref().map(Template::parse).transpose().ok()?;
    let by_name = |template: &Template| !template.needs_pixels() && !template.needs_index();
    if !template.as_ref().is_none_or(by_name) || job.on_clash == OnClash::Number {
        return None;
    }
    let facts = Facts {
        relative: &relative,
        own,
        format: format.map_or_else(|| Format::of(own).kind(), |format| format.kind()),
        index: 0,
        page: None,
        size: (0, 0),
        sha256: "",
    };
    let name = names::name(template.as_ref(), &facts).ok()?;
    let below = staged.name(staged.output.trim_end_matches('/'))?;
    Some(format!("{below}/{name}"))
}

async fn fetch(
    wanted: Vec<(String, UrlInput)>,
    folder: &Path,
    most: u64,
    elsewhere: &mut Elsewhere,
) -> Result<()> {
    let folder = folder.join("in");
    tokio::fs::create_dir(&folder)
        .await
        .map_err(|error| disk(&error))?;
    let bytes: u64 = wanted
        .iter()
        .filter_map(|(_, input)| input.task.bytes)
        .sum();
    let free = free_bytes(&folder)?;
    if bytes > free {
        return Err(Failure {
            exit: Exit::Refused,
            message: format!(
                "the inputs are {}, and {} has room for {} (set TMPDIR to a larger disk, or run fewer inputs at once)",
                HumanBytes(bytes),
                std::env::temp_dir().display(),
                HumanBytes(free)
            ),
        });
    }
    let one = |(number, (name, input)): (usize, (String, UrlInput))| {
        let path = folder.join(file_name(number, &input.key));
        async move {
            let got = get(&input, &path, most).await;
            (number, name, input.task.relative, path, got)
        }
    };
    let mut got: Vec<_> = stream::iter(wanted.into_iter().enumerate())
        .map(one)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    got.sort_by_key(|(number, ..)| *number);
    let mut unreachable = None;
    for (_, name, relative, path, got) in got {
        match got {
            Ok(()) => elsewhere.inputs.push(Fetched {
                name,
                path: name::to_text(&path),
                relative: name::to_text(Path::new(&relative)),
            }),
            Err(error) => {
                elsewhere.failures.push((name, error.to_string()));
                if error.is_transient() {
                    unreachable = Some(error);
                }
            }
        }
    }
    match unreachable {
        Some(error) if elsewhere.inputs.is_empty() => Err(crate::from_cloud(&error)),
        _ => Ok(()),
    }
}

async fn get(input: &UrlInput, path: &Path, most: u64) -> cloud::Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        match input.store.get_file(&input.key, path, most).await {
            Ok(_) => return Ok(()),
            Err(error) => {
                // Perhaps there is none.
                let _ = tokio::fs::remove_file(path).await;
                if !error.is_transient() || tries == TRIES {
                    return Err(error);
                }
            }
        }
    }
}

/// A name that no object can choose, with the extension of the object's.
fn file_name(number: usize, key: &str) -> String {
    let extension = Path::new(key).extension().and_then(|e| e.to_str());
    let plain = |e: &&str| e.len() <= 8 && e.bytes().all(|b| b.is_ascii_alphanumeric());
    match extension.filter(plain) {
        Some(extension) => format!("{number}.{extension}"),
        None => number.to_string(),
    }
}

fn free_bytes(folder: &Path) -> Result<u64> {
    let found = nix::sys::statvfs::statvfs(folder).map_err(|error| disk(&error.into()))?;
    Ok(found.blocks_available() * found.fragment_size())
}

fn disk(error: &std::io::Error) -> Failure {
    Failure::failed(format!(
        "the folder for what is fetched: {error} (hint: set TMPDIR)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects_stay_below_their_folder() {
        for name in ["a.jpg", "a/b.jpg", "..a", "a b"] {
            assert!(is_sound(name), "{name}");
        }
        for name in ["", "../a", "/a", "a/../b", "./a", "a\0b"] {
            assert!(!is_sound(name), "{name}");
        }
        assert_eq!(file_name(3, "x/y.JPG"), "3.JPG");
        assert_eq!(file_name(3, "x/y.j g"), "3");
        assert_eq!(file_name(3, "x/.."), "3");
    }
}
