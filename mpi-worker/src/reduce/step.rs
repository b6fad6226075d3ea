//! One step of a reduction that is done in pieces, here and there: files are folded, or results of nodes merged, and what
//! is known then is kept in a file, or is the result.
//!
//! The arithmetic is that of [`super::run`], so that the result is the same to the last bit. A step may go on with what
//! another one kept: the files of a node need not all be here at once.

use super::files::Opener;
use super::kept::Kept;
use super::layout::{self, Layout};
use super::output::{Output, Target};
use super::{Bits, DEFAULT_MEMORY, Job, Member, Op, Request, spool};
use crate::atomic::{Digested, Pending};
use crate::settings::Settings;
use imaging::codec::Format;
use imaging::comm::serial::Serial;
use imaging::executor::Stop;
use imaging::{Error, Result};
use protocol::name;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Bytes for rows and values being read, about.
const READING: u64 = 16 << 20;

/// What the first file is: all others are compared with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct First {
    /// What messages call it.
    pub name: String,
    /// Whether it is text.
    pub text: bool,
    /// What the result is written as where nothing else is asked for: `txt`, `csv`, `npy` or an image format.
    pub target: String,
    layout: Vec<u64>,
}

/// What a step takes. Paths are as in [`protocol::name`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// The first file alone: the step tells what it is, as a [`First`].
    First {
        /// The file.
        path: String,
        /// What messages call it.
        name: String,
    },
    /// Files, in order.
    Files {
        /// What the first file of all is.
        first: First,
        /// The files.
        paths: Vec<String>,
    },
    /// Results of nodes, in order.
    Results {
        /// What the first file of all is.
        first: First,
        /// The files that they are kept in.
        paths: Vec<String>,
    },
    /// All files of a reduction that is done in one go.
    All {
        /// The files.
        paths: Vec<String>,
        /// How many of them are open at once.
        max_open_files: usize,
    },
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What is computed.
    pub op: Op,
    /// Samples of a result that is an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<Bits>,
    /// What it takes.
    pub take: Take,
    /// What an earlier step kept, of which this one is the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Where this step ends the reduction: what the result is written as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Ending>,
}

/// What the end of a reduction needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// `txt`, `csv`, `npy` or an image format.
    pub target: String,
    /// The first file, whose names of columns or metadata go along.
    pub first: String,
}

/// Predicted bytes of a step.
pub fn memory(settings: &Settings) -> u64 {
    room(settings) as u64 + READING
}

fn room(settings: &Settings) -> usize {
    let half = settings.memory.map(|cap| (cap / 2) as usize);
    DEFAULT_MEMORY.min(half.unwrap_or(usize::MAX))
}

/// Runs a step and writes what comes of it to `output`.
pub fn run(step: &Step, output: &Path, settings: &Settings, stop: &Stop) -> Result<Digested> {
    let mut request = Request::new(step.op, Vec::new(), output.to_owned());
    request.bits = step.bits;
    request.limits = settings.limits.clone();
    request.memory = room(settings);
    if let Some(folder) = output.parent() {
        request.temporary = folder.to_owned();
    }
    let (first, paths, results) = match &step.take {
        Take::First { path, name } => {
            let first = look(&mut request, path, name, stop)?;
            let text = serde_json::to_vec(&first).map_err(|e| Error::Io(e.to_string()))?;
            return store(output, |to| Ok(to.write_all(&text)?));
        }
        Take::All {
            paths,
            max_open_files,
        } => {
            request.files = paths.iter().map(|path| name::to_path(path)).collect();
            request.max_open_files = *max_open_files;
            let ending = step.result.as_ref();
            request.target = ending.map(|e| Target::parse(&e.target)).transpose()?;
            let report = super::run(&Serial::default(), 1, &request, stop, &|_, _| ())?;
            return (report.output).ok_or_else(|| Error::Io("there is no result".into()));
        }
        Take::Files { first, paths } => (first, paths, false),
        Take::Results { first, paths } => (first, paths, true),
    };
    let layout = Layout::from_numbers(&first.layout);
    let room = spool::Room::new(request.memory, &request.temporary);
    let mut kept: Option<Kept> = match &step.after {
        Some(path) => Some(Kept::read(&name::to_path(path), step.op, &layout, &room)?),
        None => None,
    };
    for path in paths {
        stop.check()?;
        let path = name::to_path(path);
        if results {
            let next = Kept::read(&path, step.op, &layout, &room)?;
            match &mut kept {
                Some(kept) => kept.merge(&next)?,
                None => kept = Some(next),
            }
            continue;
        }
        let kept = match &mut kept {
            Some(kept) => kept,
            none => none.insert(Kept::new(step.op, &layout, &room)?),
        };
        fold(kept, &mut request, (first, &layout), path, &room, stop)?;
    }
    let kept = kept.ok_or_else(|| Error::Pipeline("a step of a reduction takes nothing".into()))?;
    match &step.result {
        None => store(output, |to| kept.write(to)),
        Some(ending) => {
            let path = name::to_path(&ending.first);
            let found = layout::first(&Opener::default(), &request, &path, stop)?;
            if found.layout != layout {
                return Err(Error::Unsuitable(format!(
                    "{}: it has changed since the reduction began",
                    first.name
                )));
            }
            let mut result = Output::create(Target::parse(&ending.target)?, &request, found)?;
            kept.results(&mut result)?;
            result.finish()
        }
    }
}

/// Folds a file, with all its pages, into what is known.
fn fold(
    kept: &mut Kept,
    request: &mut Request,
    (first, layout): (&First, &Layout),
    path: PathBuf,
    room: &std::sync::Arc<spool::Room>,
    stop: &Stop,
) -> Result<()> {
    let opener = Opener::default();
    let named = PathBuf::from(&first.name);
    let pages = layout::like(&opener, request, &path, (&named, layout, first.text), stop)?;
    // The first member is there for its name in messages.
    let mut members = vec![Member {
        path: named.clone(),
        page: 0,
    }];
    members.extend((0..pages).map(|page| Member {
        path: path.clone(),
        page,
    }));
    request.files = vec![named, path];
    let job = Job {
        threads: 1,
        request,
        members: &members,
        layout,
        opener,
        room: room.clone(),
        stop,
        progress: &|_| (),
    };
    (1..members.len()).try_for_each(|member| kept.fold(&job, member))
}

/// What the first file is.
fn look(request: &mut Request, path: &str, name: &str, stop: &Stop) -> Result<First> {
    let path = name::to_path(path);
    let found = layout::first(&Opener::default(), request, &path, stop)?;
    let csv = || name.to_ascii_lowercase().ends_with(".csv");
    let target = match &found.picture {
        Some(header) => Format::like(header).kind().name(),
        None if !found.text => "npy",
        None if csv() => "csv",
        None => "txt",
    };
    Ok(First {
        name: name.to_owned(),
        text: found.text,
        target: target.to_owned(),
        layout: found.layout.to_numbers(),
    })
}

/// Writes a file that is read again soon.
fn store(
    path: &Path,
    write: impl FnOnce(&mut dyn std::io::Write) -> Result<()>,
) -> Result<Digested> {
    let pending = Pending::scratch(path)?;
    let mut writer = pending.writer();
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    Ok(pending.commit()?)
}
