//! Real services for tests, on free ports of the loopback interface with their files in a temporary
//! directory. Nothing is left behind: each is stopped when its value is dropped, and a guard stops
//! it when the test's process dies first.

mod answers;
mod multipart;
pub mod objects;
mod rabbitmq;
mod redis;
pub mod signatures;
mod weather;

pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use weather::Weather;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a command in a process group of its own, and kills the group when standard input ends: when the
/// handle is dropped, or when the process that held it is gone.
const GUARD: &str = r#""$@" </dev/null & read -r _; kill -KILL 0"#;

/// Finds a program in `PATH` and the places that only an administrator's `PATH` names.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// Whether a service's test should run; says why not on standard error. With `SUNDOG_TEST_SERVICES=required`
/// a missing service is an error instead.
///
/// # Panics
/// When the service is missing and required.
pub fn available(program: Option<PathBuf>, name: &str) -> bool {
    if program.is_some() {
        return true;
    }
    let message = format!("{name} is not installed (hint: scripts/setup --services)");
    let required = std::env::var_os("SUNDOG_TEST_SERVICES").is_some_and(|v| v == "required");
    assert!(!required, "{message}");
    eprintln!("SKIPPED: {message}");
    false
}

/// Different ports that nothing listens on.
pub(crate) fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        // All are held until all are known, so that they differ.
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// A program with its children, killed when dropped.
#[derive(Debug)]
pub(crate) struct Service {
    guard: Child,
}

impl Service {
    /// Starts `command` under the guard; both streams go to `log`.
    pub(crate) fn start(command: &Command, log: &Path) -> io::Result<Service> {
        use std::os::unix::process::CommandExt as _;
        let output = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)?;
        let mut guard = Command::new("/bin/sh");
        guard
            .args(["-c", GUARD, "guard"])
            .arg(command.get_program())
            .args(command.get_args())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guard.env(name, value),
                None => guard.env_remove(name),
            };
        }
        Ok(Service {
            guard: guard.spawn()?,
        })
    }
}

impl Service {
    /// Stops the program and its children where they are; their guard stays awake.
    pub(crate) fn pause(&self) -> io::Result<()> {
        self.signal(rustix::process::Signal::STOP)?;
        rustix::process::kill_process(self.group()?, rustix::process::Signal::CONT)?;
        Ok(())
    }

    /// Lets them go on.
    pub(crate) fn unpause(&self) -> io::Result<()> {
        self.signal(rustix::process::Signal::CONT)
    }

    fn signal(&self, signal: rustix::process::Signal) -> io::Result<()> {
        Ok(rustix::process::kill_process_group(self.group()?, signal)?)
    }

    fn group(&self) -> io::Result<rustix::process::Pid> {
        let id = i32::try_from(self.guard.id()).ok();
        let id = id.and_then(rustix::process::Pid::from_raw);
        id.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Waits until nothing listens on a port, so that a service can be started on it again.
pub(crate) fn wait_closed(port: u16) {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end && TcpStream::connect(("127.0.0.1", port)).is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks `ready` until it says yes.
pub(crate) fn wait_until(
    what: &str,
    log: &Path,
    limit: Duration,
    mut ready: impl FnMut() -> bool,
) -> io::Result<()> {
    let end = Instant::now() + limit;
    while !ready() {
        if Instant::now() > end {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(20)..].join("\n");
            return Err(io::Error::other(format!("{what} did not start:\n{tail}")));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    Ok(())
}
