//! A world of threads in this process.

use super::{Comm, Incoming, Outgoing, Reduce};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};

struct Shared {
    barrier: Barrier,
    // One slot per rank for the value it brings to an all-reduce or broadcast.
    values: Vec<Mutex<Vec<i64>>>,
    bytes: Mutex<Vec<u8>>,
}

/// One rank of a world of threads.
pub struct Threads {
    rank: usize,
    shared: Arc<Shared>,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
    post: Vec<Sender<(usize, Vec<u8>)>>,
    mailbox: Mutex<Receiver<(usize, Vec<u8>)>>,
}

/// A world of `n` ranks, to be moved to a thread each.
pub fn world(n: usize) -> Vec<Threads> {
    let shared = Arc::new(Shared {
        barrier: Barrier::new(n),
        values: (0..n).map(|_| Mutex::default()).collect(),
        bytes: Mutex::default(),
    });
    let mut senders: Vec<Vec<Sender<Vec<u8>>>> = (0..n).map(|_| Vec::new()).collect();
    let mut receivers: Vec<Vec<Mutex<Receiver<Vec<u8>>>>> = (0..n).map(|_| Vec::new()).collect();
    for from in senders.iter_mut() {
        for to in receivers.iter_mut() {
            let (sender, receiver) = channel();
            from.push(sender);
            to.push(Mutex::new(receiver));
        }
    }
    let (post, mailboxes): (Vec<_>, Vec<_>) = (0..n).map(|_| channel()).unzip();
    let parts = senders
        .into_iter()
        .zip(receivers)
        .zip(mailboxes)
        .enumerate();
    parts
        .map(|(rank, ((to, from), mailbox))| Threads {
            rank,
            shared: shared.clone(),
            to,
            from,
            post: post.clone(),
            mailbox: Mutex::new(mailbox),
        })
        .collect()
}

/// Runs `rank` on `n` threads with a rank each and returns their results in order of rank.
/// A panic on one rank is passed on once all threads ended.
pub fn run<T: Send>(n: usize, rank: impl Fn(&Threads) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = world(n)
            .into_iter()
            .map(|comm| {
                scope.spawn({
                    let rank = &rank;
                    move || rank(&comm)
                })
            })
            .collect();
        let joined: Vec<_> = threads.into_iter().map(|t| t.join()).collect();
        joined
            .into_iter()
            .map(|r| r.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Comm for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn exchange(
        &self,
        sends: &[Outgoing<'_>],
        receives: &mut [Incoming<'_>],
        meanwhile: &mut dyn FnMut(),
    ) {
        for send in sends {
            // A rank that is gone no longer listens; the world's owner sees its panic.
            let _ = self.to[send.to].send(send.bytes.to_vec());
        }
        meanwhile();
        for receive in receives {
            let bytes = match lock(&self.from[receive.from]).recv() {
                Ok(bytes) => bytes,
                Err(_) => panic!("rank {} is gone", receive.from),
            };
            receive.bytes.copy_from_slice(&bytes);
        }
    }

    fn all_reduce(&self, values: &mut [i64], how: Reduce) {
        *lock(&self.shared.values[self.rank]) = values.to_vec();
        self.shared.barrier.wait();
        for (rank, slot) in self.shared.values.iter().enumerate() {
            if rank != self.rank {
                for (value, other) in values.iter_mut().zip(lock(slot).iter()) {
                    *value = match how {
                        Reduce::Sum => *value + other,
                        Reduce::Max => (*value).max(*other),
                    };
                }
            }
        }
        self.shared.barrier.wait();
    }

    fn broadcast(&self, root: usize, bytes: &mut Vec<u8>) {
        if root == self.rank {
            *lock(&self.shared.bytes) = bytes.clone();
        }
        self.shared.barrier.wait();
        if root != self.rank {
            bytes.clone_from(&lock(&self.shared.bytes));
        }
        self.shared.barrier.wait();
    }

    fn post(&self, to: usize, bytes: Vec<u8>) {
        let _ = self.post[to].send((self.rank, bytes));
    }

    fn poll(&self) -> Option<(usize, Vec<u8>)> {
        lock(&self.mailbox).try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn conforms() {
        for n in [1, 2, 3, 5] {
            super::run(n, |comm| super::super::conformance::all(comm));
        }
    }
}
