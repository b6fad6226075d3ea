//! Numbers and float images: groups of `fan_in` files, with all their pages, are folded by the threads of all ranks,
//! and their partial results are merged in the tree on rank 0.

use super::Job;
use super::board::{Board, Failure};
use super::crew::{self, Done, Work, threads_of};
use super::files::{Content, sniff};
use super::layout::{describe, differs};
use super::npy::Npy;
use super::output::Output;
use super::partial::Partial;
use super::picture::{self, Floats};
use super::text::Text;
use super::tree::{Tree, children};
use super::values::{Block, Source};
use crate::atomic::Digested;
use imaging::comm::{Comm, agree};
use imaging::{Error, Result};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Opens a file as a run of values. Whoever reads it checks the number of values; the shape of
/// arrays of several dimensions is checked here.
pub fn open(job: &Job<'_>, index: usize) -> Result<Box<dyn Source>> {
    let (member, layout) = (&job.members[index], job.layout);
    let path = &member.path;
    if layout.picture.is_some() {
        let source = picture::source(&job.opener, job.request, layout, member)?;
        return Ok(Box::new(Floats::new(source, path)));
    }
    let mut file = job.opener.open(path)?;
    Ok(match sniff(&mut file, path)? {
        Content::Npy => {
            let npy = Npy::new(file, path)?;
            let dims = &npy.header().shape;
            let flat = npy.header().len() == layout.values && layout.dims.len() == 1;
            if *dims != layout.dims && !flat {
                let first = &job.members[0].path;
                return Err(differs(path, &describe(dims), first, &layout.describe()));
            }
            Box::new(npy)
        }
        _ => {
            let mut text = Text::new(file, path);
            text.header()?;
            Box::new(text)
        }
    })
}

/// Hands every block of a file with the index of its first value to `each`, and makes sure that the
/// file has as many values as the first. The answer: whether all of them were integers.
pub fn read(
    job: &Job<'_>,
    index: usize,
    block: &mut Block,
    each: &mut dyn FnMut(usize, &Block) -> Result<()>,
) -> Result<bool> {
    let values = job.layout.values;
    let mut source = open(job, index)?;
    let mut start = 0;
    block.integers = true;
    loop {
        job.stop.check()?;
        source.next(block)?;
        if block.hi.is_empty() {
            break;
        }
        if start + block.hi.len() <= values {
            each(start, block)?;
        }
        start += block.hi.len();
    }
    match start == values {
        true => Ok(block.integers),
        false => {
            let (path, first) = (&job.members[index].path, &job.members[0].path);
            let expected = job.layout.describe();
            Err(differs(path, &describe(&[start]), first, &expected))
        }
    }
}

struct Numbers<'a> {
    job: &'a Job<'a>,
    /// The first page of each file among all pages, and their number.
    starts: Vec<usize>,
    tree: Tree,
    integers: AtomicBool,
}

impl Work for Numbers<'_> {
    fn files(&self, group: usize) -> Range<usize> {
        let files = children(group, self.starts.len() - 1, self.job.request.fan_in);
        self.starts[files.start]..self.starts[files.end]
    }

    fn compute(&self, group: usize) -> Result<Done, Failure> {
        let files = self.files(group);
        let first = files.start;
        let failed = |file| move |error| Failure { file, error };
        let mut partial = self.receiving().map_err(failed(first))?;
        let (mut block, mut integers) = (Block::new(), true);
        for file in files {
            let each = &mut |start, block: &Block| partial.fold(start, block);
            integers &= read(self.job, file, &mut block, each).map_err(failed(file))?;
            partial.file_done();
        }
        Ok(Done {
            partial: Some(partial),
            integers,
        })
    }

    fn deliver(&self, group: usize, done: Done) -> Result<()> {
        if !done.integers {
            self.integers.store(false, Ordering::Relaxed);
        }
        let lost = || Error::Io(format!("the partial result of group {group} was lost"));
        self.tree.deliver(group, done.partial.ok_or_else(lost)?)
    }

    fn receiving(&self) -> Result<Partial> {
        let (op, layout) = (self.job.request.op, self.job.layout);
        let picture = layout.picture.filter(|shape| shape.color.has_alpha());
        let alpha = picture.map(|shape| shape.channels());
        Partial::new(op, layout.values, alpha, &self.job.room)
    }
}

/// Reduces by the tree and writes the result. Answers on rank 0: whether all were integers.
pub fn run(
    comm: &dyn Comm,
    job: &Job<'_>,
    output: Option<Output>,
) -> Result<(bool, Option<Digested>)> {
    let request = job.request;
    let pages = (0..job.members.len()).filter(|&page| job.members[page].page == 0);
    let starts: Vec<usize> = pages.chain([job.members.len()]).collect();
    let files = starts.len() - 1;
    let crew: usize = (0..comm.size())
        .map(|rank| threads_of(comm, rank, job.threads, request.max_open_files))
        .sum();
    let board = Board::new(files.div_ceil(request.fan_in), 2 * crew);
    let numbers = Numbers {
        job,
        starts,
        tree: Tree::new(files, request.fan_in),
        integers: AtomicBool::new(true),
    };
    let ran = crew::run(
        comm,
        job.threads,
        request.max_open_files,
        &board,
        &numbers,
        job.stop,
        job.progress,
    );
    agree(comm, ran)?;
    let Some(mut output) = output else {
        return Ok((true, None));
    };
    let integers = numbers.integers.load(Ordering::Relaxed);
    let root = numbers.tree.take_root();
    let root = root.ok_or_else(|| Error::Io("the tree has no root".into()))?;
    root.results(integers, &mut |results| output.push(results))?;
    Ok((integers, Some(output.finish()?)))
}
