//! The tree of partial results: its shape depends on the number of files and the fan-in alone.
//!
//! Node `n` of level 1 covers files `n * fan_in ..`, node `n` of a higher level as many nodes of the
//! level below. Children are merged in order, each as soon as it and those before it exist.

use super::partial::Partial;
use imaging::Result;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

/// Number of nodes per level, from the leaves' groups to the root.
pub fn levels(files: usize, fan_in: usize) -> Vec<usize> {
    let levels = jobs::tree::levels(files as u64, fan_in as u64);
    levels.into_iter().map(|nodes| nodes as usize).collect()
}

/// The children of node `number` among `below` nodes or files.
pub fn children(number: usize, below: usize, fan_in: usize) -> Range<usize> {
    let children = jobs::tree::children(number as u64, below as u64, fan_in as u64);
    children.start as usize..children.end as usize
}

/// Merges the partial results of the lowest level up to the root, from any number of threads.
pub struct Tree {
    levels: Vec<usize>,
    fan_in: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<(usize, usize), Node>,
    root: Option<Partial>,
}

#[derive(Default)]
struct Node {
    merged: Option<Partial>,
    /// Children merged so far.
    done: usize,
    waiting: BTreeMap<usize, Partial>,
    /// A thread is merging into it.
    busy: bool,
}

impl Tree {
    /// A tree of which nothing is known yet.
    pub fn new(files: usize, fan_in: usize) -> Tree {
        Tree {
            levels: levels(files, fan_in),
            fan_in,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Takes the result of group `number` of the lowest level and merges what can be merged.
    pub fn deliver(&self, number: usize, partial: Partial) -> Result<()> {
        let (mut level, mut number, mut partial) = (0, number, partial);
        while level + 1 < self.levels.len() {
            let parent = (level + 1, number / self.fan_in);
            let expected = children(parent.1, self.levels[level], self.fan_in).len();
            match self.merge(parent, expected, number % self.fan_in, partial)? {
                Some(whole) => (level, number, partial) = (parent.0, parent.1, whole),
                None => return Ok(()),
            }
        }
        self.lock().root = Some(partial);
        Ok(())
    }

    /// Hands child `child` to a node; the node's result when that was the last one.
    fn merge(
        &self,
        key: (usize, usize),
        expected: usize,
        child: usize,
        partial: Partial,
    ) -> Result<Option<Partial>> {
        let mut state = self.lock();
        let node = state.nodes.entry(key).or_default();
        node.waiting.insert(child, partial);
        if node.busy {
            return Ok(None);
        }
        loop {
            let node = state.nodes.entry(key).or_default();
            let Some(next) = node.waiting.remove(&node.done) else {
                node.busy = false;
                return Ok(None);
            };
            node.busy = true;
            let merged = node.merged.take();
            drop(state);
            let merged = match merged {
                None => next,
                Some(mut merged) => {
                    merged.merge(&next)?;
                    merged
                }
            };
            state = self.lock();
            let node = state.nodes.entry(key).or_default();
            node.done += 1;
            if node.done == expected {
                state.nodes.remove(&key);
                return Ok(Some(merged));
            }
            node.merged = Some(merged);
        }
    }

    /// The root's result, once every group was delivered.
    pub fn take_root(&self) -> Option<Partial> {
        self.lock().root.take()
    }
}
