//! What policies of placement and acceptance come to on four nodes that are busy to some degree: the classic matrix of
//! images and loads, each node in this process with its own threads.
#![allow(clippy::print_stdout)]

#[path = "policies/stragglers.rs"]
mod stragglers;

use clap::Parser;
use cloud::events::memory::MemoryEvents;
use cloud::queue::memory::MemoryQueue;
use cloud::store::Store;
use dispatcher::jobs::{Jobs, Rules};
use dispatcher::world::{Threads, World as _};
use dispatcher::{Config, names};
use protocol::Job;
use protocol::job::{Acceptance, Placement};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use trials::Failure;

/// Tries placement and acceptance on four local nodes
#[derive(Parser)]
#[command(name = "policies")]
struct Arguments {
    /// Milliseconds that a node delays a task that it accepted while it was busy
    #[arg(long, value_name = "MS", default_value_t = 3000)]
    delay_ms: u64,
    /// Only the first rows
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    rows: usize,
    /// Instead: 64 equal tasks on four nodes one of which is ten times slower without knowing it, and on three good ones
    #[arg(long)]
    stragglers: bool,
    /// How often that is tried
    #[arg(long, value_name = "N", default_value_t = 3, requires = "stragglers")]
    runs: usize,
    /// Print one JSON object a row
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    images: usize,
    loads: [f64; 4],
    policy: &'static str,
    ms: u64,
    failed: u64,
    rejections: u64,
}

const POLICIES: [(&str, Placement, Acceptance); 4] = [
    ("random-mandatory", Placement::Random, Acceptance::Mandatory),
    ("random-optional", Placement::Random, Acceptance::Optional),
    ("shared", Placement::Shared, Acceptance::Mandatory),
    (
        "least_loaded",
        Placement::LeastLoaded,
        Acceptance::Mandatory,
    ),
];

const LOADS: [[f64; 4]; 10] = [
    [1.0, 1.0, 0.0, 0.0],
    [1.0, 1.0, 1.0, 0.0],
    [0.0, 0.0, 0.0, 1.0],
    [0.8, 0.6, 0.5, 0.2],
    [0.0; 4],
    [0.2; 4],
    [0.4; 4],
    [0.6; 4],
    [0.8; 4],
    [1.0; 4],
];

const OWNER: &str = "policies";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    if arguments.stragglers {
        return stragglers::run(arguments.runs).await;
    }
    let delay = Duration::from_millis(arguments.delay_ms);
    let combined = [6, 18].into_iter().flat_map(|images| {
        let policies = move |loads| POLICIES.iter().map(move |policy| (images, loads, policy));
        LOADS.iter().flat_map(policies)
    });
    if !arguments.json {
        println!("images  loads                 policy                 ms  failed  rejections");
    }
    for (images, loads, policy) in combined.take(arguments.rows) {
        let row = run(images, *loads, *policy, delay).await?;
        match arguments.json {
            true => println!("{}", serde_json::to_string(&row)?),
            false => println!(
                "{:6}  {:20}  {:16}  {:7}  {:6}  {:10}",
                row.images,
                format!("{:?}", row.loads),
                row.policy,
                row.ms,
                row.failed,
                row.rejections
            ),
        }
    }
    Ok(())
}

async fn run(
    images: usize,
    loads: [f64; 4],
    (policy, placement, acceptance): (&'static str, Placement, Acceptance),
    delay: Duration,
) -> Result<Row, Failure> {
    let dir = tempfile::Builder::new()
        .prefix("sundog-policies-")
        .tempdir()?;
    let jobs = Jobs {
        queue: Arc::new(MemoryQueue::new()),
        events: Arc::new(MemoryEvents::default()),
        store: Store::directory(&dir.path().join("store"))?,
        rules: Rules::default(),
    };
    let stop = CancellationToken::new();
    let mut nodes = Vec::new();
    for (number, load) in loads.into_iter().enumerate() {
        let mut config = Config::new(&format!("node-{number}"));
        config.scratch = dir.path().join("scratch");
        config.simulate_load = Some(load);
        config.simulate_delay = delay;
        config.heartbeat = Duration::from_millis(200);
        let world = Arc::new(Threads::start(1));
        let run = dispatcher::run(config, jobs.clone(), world.clone(), stop.clone());
        nodes.push((tokio::spawn(run), world));
    }
    for number in 0..images {
        let mut bytes = b"P5 64 64 255\n".to_vec();
        bytes.extend((0..4096).map(|i| (i * 7 + number * 31) as u8));
        let name = names::upload(OWNER, &format!("U/{number}.pgm"));
        jobs.store
            .put(&name, bytes.into(), "image/x-portable-anymap")
            .await?;
    }
    // All of them have said that they live.
    while jobs.events.nodes().await?.len() < loads.len() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut job = Job {
        inputs: vec!["uploads/U/".into()],
        pipeline: "gaussian(sigma=2)".into(),
        ..Job::default()
    };
    job.schedule.placement = placement;
    job.schedule.acceptance = acceptance;
    job.schedule.speculate = false;
    let begun = Instant::now();
    let id = jobs.submit(OWNER, job).await?;
    while !jobs.status(OWNER, &id).await?.state.is_final() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let ms = begun.elapsed().as_millis() as u64;
    let receipt = jobs
        .receipt(OWNER, &id)
        .await?
        .ok_or("the job has no receipt")?;
    stop.cancel();
    for (node, world) in nodes {
        node.await??;
        world.shutdown().await;
    }
    Ok(Row {
        images,
        loads,
        policy,
        ms,
        failed: receipt.counts.tasks - receipt.counts.succeeded,
        rejections: receipt
            .tasks
            .iter()
            .map(|task| u64::from(task.rejections))
            .sum(),
    })
}
