//! The values of one directory by tag.

use super::directory::{Directory, Entry, File, truncated};
use crate::error::Result;

/// Without these pixels cannot be read, or would be read wrongly: what follows from a default where the file
/// has another value that is out of reach.
const ESSENTIAL: [u16; 25] = [
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325,
    338, 339, 347, 513, 530, 532,
];

/// Whether pixels depend on the tag.
pub fn is_essential(tag: u16) -> bool {
    ESSENTIAL.contains(&tag)
}

/// Entries by tag, with defaults.
pub struct Tags<'f, 'r> {
    /// Where values lie.
    pub file: &'f mut File<'r>,
    directory: &'f Directory,
}

impl<'f, 'r> Tags<'f, 'r> {
    /// The tags of that directory.
    pub fn new(file: &'f mut File<'r>, directory: &'f Directory) -> Tags<'f, 'r> {
        Tags { file, directory }
    }

    /// An error where a tag that pixels depend on is out of reach.
    pub fn check(&self) -> Result<()> {
        match self.directory.broken.iter().any(|&tag| is_essential(tag)) {
            true => Err(truncated()),
            false => Ok(()),
        }
    }

    /// The entry.
    pub fn entry(&self, tag: u16) -> Option<Entry> {
        let entries = &self.directory.entries;
        entries.iter().find(|e| e.tag == tag).copied()
    }

    /// Its first whole numbers, at most `most`.
    pub fn numbers(&mut self, tag: u16, most: usize) -> Result<Option<Vec<u64>>> {
        match self.entry(tag) {
            Some(entry) => self.file.numbers(&entry, most).map(Some),
            None => Ok(None),
        }
    }

    /// Its first whole number.
    pub fn number(&mut self, tag: u16) -> Result<Option<u64>> {
        Ok(self.numbers(tag, 1)?.and_then(|v| v.first().copied()))
    }

    /// Its first whole number or a default.
    pub fn number_or(&mut self, tag: u16, default: u64) -> Result<u64> {
        Ok(self.number(tag)?.unwrap_or(default))
    }
}
