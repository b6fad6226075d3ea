//! `serve`: a world that stays warm and is fed with lines of JSON (see [`worker::warm`]).

use crate::comm::Mpi;
use imaging::comm::Comm;
use imaging::executor::Stop;
use std::io::BufRead;
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
    let inbox = (comm.rank() == 0).then(|| {
        let (entry, inbox) = warm::open(world);
        std::thread::spawn(move || read(&entry));
        inbox
    });
    let say: fn(Answer) = match comm.rank() {
        0 => |answer| write(&answer, crate::say),
        _ => |answer| write(&answer, crate::complain),
    };
    match warm::serve(comm, threads, inbox, stop, &say) {
        End::Closed => 0,
        // The others wait for this rank: without an orderly end mpirun ends them all.
        End::Stopped => std::process::exit(143),
    }
}

fn read(entry: &Entry) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        match serde_json::from_str::<Ask>(&line) {
            Ok(ask) => entry.ask(ask),
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
