//! The list of files: what was added, in which order it is shown, what is selected.

use crate::text::harmless;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use worker::inputs::Input;

/// A file or folder as the user added it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    /// Files of it that are in the list.
    pub left: usize,
    /// Files of it that were taken out, after which it can no longer be named as a whole.
    pub removed: usize,
}

/// What a file's header told.
#[derive(Clone, Debug, PartialEq)]
pub enum Info {
    /// Not read yet.
    Unread,
    /// It lies in a store; it is read once it is looked at.
    Far,
    /// A sound header.
    Ready(Header),
    /// Why it cannot be processed.
    Broken(String),
}

/// What is shown of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The format's name.
    pub format: &'static str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pages or frames.
    pub pages: u32,
}

/// What became of a file in the latest run.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Progress {
    /// It is not part of a run.
    #[default]
    Idle,
    /// Being worked on.
    Running,
    /// Its output is stored.
    Done,
    /// Why there is no output.
    Failed(String),
}

/// A file of the list.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number, never given twice; entries are in the order of their numbers.
    pub id: u64,
    /// Where it lies, and its path below the folder that was added.
    pub input: Input,
    /// Which source it came with.
    pub source: usize,
    /// Its name for people.
    pub shown: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// What its header told.
    pub info: Info,
    /// What became of it.
    pub progress: Progress,
}

/// What the list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Key {
    /// The order in which files were added.
    #[default]
    Added,
    /// The name.
    Name,
    /// Bytes of the file.
    Size,
    /// Pixels.
    Pixels,
    /// The format's name.
    Format,
    /// Broken, failed, running, done.
    State,
}

/// Which files are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Show {
    /// All.
    #[default]
    All,
    /// Those that cannot be read or failed.
    Trouble,
    /// Those whose output is stored.
    Done,
}

/// The list.
#[derive(Debug, Default)]
pub struct Files {
    /// What was added.
    pub sources: Vec<Source>,
    /// All files, by number.
    pub entries: Vec<Entry>,
    /// Positions in `entries` of what is shown, in the order of the table.
    pub view: Vec<u32>,
    /// Numbers of the selected files.
    pub selected: HashSet<u64>,
    /// The file that the preview shows.
    pub current: Option<u64>,
    /// Where a range of a selection begins.
    pub(super) anchor: Option<usize>,
    /// What the list is sorted by, and whether backwards.
    pub sort: (Key, bool),
    /// Text that names must contain.
    pub filter: String,
    /// Which are shown.
    pub show: Show,
    /// Files that could not be read or failed.
    pub trouble: usize,
    /// Pixels of all files whose header was read, and how many those are.
    pub pixels: (u64, usize),
    pub(super) seen: HashSet<PathBuf>,
    pub(super) next: u64,
    /// The number of the first source: those before went with their files, and what is still found of them counts no more.
    pub(super) first: usize,
    pub(super) stale: bool,
    /// When the order was brought up to date, which a long list is not in every frame.
    pub(super) fresh: Option<Instant>,
    /// How long that took.
    pub(super) cost: Duration,
}

impl Files {
    /// Adds a source; its files follow.
    pub fn add_source(&mut self, path: PathBuf) -> usize {
        self.sources.push(Source {
            path,
            left: 0,
            removed: 0,
        });
        self.first + self.sources.len() - 1
    }

    /// Adds files of a source; those that are in the list already are left out. Returns the numbers of the new ones.
    pub fn add(&mut self, source: usize, found: Vec<(Input, u64, Info)>) -> std::ops::Range<u64> {
        let first = self.next;
        let source = source.checked_sub(self.first);
        let Some(source) = source.filter(|at| *at < self.sources.len()) else {
            return first..first;
        };
        for (input, bytes, info) in found {
            if !self.seen.insert(input.path.clone()) {
                continue;
            }
            self.sources[source].left += 1;
            self.trouble += usize::from(matches!(info, Info::Broken(_)));
            self.entries.push(Entry {
                id: self.next,
                shown: harmless(&input.relative.to_string_lossy()).into_owned(),
                input,
                source,
                bytes,
                info,
                progress: Progress::Idle,
            });
            self.next += 1;
        }
        if self.current.is_none() {
            let sound = |e: &&Entry| !matches!(e.info, Info::Broken(_));
            self.current = self.entries.iter().find(sound).map(|e| e.id);
        }
        self.stale |= self.next > first;
        first..self.next
    }

    /// The position of a file.
    pub fn position(&self, id: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |e| e.id).ok()
    }

    /// A file.
    pub fn get(&self, id: u64) -> Option<&Entry> {
        self.position(id).map(|at| &self.entries[at])
    }

    /// The file that the preview shows.
    pub fn shown_file(&self) -> Option<&Entry> {
        self.get(self.current?)
    }

    /// Takes in what a header told.
    pub fn learn(&mut self, id: u64, info: Info) {
        let at = self.position(id);
        let unread = |at: &usize| matches!(self.entries[*at].info, Info::Unread | Info::Far);
        let Some(at) = at.filter(unread) else { return };
        match &info {
            Info::Broken(_) => self.trouble += 1,
            Info::Ready(header) => {
                self.pixels.0 += u64::from(header.width) * u64::from(header.height);
                self.pixels.1 += 1;
            }
            Info::Unread | Info::Far => {}
        }
        self.entries[at].info = info;
        self.stale |=
            !matches!(self.sort.0, Key::Added | Key::Name | Key::Size) || self.show != Show::All;
    }

    /// Takes in what became of a file.
    pub fn progress(&mut self, id: u64, progress: Progress) {
        let Some(at) = self.position(id) else { return };
        let failed = |p: &Progress| usize::from(matches!(p, Progress::Failed(_)));
        let entry = &mut self.entries[at];
        if !matches!(entry.info, Info::Broken(_)) {
            self.trouble = self.trouble + failed(&progress) - failed(&entry.progress);
        }
        entry.progress = progress;
        self.stale |= self.sort.0 == Key::State || self.show != Show::All;
    }

    /// Before a run nothing has become of any file.
    pub fn forget_progress(&mut self) {
        for entry in &mut self.entries {
            entry.progress = Progress::Idle;
        }
        self.trouble = (self.entries.iter())
            .filter(|e| matches!(e.info, Info::Broken(_)))
            .count();
        self.stale = true;
    }

    /// Shows files by another order, another text or another state.
    pub fn arrange(&mut self, change: impl FnOnce(&mut Files)) {
        change(self);
        (self.stale, self.fresh) = (true, None);
    }

    /// The file in that row of the table.
    pub fn row(&self, row: usize) -> Option<&Entry> {
        self.entries.get(*self.view.get(row)? as usize)
    }

    /// What a job names as its inputs: whole sources, and of those of which files were taken out the files that are left.
    pub fn inputs(&self) -> Vec<PathBuf> {
        let mut inputs = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            match (source.left, source.removed) {
                (0, _) => {}
                (_, 0) => inputs.push(source.path.clone()),
                _ => {
                    let own = self.entries.iter().filter(|e| e.source == number);
                    inputs.extend(own.map(|e| e.input.path.clone()));
                }
            }
        }
        inputs
    }

    /// The number of the file at a path, for events that name files; made once for a run.
    pub fn by_path(&self) -> std::collections::HashMap<String, u64> {
        let text = |path: &Path| protocol::name::to_text(path);
        (self.entries.iter())
            .map(|e| (text(&e.input.path), e.id))
            .collect()
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
