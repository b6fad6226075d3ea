//! Starting a world of ranks with `mpirun` and talking to its rank 0.
//!
//! The request goes to rank 0's standard input as one line of JSON, and the input stays open: when it
//! closes, because the caller wants to stop or has died, the ranks stop and clean up. Rank 0 answers
//! with lines of JSON, each a [`Line`].

use crate::batch::{Outcome, Request};
use crate::bench;
use imaging::Error;
use protocol::event::Event;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// What rank 0 is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Run a batch with this many threads per rank.
    Batch(Box<Request>, usize),
    /// Time a pipeline.
    Bench(bench::Request),
}

/// What rank 0 answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Line {
    /// Something happened.
    Event(Event),
    /// The batch is over.
    Outcome(Outcome),
    /// The figures.
    Bench(bench::Report),
    /// It could not be done; `usage` says whether the request was wrong.
    Error {
        /// What went wrong.
        message: String,
        /// Whether the request itself was wrong.
        usage: bool,
    },
}

impl Line {
    /// The line for an error.
    pub fn error(error: &Error) -> Line {
        Line::Error {
            message: error.to_string(),
            usage: matches!(error, Error::Pipeline(_)),
        }
    }
}

/// How to start ranks.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The `mpirun` program.
    pub mpirun: PathBuf,
    /// Number of ranks.
    pub ranks: usize,
    /// Hosts to start them on; `None`: this one.
    pub hostfile: Option<PathBuf>,
    /// The worker program.
    pub worker: PathBuf,
}

/// A running world.
pub struct World {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Launcher {
    /// A launcher with `mpirun` from the path and the worker beside the running program or in the path.
    pub fn find(
        mpirun: Option<PathBuf>,
        ranks: usize,
        hostfile: Option<PathBuf>,
    ) -> Result<Launcher, Error> {
        let mpirun = match mpirun {
            Some(path) => path,
            None => in_path("mpirun").ok_or_else(|| {
                Error::Io(
                    "mpirun was not found (install Open MPI, name it with --mpirun, or use --thread-ranks, which needs no MPI)"
                        .into(),
                )
            })?,
        };
        let worker = worker_program()?;
        Ok(Launcher {
            mpirun,
            ranks,
            hostfile,
            worker,
        })
    }

    /// The command line, with the arguments of the worker.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.worker_with(&["--quiet".into()], arguments)
    }

    /// The command line of a world that stays warm: the threads of each rank, a folder for Open MPI's
    /// own files on this machine, the names of variables that ranks on other machines get too, and the name of the
    /// socket where rank 0 is expected if it runs here. `mpirun` says which rank died.
    pub fn warm(
        &self,
        threads: usize,
        folder: Option<&Path>,
        variables: &[&str],
        line: Option<&str>,
    ) -> Command {
        // After a death it would wait for a second before it ends the others; nothing of theirs is needed.
        let mut options: Vec<OsString> = ["--mca", "odls_base_sigkill_timeout", "0"]
            .map(OsString::from)
            .into();
        for setting in ["orte_tmpdir_base", "btl_vader_backing_directory"] {
            // Other machines have no such folder.
            if let (Some(folder), None) = (folder, &self.hostfile) {
                options.extend(["--mca".into(), setting.into(), folder.into()]);
            }
        }
        for name in variables {
            options.extend(["-x".into(), name.into()]);
        }
        let threads = threads.to_string();
        let mut arguments = vec!["serve", "--threads", &threads];
        arguments.extend(line.into_iter().flat_map(|name| ["--line", name]));
        let mut command = self.worker_with(&options, &arguments);
        if let (Some(folder), Some(_)) = (folder, &self.hostfile) {
            // Open MPI has a setting for this machine alone, but its ranks then refuse to start. They keep no
            // temporary files of their own there.
            command.env("TMPDIR", folder);
        }
        command
    }

    fn worker_with(&self, options: &[OsString], arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.mpirun);
        command.arg("-n").arg(self.ranks.to_string());
        // Two ranks would be bound to a core each, with all their threads.
        command.args(["--bind-to", "none", "--oversubscribe"]);
        command.args(options);
        if let Some(hostfile) = &self.hostfile {
            command.arg("--hostfile").arg(hostfile);
        }
        command.arg(&self.worker).args(arguments);
        // Ranks decode what anybody may have made, and talk to no service.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_secret) {
                command.env_remove(name);
            }
        }
        // Open MPI refuses to run as root without these; in containers that is the usual user.
        command
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command
    }

    /// Starts the ranks and asks them.
    pub fn start(&self, ask: &Ask) -> Result<World, Error> {
        use std::os::unix::process::CommandExt as _;
        let mut command = self.command(&["serve-one"]);
        // A group of its own: Ctrl-C reaches this program, which ends the ranks in order.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            Error::Io(format!("cannot start {}: {error}", self.mpirun.display()))
        })?;
        let mut stdin = child.stdin.take();
        let mut text = serde_json::to_vec(ask).map_err(|error| Error::Io(error.to_string()))?;
        text.push(b'\n');
        if let Some(stdin) = &mut stdin {
            stdin.write_all(&text)?;
            stdin.flush()?;
        }
        Ok(World { child, stdin })
    }
}

impl World {
    /// Calls `line` for each answer until the world ends. `stopped` is asked now and then; once it is
    /// true the ranks are told to stop.
    pub fn follow(
        mut self,
        stopped: &dyn Fn() -> bool,
        line: &mut dyn FnMut(Line),
    ) -> Result<(), Error> {
        let Some(stdout) = self.child.stdout.take() else {
            unreachable!("standard output is piped")
        };
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(io::Result::ok) {
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        loop {
            match lines.recv_timeout(std::time::Duration::from_millis(50)) {
                Ok(text) => match serde_json::from_str(&text) {
                    Ok(parsed) => line(parsed),
                    // Something that a library printed.
                    Err(_) => eprint_line(&text),
                },
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if stopped() {
                self.stdin = None;
            }
        }
        self.stdin = None;
        let status = self.child.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::Io(format!(
                "mpirun ended with {status}: a rank died or could not be started"
            ))),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stdin = None;
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn eprint_line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether a variable may hold what lets somebody into a service, or lead to it.
fn is_secret(name: &str) -> bool {
    const OWN: [&str; 5] = ["BROKER", "REDIS", "TOKEN", "TOKENS", "LINK_SECRET"];
    let own = name.strip_prefix("SUNDOG_");
    let own = own.map(|rest| rest.strip_suffix("_FILE").unwrap_or(rest));
    own.is_some_and(|rest| OWN.contains(&rest))
        || ["AWS_", "GOOGLE_"].iter().any(|p| name.starts_with(p))
}

/// The worker beside the running program or in the path.
pub fn worker_program() -> Result<PathBuf, Error> {
    let beside = std::env::current_exe()
        .ok()
        .map(|exe| exe.with_file_name("sundog-worker"));
    beside.filter(|path| path.is_file()).or_else(|| in_path("sundog-worker")).ok_or_else(|| {
        Error::Io(
            "sundog-worker was not found beside this program nor in PATH (build it: cargo build --release -p sundog-worker --features mpi)"
                .into(),
        )
    })
}

/// The first executable file of that name in PATH.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path: OsString = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

/// Whether there is a file that may be executed.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn secrets_are_told_from_settings() {
        for name in [
            "SUNDOG_BROKER",
            "SUNDOG_REDIS_FILE",
            "SUNDOG_TOKEN",
            "SUNDOG_LINK_SECRET_FILE",
            "AWS_SECRET_ACCESS_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "SUNDOG_SIMD",
            "SUNDOG_THREADS",
            "PATH",
            "OMPI_MCA_btl",
            "SUNDOG_STALL",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
