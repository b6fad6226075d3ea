//! A world of ranks that stays warm: tasks come one by one, several are in flight, and idle ranks
//! sleep.
//!
//! Rank 0 hands whole images to free threads of all ranks; an image that is to be shared by rows waits
//! until all ranks are free and is then run by all of them together. The same loop serves a world of
//! one rank in this process.

mod crew;
mod desk;
mod entry;
mod pause;
mod pulse;
pub mod wire;

pub use entry::{Entry, Inbox, open};

use crew::{Assignment, Crew, Pool};
use imaging::comm::Comm;
use imaging::executor::Stop;
use pause::Pause;
use pulse::Pulse;
use serde::{Deserialize, Serialize};
use std::sync::mpsc::{RecvTimeoutError, channel};
use wire::{Answer, Rank};

use crate::mail::{receive, send};
use crate::task::Finished;

#[derive(Serialize, Deserialize)]
enum Message {
    /// To rank 0: this rank is there.
    Here(Rank),
    /// To a rank: work on this.
    Take(Box<Assignment>),
    /// To all ranks: run this together.
    Share(Box<Assignment>),
    /// To a rank: end this task.
    Cancel(String),
    /// To rank 0: done.
    Finished(String, Box<Finished>),
    /// To a rank: end everything.
    End,
}

/// Why a world ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The entry was closed.
    Closed,
    /// This rank alone was told to stop; the others know nothing of it.
    Stopped,
}

/// Serves tasks until the entry is closed. All ranks call this together. Tasks are taken
/// from the inbox of rank 0.
///
/// `say` is called with answers, from any thread: all but `alive` come from rank 0. `stop` is a signal
/// to this process: the rank cleans up and leaves without a word to the others.
pub fn serve(
    comm: &dyn Comm,
    threads: usize,
    inbox: Inbox,
    stop: &Stop,
    say: &(dyn Fn(Answer) + Sync),
) -> End {
    let here = Rank {
        rank: comm.rank(),
        pid: std::process::id(),
        node: crate::settings::node_name(),
    };
    let pulse = &Pulse::default();
    std::thread::scope(|scope| {
        let rank = comm.rank();
        scope.spawn(move || {
            pulse.run(&|tasks| {
                say(match rank {
                    0 => Answer::Progress { tasks },
                    rank => Answer::Alive { rank },
                })
            })
        });
        let end = match rank {
            0 => {
                let sender = inbox.sender.clone();
                let crew = Crew::start(scope, threads, move |id, finished| {
                    let _ = sender.send(entry::Event::Done(id, Box::new(finished)));
                });
                desk::Desk::new(comm, threads, inbox, crew, pulse, say).run(here, stop)
            }
            _ => follow(comm, scope, threads, here, stop, &inbox, pulse),
        };
        pulse.end();
        end
    })
}

/// A rank other than 0: does what rank 0 says.
fn follow<'scope>(
    comm: &dyn Comm,
    scope: &'scope std::thread::Scope<'scope, '_>,
    threads: usize,
    here: Rank,
    stop: &Stop,
    inbox: &Inbox,
    pulse: &Pulse,
) -> End {
    send(comm, 0, &Message::Here(here));
    let (done, results) = channel();
    let crew = Crew::start(scope, threads, move |id, finished| {
        let _ = done.send((id, finished));
    });
    let mut pool = Pool::new(threads);
    let mut pause = Pause::new();
    loop {
        if stop.is_set() {
            inbox.closed.set();
            return End::Stopped;
        }
        match receive(comm) {
            Some((_, Message::Take(assignment))) => {
                pause.reset();
                let stop = inbox.begin(&assignment.task.id);
                pulse.add(&assignment.task.id);
                crew.take(*assignment, stop);
                continue;
            }
            Some((_, Message::Share(assignment))) => {
                pulse.add(&assignment.task.id);
                let stop = inbox.closed.child();
                *entry::lock(&inbox.shared) = Some(stop.clone());
                pool.run(comm, &assignment, stop);
                *entry::lock(&inbox.shared) = None;
                pulse.remove(&assignment.task.id);
                pause.reset();
                continue;
            }
            Some((_, Message::Cancel(id))) => {
                if let Some(stop) = entry::lock(&inbox.stops).get(&id) {
                    stop.set();
                }
            }
            Some((_, Message::End)) => {
                inbox.closed.set();
                return End::Closed;
            }
            Some((_, Message::Here(_) | Message::Finished(..))) | None => {}
        }
        match results.recv_timeout(pause.next()) {
            Ok((id, finished)) => {
                pause.reset();
                entry::lock(&inbox.stops).remove(&id);
                pulse.remove(&id);
                send(comm, 0, &Message::Finished(id, Box::new(finished)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                unreachable!("the crew lives as long as this loop")
            }
        }
    }
}
