//! Searches what was added: folders of this computer, prefixes and patterns of stores.

use super::objects::{Services, url_of};
use super::{News, Post, spawn};
use crate::state::files::Info;
use client::remote;
use imaging::executor::Stop;
use protocol::message::PlannedTask;
use protocol::name;
use std::path::PathBuf;
use worker::inputs::{self, Input};

/// Files that are told of at once.
const CHUNK: usize = 2000;

/// Searches a source.
pub fn find(post: &Post, source: usize, path: PathBuf, services: &Services, stop: Stop) {
    let services = services.clone();
    spawn(post, "find", move |post| match url_of(&path) {
        Some(url) => objects(post, source, &url, &services, &stop),
        None => files(post, source, path, &stop),
    });
}

fn files(post: &Post, source: usize, path: PathBuf, stop: &Stop) {
    let found = inputs::expand(&[path], None);
    let mut files = Vec::new();
    let failed = found.failures.into_iter().chain(found.refused);
    for (path, reason) in failed {
        let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
        let input = Input { path, relative };
        files.push((input, 0, Info::Broken(reason)));
    }
    for input in found.inputs {
        if stop.is_set() {
            break;
        }
        let bytes = std::fs::metadata(&input.path).map_or(0, |meta| meta.len());
        files.push((input, bytes, Info::Unread));
        if files.len() == CHUNK && !post.send(News::Found(source, std::mem::take(&mut files))) {
            return;
        }
    }
    post.send(News::Found(source, files));
    post.send(News::Searched(found.skipped.values().sum()));
}

/// Objects are told of as the store lists them.
fn objects(post: &Post, source: usize, url: &str, services: &Services, stop: &Stop) {
    let broken = |why: String| {
        let path = name::to_path(url);
        let relative = path.clone();
        vec![(Input { path, relative }, 0, Info::Broken(why))]
    };
    let passed = match services.config() {
        Err(why) => Err(why),
        Ok(config) => {
            let mut tell = |some: Vec<PlannedTask>| {
                let found = some.into_iter().map(entry).collect();
                post.send(News::Found(source, found)) && !stop.is_set()
            };
            remote::list(&config, url, stop, &mut tell).map_err(|failure| failure.message)
        }
    };
    let passed = passed.unwrap_or_else(|why| {
        if !stop.is_set() {
            post.send(News::Found(source, broken(why)));
        }
        0
    });
    post.send(News::Searched(passed));
}

fn entry(task: PlannedTask) -> (Input, u64, Info) {
    let relative = match task.relative.is_empty() {
        true => task.input.as_str(),
        false => task.relative.as_str(),
    };
    let input = Input {
        path: task.input.as_str().into(),
        relative: relative.into(),
    };
    let info = match task.reason {
        Some(why) => Info::Broken(why),
        None => Info::Far,
    };
    (input, task.bytes.unwrap_or(0), info)
}
