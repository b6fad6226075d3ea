//! One life of a world under `mpirun`, from its start to its death or shutdown.

use super::Lost;
use super::flight::{Death, Flight};
use super::lines::{self, Heard, Way, dead_rank, feed, listen};
use super::mpirun::{Command, Config, Status};
use super::processes::{self, Processes, is_dead, is_stopped};
use super::room::Room;
use protocol::name;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use worker::warm::wire::{Answer, Ask, Rank};

/// How a life ended.
pub enum Over {
    /// As asked; every task was answered.
    Shutdown,
    /// Otherwise. No process of it is left.
    Died {
        /// Tasks without an answer.
        flights: Vec<Flight>,
        /// Why.
        death: Death,
        /// Whether it ended any task.
        useful: bool,
        /// Whether all ranks had come up.
        ready: bool,
    },
}

/// A running world.
pub struct Life {
    config: Config,
    status: Arc<Status>,
    child: Child,
    lines: mpsc::UnboundedSender<String>,
    /// Tells which way lines go.
    ways: mpsc::UnboundedSender<Way>,
    /// Waits for rank 0 to take its line.
    expecting: Option<AbortOnDropHandle<()>>,
    heard: mpsc::UnboundedReceiver<Heard>,
    born: Instant,
    ranks: Vec<Rank>,
    /// When each rank was last heard of.
    last: BTreeMap<usize, Instant>,
    flights: BTreeMap<String, Flight>,
    /// The rank that `mpirun` says died, and its words.
    dead: Option<(usize, String)>,
    /// The last lines that were no answers, for the reason of a world that does not start.
    tail: VecDeque<String>,
    processes: Processes,
    room: Option<Room>,
    useful: bool,
}

impl Life {
    /// Starts `mpirun`.
    pub fn start(config: &Config, status: &Arc<Status>) -> Result<Life, Death> {
        let launcher = &config.launcher;
        let variables = config.environment.iter().map(|(name, _)| name.as_str());
        let variables: Vec<&str> = variables.collect();
        let room = Room::make().inspect_err(|error| {
            tracing::warn!("no folder for the files of Open MPI: {error}");
        });
        let room = room.ok();
        let folder = room.as_ref().map(Room::path);
        let (hear, heard) = mpsc::unbounded_channel();
        let (ways, way) = mpsc::unbounded_channel();
        // Without a line, what is said goes through `mpirun`.
        let (line, expecting) = lines::offer(ways.clone(), hear.clone()).ok().unzip();
        let warm = launcher.warm(config.threads, folder, &variables, line.as_deref());
        let mut command = tokio::process::Command::from(warm);
        command
            .envs(config.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C reaches this process, which ends the ranks in order.
            .process_group(0)
            .kill_on_drop(true);
        let program = launcher.mpirun.display();
        let cannot = |why: String| Death {
            rank: None,
            outside: true,
            reason: format!("cannot start {program}: {why}"),
        };
        let mut child = command.spawn().map_err(|e| cannot(e.to_string()))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            unreachable!("all three are piped")
        };
        tokio::spawn(listen(stdout, hear.clone()));
        tokio::spawn(listen(stderr, hear));
        let (lines, written) = mpsc::unbounded_channel();
        tokio::spawn(feed(stdin, way, written));
        let mut processes = Processes::default();
        child.id().into_iter().for_each(|pid| processes.add(pid));
        Ok(Life {
            config: config.clone(),
            status: status.clone(),
            child,
            lines,
            ways,
            expecting,
            heard,
            born: Instant::now(),
            ranks: Vec::new(),
            last: BTreeMap::new(),
            flights: BTreeMap::new(),
            dead: None,
            tail: VecDeque::new(),
            processes,
            room,
            useful: false,
        })
    }

    /// Serves until the world dies or is to be shut down. Takes what is `waiting` first.
    pub async fn run(
        mut self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        waiting: &mut VecDeque<Flight>,
    ) -> Over {
        let every = (self.config.stall / 4).clamp(Duration::from_millis(10), LOOK);
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for mut flight in waiting.drain(..) {
            flight.asked = Instant::now();
            self.fly(flight);
        }
        let death = loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Submit(task, reply)) => self.fly(Flight::new(task, reply)),
                    Some(Command::Cancel(id)) => self.cancel(&id),
                    Some(Command::Shutdown) | None => return self.close().await,
                },
                Some(heard) = self.heard.recv() => self.hear(heard),
                status = self.child.wait() => break self.autopsy(status.ok()).await,
                _ = tick.tick() => {
                    self.abandon();
                    if let Some(death) = self.hung() {
                        break death;
                    }
                }
            }
        };
        let ready = !self.ranks.is_empty();
        self.bury().await;
        Over::Died {
            flights: std::mem::take(&mut self.flights).into_values().collect(),
            death,
            useful: self.useful,
            ready,
        }
    }

    fn fly(&mut self, flight: Flight) {
        let id = flight.task.id.clone();
        if self.flights.contains_key(&id) {
            let _ = flight.reply.send(Err(Lost::Duplicate(id)));
            return;
        }
        self.ask(&Ask::Task {
            task: flight.task.clone(),
        });
        self.flights.insert(id, flight);
    }

    fn cancel(&mut self, id: &str) {
        if let Some(flight) = self.flights.get_mut(id)
            && flight.cancelled.is_none()
        {
            flight.cancelled = Some(Instant::now());
            let shared = flight.is_shared();
            self.ask(&Ask::Cancel { id: id.into() });
            if shared {
                self.interrupt();
            }
        }
    }

    /// Ranks that compute rows hear no message; `mpirun` passes this signal on to all of them, and rank 0,
    /// which knows what was cancelled, goes on with what was not.
    fn interrupt(&self) {
        let pid = self.child.id().and_then(processes::pid_of);
        if let Some(pid) = pid.filter(|_| !self.ranks.is_empty()) {
            // It may end at any time.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::USR1);
        }
    }

    /// Cancels tasks that nobody waits for any more.
    fn abandon(&mut self) {
        let gone: Vec<String> = (self.flights.iter())
            .filter(|(_, flight)| flight.reply.is_closed())
            .map(|(id, _)| id.clone())
            .collect();
        gone.iter().for_each(|id| self.cancel(id));
        // The signal may have come to a rank before the image did.
        let shared = |flight: &&Flight| flight.cancelled.is_some() && flight.is_shared();
        if self.flights.values().any(|flight| shared(&flight)) {
            self.interrupt();
        }
    }

    fn ask(&self, ask: &Ask) {
        match serde_json::to_string(ask) {
            // A world that no longer reads is about to be found dead.
            Ok(line) => drop(self.lines.send(line)),
            Err(error) => unreachable!("plain data: {error}"),
        }
    }

    fn hear(&mut self, heard: Heard) {
        let answer = match heard {
            Heard::Answer(answer) => *answer,
            Heard::Text(text) => return self.note(text),
        };
        let now = Instant::now();
        match answer {
            Answer::Alive { rank, .. } => {
                self.last.insert(rank, now);
                return;
            }
            Answer::Ready { ranks } => self.come_up(ranks),
            Answer::Started { id, ranks, .. } => {
                if let Some(flight) = self.flights.get_mut(&id) {
                    flight.started = Some((now, ranks));
                    if flight.cancelled.is_some() && flight.is_shared() {
                        self.interrupt();
                    }
                }
            }
            Answer::Finished { id, finished } => {
                self.useful = true;
                self.status.times.add(&finished);
                if let Some(flight) = self.flights.remove(&id) {
                    // Who asked may have gone.
                    let _ = flight.reply.send(Ok(*finished));
                }
            }
            Answer::Progress { .. } => {}
            Answer::Unreadable { reason } => {
                tracing::error!("rank 0 could not read a line: {reason}");
            }
        }
        self.last.insert(0, now);
    }

    fn come_up(&mut self, ranks: Vec<Rank>) {
        // Rank 0 has its line by now, or never will.
        self.expecting = None;
        let _ = self.ways.send(Way::Input);
        let here: Vec<u32> = local(&ranks).map(|rank| rank.pid).collect();
        here.iter().for_each(|&pid| self.processes.add(pid));
        self.processes.add_descendants();
        self.status.alive.store(ranks.len(), Ordering::Release);
        *self.pids() = here;
        self.ranks = ranks;
    }

    fn pids(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        let pids = self.status.pids.lock();
        pids.unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&mut self, text: String) {
        if self.dead.is_none()
            && let Some(rank) = dead_rank(&text)
        {
            self.dead = Some((rank, text.trim().to_owned()));
        }
        tracing::debug!(target: "dispatcher::ranks", "{text}");
        let rule = text.chars().all(|c| matches!(c, '-' | ' '));
        if !rule {
            self.tail.push_back(text);
        }
        if self.tail.len() > 12 {
            self.tail.pop_front();
        }
    }

    /// Why `mpirun` ended, from what it still has to say.
    async fn autopsy(&mut self, status: Option<ExitStatus>) -> Death {
        self.expecting = None;
        let end = tokio::time::sleep(Duration::from_millis(500));
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                heard = self.heard.recv() => match heard {
                    Some(heard) => self.hear(heard),
                    None => break,
                },
            }
        }
        // With these codes it ends when a signal asks it to, the second where a rank, to which it passes the signal
        // on, is quicker; a rank that died by itself would have been named.
        let told = status
            .is_some_and(|s| s.signal().is_some() || matches!(s.code(), Some(1 | TERMINATED)));
        let status = status.map_or("mpirun ended".into(), |s| match s.signal() {
            Some(signal) => format!("mpirun was killed by signal {signal}"),
            None => format!("mpirun ended with {s}"),
        });
        match self.dead.take() {
            Some((rank, words)) => Death {
                reason: format!("rank {rank} died{}: {words}", self.tasks_of(rank)),
                rank: Some(rank),
                outside: false,
            },
            None if self.ranks.is_empty() => Death {
                rank: None,
                outside: true,
                reason: format!(
                    "the ranks did not start: {status}: {}",
                    Vec::from(self.tail.clone()).join(" ")
                ),
            },
            None => Death {
                rank: None,
                outside: told,
                reason: status,
            },
        }
    }

    /// Which tasks a rank was working on, in words.
    fn tasks_of(&self, rank: usize) -> String {
        let on: Vec<&str> = (self.flights.values())
            .filter(|f| f.is_on(rank))
            .map(|f| f.task.input.as_str())
            .collect();
        match on[..] {
            [] => " without a task".into(),
            _ => format!(" while working on {}", on.join(", ")),
        }
    }

    /// Whether the world hangs, and which rank of it.
    fn hung(&self) -> Option<Death> {
        let now = Instant::now();
        let stall = self.config.stall;
        let outside = |reason: String| Death {
            rank: None,
            outside: true,
            reason,
        };
        if self.ranks.is_empty() {
            let late = now - self.born > self.config.patience.max(stall);
            return late.then(|| outside("the ranks did not come up".into()));
        }
        let hang = |rank: usize, how: &str| Death {
            rank: Some(rank),
            outside: false,
            reason: format!("rank {rank} {how}{}", self.tasks_of(rank)),
        };
        let silent = |rank: usize| {
            let since = match rank {
                0 => self.flights.values().map(|f| f.asked).min(),
                _ => (self.flights.values())
                    .filter(|f| f.is_on(rank))
                    .filter_map(|f| f.started.as_ref().map(|s| s.0))
                    .min(),
            };
            let last = self.last.get(&rank).copied();
            since.is_some_and(|since| now - last.map_or(since, |last| last.max(since)) > stall)
        };
        let silent: Vec<usize> = (0..self.ranks.len()).filter(|&r| silent(r)).collect();
        if let Some(&first) = silent.first() {
            if self.child.id().is_some_and(is_stopped) {
                return Some(outside("mpirun was stopped by a signal".into()));
            }
            // The death of one lets mpirun end the others, and it has not come to say which it was.
            let dead: Vec<usize> = local(&self.ranks)
                .filter(|r| is_dead(r.pid))
                .map(|r| r.rank)
                .collect();
            if let [_, _, ..] = dead[..] {
                return Some(Death {
                    rank: None,
                    outside: false,
                    reason: "several ranks are dead, and mpirun does not end".into(),
                });
            }
            if let [rank] = dead[..] {
                return Some(hang(rank, "is dead, and mpirun does not end,"));
            }
            // With several silent ones, one that a signal stopped is the cause.
            let stopped =
                local(&self.ranks).find(|r| silent.contains(&r.rank) && is_stopped(r.pid));
            let rank = stopped.map_or(first, |r| r.rank);
            let how = format!("was not heard of for {} s", stall.as_secs_f64());
            return Some(hang(rank, &how));
        }
        let overdue = self.flights.values().find(|f| f.overdue(now, stall))?;
        let rank = overdue.started.as_ref()?.1.first().copied()?;
        Some(hang(rank, "did not heed a time limit or a cancel"))
    }

    /// Ends every process, and clears what they left behind.
    async fn bury(&mut self) {
        self.status.alive.store(0, Ordering::Release);
        self.pids().clear();
        let limit = self.config.patience;
        let (mut processes, child) = (self.processes.clone(), self.child.id());
        let ended = tokio::task::spawn_blocking(move || (processes.end(child, limit), processes));
        match ended.await {
            Ok((0, processes)) => self.processes = processes,
            Ok((left, _)) => {
                tracing::error!("{left} processes of a dead world could not be killed");
            }
            Err(error) => tracing::error!("cannot end a dead world: {error}"),
        }
        if let Err(error) = self.child.wait().await {
            tracing::error!("cannot reap mpirun: {error}");
        }
        self.processes = Processes::default();
        self.sweep();
    }

    /// Removes temporary files that killed ranks left beside the outputs of their tasks.
    fn sweep(&self) {
        let outputs = (self.flights.values()).map(|flight| name::to_path(&flight.task.output));
        let folders: BTreeSet<_> = outputs
            .filter_map(|path| path.parent().map(ToOwned::to_owned))
            .collect();
        folders.iter().for_each(|folder| {
            worker::leftovers::sweep(folder);
        });
    }

    /// Ends the world in order, or else by force.
    async fn close(mut self) -> Over {
        self.processes.add_descendants();
        self.expecting = None;
        // The input closes with the last sender.
        self.lines = mpsc::unbounded_channel().0;
        let ended = tokio::time::timeout(self.config.patience, async {
            // Reading on, so that no rank is held up by a full pipe.
            while self.heard.recv().await.is_some() {}
            self.child.wait().await
        });
        if ended.await.is_err() {
            tracing::warn!("the ranks did not end in time and are killed");
        }
        self.bury().await;
        for flight in std::mem::take(&mut self.flights).into_values() {
            let _ = flight.reply.send(Err(Lost::Shutdown));
        }
        Over::Shutdown
    }
}

impl Drop for Life {
    /// Without a burial, as when the runtime ends: nothing may be left all the same.
    fn drop(&mut self) {
        let mut processes = std::mem::take(&mut self.processes);
        let (limit, room) = (self.config.patience, self.room.take());
        if processes.ids().next().is_some() {
            std::thread::spawn(move || {
                processes.end(None, limit);
                drop(room);
            });
        }
    }
}

/// The code of a process that SIGTERM ended.
const TERMINATED: i32 = 143;

/// How often tasks and ranks are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Those ranks that are processes of this machine.
fn local(ranks: &[Rank]) -> impl Iterator<Item = &Rank> {
    let here = worker::settings::node_name();
    ranks.iter().filter(move |rank| rank.node == here)
}
