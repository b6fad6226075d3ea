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

    /// Whether several ranks work on its rows.
    pub fn is_shared(&self) -> bool {
        matches!(&self.started, Some((_, ranks)) if ranks.len() > 1)
    }

    /// Answers it as cancelled.
    pub fn end_cancelled(self) {
        let error = imaging::Error::Stopped("stopped before it was done".into());
        let node = worker::settings::node_name();
        let mut finished = Finished::failed(self.task.task, self.task.input, &node, error);
        finished.receipt.attempt = self.task.attempt;
        // Who asked may have gone.
        let _ = self.reply.send(Ok(finished));
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
    // Rank 0 also looks at tasks that it has not handed out yet.
    let unbegun_suspect = suspects == 0 && !death.outside && death.rank.is_none_or(|r| r == 0);
    let mut again = Vec::new();
    for mut flight in flights {
        let begun = flight.started.is_some();
        let doubtful = suspect(&flight) || (!begun && unbegun_suspect);
        flight.doubts += u32::from(doubtful);
        if flight.cancelled.is_some() {
            flight.end_cancelled();
        } else if (doubtful && suspects == 1) || flight.doubts >= DOUBTS {
            let _ = flight.reply.send(Err(Lost::Fault {
                rank: death.rank,
                reason: death.reason.clone(),
            }));
        } else if begun && !doubtful {
            let reason = death.reason.clone();
            let _ = flight.reply.send(Err(Lost::World { reason }));
        } else {
            flight.task.alone |= doubtful;
            flight.started = None;
            again.push(flight);
        }
    }
    again
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Answer = oneshot::Receiver<Result<Finished, Lost>>;

    /// A task on these ranks; none: not begun.
    fn flight(id: &str, ranks: &[usize]) -> (Flight, Answer) {
        let task = format!(r#"{{"id":"{id}","input":"{id}.png","output":"out/{id}.png"}}"#);
        let (reply, answer) = oneshot::channel();
        let mut flight = Flight::new(serde_json::from_str(&task).unwrap(), reply);
        flight.started = (!ranks.is_empty()).then(|| (Instant::now(), ranks.to_vec()));
        (flight, answer)
    }

    /// What becomes of tasks on those ranks when a rank dies: `fault`, `world`, `again` or `alone`.
    fn after(rank: Option<usize>, outside: bool, tasks: &[&[usize]]) -> Vec<&'static str> {
        let (flights, answers): (Vec<_>, Vec<_>) = (0..tasks.len())
            .map(|n| flight(&n.to_string(), tasks[n]))
            .unzip();
        let death = Death {
            rank,
            outside,
            reason: "a test".into(),
        };
        let again: BTreeMap<String, bool> = judge(flights, &death)
            .iter()
            .map(|f| (f.task.id.clone(), f.task.alone))
            .collect();
        let one = |(n, mut answer): (usize, Answer)| match again.get(&n.to_string()) {
            Some(true) => "alone",
            Some(false) => "again",
            None => match answer.try_recv().unwrap() {
                Err(Lost::Fault { .. }) => "fault",
                Err(Lost::World { .. }) => "world",
                _ => "something else",
            },
        };
        answers.into_iter().enumerate().map(one).collect()
    }

    #[test]
    fn only_the_task_of_the_dead_rank_is_at_fault() {
        assert_eq!(
            after(Some(1), false, &[&[0], &[1], &[]]),
            ["world", "fault", "again"]
        );
        assert_eq!(after(Some(1), false, &[&[0, 1], &[]]), ["fault", "again"]);
        assert_eq!(after(Some(0), false, &[&[0], &[]]), ["fault", "again"]);
    }

    #[test]
    fn several_suspects_are_tried_alone() {
        assert_eq!(
            after(Some(1), false, &[&[1], &[1], &[0], &[]]),
            ["alone", "alone", "world", "again"]
        );
        // Nothing was begun: rank 0 may have died of looking at one of them.
        assert_eq!(after(Some(0), false, &[&[], &[]]), ["alone", "alone"]);
    }

    #[test]
    fn nobody_is_at_fault_when_mpirun_is_killed() {
        assert_eq!(
            after(None, true, &[&[0], &[1], &[]]),
            ["world", "world", "again"]
        );
    }

    #[test]
    fn a_task_that_sees_world_after_world_die_is_given_up() {
        let death = Death {
            rank: Some(0),
            outside: false,
            reason: "a test".into(),
        };
        let (one, mut answer) = flight("1", &[]);
        let mut flights = vec![one];
        for _ in 0..DOUBTS {
            flights = judge(flights, &death);
        }
        assert!(flights.is_empty());
        assert!(matches!(answer.try_recv(), Ok(Err(Lost::Fault { .. }))));
    }
}
