//! `serve`: a world that stays warm and is fed with lines of JSON (see [`worker::warm`]).

use crate::comm::Mpi;
use imaging::comm::Comm;
use imaging::executor::Stop;
use std::io::BufRead;
use std::time::Duration;
use worker::planner::World;
use worker::warm::wire::{Answer, Ask};
use worker::warm::{self, End, Entry};

/// A rank does not outlive the process that started it.
pub fn die_with_parent() {
    use rustix::process::{Signal, set_parent_process_death_signal};
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        crate::complain(&format!(
            "cannot ask for the parent's death signal: {error}"
        ));
    }
}

/// Serves until standard input ends.
pub fn run(comm: &Mpi, threads: usize, stop: &Stop) -> u8 {
    let world = World {
        ranks: comm.size(),
        threads,
        processes: true,
    };
    let (entry, inbox) = warm::open(world);
    let first = comm.rank() == 0;
    std::thread::spawn(move || read(&entry, first));
    leave_on(stop.clone());
    let say: fn(Answer) = match comm.rank() {
        0 => |answer| write(&answer, crate::say),
        _ => |answer| write(&answer, crate::complain),
    };
    match warm::serve(comm, threads, inbox, stop, &say) {
        End::Closed => 0,
        // The others wait for this rank, or are dead: without an orderly end mpirun ends them all.
        End::Stopped => std::process::exit(TERMINATED),
    }
}

/// The code of a process that SIGTERM ended.
const TERMINATED: i32 = 143;

/// Ends a rank that was told to stop but waits for another rank that is dead, after a time for cleaning up.
fn leave_on(stop: Stop) {
    std::thread::spawn(move || {
        // Seldom enough not to be seen among the idle costs.
        while !stop.is_set() {
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(CLEANING);
        std::process::exit(TERMINATED);
    });
}

const LOOK: Duration = Duration::from_millis(200);
const CLEANING: Duration = Duration::from_millis(200);

fn read(entry: &Entry, first: bool) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        match serde_json::from_str::<Ask>(&line) {
            Ok(ask) if first => entry.ask(ask),
            Ok(ask) => entry.overhear(&ask),
            Err(_) if !first => {}
            Err(error) => {
                let reason = error.to_string();
                write(&Answer::Unreadable { reason }, crate::say);
            }
        }
    }
    entry.close();
}

fn write(answer: &Answer, out: fn(&str)) {
    if let Ok(text) = serde_json::to_string(answer) {
        out(&text);
    }
}
