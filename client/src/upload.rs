//! Local files of a new job: found, named, sent.

use crate::exit::{Failure, Result};
use crate::text;
use crate::{Announced, Client, Slot, Target, Transfer};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use imaging::codec::Format;
use indicatif::ProgressBar;
use protocol::job::OnClash;
use protocol::{Job, name};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use worker::inputs::{self, Kind};
use worker::names::{self, Facts, Template, Wish};

/// Files of one upload; a job may name many uploads.
const CHUNK: usize = 500;
/// Files sent at once.
const AT_ONCE: usize = 6;
/// Inputs that a job names one by one at most.
const MOST_NAMED: usize = 1000;
/// Failures that are listed.
const LISTED: usize = 5;

/// A file that is sent.
#[derive(Debug)]
pub struct Local {
    path: PathBuf,
    announced: Announced,
    /// Named by the user, so that it counts whatever its name looks like.
    explicit: bool,
}

/// What a job's inputs come to: files to send, and URLs that stay as they are.
pub fn find(job: &Job) -> Result<(Vec<Local>, Vec<String>)> {
    let is_url = |input: &&String| input.starts_with("s3://") || input.starts_with("gs://");
    let urls: Vec<String> = job.inputs.iter().filter(is_url).cloned().collect();
    let paths: Vec<PathBuf> = (job.inputs)
        .iter()
        .filter(|input| !is_url(input))
        .map(|input| name::to_path(input))
        .collect();
    let found = match job.reduce {
        Some(_) => inputs::expand_any(&paths, None),
        None => inputs::expand(&paths, None),
    };
    if !found.failures.is_empty() {
        let shown: Vec<String> = found
            .failures
            .iter()
            .take(LISTED)
            .map(|(path, reason)| format!("{}: {reason}", shown(path)))
            .collect();
        let more = found.failures.len().saturating_sub(LISTED);
        let more = if more > 0 {
            format!("; and {more} more")
        } else {
            String::new()
        };
        return Err(Failure::usage(format!(
            "{}{more} (nothing was submitted)",
            shown.join("; ")
        )));
    }
    let mut files = Vec::with_capacity(found.inputs.len());
    for input in found.inputs {
        let name = object_name(&input.relative);
        let meta = std::fs::metadata(&input.path);
        let meta = meta.map_err(|error| {
            let cause = worker::jobfile::io_cause(&error);
            Failure::usage(format!("{}: {cause}", shown(&input.path)))
        })?;
        if !meta.is_file() {
            return Err(Failure::usage(format!(
                "{} is no regular file",
                shown(&input.path)
            )));
        }
        files.push(Local {
            explicit: paths.contains(&input.path),
            path: input.path,
            announced: Announced {
                name,
                bytes: meta.len(),
            },
        });
    }
    check_names(job, &files)?;
    Ok((files, urls))
}

impl Local {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        self.announced.bytes
    }
}

/// What outputs will be called, as far as files tell: None where that depends on pixels.
pub fn outputs(job: &Job, files: &[Local]) -> Result<Vec<Option<String>>> {
    let template = template(job)?;
    let format = job.format.as_deref().and_then(|f| Format::parse(f).ok());
    let outputs = (0..files.len()).map(|at| {
        let facts = facts(files, format.as_ref(), at)?;
        names::name(template.as_ref(), &facts).ok()
    });
    match template.as_ref().is_some_and(Template::needs_pixels) {
        true => Ok(vec![None; files.len()]),
        false => Ok(outputs.collect()),
    }
}

fn template(job: &Job) -> Result<Option<Template>> {
    let template = job.names.as_deref().map(Template::parse).transpose();
    template.map_err(Failure::usage)
}

fn facts<'a>(files: &'a [Local], format: Option<&Format>, at: usize) -> Option<Facts<'a>> {
    let name = &files[at].announced.name;
    let own = inputs::format_of(&files[at].path).or_else(|| names::kind_of(name))?;
    Some(Facts {
        relative: name,
        own,
        format: format.map_or_else(|| Format::of(own).kind(), Format::kind),
        index: at as u64 + 1,
        page: None,
        size: (0, 0),
        sha256: "",
    })
}

/// Refuses two files whose outputs would have one name, as far as files tell: before anything is sent.
fn check_names(job: &Job, files: &[Local]) -> Result<()> {
    if job.on_clash == OnClash::Number || job.reduce.is_some() {
        return Ok(());
    }
    let wishes = outputs(job, files)?.into_iter().enumerate();
    let wishes = wishes.filter_map(|(input, output)| {
        let output = output?;
        Some(Wish {
            input,
            keeps_name: output == files[input].announced.name,
            output,
        })
    });
    let wishes: Vec<Wish> = wishes.collect();
    let Some(clash) = names::clashes(&wishes).into_iter().next() else {
        return Ok(());
    };
    let format = job.format.as_deref().and_then(|f| Format::parse(f).ok());
    let facts = |at| facts(files, format.as_ref(), at);
    let way_out = match (facts(clash.owner), facts(clash.other)) {
        (Some(owner), Some(other)) => names::mending(&owner, &other),
        _ => "give --on-clash number".into(),
    };
    Err(Failure::usage(format!(
        "{} and {} would both be `{}` ({way_out}; nothing was submitted)",
        shown(&files[clash.owner].path),
        shown(&files[clash.other].path),
        text::harmless(&wishes[clash.wish].output)
    )))
}

/// Files of one name go into uploads of their own, since an upload has one file of each name.
fn uploads(files: &[Local]) -> Vec<Vec<&Local>> {
    let mut layers: Vec<Vec<&Local>> = Vec::new();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for file in files {
        let layer = seen.entry(&file.announced.name).or_default();
        if layers.len() == *layer {
            layers.push(Vec::new());
        }
        layers[*layer].push(file);
        *layer += 1;
    }
    let chunks = layers.iter().flat_map(|layer| layer.chunks(CHUNK));
    chunks.map(<[&Local]>::to_vec).collect()
}

fn shown(path: &Path) -> String {
    text::harmless(&path.display().to_string()).into_owned()
}

/// A path as the name of an object: without loss, as in [`protocol::name`], where control characters, which no
/// gateway takes, are written as bytes, too, and so is the `#` of names like those of a store's own temporary files.
fn object_name(relative: &Path) -> String {
    let parts = name::to_text(relative);
    let parts = parts.split('/').map(|part| {
        let mut text = String::new();
        let counted = part
            .rsplit_once('#')
            .filter(|(_, n)| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
        let hash = counted.map(|(before, _)| before.len());
        for (at, c) in part.char_indices() {
            match c.is_control() || Some(at) == hash {
                true => {
                    let bytes = &part.as_bytes()[at..at + c.len_utf8()];
                    text.extend(bytes.iter().map(|byte| format!("\\x{byte:02x}")));
                }
                false => text.push(c),
            }
        }
        text
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Sends files, counting bytes on `bar` (a hidden one counts as well); returns what the job names to take them. `ordered`:
/// their order matters, and every one of them is taken.
pub async fn send(
    client: &Client,
    files: &[Local],
    ordered: bool,
    bar: &ProgressBar,
) -> Result<Vec<String>> {
    let each = ordered && files.len() <= MOST_NAMED;
    if ordered && !each && !comes_in_order(files) {
        return Err(Failure::usage(format!(
            "{} files are more than the {MOST_NAMED} that a reduction can name in an order that is not that of their \
             names (name a directory or a prefix instead; nothing was submitted)",
            files.len()
        )));
    }
    let transfer = Transfer::new()?;
    bar.set_length(files.iter().map(|file| file.announced.bytes).sum());
    let mut inputs = Vec::new();
    let mut named: HashMap<&Path, String> = HashMap::new();
    {
        for chunk in uploads(files) {
            let announced: Vec<Announced> = chunk.iter().map(|f| f.announced.clone()).collect();
            let upload = client.announce(&announced).await?;
            if upload.slots.len() != chunk.len() {
                return Err(Failure::failed(
                    "the gateway named other files than it was asked for",
                ));
            }
            // A file's own name is no pattern.
            let own = |slot: &Slot| glob::Pattern::escape(&slot.input);
            if each {
                let both = chunk.iter().zip(&upload.slots);
                named.extend(both.map(|(file, slot)| (file.path(), own(slot))));
            }
            inputs.extend(upload.inputs);
            let explicit = chunk
                .iter()
                .zip(&upload.slots)
                .filter(|(file, _)| !ordered && file.explicit && is_passed_over(file));
            inputs.extend(explicit.map(|(_, slot)| own(slot)));
            stream::iter(chunk.iter().zip(upload.slots))
                .map(|(file, slot)| one(client, &transfer, file, slot, bar))
                .buffer_unordered(AT_ONCE)
                .try_collect::<Vec<()>>()
                .await?;
        }
    }
    if each {
        let names = files.iter().map(|file| named.remove(file.path()));
        return Ok(names.flatten().collect());
    }
    Ok(inputs)
}

/// Whether a dispatcher that looks through uploads takes all files of a reduction, in this order.
fn comes_in_order(files: &[Local]) -> bool {
    let name = |file: &Local| file.announced.name.clone();
    let texts = || (files.iter()).all(|file| inputs::is_text(Path::new(&file.announced.name)));
    let images = || files.iter().all(|file| !is_passed_over(file));
    let ascending = files.windows(2).all(|two| name(&two[0]) < name(&two[1]));
    ascending && (texts() || images())
}

async fn one(
    client: &Client,
    transfer: &Transfer,
    file: &Local,
    slot: Slot,
    bar: &ProgressBar,
) -> Result<()> {
    let (path, bytes) = (&file.path, file.announced.bytes);
    match slot.target {
        Target::Link {
            method,
            url,
            headers,
        } => {
            let to = (&method, &url, headers.as_slice());
            transfer.put(path, &shown(path), bytes, to, bar).await
        }
        Target::Object(object) => {
            let content = tokio::fs::read(path).await.map_err(|error| {
                let cause = worker::jobfile::io_cause(&error);
                Failure::failed(format!("cannot read {}: {cause}", shown(path)))
            })?;
            client.put_object(&object, content).await?;
            bar.inc(bytes);
            Ok(())
        }
    }
}

/// Whether a dispatcher that looks through an upload would not take this file for an image.
fn is_passed_over(file: &Local) -> bool {
    let name = file.announced.name.rsplit('/').next().unwrap_or_default();
    match Kind::of_name(name) {
        Some(kind) => kind != Kind::Image,
        None => inputs::format_of(&file.path).is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects_hold_no_control_characters_and_come_back() {
        for path in [
            "a.jpg",
            "more/b c.png",
            "x\n\x1b[2J.png",
            "x\u{85}.png",
            "back\\slash.png",
            "a#1/b#2",
            "#.png",
        ] {
            let name = object_name(Path::new(path));
            assert!(!name.contains(char::is_control), "{name:?}");
            assert!(!name.ends_with("#2"), "{name:?}");
            assert_eq!(name::to_path(&name), Path::new(path));
        }
    }
}
