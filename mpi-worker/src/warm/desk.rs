//! Rank 0's loop: takes tasks in, hands them out, tells what came of them.

use super::crew::{Assignment, Crew, Pool};
use super::entry::{Event, Inbox, Ready, lock};
use super::line::{self, Line};
use super::pause::Pause;
use super::pulse::Pulse;
use super::wire::{Answer, Rank};
use super::{End, LOOK, Message, receive, send};
use crate::planner::World;
use crate::task::Finished;
use imaging::Error;
use imaging::comm::Comm;
use imaging::executor::Stop;
use protocol::TaskState;
use protocol::job::Mode;
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Predicted nanoseconds of one core below which sharing an image by rows is not worth waiting until
/// all ranks are free.
const LEAST_SHARED_NS: f64 = 30e6;
/// How long such an image waits for others to come, beside which it need not be shared.
const COMPANY: Duration = Duration::from_millis(4);
/// A task that ranks work on.
struct Flying {
    rank: usize,
    /// Threads of its rank that it takes; 0: it runs beside them.
    slots: usize,
    /// Its rank is to do nothing else.
    alone: bool,
    memory: u64,
    cost: f64,
}

/// The job of a task: its id begins with that.
fn job_of(task: &str) -> &str {
    task.split('.').next().unwrap_or(task)
}

/// Rank 0's state.
pub struct Desk<'a> {
    comm: &'a dyn Comm,
    threads: usize,
    world: World,
    inbox: Inbox,
    crew: Crew,
    pool: Pool,
    pulse: &'a Pulse,
    say: &'a (dyn Fn(Answer) + Sync),
    queue: VecDeque<Box<Ready>>,
    flying: BTreeMap<String, Flying>,
    free: Vec<usize>,
    /// Lines to the ranks of this machine.
    lines: Vec<Option<Line>>,
    /// The ranks that have come.
    here: Vec<Rank>,
    pause: Pause,
}

impl<'a> Desk<'a> {
    /// A desk without tasks.
    pub fn new(
        comm: &'a dyn Comm,
        threads: usize,
        inbox: Inbox,
        crew: Crew,
        pulse: &'a Pulse,
        say: &'a (dyn Fn(Answer) + Sync),
    ) -> Desk<'a> {
        Desk {
            comm,
            threads,
            world: World {
                ranks: comm.size(),
                threads,
                processes: comm.size() > 1,
            },
            inbox,
            crew,
            pool: Pool::new(threads),
            pulse,
            say,
            queue: VecDeque::new(),
            flying: BTreeMap::new(),
            free: vec![threads; comm.size()],
            lines: (0..comm.size()).map(|_| None).collect(),
            here: Vec::new(),
            pause: Pause::new(),
        }
    }

    /// Serves until the inbox is closed or the process is told to stop.
    pub fn run(mut self, here: Rank, stop: &Stop) -> End {
        if self.meet(here, stop) {
            while !stop.is_set() && !self.inbox.closed.is_set() {
                self.hand_out();
                if let Some(event) = self.next() {
                    self.handle(event);
                    // All that waits counts when it is decided what is done next.
                    while let Ok(event) = self.inbox.events.try_recv() {
                        self.handle(event);
                    }
                }
            }
        }
        // Nothing is answered from here on: what was in flight is for the caller to judge.
        self.inbox.closed.set();
        if stop.is_set() {
            return End::Stopped;
        }
        (1..self.comm.size()).for_each(|rank| self.send(rank, &Message::End));
        End::Closed
    }

    /// Waits until all ranks have told who they are. False: the world is to end.
    fn meet(&mut self, here: Rank, stop: &Stop) -> bool {
        let others = self.comm.size() - 1;
        self.here = vec![here];
        if others > 0 {
            let welcome = Message::Welcome(self.offer(others));
            (1..=others).for_each(|rank| send(self.comm, rank, &welcome));
        }
        while self.here.len() <= others {
            if stop.is_set() || self.inbox.closed.is_set() {
                return false;
            }
            if let Some((_, Message::Here(rank))) = receive(self.comm) {
                self.here.push(rank);
            } else if let Ok(event) = self.inbox.events.recv_timeout(self.pause.next()) {
                self.handle(event);
            }
        }
        self.here.sort_by_key(|r| r.rank);
        let ranks = std::mem::take(&mut self.here);
        (self.say)(Answer::Ready { ranks });
        true
    }

    /// Offers lines to the other ranks; what comes over them becomes events.
    fn offer(&self, others: usize) -> Option<String> {
        let sender = self.inbox.sender.clone();
        let offered = line::offer(others, move |line| {
            let (sender, mut line) = (sender.clone(), Some(line));
            move |message| {
                let event = match message {
                    Message::Here(rank) => Event::Here(rank, line.take()),
                    Message::Finished(id, finished) => Event::Done(id, finished),
                    _ => return false,
                };
                sender.send(event).is_ok()
            }
        });
        // Without lines the mailbox does.
        offered.ok().flatten()
    }

    fn send(&self, rank: usize, message: &Message) {
        match self.lines.get(rank) {
            Some(Some(line)) => line.send(message),
            _ => send(self.comm, rank, message),
        }
    }

    /// What happens next, or nothing for a while. Rank 0 sleeps until it is woken; while ranks without a line are at
    /// work it looks into the mailbox now and then.
    fn next(&mut self) -> Option<Event> {
        let far = |flying: &Flying| flying.rank != 0 && self.lines[flying.rank].is_none();
        let far = self.flying.values().any(far);
        let early = self
            .queue
            .front()
            .map(|first| COMPANY.saturating_sub(first.came.elapsed()));
        let wait = match (far, early) {
            (true, _) => self.pause.next(),
            (false, Some(early)) if !early.is_zero() => early,
            _ => LOOK,
        };
        if far && let Some((_, Message::Finished(id, finished))) = receive(self.comm) {
            return Some(Event::Done(id, finished));
        }
        match self.inbox.events.recv_timeout(wait) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                unreachable!("the inbox holds a sender of its own")
            }
        }
    }

    fn handle(&mut self, event: Event) {
        self.pause.reset();
        match event {
            Event::Task(ready) => {
                self.pulse.add(&ready.assignment.task.id);
                // Before those that are not urgent, behind those that are.
                match ready.assignment.task.urgent {
                    true => {
                        let at = self
                            .queue
                            .iter()
                            .take_while(|one| one.assignment.task.urgent)
                            .count();
                        self.queue.insert(at, ready);
                    }
                    false => self.queue.push_back(ready),
                }
            }
            Event::Refused(id, finished) => (self.say)(Answer::Finished { id, finished }),
            Event::Cancel(id) => {
                if let Some(rank) = self.flying.get(&id).map(|f| f.rank).filter(|&r| r != 0) {
                    self.send(rank, &Message::Cancel(id));
                } else if let Some(at) = self.queued(&id)
                    && let Some(ready) = self.queue.remove(at)
                {
                    self.cancelled(&ready.assignment);
                }
            }
            Event::Here(rank, line) => {
                if let Some(place) = self.lines.get_mut(rank.rank) {
                    *place = line;
                    self.here.push(rank);
                }
            }
            Event::Done(id, finished) => {
                if let Some(flying) = self.flying.remove(&id) {
                    self.free[flying.rank] += flying.slots;
                }
                self.finished(id, finished);
            }
            // The flag that the loop looks at is set.
            Event::Closed => {}
        }
    }

    fn queued(&self, id: &str) -> Option<usize> {
        self.queue.iter().position(|r| r.assignment.task.id == id)
    }

    fn cancelled(&self, assignment: &Assignment) {
        let error = Error::Stopped("stopped before it was begun".into());
        let finished = assignment.unrun(&crate::settings::node_name(), error);
        self.finished(assignment.task.id.clone(), Box::new(finished));
    }

    fn finished(&self, id: String, finished: Box<Finished>) {
        lock(&self.inbox.stops).remove(&id);
        self.pulse.remove(&id);
        if !self.inbox.closed.is_set() {
            (self.say)(Answer::Finished { id, finished });
        }
    }

    /// Hands out tasks in the order in which they came, as long as there is room for the first. Those that their own job's
    /// cap holds back let others by.
    fn hand_out(&mut self) {
        let mut held = VecDeque::new();
        self.hand_out_some(&mut held);
        while let Some(ready) = held.pop_back() {
            self.queue.push_front(ready);
        }
    }

    fn hand_out_some(&mut self, held: &mut VecDeque<Box<Ready>>) {
        while let Some(mut first) = self.queue.pop_front() {
            if first.stop.is_set() {
                self.cancelled(&first.assignment);
                continue;
            }
            if !self.may(&first) {
                held.push_back(first);
                continue;
            }
            let by_rows = self.by_rows(&first);
            let asked_for = first.assignment.task.mode == Mode::Rows;
            let early = !asked_for && first.came.elapsed() < COMPANY;
            if by_rows.is_some() && (early || !self.flying.is_empty()) {
                return self.queue.push_front(first);
            }
            let order = &mut first.assignment.order;
            if let Some(reason) = by_rows {
                order.mode = Mode::Rows;
                order.reason = reason;
                order.memory = order.shared_memory;
                order.ranks = self.comm.size();
                self.share(*first);
                continue;
            }
            let slots = match first.assignment.task.alone {
                true => self.threads,
                false => 1,
            };
            // The rank with most free threads; rank 0 when equal, since it is awake.
            let rank = (0..self.free.len())
                .rev()
                .max_by_key(|&rank| self.free[rank])
                .filter(|&rank| self.free[rank] >= slots);
            let (rank, slots) = match rank {
                None if self.goes_beside(&first) => (Some(0), 0),
                rank => (rank, slots),
            };
            let Some(rank) = rank.filter(|_| self.fits(&first)) else {
                return self.queue.push_front(first);
            };
            let order = &mut first.assignment.order;
            order.mode = Mode::Images;
            order.reason = match first.assignment.task.mode {
                Mode::Images => "asked for by the job".into(),
                _ => format!("one of {} images in flight", self.flying.len() + 1),
            };
            self.give(*first, rank, slots);
        }
    }

    /// Why the rows of this image are to be shared by all ranks, if they are.
    fn by_rows(&self, ready: &Ready) -> Option<String> {
        let order = &ready.assignment.order;
        let slots = self.world.slots();
        if ready.assignment.task.step.is_some() {
            return None;
        }
        match ready.assignment.task.mode {
            Mode::Rows => return Some("asked for by the job".into()),
            Mode::Images => return None,
            Mode::Auto if slots == 1 || order.cost < LEAST_SHARED_NS => return None,
            Mode::Auto => {}
        }
        let queued = self.queue.iter().map(|r| r.assignment.order.cost);
        let flying = self.flying.values().map(|f| f.cost);
        let all = order.cost + queued.sum::<f64>() + flying.sum::<f64>();
        let fits = ready.memory.is_none_or(|cap| order.shared_memory <= cap);
        let longest = order.cost > all / slots as f64;
        (fits && longest && order.gains(all, self.world)).then(|| {
            format!(
                "{:.0} % of the work at hand: alone it would outlast the rest",
                100.0 * order.cost / all
            )
        })
    }

    /// Whether the image fits beside those in flight into what all may take.
    fn fits(&self, ready: &Ready) -> bool {
        let Some(bytes) = self.inbox.budget.bytes else {
            return true;
        };
        let used: u64 = self.flying.values().map(|f| f.memory).sum();
        self.flying.is_empty() || used + ready.assignment.order.memory <= bytes
    }

    /// Whether an image for which no thread is free has one more of rank 0: one that is urgent, where no other has it and
    /// nothing there is to be alone.
    fn goes_beside(&self, ready: &Ready) -> bool {
        let task = &ready.assignment.task;
        let taken = |flying: &Flying| flying.rank == 0 && (flying.alone || flying.slots == 0);
        task.urgent && !task.alone && !self.flying.values().any(taken)
    }

    /// Whether the image fits under its job's cap beside the others of that job; those of others are no concern of it.
    fn may(&self, ready: &Ready) -> bool {
        let Some(cap) = ready.memory else {
            return true;
        };
        let job = job_of(&ready.assignment.task.id);
        let all = self.flying.iter().filter(|(id, _)| job_of(id) == job);
        let own: Vec<u64> = all.map(|(_, flying)| flying.memory).collect();
        own.is_empty() || own.iter().sum::<u64>() + ready.assignment.order.memory <= cap
    }

    fn give(&mut self, ready: Ready, rank: usize, slots: usize) {
        let Ready {
            came: _,
            assignment,
            stop,
            memory: _,
        } = ready;
        let id = assignment.task.id.clone();
        self.free[rank] -= slots;
        let flying = Flying {
            rank,
            slots,
            alone: assignment.task.alone,
            memory: assignment.order.memory,
            cost: assignment.order.cost,
        };
        self.flying.insert(id.clone(), flying);
        (self.say)(Answer::Started {
            id,
            mode: Mode::Images,
            ranks: vec![rank],
        });
        match rank {
            0 => self.crew.take(assignment, stop),
            _ => self.send(rank, &Message::Take(Box::new(assignment))),
        }
    }

    fn share(&mut self, ready: Ready) {
        let id = ready.assignment.task.id.clone();
        let size = self.comm.size();
        (self.say)(Answer::Started {
            id: id.clone(),
            mode: Mode::Rows,
            ranks: (0..size).collect(),
        });
        let message = Message::Share(Box::new(ready.assignment));
        let Message::Share(assignment) = &message else {
            unreachable!("it was made above")
        };
        loop {
            (1..size).for_each(|rank| self.send(rank, &message));
            let finished = self.pool.run(self.comm, assignment, ready.stop.clone());
            let Some(finished) = finished else { break };
            // A rank was interrupted for an image before this one.
            if finished.receipt.state == TaskState::Cancelled && !ready.stop.is_set() {
                continue;
            }
            self.finished(id, Box::new(finished));
            break;
        }
        self.pause.reset();
    }
}
