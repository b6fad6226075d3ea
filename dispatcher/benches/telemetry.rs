//! What logs, metrics and traces cost a small task: time and processor time per task with nothing told, with logs and
//! metrics, and with spans as well. `cargo bench -p sundog-dispatcher --bench telemetry`

use cloud::events::memory::MemoryEvents;
use cloud::queue::memory::MemoryQueue;
use cloud::store::Store;
use dispatcher::jobs::{Jobs, Rules};
use dispatcher::world::{Threads, World as _};
use dispatcher::{Config, names};
use protocol::Job;
use service::telemetry::testing::{Collector, Logs};
use service::telemetry::trace::Traces;
use service::telemetry::{Settings, Telemetry, log};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const TASKS: u32 = 1000;
const ROUNDS: usize = 5;
const MODES: [&str; 3] = ["nothing", "logs+metrics", "logs+metrics+spans"];

fn main() -> Result<(), Box<dyn Error>> {
    if let Ok(mode) = std::env::var("SUNDOG_BENCH_MODE") {
        return tokio::runtime::Runtime::new()?.block_on(measure(&mode));
    }
    // A process each, since telemetry starts once in one; in turns, so that all see the same machine.
    for _ in 0..ROUNDS {
        for mode in MODES {
            let mut command = std::process::Command::new(std::env::current_exe()?);
            command.env("SUNDOG_BENCH_MODE", mode).status()?;
        }
    }
    Ok(())
}

async fn measure(mode: &str) -> Result<(), Box<dyn Error>> {
    let collector = Collector::start().await?;
    let traces = match mode == MODES[2] {
        true => Traces::To(format!("{}/v1/traces", collector.endpoint())),
        false => Traces::Off,
    };
    let telemetry = match mode == MODES[0] {
        true => None,
        false => Some(Telemetry::with(
            "bench",
            Settings {
                filter: "info".into(),
                format: log::Format::Json,
                writer: Logs::default().writer(),
                traces,
            },
        )?),
    };
    let dir = tempfile::tempdir()?;
    let jobs = Jobs {
        queue: Arc::new(MemoryQueue::new()),
        events: Arc::new(MemoryEvents::default()),
        store: Store::directory(&dir.path().join("store"))?,
        rules: Rules::default(),
    };
    let mut image = b"P5 32 32 255\n".to_vec();
    image.extend([7; 1024]);
    for n in 0..TASKS {
        let name = names::upload("ada", &format!("u/{n:04}.pgm"));
        let kind = "image/x-portable-anymap";
        jobs.store.put(&name, image.clone().into(), kind).await?;
    }
    let shutdown = CancellationToken::new();
    let world = Arc::new(Threads::start(1));
    let config = Config::new("bench");
    let worked = dispatcher::run(config, jobs.clone(), world.clone(), shutdown.clone());
    let worked = tokio::spawn(worked);
    let (begun, busy) = (Instant::now(), processor_time()?);
    let job = Job {
        inputs: vec!["uploads/u/".into()],
        pipeline: "invert".into(),
        ..Job::default()
    };
    let id = jobs.submit("ada", job).await?;
    while !jobs.status("ada", &id).await?.state.is_final() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (wall, busy) = (begun.elapsed() / TASKS, (processor_time()? - busy) / TASKS);
    eprintln!("{mode:>20}: {wall:>9.1?} a task, {busy:>9.1?} of a processor");
    shutdown.cancel();
    worked.await??;
    world.shutdown().await;
    if let Some(telemetry) = telemetry {
        telemetry.shutdown().await;
    }
    Ok(())
}

/// Of this process so far.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::new(
        time.tv_sec.try_into()?,
        time.tv_nsec.try_into()?,
    ))
}
