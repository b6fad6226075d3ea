//! The way into a warm world: lines become checked, planned tasks before rank 0's loop sees them.

use super::crew::Assignment;
use super::line::Line;
use super::wire::{Ask, Rank, Task};
use crate::device;
use crate::planner::{self, World};
use crate::reduce::step;
use crate::task::{Finished, Order, OutputFile};
use imaging::executor::Stop;
use imaging::{Error, Result};
use protocol::job::Mode;
use protocol::name;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What rank 0's loop is told.
pub(super) enum Event {
    /// A task to hand out.
    Task(Box<Ready>),
    /// A task that cannot be run.
    Refused(String, Box<Finished>),
    /// A task is to stop; its flag is set already.
    Cancel(String),
    /// A rank is there, by a line if it has one.
    Here(Rank, Option<Line>),
    /// A thread of rank 0, or another rank, has ended a task.
    Done(String, Box<Finished>),
    /// Nothing more will come.
    Closed,
}

/// A task that can be handed out.
pub(super) struct Ready {
    pub assignment: Assignment,
    pub stop: Stop,
    /// When it was taken in.
    pub came: Instant,
    /// Its job's cap over the images of that job, in bytes.
    pub memory: Option<u64>,
}

/// What all images of a world may take together, whosever they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// In bytes; None: they are not bounded.
    pub bytes: Option<u64>,
    /// An image that needs more alone is refused; else it runs when nothing else does.
    pub refuses: bool,
}

/// Tells ranks their world's budget.
pub const BUDGET: &str = "SUNDOG_WORLD_MEMORY";

impl Budget {
    /// As the value of [`BUDGET`].
    pub fn to_text(self) -> Option<String> {
        let bytes = self.bytes?;
        let refuses = if self.refuses { " refuses" } else { "" };
        Some(format!("{bytes}{refuses}"))
    }

    /// From the value of [`BUDGET`].
    pub fn from_text(text: &str) -> Budget {
        let mut words = text.split(' ');
        Budget {
            bytes: words.next().and_then(|bytes| bytes.parse().ok()),
            refuses: words.next() == Some("refuses"),
        }
    }
}

/// The flags of all tasks in flight.
pub(super) type Stops = Arc<Mutex<BTreeMap<String, Stop>>>;

/// The flag of the image whose rows a rank other than 0 works on.
pub(super) type Shared = Arc<Mutex<Option<Stop>>>;

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A rank's end.
pub struct Inbox {
    pub(super) events: Receiver<Event>,
    pub(super) sender: Sender<Event>,
    pub(super) stops: Stops,
    pub(super) closed: Stop,
    pub(super) shared: Shared,
    pub(super) budget: Budget,
}

/// The caller's end.
#[derive(Clone)]
pub struct Entry {
    events: Sender<Event>,
    stops: Stops,
    closed: Stop,
    shared: Shared,
    world: World,
    budget: Budget,
}

/// Both ends of the way into a world.
pub fn open(world: World, budget: Budget) -> (Entry, Inbox) {
    let (sender, events) = channel();
    let inbox = Inbox {
        events,
        sender: sender.clone(),
        stops: Stops::default(),
        closed: Stop::default(),
        shared: Shared::default(),
        budget,
    };
    let entry = Entry {
        events: sender,
        stops: inbox.stops.clone(),
        closed: inbox.closed.clone(),
        shared: inbox.shared.clone(),
        world,
        budget,
    };
    (entry, inbox)
}

impl Inbox {
    /// The flag of a task that was handed to this rank.
    pub(super) fn begin(&self, id: &str) -> Stop {
        let stop = self.closed.child();
        lock(&self.stops).insert(id.to_owned(), stop.clone());
        stop
    }
}

impl Entry {
    /// Takes what is asked. A task's input is probed here, on the calling thread.
    pub fn ask(&self, ask: Ask) {
        let event = match ask {
            Ask::Cancel { id } => {
                if let Some(stop) = lock(&self.stops).get(&id) {
                    stop.set();
                }
                Event::Cancel(id)
            }
            Ask::Task { task } => self.prepare(*task),
        };
        // A world that is gone answers nothing.
        let _ = self.events.send(event);
    }

    /// Stops this rank's part of an image that is shared by rows, so that all ranks end it at the next
    /// exchange. A rank that computes rows cannot be told by messages. Rank 0 begins an image again that
    /// nobody wanted to end.
    pub fn interrupt(&self) {
        if let Some(stop) = &*lock(&self.shared) {
            stop.set();
        }
    }

    /// Tells the world to stop what it does and end.
    pub fn close(&self) {
        self.closed.set();
        let _ = self.events.send(Event::Closed);
    }

    fn prepare(&self, task: Task) -> Event {
        let stop = self.closed.child();
        lock(&self.stops).insert(task.id.clone(), stop.clone());
        match self.plan(&task) {
            Ok((assignment, memory)) => Event::Task(Box::new(Ready {
                assignment,
                stop,
                came: Instant::now(),
                memory,
            })),
            Err(mut finished) => {
                lock(&self.stops).remove(&task.id);
                finished.receipt.attempt = task.attempt;
                Event::Refused(task.id, finished)
            }
        }
    }

    fn plan(&self, task: &Task) -> std::result::Result<(Assignment, Option<u64>), Box<Finished>> {
        let refuse = |node: &str, error| {
            let refused = matches!(error, Error::Limit { .. });
            let mut finished = Finished::failed(task.task, task.input.clone(), node, error);
            finished.refused = refused;
            Box::new(finished)
        };
        let mut settings = task.settings().map_err(|error| refuse("", error))?;
        let own = settings.memory;
        if let (Some(bytes), true) = (self.budget.bytes, self.budget.refuses) {
            settings.memory = Some(own.map_or(bytes, |own| own.min(bytes)));
        }
        if task.step.is_some() {
            let mut order = Order::plain(task.task, task.input.clone());
            order.files = vec![OutputFile::first(task.output.clone())];
            order.memory = step::memory(&settings);
            (order.ranks, order.mode) = (1, Mode::Images);
            let assignment = Assignment {
                task: task.clone(),
                order,
            };
            return Ok((assignment, own));
        }
        let (input, output) = (name::to_path(&task.input), name::to_path(&task.output));
        let probed = distinct(&input, &output)
            .and_then(|()| planner::probe(&input, &settings))
            .map_err(|error| refuse(&settings.node, error))?;
        let device = device::find(&settings, probed.cost() / self.world.slots() as f64);
        let order = planner::order(
            task.task,
            (0, 1),
            &task.input,
            probed.files(&task.output),
            &probed,
            &settings,
            self.world,
            task.mode,
            &device,
        )?;
        let assignment = Assignment {
            task: task.clone(),
            order,
        };
        Ok((assignment, own))
    }
}

fn distinct(input: &std::path::Path, output: &std::path::Path) -> Result<()> {
    match (input.canonicalize(), output.canonicalize()) {
        (Ok(a), Ok(b)) if a == b => Err(Error::Io(
            "the output would replace its input (name another output)".into(),
        )),
        _ => Ok(()),
    }
}
