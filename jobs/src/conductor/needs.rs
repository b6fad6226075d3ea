//! Which nodes of a reduction's tree can be run: those whose inputs exist.

use crate::tree::{Needs as Taken, Tree};
use std::collections::BTreeSet;

/// What waits for what.
#[derive(Clone, Debug)]
pub(super) struct Needs {
    tree: Tree,
    /// Results that each node still lacks.
    missing: Vec<u32>,
    /// Nodes that lack nothing, some of which may be on their way.
    ready: BTreeSet<u64>,
}

impl Needs {
    /// Of a tree of which nothing has been run.
    pub(super) fn new(tree: Tree) -> Needs {
        let missing = (0..tree.nodes()).map(|node| match tree.needs(node) {
            Taken::Files(_) => 0,
            Taken::Nodes(nodes) => (nodes.end - nodes.start) as u32,
        });
        let missing: Vec<u32> = missing.collect();
        let ready = (0..tree.nodes()).filter(|node| missing[*node as usize] == 0);
        Needs {
            ready: ready.collect(),
            missing,
            tree,
        }
    }

    /// A node has its result, which is told once.
    pub(super) fn has(&mut self, node: u64) {
        self.ready.remove(&node);
        let Some(parent) = self.tree.parent(node) else {
            return;
        };
        if let Some(missing) = self.missing.get_mut(parent as usize) {
            *missing = missing.saturating_sub(1);
            if *missing == 0 {
                self.ready.insert(parent);
            }
        }
    }

    /// The next node to be run: the nearest to the root, so that few results wait.
    pub(super) fn next(&mut self) -> Option<u64> {
        self.ready.pop_last()
    }

    /// Whether there is one.
    pub(super) fn has_next(&self) -> bool {
        !self.ready.is_empty()
    }
}
