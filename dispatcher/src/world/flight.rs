//! Tasks in a world, and whose fault it is when the world dies.

use super::{Lost, Task};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use worker::task::Finished;

/// Deaths of a world that a task may see, unclear whether they are its fault, before they count.
const DOUBTS: u32 = 3;

/// A task that was submitted.
pub struct Flight {
    pub task: Box<Task>,
    pub reply: oneshot::Sender<Result<Finished, Lost>>,
    /// When it was handed to the world.
    pub asked: Instant,
    /// Since when ranks work on it, and which.
    pub started: Option<(Instant, Vec<usize>)>,
    /// When it was told to stop.
    pub cancelled: Option<Instant>,
    /// Deaths of its world before, perhaps its fault.
    pub doubts: u32,
}

/// Why a world died.
#[derive(Clone, Debug)]
pub struct Death {
    /// The rank that began it.
    pub rank: Option<usize>,
    /// Whether something else than a rank is known to be the cause.
    pub outside: bool,
    /// In words.
    pub reason: String,
}

impl Flight {
    /// A task just submitted.
    pub fn new(task: Box<Task>, reply: oneshot::Sender<Result<Finished, Lost>>) -> Flight {
        Flight {
            task,
            reply,
            asked: Instant::now(),
            started: None,
            cancelled: None,
            doubts: 0,
        }
    }

    /// Whether that rank works on it.
    pub fn is_on(&self, rank: usize) -> bool {
        matches!(&self.started, Some((_, ranks)) if ranks.contains(&rank))
    }

    /// When it should have ended at the latest, given its own limits, if it was told to.
    pub fn overdue(&self, now: Instant, patience: Duration) -> bool {
        let Some((started, _)) = self.started else {
            return false;
        };
        let limit = self.task.limits.timeout_secs;
        let limit = limit.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
        let late = |since: Instant, allowed: Duration| {
            now.saturating_duration_since(since) > allowed.saturating_add(patience)
        };
        limit.is_some_and(|limit| late(started, limit))
            || self.cancelled.is_some_and(|at| late(at, Duration::ZERO))
    }
}

/// Answers the tasks of a dead world; returns those that are to be run again without a word, since they
/// were not begun or share the suspicion with others.
pub fn judge(flights: Vec<Flight>, death: &Death) -> Vec<Flight> {
    let suspect = |flight: &Flight| match death.rank {
        _ if death.outside => false,
        Some(rank) => flight.is_on(rank),
        None => flight.started.is_some(),
    };
    let suspects = flights.iter().filter(|f| suspect(f)).count();
    let mut again = Vec::new();
    for mut flight in flights {
        let doubtful = suspect(&flight);
        let begun = flight.started.is_some();
        if flight.cancelled.is_some() {
            let reason = format!("cancelled; {}", death.reason);
            let _ = flight.reply.send(Err(Lost::World { reason }));
        } else if (doubtful && suspects == 1) || (!death.outside && flight.doubts + 1 >= DOUBTS) {
            let _ = flight.reply.send(Err(Lost::Fault {
                rank: death.rank,
                reason: death.reason.clone(),
            }));
        } else if begun && !doubtful {
            let reason = death.reason.clone();
            let _ = flight.reply.send(Err(Lost::World { reason }));
        } else {
            flight.doubts += u32::from(!death.outside);
            flight.task.alone |= doubtful;
            flight.started = None;
            again.push(flight);
        }
    }
    again
}
