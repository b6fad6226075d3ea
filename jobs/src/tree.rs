//! The tree of a reduction: which node takes which files, or the results of which nodes before it.
//!
//! Its shape depends on the number of files and the fan-in alone. Nodes are numbered level by level, those that take
//! files first and the root last, so that a node's number is above those of all that it needs.

use std::ops::Range;

/// Number of nodes per level, from those that take files to the root.
pub fn levels(files: u64, fan_in: u64) -> Vec<u64> {
    let mut levels = vec![files.div_ceil(fan_in)];
    while let Some(&last) = levels.last()
        && last > 1
    {
        levels.push(last.div_ceil(fan_in));
    }
    levels
}

/// The children of node `number` of a level among `below` nodes or files.
pub fn children(number: u64, below: u64, fan_in: u64) -> Range<u64> {
    (number * fan_in).min(below)..((number + 1) * fan_in).min(below)
}

/// The tree of so many files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    files: u64,
    fan_in: u64,
    levels: Vec<u64>,
}

/// What a node takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Files, counted from 0.
    Files(Range<u64>),
    /// The results of these nodes.
    Nodes(Range<u64>),
}

impl Tree {
    /// The tree of `files` files with that fan-in, which is at least 2. Of no file it is one node.
    pub fn new(files: u64, fan_in: u64) -> Tree {
        let fan_in = fan_in.max(2);
        Tree {
            levels: levels(files.max(1), fan_in),
            files,
            fan_in,
        }
    }

    /// One node that takes all files.
    pub fn flat(files: u64) -> Tree {
        Tree::new(files, files)
    }

    /// Its files.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// Files, or results, that one node takes at most.
    pub fn fan_in(&self) -> u64 {
        self.fan_in
    }

    /// Nodes of each level; the last is the root's.
    pub fn levels(&self) -> &[u64] {
        &self.levels
    }

    /// Its nodes.
    pub fn nodes(&self) -> u64 {
        self.levels.iter().sum()
    }

    /// The root's number.
    pub fn root(&self) -> u64 {
        self.nodes() - 1
    }

    /// A node's level from 0, its place in it, and the number of the level's first node.
    fn place(&self, node: u64) -> (usize, u64, u64) {
        let mut first = 0;
        for (level, &nodes) in self.levels.iter().enumerate() {
            if node < first + nodes {
                return (level, node - first, first);
            }
            first += nodes;
        }
        (self.levels.len() - 1, 0, self.root())
    }

    /// The level of a node, from 0.
    pub fn level(&self, node: u64) -> usize {
        self.place(node).0
    }

    /// What a node takes, in order.
    pub fn needs(&self, node: u64) -> Needs {
        let (level, at, first) = self.place(node);
        if level == 0 {
            return Needs::Files(children(at, self.files, self.fan_in));
        }
        let below = self.levels[level - 1];
        let taken = children(at, below, self.fan_in);
        let begin = first - below;
        Needs::Nodes(begin + taken.start..begin + taken.end)
    }

    /// The node that takes a node's result.
    pub fn parent(&self, node: u64) -> Option<u64> {
        let (level, at, first) = self.place(node);
        (level + 1 < self.levels.len()).then(|| first + self.levels[level] + at / self.fan_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_shape_follows_from_files_and_fan_in() {
        assert_eq!(levels(1, 5), [1]);
        assert_eq!(levels(5, 5), [1]);
        assert_eq!(levels(6, 5), [2, 1]);
        assert_eq!(levels(26, 5), [6, 2, 1]);
        assert_eq!(levels(1000, 2).len(), 10);
        assert_eq!(children(1, 7, 5), 5..7);
        let tree = Tree::new(26, 5);
        assert_eq!((tree.nodes(), tree.root()), (9, 8));
        assert_eq!(tree.needs(5), Needs::Files(25..26));
        assert_eq!(tree.needs(6), Needs::Nodes(0..5));
        assert_eq!(tree.needs(7), Needs::Nodes(5..6));
        assert_eq!(tree.needs(8), Needs::Nodes(6..8));
        assert_eq!((tree.level(5), tree.level(6), tree.level(8)), (0, 1, 2));
        assert_eq!(Tree::flat(300).needs(0), Needs::Files(0..300));
        assert_eq!((Tree::new(0, 5).nodes(), Tree::flat(0).nodes()), (1, 1));
        assert_eq!(Tree::new(0, 5).needs(0), Needs::Files(0..0));
    }

    #[test]
    fn each_result_is_taken_once_by_its_parent() {
        for (files, fan_in) in [(1, 2), (2, 2), (7, 2), (36, 5), (100, 3), (1000, 10)] {
            let tree = Tree::new(files, fan_in);
            let mut taken = vec![0; tree.nodes() as usize];
            let mut read = 0;
            for node in 0..tree.nodes() {
                match tree.needs(node) {
                    Needs::Files(files) => {
                        assert_eq!(files.start, read);
                        read = files.end;
                    }
                    Needs::Nodes(nodes) => nodes.for_each(|child| {
                        assert!(child < node);
                        assert_eq!(tree.parent(child), Some(node));
                        taken[child as usize] += 1;
                    }),
                }
            }
            assert_eq!(read, files);
            assert_eq!(tree.parent(tree.root()), None);
            let (root, others) = taken.split_last().unwrap();
            assert!(*root == 0 && others.iter().all(|times| *times == 1));
        }
    }
}
