//! Which directories are pictures: thumbnails, masks and reduced copies are not, wherever they stand.

use super::directory::{Directory, File, bad};
use super::tags::Tags;
use crate::error::{Error, Result};
use crate::warning::{Warning, WarningKind};
use std::collections::BTreeSet;

/// Directories followed at most.
const MAX_DIRECTORIES: usize = 20_000;
const NEW_SUBFILE_TYPE: u16 = 254;
const SUBFILE_TYPE: u16 = 255;
const SUB_DIRECTORIES: u16 = 330;

/// The pictures of a file.
pub struct Pages {
    /// Positions of their directories.
    pub places: Vec<u64>,
    /// Faults of directories that cost no other page.
    pub warnings: Vec<Warning>,
}

/// A reduced copy or a mask of another picture.
fn is_secondary(file: &mut File<'_>, directory: &Directory) -> bool {
    let mut tags = Tags::new(file, directory);
    match tags.number(NEW_SUBFILE_TYPE) {
        Ok(Some(kind)) => kind & 0b101 != 0,
        _ => matches!(tags.number(SUBFILE_TYPE), Ok(Some(2))),
    }
}

fn has_size(directory: &Directory) -> bool {
    let has = |tag| directory.entries.iter().any(|entry| entry.tag == tag);
    has(256) && has(257)
}

/// Follows the directories. Only a fault in the first one is an error.
pub fn find(file: &mut File<'_>) -> Result<Pages> {
    let mut pages = Pages {
        places: Vec::new(),
        warnings: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    let mut inner = Vec::new();
    let mut at = file.first;
    while at != 0 {
        let number = seen.len() + 1;
        if !seen.insert(at) {
            pages.warn("the directories form a circle: pages after it are not there".into());
            break;
        }
        if number > MAX_DIRECTORIES {
            pages.warn(format!(
                "more than {MAX_DIRECTORIES} directories: those after them are left out"
            ));
            break;
        }
        let directory = match file.directory(at) {
            Ok(directory) => directory,
            Err(error) if number == 1 => return Err(error),
            Err(error) => {
                pages.warn(format!("directory {number} cannot be read: {error}"));
                break;
            }
        };
        if is_secondary(file, &directory) {
            inner.push(directory.clone());
        } else if has_size(&directory) {
            pages.places.push(at);
        } else if number == 1 {
            return Err(bad("it has no width or no height"));
        } else {
            pages.warn(format!("directory {number} holds no picture"));
        }
        at = directory.next.unwrap_or_else(|| {
            pages.warn("the file ends within the list of its pages".into());
            0
        });
    }
    if pages.places.is_empty() {
        pages.places = beneath(file, &inner);
    }
    if pages.places.is_empty() {
        // Nothing but copies: the first is what there is.
        pages.places.push(file.first);
    }
    Ok(pages)
}

impl Pages {
    fn warn(&mut self, text: String) {
        self.warnings.push(Warning::new(WarningKind::Damaged, text));
    }

    /// The position of a page's directory.
    pub fn place(&self, page: u32) -> Result<u64> {
        self.places.get(page as usize).copied().ok_or_else(|| {
            Error::Decode(format!(
                "there is no page {} (the file has {})",
                page.saturating_add(1),
                self.places.len()
            ))
        })
    }
}

/// Pictures that stand beneath their thumbnails, as cameras write them.
fn beneath(file: &mut File<'_>, copies: &[Directory]) -> Vec<u64> {
    let mut places = Vec::new();
    for copy in copies {
        let inner = Tags::new(file, copy)
            .numbers(SUB_DIRECTORIES, 64)
            .ok()
            .flatten()
            .unwrap_or_default();
        for at in inner {
            if let Ok(directory) = file.directory(at)
                && has_size(&directory)
                && !is_secondary(file, &directory)
                && !places.contains(&at)
            {
                places.push(at);
            }
        }
    }
    places
}
