//! A program of Sundog as a process that can be killed, stopped and asked to end.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process. It ends when this is dropped, and when the process that holds it dies.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program from the directory of this one; both streams go to `log`.
    pub fn start(
        name: &str,
        arguments: &[&str],
        environment: &[(String, String)],
        log: &Path,
    ) -> io::Result<Program> {
        let program = find(name)?;
        let file = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["SUNDOG_", "AWS_", "GOOGLE_"]
                .iter()
                .any(|p| name.starts_with(p))
            {
                command.env_remove(&*name);
            }
        }
        command.envs(environment.iter().map(|(k, v)| (k, v)));
        Ok(Program {
            child: command.spawn()?,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map_or_else(
            |error| error.to_string(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match Pid::from_raw(self.child.id() as i32) {
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Asks it to end and waits for that.
    pub fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::CONT)?;
        self.signal(Signal::TERM)?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill()?;
        Err(io::Error::other(format!(
            "{} did not end within {PATIENCE:?}",
            self.log.display()
        )))
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Whoever cares for how it ends calls `end`.
        let _ = self.end();
    }
}

/// A program beside this one, or one directory above as for tests.
pub fn find(name: &str) -> io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let found = this.ancestors().skip(1).take(2).map(|dir| dir.join(name));
    found.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("{name} is not built (hint: cargo build --workspace --features sundog-worker/mpi)"),
        )
    })
}
