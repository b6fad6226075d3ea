//! A world of ranks that stays warm: tasks come one by one, several are in flight, and idle ranks
//! sleep.
//!
//! Rank 0 hands whole images to free threads of all ranks; an image that is to be shared by rows waits
//! until all ranks are free and is then run by all of them together. The same loop serves a world of
//! one rank in this process.

mod crew;
mod desk;
mod entry;
mod line;
mod pause;
mod pulse;
pub mod wire;

pub use entry::{BUDGET, Budget, Entry, Inbox, open};
pub use line::{bind, connect, is_own};

use crew::{Assignment, Crew, Pool};
use imaging::comm::Comm;
use imaging::executor::Stop;
use line::Line;
use pause::Pause;
use pulse::Pulse;
use serde::{Deserialize, Serialize};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;
use wire::{Answer, Rank};

use crate::mail::{receive, send};
use crate::task::Finished;

#[derive(Serialize, Deserialize)]
enum Message {
    /// To a rank: where rank 0 offers a line, if it does.
    Welcome(Option<String>),
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

/// How often a rank that is woken by what comes looks for signals.
const LOOK: Duration = Duration::from_millis(250);

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
                // One more for what is urgent.
                let crew = Crew::start(scope, threads + 1, move |id, finished| {
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
    let (hear, heard) = channel();
    let done = hear.clone();
    let crew = Crew::start(scope, threads, move |id, finished| {
        let _ = done.send(Heard::Done(id, Box::new(finished)));
    });
    let Some(way) = meet(comm, here, &hear, stop) else {
        inbox.closed.set();
        return End::Stopped;
    };
    let mut pool = Pool::new(threads);
    let mut pause = Pause::new();
    loop {
        if stop.is_set() {
            inbox.closed.set();
            return End::Stopped;
        }
        let next = match way {
            Way::Mail(..) => receive(comm).map(|(_, message)| Heard::Message(message)),
            Way::Line(..) => None,
        };
        let next = match next {
            Some(next) => Ok(next),
            None => heard.recv_timeout(match way {
                Way::Mail(..) => pause.next(),
                Way::Line(..) => LOOK,
            }),
        };
        let message = match next {
            Ok(Heard::Message(message)) => message,
            Ok(Heard::Done(id, finished)) => {
                pause.reset();
                entry::lock(&inbox.stops).remove(&id);
                pulse.remove(&id);
                way.send(&Message::Finished(id, finished));
                continue;
            }
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => {
                unreachable!("this loop holds a sender of its own")
            }
        };
        match message {
            Message::Take(assignment) => {
                pause.reset();
                let stop = inbox.begin(&assignment.task.id);
                pulse.add(&assignment.task.id);
                crew.take(*assignment, stop);
            }
            Message::Share(assignment) => {
                pulse.add(&assignment.task.id);
                let stop = inbox.closed.child();
                *entry::lock(&inbox.shared) = Some(stop.clone());
                pool.run(comm, &assignment, stop);
                *entry::lock(&inbox.shared) = None;
                pulse.remove(&assignment.task.id);
                pause.reset();
            }
            Message::Cancel(id) => {
                if let Some(stop) = entry::lock(&inbox.stops).get(&id) {
                    stop.set();
                }
            }
            Message::End => {
                inbox.closed.set();
                return End::Closed;
            }
            Message::Welcome(_) | Message::Here(_) | Message::Finished(..) => {}
        }
    }
}

/// What a rank other than 0 waits for.
enum Heard {
    /// Rank 0 says something.
    Message(Message),
    /// One of its threads has ended a task.
    Done(String, Box<Finished>),
}

/// How a rank and rank 0 speak.
enum Way<'a> {
    /// Over a line, on one machine.
    Line(Line),
    /// By MPI, with looks into the mailbox.
    Mail(&'a dyn Comm),
}

impl Way<'_> {
    fn send(&self, message: &Message) {
        match self {
            Way::Line(line) => line.send(message),
            Way::Mail(comm) => send(*comm, 0, message),
        }
    }
}

/// Waits for rank 0's welcome and answers it; None: the world is to end.
fn meet<'a>(comm: &'a dyn Comm, here: Rank, hear: &Sender<Heard>, stop: &Stop) -> Option<Way<'a>> {
    let pause = Pause::new();
    let name = loop {
        if stop.is_set() {
            return None;
        }
        match receive(comm) {
            Some((_, Message::Welcome(name))) => break name,
            _ => std::thread::sleep(pause.next()),
        }
    };
    let told = hear.clone();
    let line = name.map(|name| {
        line::take(&name, move |message| {
            told.send(Heard::Message(message)).is_ok()
        })
    });
    let way = match line {
        Some(Ok(Some(line))) => Way::Line(line),
        _ => Way::Mail(comm),
    };
    way.send(&Message::Here(here));
    Some(way)
}
