//! How ranks talk: a small trait with one implementation per file.
//!
//! [`serial`] is a world of one, [`threads`] a world of threads in this process; MPI lives in the
//! worker's binary. All must pass [`conformance`].

pub mod conformance;
pub mod serial;
pub mod threads;

use crate::error::{Error, Limit, Result};

/// How values of ranks are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// Added.
    Sum,
    /// The greatest.
    Max,
}

/// Bytes for a rank.
pub struct Outgoing<'a> {
    /// Receiving rank.
    pub to: usize,
    /// What is sent.
    pub bytes: &'a [u8],
}

/// Bytes from a rank. The length must be that of the sender.
pub struct Incoming<'a> {
    /// Sending rank.
    pub from: usize,
    /// Where they go.
    pub bytes: &'a mut [u8],
}

/// A rank's view of its world, used by one thread of the rank. All ranks make the same calls in the same order, apart from the mailbox
/// ([`Comm::post`] and [`Comm::poll`]).
pub trait Comm {
    /// This rank, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn size(&self) -> usize;

    /// Posts all receives and sends, runs `meanwhile`, and waits for them. Several messages between
    /// the same two ranks arrive in the order in which they are listed. A rank may send to itself.
    fn exchange(
        &self,
        sends: &[Outgoing<'_>],
        receives: &mut [Incoming<'_>],
        meanwhile: &mut dyn FnMut(),
    );

    /// Replaces each value by its sum or maximum over all ranks.
    fn all_reduce(&self, values: &mut [i64], how: Reduce);

    /// Replaces `bytes` on every rank by those of `root`.
    fn broadcast(&self, root: usize, bytes: &mut Vec<u8>);

    /// Waits until all ranks are here.
    fn barrier(&self) {
        self.all_reduce(&mut [0], Reduce::Max);
    }

    /// Sends a message to a rank's mailbox without waiting for it to be read.
    fn post(&self, to: usize, bytes: Vec<u8>);

    /// The next message in this rank's mailbox and its sender, if one has come. Messages of one
    /// sender keep their order.
    fn poll(&self) -> Option<(usize, Vec<u8>)>;
}

/// Makes all ranks succeed or fail together: with an error on any rank, every rank returns the
/// error of the lowest such rank.
pub fn agree<T>(comm: &dyn Comm, result: Result<T>) -> Result<T> {
    if comm.size() == 1 {
        return result;
    }
    let mut first = [if result.is_err() {
        -(comm.rank() as i64)
    } else {
        i64::MIN
    }];
    comm.all_reduce(&mut first, Reduce::Max);
    if first[0] == i64::MIN {
        return result;
    }
    let root = (-first[0]) as usize;
    let mut bytes = match &result {
        Err(error) if root == comm.rank() => pack(error),
        _ => Vec::new(),
    };
    comm.broadcast(root, &mut bytes);
    Err(unpack(&bytes))
}

/// The first of the numbers that stand for limits.
const LIMITS: u8 = 16;

/// An error as bytes for another rank; [`unpack`] is the way back.
pub fn pack(error: &Error) -> Vec<u8> {
    let kind = match error {
        Error::Pipeline(_) => 0,
        Error::Decode(_) => 1,
        Error::Encode(_) => 2,
        Error::Limit { limit, .. } => LIMITS + *limit as u8,
        Error::Unsuitable(_) => 4,
        Error::Io(_) => 5,
        Error::Stopped(_) => 6,
        Error::Late(_) => 7,
        Error::Full(_) => 8,
    };
    let mut bytes = vec![kind];
    bytes.extend(error.to_string().into_bytes());
    bytes
}

/// The error that [`pack`] made bytes of.
pub fn unpack(bytes: &[u8]) -> Error {
    let text = String::from_utf8_lossy(bytes.get(1..).unwrap_or_default()).into_owned();
    match bytes.first() {
        Some(0) => Error::Pipeline(text),
        Some(1) => Error::Decode(text),
        Some(2) => Error::Encode(text),
        Some(4) => Error::Unsuitable(text),
        Some(6) => Error::Stopped(text),
        Some(7) => Error::Late(text),
        Some(8) => Error::Full(text),
        Some(kind) => match kind
            .checked_sub(LIMITS)
            .and_then(|at| Limit::ALL.get(usize::from(at)))
        {
            Some(limit) => limit.exceeded(text),
            None => Error::Io(text),
        },
        None => Error::Io(text),
    }
}
