//! `serve`: a world that stays warm and is fed with lines of JSON (see [`worker::warm`]).

use crate::comm::Mpi;
use imaging::comm::Comm;
use imaging::executor::Stop;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
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

/// Serves until standard input ends. `line`: where rank 0 is expected to take tasks and to answer, if it runs on the
/// machine of who started it; else standard input and output do.
pub fn run(comm: &Mpi, threads: usize, line: Option<&String>, stop: &Stop) -> u8 {
    let world = World {
        ranks: comm.size(),
        threads,
        processes: true,
    };
    let budget = std::env::var(warm::BUDGET).unwrap_or_default();
    let (entry, inbox) = warm::open(world, warm::Budget::from_text(&budget));
    interrupt_on_signal(entry.clone());
    let out = match comm.rank() {
        0 => Out::of(line.and_then(|name| warm::connect(name))),
        _ => Out::Error,
    };
    let out = Arc::new(out);
    if comm.rank() == 0 {
        if let Out::Line(stream) = &*out
            && let Ok(asked) = stream.try_clone()
        {
            let (entry, out) = (entry.clone(), out.clone());
            std::thread::spawn(move || read(&entry, BufReader::new(asked), &out));
        }
        let out = out.clone();
        std::thread::spawn(move || {
            read(&entry, std::io::stdin().lock(), &out);
            entry.close();
            // Ends with the process, unless a rank hangs: mpirun then ends all.
            leave_after(CLOSING);
        });
    }
    leave_on(stop.clone());
    let say = |answer| out.write(&answer);
    match warm::serve(comm, threads, inbox, stop, &say) {
        End::Closed => 0,
        // The others wait for this rank, or are dead: without an orderly end mpirun ends them all.
        End::Stopped => std::process::exit(TERMINATED),
    }
}

/// `mpirun` passes SIGUSR1 on to all ranks: somebody wants an image to end whose rows they share.
fn interrupt_on_signal(entry: Entry) {
    if let Ok(mut signals) = signal_hook::iterator::Signals::new([signal_hook::consts::SIGUSR1]) {
        std::thread::spawn(move || signals.forever().for_each(|_| entry.interrupt()));
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
        leave_after(CLEANING);
    });
}

const LOOK: Duration = Duration::from_millis(200);
const CLEANING: Duration = Duration::from_millis(200);
/// How long ranks may take to end in order once nobody asks for anything any more.
const CLOSING: Duration = Duration::from_secs(3);

fn leave_after(time: Duration) {
    std::thread::sleep(time);
    worker::atomic::discard_pending();
    std::process::exit(TERMINATED);
}

/// Takes what is asked until there is no more.
fn read(entry: &Entry, from: impl BufRead, out: &Out) {
    for line in from.lines() {
        let Ok(line) = line else { break };
        match serde_json::from_str::<Ask>(&line) {
            Ok(ask) => entry.ask(ask),
            Err(error) => {
                let reason = error.to_string();
                out.write(&Answer::Unreadable { reason });
            }
        }
    }
}

/// Where a rank's answers go.
enum Out {
    /// Rank 0's, to who started the world on this machine.
    Line(UnixStream),
    /// Rank 0's else.
    Output,
    /// Those of other ranks.
    Error,
}

impl Out {
    fn of(line: Option<UnixStream>) -> Out {
        line.map_or(Out::Output, Out::Line)
    }

    /// Writes a line at once, so that no other's comes in between.
    fn write(&self, answer: &Answer) {
        let Ok(mut text) = serde_json::to_vec(answer) else {
            return;
        };
        text.push(b'\n');
        // A reader that went away is no reason to fail.
        let _ = match self {
            Out::Line(stream) => {
                let _one = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
                (&*stream).write_all(&text)
            }
            Out::Output => write(&text, &mut std::io::stdout().lock()),
            Out::Error => write(&text, &mut std::io::stderr().lock()),
        };
    }
}

/// Held while a line is written to the stream.
static WRITING: Mutex<()> = Mutex::new(());

fn write(text: &[u8], out: &mut dyn Write) -> std::io::Result<()> {
    out.write_all(text).and_then(|()| out.flush())
}
