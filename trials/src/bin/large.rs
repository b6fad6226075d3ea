//! A job of very many inputs on a cluster of this machine: how it is planned, cancelled at several moments and run, what
//! the services answer meanwhile, and how much memory each of them took. Prints a line of JSON for each.

use clap::Parser;
use dispatcher::jobs::Jobs;
use dispatcher::names;
use protocol::Job;
use protocol::state::JobState;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use trials::{Cluster, Front, StoreKind};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Plans, cancels and runs jobs of very many small images.
#[derive(Debug, Parser)]
struct Arguments {
    /// Images of the job that is planned and cancelled.
    #[arg(long, default_value_t = 1_000_000)]
    inputs: usize,
    /// Images of the job that runs to its end.
    #[arg(long, default_value_t = 100_000)]
    run: usize,
    /// Jobs that a user has when lists are asked for; 0: this is left out.
    #[arg(long, default_value_t = 10_000)]
    jobs: usize,
    /// Questions of each kind.
    #[arg(long, default_value_t = 50)]
    questions: usize,
    /// Single images of another user, one a second, while the system has nothing else to do and while that job runs; 0: none.
    #[arg(long, default_value_t = 0)]
    singles: usize,
    /// What is done to each image.
    #[arg(long, default_value = "invert")]
    pipeline: String,
}

/// The user of the token of `Front`.
const OWNER: &str = "trial";
/// A user with a single image now and then.
const OTHER: &str = "other";
/// Names that one file may have on most file systems, and somewhat fewer.
const LINKS: usize = 50_000;
/// How long a job may take to be planned, and to end.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Between two looks at a job.
const LOOK: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let cluster = Cluster::start(StoreKind::Directory)?;
    let jobs = cluster.jobs()?;
    let front = cluster.front()?;
    let node = cluster.dispatcher("node-1", &[])?;
    let services = [
        ("dispatcher", node.id()),
        ("gateway", front.gateway.id()),
        ("notifier", front.notifier.id()),
    ];
    let begun = Instant::now();
    let below = cluster.dir().join("store/uploads").join(OWNER);
    link(&below.join("01LARGE"), arguments.inputs)?;
    link(&below.join("01RUN"), arguments.run)?;
    tell(json!({"step": "linked", "images": arguments.inputs + arguments.run, "ms": ms(begun)}))?;
    if arguments.inputs > 0 {
        for moment in moments() {
            cancelled(&jobs, &arguments, moment).await?;
            tell(json!({"step": "memory", "peak_mib": peaks(&services)}))?;
        }
    }
    if arguments.singles > 0 {
        link(
            &cluster
                .dir()
                .join("store/uploads")
                .join(OTHER)
                .join("01ONE"),
            1,
        )?;
        fair(&jobs, &arguments).await?;
    }
    if arguments.run > 0 {
        let id = run(&jobs, &front, &arguments).await?;
        tell(json!({"step": "memory", "peak_mib": peaks(&services)}))?;
        if arguments.jobs > 0 {
            fill(&jobs, arguments.jobs).await?;
            asked(&front, &id, &arguments)?;
            tell(json!({"step": "memory", "peak_mib": peaks(&services)}))?;
        }
    }
    Ok(())
}

/// When a job is cancelled.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after it was submitted.
    After(Duration),
    /// So long after its tasks were known.
    Planned(Duration),
}

fn moments() -> [Moment; 5] {
    [
        Moment::After(Duration::ZERO),
        Moment::After(Duration::from_secs(1)),
        Moment::After(Duration::from_secs(4)),
        Moment::Planned(Duration::ZERO),
        Moment::Planned(Duration::from_secs(20)),
    ]
}

/// Gives a small image so many names.
fn link(dir: &Path, images: usize) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)?;
    let mut image = b"P6 8 8 255\n".to_vec();
    image.extend((0..192u8).map(|n| n.wrapping_mul(37)));
    let mut first = dir.join("none");
    for n in 0..images {
        let path = dir.join(format!("{n:07}.ppm"));
        if n % LINKS == 0 {
            std::fs::write(&path, &image)?;
            first = path;
        } else {
            std::fs::hard_link(&first, &path)?;
        }
    }
    Ok(())
}

fn spec(upload: &str, pipeline: &str) -> Job {
    Job {
        inputs: vec![format!("uploads/{upload}/")],
        pipeline: pipeline.into(),
        ..Job::default()
    }
}

/// Submits a job, cancels it at a moment, and waits for its end.
async fn cancelled(jobs: &Jobs, arguments: &Arguments, moment: Moment) -> Result<(), Failure> {
    let begun = Instant::now();
    let id = jobs
        .submit(OWNER, spec("01LARGE", &arguments.pipeline))
        .await?;
    let accepted = ms(begun);
    match moment {
        Moment::After(wait) => tokio::time::sleep(wait).await,
        Moment::Planned(wait) => {
            until(|| async { Ok(jobs.status(OWNER, &id).await?.counts.tasks > 0) }).await?;
            let tasks = jobs.status(OWNER, &id).await?.counts.tasks;
            tell(json!({"step": "planned", "tasks": tasks, "ms": ms(begun)}))?;
            if tasks != arguments.inputs as u64 {
                return Err(format!("{tasks} tasks were planned").into());
            }
            tokio::time::sleep(wait).await;
        }
    }
    let asked = Instant::now();
    jobs.cancel(OWNER, &id).await?;
    until(|| async { Ok(jobs.status(OWNER, &id).await?.state.is_final()) }).await?;
    let ended = ms(asked);
    let status = jobs.status(OWNER, &id).await?;
    until(|| async { Ok(!names::exists(&jobs.store, &names::open(&id)).await?) }).await?;
    let counts = status.counts;
    tell(json!({
        "step": "cancelled", "moment": format!("{moment:?}"), "accepted_ms": accepted, "state": status.state,
        "ms": ended, "noted_ms": ms(asked), "tasks": counts.tasks, "succeeded": counts.succeeded,
        "cancelled": counts.cancelled,
    }))?;
    let sum = counts.succeeded + counts.failed + counts.rejected + counts.cancelled;
    if status.state != JobState::Cancelled || sum != counts.tasks {
        return Err(format!("it ended as {} with {counts:?}", status.state.name()).into());
    }
    if ended > 3000.0 {
        return Err(format!("a cancel took {ended} ms").into());
    }
    Ok(())
}

/// Runs a job to its end, and looks at its progress through the gateway.
async fn run(jobs: &Jobs, front: &Front, arguments: &Arguments) -> Result<String, Failure> {
    let begun = Instant::now();
    let id = jobs
        .submit(OWNER, spec("01RUN", &arguments.pipeline))
        .await?;
    let (mut last, mut looks, mut slowest) = (0, 0, 0.0_f64);
    loop {
        let (answer, took) = get(front, &format!("v1/jobs/{id}"))?;
        let done = answer["counts"]["succeeded"].as_u64().unwrap_or(0);
        if done < last || done > arguments.run as u64 {
            return Err(format!("progress went from {last} to {done}").into());
        }
        (last, looks, slowest) = (done, looks + 1, slowest.max(took));
        if answer["finished"].is_string() {
            tell(json!({
                "step": "run", "images": arguments.run, "state": answer["state"], "succeeded": done, "ms": ms(begun),
                "images_per_s": (done as f64 / begun.elapsed().as_secs_f64()).round(),
                "looks": looks, "slowest_look_ms": slowest,
            }))?;
            if done != arguments.run as u64 {
                return Err(format!("{done} of {} succeeded", arguments.run).into());
            }
            return Ok(id);
        }
        if begun.elapsed() > PATIENCE {
            return Err("the job does not end".into());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// How long a user's single images take, with and without a large job of another user's.
async fn fair(jobs: &Jobs, arguments: &Arguments) -> Result<(), Failure> {
    singles(jobs, 3).await?;
    let idle = singles(jobs, arguments.singles).await?;
    let id = jobs
        .submit(OWNER, spec("01RUN", &arguments.pipeline))
        .await?;
    until(|| async { Ok(jobs.status(OWNER, &id).await?.counts.succeeded > 0) }).await?;
    let busy = singles(jobs, arguments.singles).await?;
    let status = jobs.status(OWNER, &id).await?;
    jobs.cancel(OWNER, &id).await?;
    until(|| async { Ok(!names::exists(&jobs.store, &names::open(&id)).await?) }).await?;
    let (before, beside) = (idle.at(0.95), busy.at(0.95));
    tell(json!({
        "step": "fair", "images_of_the_other": arguments.run, "still_running": !status.state.is_final(),
        "idle_p50_ms": idle.at(0.5), "idle_p95_ms": before, "busy_p50_ms": busy.at(0.5), "busy_p95_ms": beside,
        "ratio_p95": (beside / before * 100.0).round() / 100.0,
        "idle_stages_p50_ms": idle.stages(), "busy_stages_p50_ms": busy.stages(),
    }))
}

/// What single images took.
#[derive(Default)]
struct Singles {
    /// Milliseconds from submit to the end that is told.
    whole: Vec<f64>,
    /// The same until each object of the job was there, by what it is.
    until: BTreeMap<&'static str, Vec<f64>>,
}

impl Singles {
    fn at(&self, share: f64) -> f64 {
        at(&self.whole, share)
    }

    /// The median of each stage, since the submit began.
    fn stages(&self) -> BTreeMap<&str, f64> {
        let stages = self.until.iter();
        stages
            .map(|(name, times)| (*name, at(times, 0.5)))
            .collect()
    }

    /// Notes when the objects of a job were written, where the store is a directory.
    fn note(&mut self, jobs: &Jobs, id: &str, begun: SystemTime) -> Result<(), Failure> {
        for (what, name) in [
            ("1 accepted", names::spec(id)),
            ("2 planned", names::plan(id)),
            ("3 computed", format!("jobs/{id}/out/0-0000000.ppm")),
            (
                "4 committed",
                format!("{}/0-0.json", names::done_page(id, 1, 0)),
            ),
            ("5 receipt", names::receipt(id)),
        ] {
            let Some(file) = jobs.store.file(&name)? else {
                continue;
            };
            // Files are dated by a clock that is some milliseconds behind.
            let written = std::fs::metadata(&file)?.modified()?;
            let took = written.duration_since(begun).unwrap_or_default();
            let times = self.until.entry(what).or_default();
            times.push((took.as_secs_f64() * 1e4).round() / 10.0);
        }
        Ok(())
    }
}

/// The value that so many of all, as a share, are below.
fn at(times: &[f64], share: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[(times.len() as f64 * share) as usize]
}

/// Single images, one a second.
async fn singles(jobs: &Jobs, n: usize) -> Result<Singles, Failure> {
    let mut times = Singles::default();
    let mut every = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..n {
        every.tick().await;
        let (begun, at) = (Instant::now(), SystemTime::now());
        let job = Job {
            inputs: vec!["uploads/01ONE/0000000.ppm".into()],
            pipeline: "gaussian(sigma=2)".into(),
            ..Job::default()
        };
        let id = jobs.submit(OTHER, job).await?;
        while !jobs.status(OTHER, &id).await?.state.is_final() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.whole.push(ms(begun));
        times.note(jobs, &id, at)?;
    }
    Ok(times)
}

/// Submits jobs of one image until the user has so many.
async fn fill(jobs: &Jobs, n: usize) -> Result<(), Failure> {
    use futures_util::stream::{self, StreamExt as _};
    let begun = Instant::now();
    let one = Job {
        inputs: vec!["uploads/01RUN/0000000.ppm".into()],
        ..Job::default()
    };
    let mut all = stream::iter(0..n)
        .map(|_| jobs.submit(OWNER, one.clone()))
        .buffer_unordered(32);
    while let Some(submitted) = all.next().await {
        submitted?;
    }
    let accepted = ms(begun);
    until(|| async { Ok(jobs.store.list(names::OPEN).await?.is_empty()) }).await?;
    tell(json!({"step": "filled", "jobs": n, "accepted_ms": accepted, "ms": ms(begun)}))
}

/// Asks the gateway many times.
fn asked(front: &Front, id: &str, arguments: &Arguments) -> Result<(), Failure> {
    let middle = arguments.run / 2;
    for (what, path) in [
        ("status", format!("v1/jobs/{id}")),
        ("list", "v1/jobs?limit=50".to_owned()),
        ("list_all", "v1/jobs".to_owned()),
        ("list_running", "v1/jobs?limit=50&state=running".to_owned()),
        (
            "results",
            format!("v1/jobs/{id}/results?limit=100&after={middle}"),
        ),
        (
            "inputs",
            format!("v1/jobs/{id}/inputs?limit=100&after={middle}"),
        ),
    ] {
        let mut times = Vec::new();
        for _ in 0..arguments.questions {
            times.push(get(front, &path)?.1);
        }
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize);
        tell(json!({
            "step": "asked", "what": what, "jobs": arguments.jobs + 1, "p50_ms": at(0.5), "p95_ms": at(0.95),
        }))?;
    }
    Ok(())
}

/// Asks the gateway with the user's token: the answer, and how many milliseconds it took.
fn get(front: &Front, path: &str) -> Result<(Value, f64), Failure> {
    let url = front.gateway_url(path);
    let rest = url.strip_prefix("http://").ok_or("no address")?;
    let (host, path) = rest.split_once('/').ok_or("no path")?;
    let token = front.token();
    let begun = Instant::now();
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "GET /{path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let took = ms(begun);
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = &answer[at.ok_or("the gateway gave no answer")? + 4..];
    match serde_json::from_slice(body) {
        Ok(value) if answer.get(9..12) == Some(b"200") => Ok((value, took)),
        _ => Err(format!("GET /{path}: {}", String::from_utf8_lossy(&answer)).into()),
    }
}

/// Looks until something is so.
async fn until<F>(mut so: impl FnMut() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<bool, Failure>>,
{
    let begun = Instant::now();
    while !so().await? {
        if begun.elapsed() > PATIENCE {
            return Err("it takes too long".into());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// The most memory that each process had so far, in MiB.
fn peaks(services: &[(&str, u32)]) -> Value {
    let peak = |id: u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        kib.map(|kib: u64| kib / 1024)
    };
    services
        .iter()
        .map(|(name, id)| ((*name).to_owned(), json!(peak(*id))))
        .collect()
}

fn ms(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e4).round() / 10.0
}

fn tell(line: Value) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
