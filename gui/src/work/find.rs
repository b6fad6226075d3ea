//! Searches folders that were added.

use super::{News, Post, spawn};
use crate::state::files::Info;
use std::path::PathBuf;
use worker::inputs;

/// Files that are told of at once.
const CHUNK: usize = 2000;

/// Searches a source.
pub fn find(post: &Post, source: usize, path: PathBuf) {
    spawn(post, "find", move |post| {
        let found = inputs::expand(&[path], None);
        let mut files = Vec::new();
        let failed = found.failures.into_iter().chain(found.refused);
        for (path, reason) in failed {
            let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
            let input = inputs::Input { path, relative };
            files.push((input, 0, Info::Broken(reason)));
        }
        for input in found.inputs {
            let bytes = std::fs::metadata(&input.path).map_or(0, |meta| meta.len());
            files.push((input, bytes, Info::Unread));
            if files.len() == CHUNK && !post.send(News::Found(source, std::mem::take(&mut files))) {
                return;
            }
        }
        post.send(News::Found(source, files));
        post.send(News::Searched(found.skipped.values().sum()));
    });
}
