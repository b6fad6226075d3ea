//! Loads a cluster with small tasks: how many a second, and how long one takes on its way. Prints one line of JSON.

use clap::Parser;
use dispatcher::jobs::Jobs;
use protocol::Job;
use protocol::state::JobState;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use trials::{Cluster, StoreKind};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures small tasks through RabbitMQ, one dispatcher, Redis and a store.
#[derive(Debug, Parser)]
struct Arguments {
    /// The image of each task.
    image: PathBuf,
    /// Tasks at once, as one job.
    #[arg(long, default_value_t = 1000)]
    tasks: usize,
    /// Jobs of one task, one after the other.
    #[arg(long, default_value_t = 100)]
    single: usize,
    /// Jobs submitted at once, to see how fast they are accepted.
    #[arg(long, default_value_t = 1000)]
    submits: usize,
    /// Ranks of the dispatcher's mpirun; 0: threads.
    #[arg(long, default_value_t = 2)]
    ranks: usize,
    /// Tasks in hand at once.
    #[arg(long)]
    slots: Option<String>,
    /// Objects on a server instead of in a directory.
    #[arg(long)]
    s3: bool,
    #[arg(long, default_value = "gaussian(sigma=2)")]
    pipeline: String,
    /// Also the same on Celery, with the Python of this environment, in turn
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
    /// How often each is measured
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

/// How often the end of a job of many tasks is looked for, so that looking takes no time from the work.
const SELDOM: Duration = Duration::from_millis(10);

/// Events of one reading.
const PAGE: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let kind = match arguments.s3 {
        true => StoreKind::S3,
        false => StoreKind::Directory,
    };
    let cluster = Cluster::start(kind)?;
    let jobs = cluster.jobs()?;
    let ranks = arguments.ranks.to_string();
    let mut flags = vec!["--ranks", &ranks];
    if let Some(slots) = &arguments.slots {
        flags.extend(["--slots", slots]);
    }
    let mut node = cluster.dispatcher("node-1", &flags)?;
    let image = std::fs::read(&arguments.image)?;
    let upload = "01LOAD";
    for n in 0..arguments.tasks.max(50) {
        let name = format!("uploads/load/{upload}/{n:05}.jpg");
        jobs.store
            .put(&name, image.clone().into(), "image/jpeg")
            .await?;
    }
    for _ in 0..arguments.rounds {
        let figures = ours(&jobs, &arguments, upload).await?;
        writeln!(std::io::stdout(), "{figures}")?;
        if let Some(python) = &arguments.peer {
            let figures = peer(&cluster, python, &arguments).await?;
            write!(std::io::stdout(), "{figures}")?;
        }
    }
    let idle = idle_share(node.id()).await?;
    writeln!(
        std::io::stdout(),
        "{}",
        serde_json::json!({ "idle_cpu_percent": idle })
    )?;
    node.end()?;
    Ok(())
}

async fn ours(
    jobs: &Jobs,
    arguments: &Arguments,
    upload: &str,
) -> Result<serde_json::Value, Failure> {
    let whole = format!("uploads/{upload}/");
    let one = format!("uploads/{upload}/00000.jpg");
    let begun = Instant::now();
    run(jobs, &whole, &arguments.pipeline, SELDOM).await?;
    let rate = arguments.tasks.max(50) as f64 / begun.elapsed().as_secs_f64();
    let mut waits = Vec::new();
    for _ in 0..arguments.single {
        let begun = Instant::now();
        run(jobs, &one, &arguments.pipeline, Duration::ZERO).await?;
        waits.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let n = (waits.len() as f64 * share) as usize;
        let wait = waits.get(n.min(waits.len().saturating_sub(1)));
        wait.copied().unwrap_or(0.0)
    };
    let begun = Instant::now();
    let submitted = submit_many(jobs, &one, &arguments.pipeline, arguments.submits).await?;
    let submits = submitted as f64 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    // Until all of those are done, so that they disturb nothing.
    while !jobs.store.list(dispatcher::names::OPEN).await?.is_empty() {
        if begun.elapsed() > Duration::from_secs(300) {
            return Err("the submitted jobs do not end".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(serde_json::json!({
        "program": "sundog",
        "tasks_per_s": (rate * 10.0).round() / 10.0,
        "p50_ms": (at(0.5) * 100.0).round() / 100.0,
        "p99_ms": (at(0.99) * 100.0).round() / 100.0,
        "submits_per_s": submits.round(),
    }))
}

/// The same tasks on Celery, on the same broker and Redis.
async fn peer(
    cluster: &Cluster,
    python: &std::path::Path,
    arguments: &Arguments,
) -> Result<String, Failure> {
    let peers = std::path::Path::new("benches/peers").canonicalize()?;
    let out = cluster.dir().join("celery");
    std::fs::create_dir_all(&out)?;
    let command = || {
        let mut command = tokio::process::Command::new(python);
        command
            .current_dir(&peers)
            .env("PEER_BROKER", cluster.broker.url())
            .env("PEER_REDIS", cluster.redis.url())
            .kill_on_drop(true);
        command
    };
    let log = std::fs::File::create(cluster.log("celery"))?;
    let mut worker = command()
        .args([
            "-m",
            "celery",
            "-A",
            "celery_app",
            "worker",
            "-c",
            "2",
            "-l",
            "ERROR",
        ])
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let load = command()
        .arg("celery_load.py")
        .arg(arguments.image.canonicalize()?)
        .arg(&out)
        .args([
            arguments.tasks.max(50).to_string(),
            arguments.single.to_string(),
        ])
        .output()
        .await?;
    if let Some(pid) = worker
        .id()
        .and_then(|id| rustix::process::Pid::from_raw(id as i32))
    {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    }
    worker.wait().await?;
    match load.status.success() {
        true => Ok(String::from_utf8(load.stdout)?),
        false => Err(String::from_utf8_lossy(&load.stderr).into_owned().into()),
    }
}

/// Share of one core that a process and all below it take while there is nothing to do, in percent.
async fn idle_share(root: u32) -> Result<f64, Failure> {
    const WATCHED: Duration = Duration::from_secs(10);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = ticks(root);
    tokio::time::sleep(WATCHED).await;
    let spent = ticks(root).saturating_sub(before) as f64;
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    let share = 100.0 * spent / per_second / WATCHED.as_secs_f64();
    Ok((share * 100.0).round() / 100.0)
}

/// Processor time of a process and all below it.
fn ticks(root: u32) -> u64 {
    let mut todo = vec![root];
    let mut sum = 0;
    while let Some(id) = todo.pop() {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let times = fields.split_whitespace().skip(11).take(2);
        sum += times.filter_map(|t| t.parse::<u64>().ok()).sum::<u64>();
        let tasks = std::fs::read_dir(format!("/proc/{id}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            let children = children.unwrap_or_default();
            todo.extend(
                children
                    .split_whitespace()
                    .filter_map(|c| c.parse::<u32>().ok()),
            );
        }
    }
    sum
}

fn job(input: &str, pipeline: &str) -> Job {
    Job {
        inputs: vec![input.to_owned()],
        pipeline: pipeline.into(),
        ..Job::default()
    }
}

/// A job from its submission to its end, which is looked for after each notice and at most once in `pause`.
async fn run(jobs: &Jobs, input: &str, pipeline: &str, pause: Duration) -> Result<(), Failure> {
    let mut changes = jobs.events.changes().await?;
    let id = jobs.submit("load", job(input, pipeline)).await?;
    let limit = Duration::from_secs(120);
    let ended = async {
        let mut after = 0;
        loop {
            let page = jobs.events.read(&id, after, PAGE).await?;
            for record in page.records {
                after = record.seq;
                if let protocol::Event::JobFinished(end) = record.event {
                    return match end.state {
                        JobState::Succeeded => Ok::<(), Failure>(()),
                        state => Err(format!("the job ended as {}", state.name()).into()),
                    };
                }
            }
            if after < page.last {
                continue;
            }
            // A notice that was lost costs a moment.
            let _ = tokio::time::timeout(Duration::from_millis(50), changes.recv()).await;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            while changes.try_recv().is_ok() {}
        }
    };
    tokio::time::timeout(limit, ended).await?
}

async fn submit_many(jobs: &Jobs, input: &str, pipeline: &str, n: usize) -> Result<usize, Failure> {
    use futures_util::stream::{self, StreamExt as _};
    let mut done = 0;
    let mut all = stream::iter(0..n)
        .map(|_| jobs.submit("load", job(input, pipeline)))
        .buffer_unordered(64);
    while let Some(submitted) = all.next().await {
        submitted?;
        done += 1;
    }
    Ok(done)
}
