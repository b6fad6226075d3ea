//! Slabs of keys between ranks: each gets the columns that it selects in, and rank 0 what was selected.

use super::select::Key;
use imaging::comm::{Comm, Incoming, Outgoing};

/// Sends each rank the keys of its slab and gets those of this rank's from all.
pub fn trade<K: Key>(
    comm: &dyn Comm,
    own: &mut [Vec<K>],
    held: &[usize],
    columns: usize,
    matrix: &mut [K],
) {
    let me = comm.rank();
    let (mut sends, mut receives) = (Vec::new(), Vec::new());
    let mut rest = matrix;
    for (rank, keys) in own.iter().enumerate() {
        let (part, after) = rest.split_at_mut(held[rank] * columns);
        rest = after;
        if rank == me {
            part.copy_from_slice(keys);
            continue;
        }
        if !keys.is_empty() {
            let bytes = bytemuck::cast_slice(keys);
            sends.push(Outgoing { to: rank, bytes });
        }
        if !part.is_empty() {
            let bytes = bytemuck::cast_slice_mut(part);
            receives.push(Incoming { from: rank, bytes });
        }
    }
    comm.exchange(&sends, &mut receives, &mut || ());
}

/// Every rank's results on rank 0, in order; nothing on the others.
pub fn collect<K: Key>(
    comm: &dyn Comm,
    (low, high): (Vec<K>, Vec<K>),
    columns: impl Fn(usize) -> usize,
) -> Vec<(Vec<K>, Vec<K>)> {
    if comm.rank() > 0 {
        let sends: Vec<Outgoing<'_>> = [&low, &high]
            .into_iter()
            .filter(|keys| !keys.is_empty())
            .map(|keys| Outgoing {
                to: 0,
                bytes: bytemuck::cast_slice(keys),
            })
            .collect();
        comm.exchange(&sends, &mut [], &mut || ());
        return Vec::new();
    }
    let mut all = vec![(low, high)];
    for rank in 1..comm.size() {
        let zeros = vec![K::zeroed(); columns(rank)];
        all.push((zeros.clone(), zeros));
    }
    let mut receives = Vec::new();
    for (from, (low, high)) in all.iter_mut().enumerate().skip(1) {
        for keys in [low, high] {
            if !keys.is_empty() {
                let bytes = bytemuck::cast_slice_mut(keys);
                receives.push(Incoming { from, bytes });
            }
        }
    }
    comm.exchange(&[], &mut receives, &mut || ());
    all
}
