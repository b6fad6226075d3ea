//! What every [`Comm`] must do; each implementation runs this suite on all its ranks.

use super::{Comm, Incoming, Outgoing, Reduce, agree};
use crate::error::{Error, Limit};

/// Runs every check. All ranks of the world call this together; panics on a breach.
pub fn all(comm: &dyn Comm) {
    sums_and_maxima(comm);
    rings(comm);
    everyone_to_everyone(comm);
    broadcasts(comm);
    agrees_on_the_lowest_error(comm);
    mailboxes(comm);
    comm.barrier();
}

fn sums_and_maxima(comm: &dyn Comm) {
    let (rank, size) = (comm.rank() as i64, comm.size() as i64);
    let mut values = [rank, 1, -rank];
    comm.all_reduce(&mut values, Reduce::Sum);
    assert_eq!(
        values,
        [size * (size - 1) / 2, size, -size * (size - 1) / 2]
    );
    let mut values = [rank, -rank];
    comm.all_reduce(&mut values, Reduce::Max);
    assert_eq!(values, [size - 1, 0]);
}

/// Long messages to the next rank and back, two in a row, while something is computed.
fn rings(comm: &dyn Comm) {
    let (rank, size) = (comm.rank(), comm.size());
    let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
    let (long, short) = (vec![rank as u8; 3 << 20], vec![rank as u8 + 100; 7]);
    let (mut a, mut b) = (vec![0; 3 << 20], vec![0; 7]);
    let mut computed = 0;
    let sends = [
        Outgoing {
            to: next,
            bytes: &long,
        },
        Outgoing {
            to: next,
            bytes: &short,
        },
    ];
    let mut receives = [
        Incoming {
            from: previous,
            bytes: &mut a,
        },
        Incoming {
            from: previous,
            bytes: &mut b,
        },
    ];
    comm.exchange(&sends, &mut receives, &mut || computed += 1);
    assert_eq!(computed, 1);
    assert!(a.iter().all(|&v| v == previous as u8) && b.iter().all(|&v| v == previous as u8 + 100));
}

fn everyone_to_everyone(comm: &dyn Comm) {
    let (rank, size) = (comm.rank(), comm.size());
    let out: Vec<Vec<u8>> = (0..size)
        .map(|to| vec![(rank * 16 + to) as u8; 1000 * to + rank])
        .collect();
    let mut back: Vec<Vec<u8>> = (0..size).map(|from| vec![0; 1000 * rank + from]).collect();
    let sends: Vec<_> = out
        .iter()
        .enumerate()
        .map(|(to, bytes)| Outgoing { to, bytes })
        .collect();
    let mut receives: Vec<_> = back
        .iter_mut()
        .enumerate()
        .map(|(from, bytes)| Incoming { from, bytes })
        .collect();
    comm.exchange(&sends, &mut receives, &mut || ());
    for (from, bytes) in back.iter().enumerate() {
        assert!(bytes.iter().all(|&v| v == (from * 16 + rank) as u8));
    }
    comm.exchange(&[], &mut [], &mut || ());
}

fn broadcasts(comm: &dyn Comm) {
    for root in 0..comm.size() {
        let mut bytes = if comm.rank() == root {
            vec![root as u8; 5 + root]
        } else {
            vec![9; 2]
        };
        comm.broadcast(root, &mut bytes);
        assert_eq!(bytes, vec![root as u8; 5 + root]);
        let mut none = if comm.rank() == root {
            Vec::new()
        } else {
            vec![1]
        };
        comm.broadcast(root, &mut none);
        assert!(none.is_empty());
    }
}

fn agrees_on_the_lowest_error(comm: &dyn Comm) {
    assert_eq!(agree(comm, Ok(comm.rank())), Ok(comm.rank()));
    let last = comm.size() - 1;
    let mine = if comm.rank() == last {
        Err(Error::Decode(format!("from {last}")))
    } else {
        Ok(())
    };
    assert_eq!(
        agree(comm, mine),
        Err(Error::Decode(format!("from {last}")))
    );
    let mine: Result<(), Error> = Err(Limit::Count.exceeded(format!("from {}", comm.rank())));
    assert_eq!(agree(comm, mine), Err(Limit::Count.exceeded("from 0")));
}

/// Every rank posts three messages to rank 0, which answers each.
fn mailboxes(comm: &dyn Comm) {
    for i in 0..3u8 {
        comm.post(0, vec![comm.rank() as u8, i]);
    }
    if comm.rank() == 0 {
        let mut seen = vec![0u8; comm.size()];
        for _ in 0..3 * comm.size() {
            let (from, bytes) = wait(comm);
            assert_eq!(
                bytes,
                [from as u8, seen[from]],
                "messages of one sender keep their order"
            );
            seen[from] += 1;
        }
        for to in 1..comm.size() {
            comm.post(to, vec![7; 100_000]);
        }
    } else {
        assert_eq!(wait(comm), (0, vec![7; 100_000]));
    }
    comm.barrier();
    assert!(comm.poll().is_none());
}

fn wait(comm: &dyn Comm) -> (usize, Vec<u8>) {
    loop {
        if let Some(message) = comm.poll() {
            return message;
        }
        std::thread::yield_now();
    }
}
