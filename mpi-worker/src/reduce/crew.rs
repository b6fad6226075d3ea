//! The threads of all ranks at work on the groups of one board.
//!
//! Rank 0 holds the board. Its own threads ask it directly; the threads of other ranks ask through the
//! mailbox, and their results come back in pieces, a few of which are under way at once. Only the
//! thread that called [`run`] uses the communicator.

use super::board::{Answer, Board, Failure};
use super::partial::Partial;
use imaging::comm::Comm;
use imaging::executor::Stop;
use imaging::{Error, Result};
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What the threads do.
pub trait Work: Sync {
    /// The files of a group.
    fn files(&self, group: usize) -> Range<usize>;

    /// Reads a group's files. A result that is not to be merged in order stays with the rank.
    fn compute(&self, group: usize) -> Result<Done, Failure>;

    /// Takes a group's result, on rank 0.
    fn deliver(&self, group: usize, done: Done) -> Result<()>;

    /// Room for a result that another rank sends.
    fn receiving(&self) -> Result<Partial>;
}

/// The result of a group.
pub struct Done {
    /// What is merged in the tree.
    pub partial: Option<Partial>,
    /// Whether all values were integers.
    pub integers: bool,
}

const WANT: u8 = 0;
const PIECE: u8 = 1;
const DONE: u8 = 2;
const FAILED: u8 = 3;
const GROUP: u8 = 4;
const END: u8 = 5;
const GOT: u8 = 6;

/// Doubles in one message, and messages under way from one rank.
const PIECE_LEN: usize = 1 << 17;
const UNDER_WAY: usize = 4;

const PAUSE: Duration = Duration::from_millis(1);

fn message(tag: u8, numbers: &[usize], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    numbers
        .iter()
        .for_each(|&n| bytes.extend((n as u64).to_ne_bytes()));
    bytes.extend_from_slice(rest);
    bytes
}

fn number(bytes: &[u8], index: usize) -> usize {
    let at = 1 + 8 * index;
    let bytes = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    u64::from_ne_bytes(bytes.unwrap_or_default()) as usize
}

/// Threads of this rank that may each have a file open, so that all ranks together keep to
/// `max_open_files`.
pub fn threads_of(comm: &dyn Comm, rank: usize, threads: usize, max_open_files: usize) -> usize {
    let share = max_open_files / comm.size();
    let more = usize::from(rank < max_open_files % comm.size());
    threads.max(1).min(share + more)
}

/// Runs all groups. `progress` is told the number of files done, on rank 0.
pub fn run(
    comm: &dyn Comm,
    threads: usize,
    max_open_files: usize,
    board: &Board,
    work: &dyn Work,
    stop: &Stop,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<()> {
    let own = threads_of(comm, comm.rank(), threads, max_open_files);
    if comm.rank() > 0 {
        return follow(comm, own, work);
    }
    let crew = || {
        while let Some(group) = board.wait() {
            let result = attempt(work, group, || {
                work.compute(group)
                    .and_then(|done| deliver(work, group, done))
            });
            if result.is_ok() {
                progress(work.files(group).len());
            }
            board.finish(group, result);
        }
    };
    match (comm.size(), own) {
        (1, 1) => crew(),
        _ => std::thread::scope(|scope| {
            (0..own).for_each(|_| drop(scope.spawn(crew)));
            if comm.size() > 1 {
                lead(comm, threads, max_open_files, board, work, progress);
            }
        }),
    }
    board.result(stop)
}

fn deliver(work: &dyn Work, group: usize, done: Done) -> Result<(), Failure> {
    let file = work.files(group).start;
    work.deliver(group, done)
        .map_err(|error| Failure { file, error })
}

/// Turns a panic into the failure of the group's first file.
fn attempt<T>(
    work: &dyn Work,
    group: usize,
    run: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Failure {
            file: work.files(group).start,
            error: Error::Decode(format!("group {group} of the files: the reader broke off")),
        })
    })
}

/// Per rank, the results that are arriving from it.
type Arriving = Vec<VecDeque<(usize, Partial)>>;

/// Rank 0's side of the mailbox.
fn lead(
    comm: &dyn Comm,
    threads: usize,
    max_open_files: usize,
    board: &Board,
    work: &dyn Work,
    progress: &(dyn Fn(usize) + Sync),
) {
    let mut asking: VecDeque<usize> = VecDeque::new();
    let mut arriving: Arriving = (0..comm.size()).map(|_| VecDeque::new()).collect();
    // In the end every thread of the others has asked once more: nothing is left in the mailbox.
    let others: usize = (1..comm.size())
        .map(|rank| threads_of(comm, rank, threads, max_open_files))
        .sum();
    while !board.finished() || asking.len() < others {
        let mut quiet = true;
        while let Some((from, bytes)) = comm.poll() {
            quiet = false;
            let group = number(&bytes, 0);
            match bytes.first() {
                Some(&WANT) => asking.push_back(from),
                Some(&PIECE) => {
                    comm.post(from, message(GOT, &[], &[]));
                    if let Err(error) = take(&mut arriving[from], work, &bytes) {
                        // The group ends when its sender says so.
                        let file = work.files(group).start;
                        board.fail(Failure { file, error });
                    }
                }
                Some(&DONE) => {
                    let at = arriving[from].iter().position(|(g, _)| *g == group);
                    let partial = at.and_then(|at| arriving[from].remove(at)).map(|(_, p)| p);
                    let integers = number(&bytes, 1) == 1;
                    let result = attempt(work, group, || {
                        deliver(work, group, Done { partial, integers })
                    });
                    if result.is_ok() {
                        progress(work.files(group).len());
                    }
                    board.finish(group, result);
                }
                Some(&FAILED) => {
                    let file = number(&bytes, 1);
                    let error = imaging::comm::unpack(bytes.get(17..).unwrap_or_default());
                    board.finish(group, Err(Failure { file, error }));
                }
                _ => {}
            }
        }
        while let Some(&rank) = asking.front() {
            match board.ask() {
                Answer::Group(group) => comm.post(rank, message(GROUP, &[group], &[])),
                Answer::Later | Answer::End => break,
            }
            asking.pop_front();
            quiet = false;
        }
        if quiet {
            std::thread::sleep(PAUSE);
        }
    }
    for rank in 1..comm.size() {
        comm.post(rank, message(END, &[], &[]));
    }
}

/// Adds a piece to what arrives from a rank.
fn take(arriving: &mut VecDeque<(usize, Partial)>, work: &dyn Work, bytes: &[u8]) -> Result<()> {
    let (group, at, files) = (number(bytes, 0), number(bytes, 1), number(bytes, 2));
    if !arriving.iter().any(|(g, _)| *g == group) {
        arriving.push_back((group, work.receiving()?));
    }
    let (doubles, _) = bytes.get(25..).unwrap_or_default().as_chunks();
    let piece: Vec<f64> = doubles.iter().map(|&b| f64::from_ne_bytes(b)).collect();
    match arriving.iter_mut().find(|(g, _)| *g == group) {
        Some((_, partial)) => partial.receive(at, &piece, files),
        None => Ok(()),
    }
}

/// What a thread of another rank tells that rank's first thread.
enum News {
    Idle(usize),
    Finished(usize, Result<Done, Failure>),
}

/// The other ranks: threads that get their groups from rank 0.
fn follow(comm: &dyn Comm, threads: usize, work: &dyn Work) -> Result<()> {
    let (tell, news) = channel();
    std::thread::scope(|scope| {
        let orders: Vec<Sender<usize>> = (0..threads)
            .map(|me| {
                let (order, groups): (_, Receiver<usize>) = channel();
                let tell = tell.clone();
                scope.spawn(move || {
                    let _ = tell.send(News::Idle(me));
                    for group in groups {
                        let result = attempt(work, group, || work.compute(group));
                        let _ = tell.send(News::Finished(group, result));
                        let _ = tell.send(News::Idle(me));
                    }
                });
                order
            })
            .collect();
        drop(tell);
        serve(comm, orders, &news);
    });
    Ok(())
}

/// A result that is on its way to rank 0.
struct Sending {
    group: usize,
    done: Done,
    at: usize,
}

fn serve(comm: &dyn Comm, orders: Vec<Sender<usize>>, news: &Receiver<News>) {
    let mut ended = false;
    let mut idle: VecDeque<usize> = VecDeque::new();
    let mut outbox: VecDeque<Sending> = VecDeque::new();
    let (mut under_way, mut buffer) = (0, Vec::new());
    while !ended {
        let mut quiet = true;
        while let Ok(told) = news.try_recv() {
            quiet = false;
            match told {
                News::Idle(thread) => {
                    idle.push_back(thread);
                    comm.post(0, message(WANT, &[], &[]));
                }
                News::Finished(group, Ok(done)) => outbox.push_back(Sending { group, done, at: 0 }),
                News::Finished(group, Err(failure)) => {
                    let error = imaging::comm::pack(&failure.error);
                    comm.post(0, message(FAILED, &[group, failure.file], &error));
                }
            }
        }
        while let Some((_, bytes)) = comm.poll() {
            quiet = false;
            match bytes.first() {
                Some(&GROUP) => {
                    if let Some(thread) = idle.pop_front() {
                        let _ = orders[thread].send(number(&bytes, 0));
                    }
                }
                Some(&END) => ended = true,
                _ => under_way -= 1,
            }
        }
        while under_way < UNDER_WAY
            && let Some(sending) = outbox.front_mut()
        {
            quiet = false;
            let len = sending.done.partial.as_ref().map_or(0, Partial::len);
            if sending.at < len {
                under_way += 1;
            }
            if !send(comm, sending, len, &mut buffer) {
                outbox.pop_front();
            }
        }
        if quiet {
            std::thread::sleep(PAUSE);
        }
    }
}

/// Sends the next piece; false once all is sent or could not be read again.
fn send(comm: &dyn Comm, sending: &mut Sending, len: usize, buffer: &mut Vec<f64>) -> bool {
    let group = sending.group;
    if let (true, Some(partial)) = (sending.at < len, &sending.done.partial) {
        let n = PIECE_LEN.min(len - sending.at);
        match partial.piece(sending.at, n, buffer) {
            Ok(piece) => {
                let numbers = [group, sending.at, partial.files()];
                comm.post(0, message(PIECE, &numbers, bytemuck::cast_slice(piece)));
                sending.at += n;
                return true;
            }
            Err(error) => {
                let error = imaging::comm::pack(&error);
                comm.post(0, message(FAILED, &[group, usize::MAX], &error));
                return false;
            }
        }
    }
    let integers = usize::from(sending.done.integers);
    comm.post(0, message(DONE, &[group, integers], &[]));
    false
}
