//! Who owns which rows, and how rows come to the ranks that need them.

use crate::comm::{Comm, Incoming, Outgoing};
use crate::image::Rows;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The rows of `0..rows` that `rank` of `size` owns: remainders spread over the first ranks, empty
/// when there are more ranks than rows.
pub fn partition(rows: usize, size: usize, rank: usize) -> Range<usize> {
    let (each, more) = (rows / size, rows % size);
    let start = rank * each + rank.min(more);
    start..start + each + usize::from(rank < more)
}

/// The common part of two ranges (empty where there is none).
pub fn common(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// Counts of one rank's exchanges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HaloStats {
    /// Bytes this rank sent to others.
    pub bytes: u64,
    /// Time spent waiting for messages after the interior was done.
    pub wait: Duration,
    /// Number of exchanges.
    pub exchanges: u64,
}

/// Brings to each rank the rows it needs but does not own. `own` is this rank's chunk as cut by
/// [`partition`]; `need(rank)` the rows that rank needs (any range of the image, the same function on
/// all ranks). Runs `meanwhile` while the messages travel. Returns the rows received, one piece a sender.
///
/// A halo may be deeper than a neighbour's chunk: rows then come from several ranks.
pub fn fill(
    comm: &dyn Comm,
    own: &Rows,
    need: &dyn Fn(usize) -> Range<usize>,
    stats: &mut HaloStats,
    meanwhile: &mut dyn FnMut(),
) -> Vec<Rows> {
    let (rank, size, shape) = (comm.rank(), comm.size(), own.shape);
    let mut pieces = Vec::new();
    let mut sends = Vec::new();
    let mine = need(rank);
    for other in (0..size).filter(|&r| r != rank) {
        let theirs = partition(shape.rows, size, other);
        let incoming = common(&theirs, &mine);
        if !incoming.is_empty() && shape.row_bytes() > 0 {
            pieces.push((other, Rows::zeroed(shape, incoming)));
        }
        let outgoing = common(&own.range(), &need(other));
        if !outgoing.is_empty() && shape.row_bytes() > 0 {
            sends.push(Outgoing {
                to: other,
                bytes: own.bytes_of(outgoing),
            });
        }
    }
    if size == 1 {
        meanwhile();
        return Vec::new();
    }
    stats.bytes += sends.iter().map(|s| s.bytes.len() as u64).sum::<u64>();
    stats.exchanges += 1;
    let mut receives: Vec<Incoming<'_>> = pieces
        .iter_mut()
        .map(|(from, rows)| Incoming {
            from: *from,
            bytes: rows.data.bytes_mut(),
        })
        .collect();
    let mut computing = Duration::ZERO;
    let start = Instant::now();
    comm.exchange(&sends, &mut receives, &mut || {
        let start = Instant::now();
        meanwhile();
        computing = start.elapsed();
    });
    stats.wait += start.elapsed().saturating_sub(computing);
    pieces.into_iter().map(|(_, rows)| rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comm::threads;
    use crate::image::{Color, SampleType, Shape};

    #[test]
    fn rows_come_from_whoever_owns_them_and_are_counted() {
        // 7 rows on 5 ranks: chunks of 2, 2, 1, 1, 1, and each rank needs 2 rows beyond its own.
        let shape = Shape::new(7, 3, Color::Gray, SampleType::U8);
        let need = |rank: usize| {
            let part = partition(7, 5, rank);
            part.start.saturating_sub(2)..(part.end + 2).min(7)
        };
        let stats = threads::run(5, |comm| {
            let mut own = Rows::zeroed(shape, partition(7, 5, comm.rank()));
            let first = own.first;
            for (at, value) in own.data.bytes_mut().iter_mut().enumerate() {
                *value = (first * 3 + at) as u8;
            }
            let (mut stats, mut computed) = (HaloStats::default(), 0);
            let pieces = fill(comm, &own, &need, &mut stats, &mut || computed += 1);
            assert_eq!(computed, 1);
            let mut held: Vec<usize> = own.range().collect();
            for piece in &pieces {
                for y in piece.range() {
                    let at = y as u8 * 3;
                    assert_eq!(piece.bytes_of(y..y + 1), [at, at + 1, at + 2]);
                    held.push(y);
                }
            }
            held.sort_unstable();
            assert!(held.into_iter().eq(need(comm.rank())));
            stats
        });
        let sent: Vec<u64> = stats.iter().map(|stats| stats.bytes / 3).collect();
        // Row 2 goes to the ranks of rows 0 and 4, row 3 to that of row 5, too, and so on.
        assert_eq!(sent, [2, 2 + 3, 3, 3, 2]);
        assert!(stats.iter().all(|stats| stats.exchanges == 1));
    }

    #[test]
    fn partitions_cover_all_rows_once() {
        for rows in 0..40 {
            for size in 1..9 {
                let mut next = 0;
                for rank in 0..size {
                    let part = partition(rows, size, rank);
                    assert_eq!(part.start, next);
                    next = part.end;
                }
                assert_eq!(next, rows);
            }
        }
    }
}
