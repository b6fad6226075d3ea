//! `mean`, `sum`, `min`, `max`, `std` and `median` of every index across files: numbers or images.
//!
//! Every rank calls [`run`]. Rank 0 looks at the files and writes the result; all ranks read files.
//! What is computed never depends on the number of ranks, threads or open files:
//! `stack` is exact for images of 8 and 16 bits, `numbers` merges floats in a tree whose shape
//! depends on the number of files and the fan-in alone, and `median` selects.

mod board;
mod crew;
mod decimal;
mod double;
mod files;
mod kept;
mod keys;
mod lanes;
mod layout;
mod median;
mod npy;
mod numbers;
mod output;
mod partial;
mod picture;
mod seen;
mod select;
mod slabs;
mod spool;
mod stack;
pub mod step;
mod stripe;
mod text;
mod tree;
mod turned;
mod values;
mod visible;

use crate::atomic::Digested;
use imaging::codec::Limits;
use imaging::comm::{Comm, Reduce, agree};
use imaging::executor::Stop;
use imaging::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use layout::Layout;
pub use output::Target;
pub use protocol::job::{Bits, ReduceOp as Op};

/// Memory for partial results unless the caller says otherwise; what does not fit is spooled.
pub const DEFAULT_MEMORY: usize = 192 << 20;

/// What to reduce, and where to.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What is computed.
    pub op: Op,
    /// The files, in order: all of them numbers (text, CSV, `.npy`) or all of them images.
    pub files: Vec<PathBuf>,
    /// Where the result goes: `.txt`, `.csv`, `.npy` or an image format.
    pub output: PathBuf,
    /// Files or partial results that one node of the tree takes, 2..=100_000.
    pub fan_in: usize,
    /// Input files open at once, over all ranks, at least 1. Ranks without a share read nothing.
    pub max_open_files: usize,
    /// Bytes of memory per rank for partial results; the rest goes to `temporary`.
    pub memory: usize,
    /// Directory of temporary files.
    pub temporary: PathBuf,
    /// Limits on each image.
    pub limits: Limits,
    /// Samples of an output that is an image; those of the inputs without.
    pub bits: Option<Bits>,
    /// What the output is written as; by its name's extension without.
    pub target: Option<Target>,
}

/// One of the things that are reduced: a file of numbers, or a page of an image file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub path: PathBuf,
    /// From 0.
    pub page: u32,
}

impl Request {
    /// A request with the usual settings: fan-in 5, 5 open files, the system's temporary directory.
    pub fn new(op: Op, files: Vec<PathBuf>, output: PathBuf) -> Request {
        Request {
            op,
            files,
            output,
            fan_in: 5,
            max_open_files: 5,
            memory: DEFAULT_MEMORY,
            temporary: std::env::temp_dir(),
            limits: Limits::default(),
            bits: None,
            target: None,
        }
    }

    fn check(&self) -> Result<()> {
        if self.files.is_empty() {
            return Err(Error::Pipeline(
                "no files to reduce: name at least one".into(),
            ));
        }
        if !(2..=100_000).contains(&self.fan_in) {
            let fan_in = self.fan_in;
            return Err(Error::Pipeline(format!(
                "fan-in {fan_in} is outside 2..=100000"
            )));
        }
        if self.max_open_files == 0 {
            return Err(Error::Pipeline("max-open-files 0 is outside 1..".into()));
        }
        Ok(())
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Files and pages that entered.
    pub files: usize,
    /// Values per file.
    pub values: usize,
    /// Lengths of the dimensions: one for text, rows, columns and channels for images.
    pub shape: Vec<usize>,
    /// Whether all values were integers, for which the sums are exact.
    pub integers: bool,
    /// The result's length and hash; on rank 0 alone.
    pub output: Option<Digested>,
    /// Bytes of temporary files, over all ranks.
    pub spooled_bytes: u64,
    /// A bound on how many input files were open at once: the sum of each rank's most.
    pub peak_open_files: usize,
}

/// Results of consecutive indices.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Results {
    /// Exact integers.
    Integers(Vec<i128>),
    /// Floats.
    Floats(Vec<f64>),
}

/// What the engines share on one rank.
pub(crate) struct Job<'a> {
    pub threads: usize,
    pub request: &'a Request,
    pub members: &'a [Member],
    pub layout: &'a Layout,
    pub opener: files::Opener,
    pub room: Arc<spool::Room>,
    pub stop: &'a Stop,
    pub progress: &'a (dyn Fn(usize) + Sync),
}

/// Reduces the files. All ranks of a world call this together and get the same error if one fails;
/// on rank 0 `progress` is told the number of files done and of all files.
pub fn run(
    comm: &dyn Comm,
    threads: usize,
    request: &Request,
    stop: &Stop,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Report> {
    request.check()?;
    let opener = files::Opener::default();
    let mut begun = None;
    let layout = match comm.rank() {
        0 => begin(&opener, request, stop, &mut begun),
        _ => Ok(Vec::new()),
    };
    let mut layout = agree(comm, layout)?;
    comm.broadcast(0, &mut layout);
    // One number a file goes before the layout.
    let (pages, layout) = layout.split_at(4 * request.files.len());
    let layout = Layout::from_bytes(layout);
    let (pages, _) = pages.as_chunks();
    let members: Vec<Member> = (request.files.iter().zip(pages))
        .flat_map(|(path, &pages)| {
            (0..u32::from_le_bytes(pages)).map(|page| Member {
                path: path.clone(),
                page,
            })
        })
        .collect();

    let done = AtomicUsize::new(0);
    let total = members.len();
    let job = Job {
        threads,
        request,
        members: &members,
        layout: &layout,
        opener: opener.clone(),
        room: spool::Room::new(request.memory, &request.temporary),
        stop,
        progress: &|files| progress(done.fetch_add(files, Ordering::Relaxed) + files, total),
    };
    let exact = layout.picture.is_some_and(|shape| !shape.sample.is_float());
    let finished = match request.op {
        Op::Median => median::run(comm, &job, begun),
        _ if exact => stack::run(comm, &job, begun),
        _ => numbers::run(comm, &job, begun),
    };
    let (integers, output) = agree(comm, finished)?;

    let mut sums = [
        job.room.spooled() as i64,
        opener.peak() as i64,
        i64::from(integers && comm.rank() == 0),
    ];
    comm.all_reduce(&mut sums, Reduce::Sum);
    Ok(Report {
        files: total,
        values: layout.values,
        shape: layout.dims.clone(),
        integers: sums[2] > 0,
        output,
        spooled_bytes: sums[0] as u64,
        peak_open_files: sums[1] as usize,
    })
}

/// Rank 0 looks at the files and makes sure that the result can be written.
fn begin(
    opener: &files::Opener,
    request: &Request,
    stop: &Stop,
    begun: &mut Option<output::Output>,
) -> Result<Vec<u8>> {
    let target = match &request.target {
        Some(target) => target.clone(),
        None => Target::of(&request.output)?,
    };
    let found = layout::find(opener, request, stop)?;
    let mut bytes: Vec<u8> = found.pages.iter().flat_map(|n| n.to_le_bytes()).collect();
    bytes.extend(found.layout.to_bytes());
    *begun = Some(output::Output::create(target, request, found)?);
    Ok(bytes)
}
