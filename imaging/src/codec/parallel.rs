//! Work on the pieces of a file, on all threads of the pool that the caller runs in.

use rayon::prelude::*;

/// Threads of the current pool; 1 outside of a pool.
pub fn threads() -> usize {
    match rayon::current_thread_index() {
        Some(_) => rayon::current_num_threads(),
        None => 1,
    }
}

/// The results of `work(index, item)`, in the order of the items.
pub fn map<T: Send, R: Send>(items: Vec<T>, work: impl Fn(usize, T) -> R + Sync) -> Vec<R> {
    if threads() == 1 || items.len() == 1 {
        return items
            .into_iter()
            .enumerate()
            .map(|(at, item)| work(at, item))
            .collect();
    }
    items
        .into_par_iter()
        .enumerate()
        .with_max_len(1)
        .map(|(at, item)| work(at, item))
        .collect()
}
