//! How a dispatcher is set up, as flags and variables of the environment.

use crate::error::{Error, Result};
use crate::keep::Keep;
use crate::service::Config;
use crate::world::{self, Mpirun, Threads, World};
use cloud::store::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use worker::mpirun::Launcher;
use worker::warm::{BUDGET, Budget};

/// Flags of the dispatcher.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Name of this node in receipts, events and `sundog nodes` [default: the host's name and the process id]
    #[arg(long, env = "SUNDOG_NODE", value_name = "NAME")]
    pub node: Option<String>,
    /// Ranks of a warm mpirun; 0: threads of this process
    #[arg(long, env = "SUNDOG_RANKS", value_name = "N", default_value_t = 0)]
    pub ranks: usize,
    /// Threads of each rank [default: the cores, shared by the ranks of all workers of this process]
    #[arg(long, env = "SUNDOG_THREADS", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub threads: Option<u64>,
    /// Hosts of the ranks, in mpirun's form
    #[arg(long, env = "SUNDOG_HOSTFILE", value_name = "FILE")]
    pub hostfile: Option<PathBuf>,
    /// The mpirun to use
    #[arg(
        long,
        env = "SUNDOG_MPIRUN",
        value_name = "PATH",
        default_value = "mpirun"
    )]
    pub mpirun: PathBuf,
    /// Tasks being fetched and computed at once, so that fetching hides behind computing; as many, but 16 at most, may
    /// wait for the store besides. Fewer share long tasks better among nodes [default: two for each thread]
    #[arg(long, env = "SUNDOG_SLOTS", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub slots: Option<u64>,
    /// What all images that are computed at once may take, whosever they are, such as 6GiB, shared by all workers of this
    /// process; one that needs more alone is refused [default: three quarters of this machine's memory, and one that needs
    /// more runs alone]
    #[arg(long = "node-memory", env = "SUNDOG_NODE_MEMORY", value_name = "SIZE", value_parser = size)]
    pub memory: Option<u64>,
    /// Directory for temporary files, on all hosts [default: beside a local store, else the system's]
    #[arg(long, env = "SUNDOG_SCRATCH", value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Seconds that work in hand may go on after SIGTERM; then it is handed back
    #[arg(long, env = "SUNDOG_DRAIN", value_name = "SECS", default_value_t = 60)]
    pub drain: u64,
    /// Seconds that a broker is waited for that does not answer at the start; then the exit status is 4
    #[arg(long, env = "SUNDOG_WAIT", value_name = "SECS", default_value_t = 120)]
    pub wait: u64,
    /// Seconds without a sign of life after which a rank counts as hung
    #[arg(long, env = "SUNDOG_STALL", value_name = "SECS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub stall: u64,
    /// Try out policies: this node says that its load is this, from 0 to 1, and delays that share of its tasks
    #[arg(long, value_name = "LOAD", value_parser = share)]
    pub simulate_load: Option<f64>,
    /// How long such a task is delayed, such as 3s or 500ms
    #[arg(long, value_name = "TIME", value_parser = time, requires = "simulate_load")]
    pub simulate_delay: Option<Duration>,
    /// Days after its end that a job is kept with its outputs and receipts; 0: until somebody deletes it
    #[arg(long, env = "SUNDOG_KEEP_JOBS", value_name = "DAYS", default_value = "30", value_parser = days)]
    pub keep_jobs: Kept,
    /// Days after its last file that an upload is kept that no job names; 0: until somebody deletes it
    #[arg(long, env = "SUNDOG_KEEP_UPLOADS", value_name = "DAYS", default_value = "1", value_parser = days)]
    pub keep_uploads: Kept,
    /// Address for `/metrics`, as 127.0.0.1:9464; off loopback whoever asks needs a token of SUNDOG_TOKENS
    /// [default: none]
    #[arg(long, env = "SUNDOG_METRICS_LISTEN", value_name = "ADDR")]
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// Workers of this process that share its cores and its memory.
    #[arg(skip = 1usize)]
    pub sharing: usize,
}

impl Settings {
    /// The settings where nothing is set.
    pub fn none() -> Settings {
        Settings {
            node: None,
            ranks: 0,
            threads: None,
            hostfile: None,
            mpirun: "mpirun".into(),
            slots: None,
            memory: None,
            scratch: None,
            drain: 60,
            wait: 120,
            stall: 60,
            simulate_load: None,
            simulate_delay: None,
            keep_jobs: Kept(Keep::default().jobs),
            keep_uploads: Kept(Keep::default().uploads),
            metrics_listen: None,
            sharing: 1,
        }
    }

    /// The same for one of so many workers of this process.
    pub fn shared(&self, workers: usize) -> Settings {
        Settings {
            sharing: workers.max(1),
            ..self.clone()
        }
    }

    /// Threads of each rank.
    pub fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        match self.threads {
            Some(threads) => threads as usize,
            None => (cores / self.ranks.max(1) / self.sharing.max(1)).max(1),
        }
    }

    /// What tasks run on, for people.
    pub fn on(&self) -> String {
        let (n, of) = match self.ranks {
            0 => (self.threads(), "thread"),
            ranks => (ranks, "rank"),
        };
        let plural = if n == 1 { "" } else { "s" };
        let world = if self.ranks == 0 { "" } else { " of mpirun" };
        format!("{n} {of}{plural}{world}")
    }

    /// How the dispatcher works, with a store that is open.
    pub fn config(&self, cloud: cloud::config::Config, store: &Store) -> Config {
        let node = self.node.clone();
        let node = node.unwrap_or_else(|| {
            let host = worker::settings::node_name();
            let fit = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let host: String = host.chars().filter(|c| fit(*c)).take(60).collect();
            format!("{host}-{}", std::process::id())
        });
        let threads = self.threads() * self.ranks.max(1);
        Config {
            cloud,
            scratch: self
                .scratch
                .clone()
                .or_else(|| store.scratch())
                .unwrap_or_else(std::env::temp_dir),
            drain: Duration::from_secs(self.drain),
            wait: Duration::from_secs(self.wait),
            simulate_load: self.simulate_load,
            simulate_delay: self.simulate_delay.unwrap_or_default(),
            keep: Keep {
                jobs: self.keep_jobs.0,
                uploads: self.keep_uploads.0,
            },
            slots: self.slots.map_or(2 * threads, |slots| slots as usize),
            ..Config::new(&node)
        }
    }

    /// What all images of its world may take.
    fn budget(&self) -> Budget {
        let bytes = self.memory.or_else(|| Some(machine_memory()? / 4 * 3));
        Budget {
            bytes: bytes.map(|bytes| bytes / self.sharing.max(1) as u64),
            refuses: self.memory.is_some(),
        }
    }

    /// Starts the ranks; call it within a Tokio runtime. `worker` is the program `sundog-worker`, looked for
    /// beside this one where it is not given.
    pub fn world(&self, worker: Option<&Path>) -> Result<Arc<dyn World>> {
        if self.ranks == 0 {
            return Ok(Arc::new(Threads::within(self.threads(), self.budget())));
        }
        let worker = match worker {
            Some(worker) => worker.to_owned(),
            None => beside("sundog-worker")?,
        };
        let launcher = Launcher {
            mpirun: self.mpirun.clone(),
            ranks: self.ranks,
            hostfile: self.hostfile.clone(),
            worker,
        };
        let mut config = world::mpirun::Config::new(launcher);
        config.threads = self.threads();
        config.stall = Duration::from_secs(self.stall);
        let budget = self.budget().to_text();
        let budget = budget.map(|text| (BUDGET.to_owned(), text));
        config.environment.extend(budget);
        Ok(Arc::new(Mpirun::start(config)))
    }
}

/// How long something is kept; None: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept(pub Option<Duration>);

fn days(text: &str) -> std::result::Result<Kept, String> {
    let days = text.parse::<f64>().ok().filter(|days| *days >= 0.0);
    let time = days.and_then(|days| Duration::try_from_secs_f64(days * 86_400.0).ok());
    let time = time.ok_or_else(|| "it is a number of days, such as 30 or 0.5".to_owned())?;
    Ok(Kept((!time.is_zero()).then_some(time)))
}

fn share(text: &str) -> std::result::Result<f64, String> {
    let load = text.parse().ok().filter(|load| (0.0..=1.0).contains(load));
    load.ok_or_else(|| "a load is from 0 to 1".into())
}

fn size(text: &str) -> std::result::Result<u64, String> {
    let size: std::result::Result<protocol::Size, _> = text.parse();
    match size {
        Ok(size) if size.0 > 0 => Ok(size.0),
        Ok(_) => Err("there is no image without memory".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// The bytes that this process may have: the machine's, or its control group's.
fn machine_memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let limits = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limits = limits
        .iter()
        .filter_map(|path| read(path)?.trim().parse().ok());
    let all = read("/proc/meminfo").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    });
    limits.chain(all).min()
}

fn time(text: &str) -> std::result::Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = number.parse::<f64>().ok().map(|n| n * unit);
    let time = seconds.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    time.ok_or_else(|| "write it as 3s or 500ms".into())
}

/// A program in the directory of this one.
fn beside(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe()
        .map_err(|error| Error::local("looking for this program's directory", error))?;
    let path = this.with_file_name(name);
    match path.is_file() {
        true => Ok(path),
        false => Err(Error::State(format!(
            "{} is missing: ranks need it (build it with `cargo build --release -p sundog-worker --features mpi`, or use --ranks 0)",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_a_process_share_its_cores_and_memory() {
        let settings = Settings {
            memory: Some(8 << 30),
            ..Settings::none()
        };
        let (cores, one) = (settings.threads(), settings.budget().bytes);
        for workers in [2, 3, 4] {
            let each = settings.shared(workers);
            assert_eq!(each.threads(), (cores / workers).max(1));
            assert_eq!(each.budget().bytes, one.map(|all| all / workers as u64));
            assert!(each.budget().refuses);
        }
        // What a user names for each is what each has.
        let named = Settings {
            threads: Some(3),
            ..settings
        };
        assert_eq!(named.shared(4).threads(), 3);
    }

    #[test]
    fn what_is_kept_is_set_in_days_and_0_is_for_ever() {
        assert_eq!(days("30").unwrap(), Settings::none().keep_jobs);
        assert_eq!(days("1").unwrap(), Settings::none().keep_uploads);
        assert_eq!(days("0.5").unwrap().0, Some(Duration::from_secs(43_200)));
        assert_eq!(days("0").unwrap(), Kept(None));
        for wrong in ["-1", "soon", "nan", "1e300", ""] {
            assert!(days(wrong).is_err(), "{wrong}");
        }
    }
}
