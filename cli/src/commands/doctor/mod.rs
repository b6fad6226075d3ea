//! `sundog doctor`: what this machine has, and how to mend what it lacks.

mod folder;
mod services;

use crate::mpi::Start;
use crate::output;
use client::exit::{Exit, Result};
use client::settings;
use client::settings::Layers;
use folder::Folder;
use imaging::gpu::{Device, Info};
use imaging::simd;
use serde_json::json;
use services::Services;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use worker::mpirun::in_path;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog doctor                what this machine has, and the services that are set
  sundog doctor photos/        what a run over a folder would meet: headers, names, room")]
pub struct Args {
    /// Look at this folder instead of the machine
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print one JSON object per check
    #[arg(long)]
    json: bool,
    /// The mpirun to check
    #[arg(long, value_name = "PATH")]
    mpirun: Option<PathBuf>,
}

/// What a check found.
pub(super) enum Found {
    /// All is well.
    Ok(String),
    /// Something optional is not there: what works without it, and how to get it.
    Missing(String, &'static str),
    /// Something is broken, and how to mend it.
    Broken(String, &'static str),
}

/// Runs every check; exit code 1 when something is broken.
pub fn run(args: Args) -> Result {
    let mut broken = false;
    if let Some(dir) = &args.dir {
        let folder = Folder::look(dir);
        let checks = [
            ("images", folder.images()),
            ("headers", folder.damaged()),
            ("names", folder.names()),
            ("room", folder.room()),
        ];
        for (name, found) in checks {
            broken |= matches!(found, Found::Broken(..));
            report(name, &found, args.json);
        }
        return Ok(if broken { Exit::Failed } else { Exit::Ok });
    }
    let (layers, configuration) = match settings::load() {
        Ok(layers) => (layers, Found::Ok("readable".into())),
        Err(failure) => (
            Layers::default(),
            Found::Broken(failure.message, "correct the file or variable named"),
        ),
    };
    let start = Start::new(&layers, args.mpirun, None);
    let services = Services::new(layers);
    let checks: [(&str, &dyn Fn() -> Found); 18] = [
        ("configuration", &|| match &configuration {
            Found::Broken(what, fix) => Found::Broken(what.clone(), fix),
            _ => Found::Ok("readable".into()),
        }),
        ("threads", &threads),
        ("memory", &memory),
        ("simd", &simd_level),
        ("graphics device", &graphics),
        ("libraries", &libraries),
        ("temporary directory", &temporary),
        ("clock", &clock),
        ("mpirun", &|| mpirun(&start)),
        ("sundog-worker", &worker_program),
        ("ranks", &|| ranks(&start)),
        ("gateway", &|| services.gateway()),
        ("broker", &|| services.broker()),
        ("Redis", &|| services.redis()),
        ("store", &|| services.store()),
        ("signed links", &|| services.signing()),
        ("page and store", &|| services.page()),
        ("clocks", &|| services.clocks()),
    ];
    for (name, check) in checks {
        let found = check();
        broken |= matches!(found, Found::Broken(..));
        report(name, &found, args.json);
    }
    Ok(if broken { Exit::Failed } else { Exit::Ok })
}

fn report(name: &str, found: &Found, json: bool) {
    let (state, what, fix) = match found {
        Found::Ok(what) => ("ok", what, None),
        Found::Missing(what, fix) => ("missing", what, Some(fix)),
        Found::Broken(what, fix) => ("broken", what, Some(fix)),
    };
    if json {
        return output::json(&json!({"check": name, "state": state, "found": what, "fix": fix}));
    }
    let what = output::harmless(what);
    output::line(format!("{state:8} {name}: {what}"));
    if let Some(fix) = fix {
        output::line(format!("         fix: {fix}"));
    }
}

fn threads() -> Found {
    let online = std::fs::read_to_string("/proc/cpuinfo")
        .map(|t| t.lines().filter(|l| l.starts_with("processor")).count())
        .unwrap_or(0);
    let usable = worker::here::cores();
    Found::Ok(match online > usable {
        true => format!(
            "{usable} of {online} cores (the rest is withheld by affinity or a control group)"
        ),
        false => format!("{usable} cores"),
    })
}

/// The least of the control groups' limits and the machine's memory.
fn memory() -> Found {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |key: &str| {
        let line = info.lines().find_map(|l| l.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let mib = |b: u64| format!("{} MiB", b >> 20);
    let total = kib("MemTotal:").map(|k| k * 1024);
    match (total, group_limit()) {
        (Some(total), Some(group)) if group < total => Found::Ok(format!(
            "{} allowed by the control group, of {} (hint: --memory sets a lower cap)",
            mib(group),
            mib(total)
        )),
        (Some(total), _) => {
            let free = kib("MemAvailable:").map_or(0, |k| k * 1024);
            Found::Ok(format!("{}, {} free", mib(total), mib(free)))
        }
        _ => Found::Missing("its size is not known".into(), "give --memory SIZE"),
    }
}

/// The least limit of this process's control group (version 2) and those above it.
fn group_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|l| l.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let limit = |dir: &Path| {
        let text = std::fs::read_to_string(dir.join("memory.max")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let dir = root.join(own);
    dir.ancestors()
        .take_while(|d| d.starts_with(root))
        .filter_map(limit)
        .min()
}

/// The system's libraries that some files are read by.
fn libraries() -> Found {
    let known = imaging::codec::libraries();
    let there = |library: &imaging::codec::Library| {
        (library.version).map(|version| format!("{} {version}", library.name))
    };
    let found: Vec<String> = known.iter().filter_map(there).collect();
    match known.iter().find(|library| library.version.is_none()) {
        None => Found::Ok(found.join(", ")),
        Some(lacking) => Found::Missing(
            format!("no {}, which reads {}", lacking.name, lacking.reads),
            lacking.install,
        ),
    }
}

fn simd_level() -> Found {
    let (level, best) = (simd::level(), simd::best());
    Found::Ok(match level == best {
        true => level.name().to_owned(),
        false => format!(
            "{} (lowered by SUNDOG_SIMD from {})",
            level.name(),
            best.name()
        ),
    })
}

fn graphics() -> Found {
    if !cfg!(feature = "gpu") {
        return Found::Missing(
            "this build has no support for any; the processor computes".into(),
            "cargo build --release -p sundog-cli --features gpu",
        );
    }
    let name = |info: &Info| match info.software {
        true => format!("{} (in software: right, but slow)", info.name),
        false => format!("{}, driver {}", info.name, info.driver),
    };
    let found: Vec<String> = Device::list().iter().map(name).collect();
    match found.is_empty() {
        true => Found::Missing(
            "none with a Vulkan driver; the processor computes".into(),
            "install the device's driver and libvulkan1",
        ),
        false => Found::Ok(found.join("; ")),
    }
}

fn temporary() -> Found {
    let dir = std::env::temp_dir();
    match tempfile::NamedTempFile::new() {
        Ok(_) => Found::Ok(format!("{} can be written", dir.display())),
        Err(error) => Found::Broken(
            format!("{} cannot be written: {error}", dir.display()),
            "set TMPDIR to a directory that can be written",
        ),
    }
}

/// Job numbers, receipts and signed links need a date that is not absurd.
fn clock() -> Found {
    const YEAR_2026: u64 = 1_767_225_600;
    const YEAR_2100: u64 = 4_102_444_800;
    let secs = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_secs());
    let now = worker::batch::now();
    match (YEAR_2026..YEAR_2100).contains(&secs) {
        true => Found::Ok(now),
        false => Found::Broken(
            format!("it says {now}"),
            "set the clock, best by NTP (timedatectl set-ntp true)",
        ),
    }
}

const INSTALL: &str = "install Open MPI (apt-get install openmpi-bin) or name it with --mpirun PATH; without it --thread-ranks N does the same on one machine";

fn mpirun(start: &Start) -> Found {
    let Some(program) = start.mpirun.clone().or_else(|| in_path("mpirun")) else {
        return Found::Missing("it is not on the PATH".into(), INSTALL);
    };
    let name = program.display().to_string();
    match Command::new(&program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
    {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let first = text.lines().next().unwrap_or("").trim().to_owned();
            Found::Ok(format!("{name}: {first}"))
        }
        Ok(output) => Found::Broken(
            format!("`{name} --version` ended with {}", output.status),
            INSTALL,
        ),
        Err(error) => Found::Broken(format!("{name} cannot be started: {error}"), INSTALL),
    }
}

const BUILD: &str = "cargo build --release -p sundog-worker --features mpi, and put it beside sundog or on the PATH";

fn worker_program() -> Found {
    let worker = match worker::mpirun::worker_program() {
        Ok(worker) => worker,
        Err(error) => return Found::Missing(error.to_string(), BUILD),
    };
    let name = worker.display().to_string();
    match Command::new(&worker)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
    {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let own = concat!("sundog-worker ", env!("CARGO_PKG_VERSION"));
            match version == own {
                true => Found::Ok(format!("{name}: {version}")),
                false => Found::Broken(format!("{name} is `{version}`, not `{own}`"), BUILD),
            }
        }
        _ => Found::Broken(format!("{name} does not start"), BUILD),
    }
}

/// Two ranks that exchange messages and check what they got.
fn ranks(start: &Start) -> Found {
    let Ok(launcher) = start.launcher(2) else {
        return Found::Missing("mpirun or sundog-worker is not there".into(), "see above");
    };
    let fix = "run `mpirun -n 2 hostname` to see whether Open MPI works by itself; in containers allow ptrace and shared memory";
    let spawned = launcher
        .command(&["conformance"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Found::Broken(format!("mpirun cannot be started: {error}"), fix),
    };
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => {
                let ms = began.elapsed().as_millis();
                return Found::Ok(format!("2 ranks exchanged messages ({ms} ms with start)"));
            }
            Ok(Some(status)) => return Found::Broken(format!("2 ranks ended with {status}"), fix),
            Ok(None) if began.elapsed() > Duration::from_secs(30) => {
                let _ = child.kill();
                let _ = child.wait();
                return Found::Broken("2 ranks did not end within 30 s".into(), fix);
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Found::Broken(format!("mpirun is lost: {error}"), fix),
        }
    }
}
