//! A node that is ten times slower than others, and does not know it: what copies of its spans save.

use super::OWNER;
use async_trait::async_trait;
use cloud::events::memory::MemoryEvents;
use cloud::queue::memory::MemoryQueue;
use cloud::store::Store;
use dispatcher::jobs::{Jobs, Rules};
use dispatcher::world::{Lost, Task, Threads, World};
use dispatcher::{Config, names};
use protocol::Job;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use trials::Failure;
use worker::task::Finished;

/// Tasks of the job.
const TASKS: usize = 64;
/// What each takes on a good node.
const GOOD: Duration = Duration::from_millis(400);
/// How many times as long it takes on the other.
const SLOWER: u32 = 10;

/// Takes a time for each task, one after the other, so that nodes on one machine do not slow each other down.
struct Timed {
    inner: Threads,
    takes: Duration,
    one: Semaphore,
}

#[async_trait]
impl World for Timed {
    async fn submit(&self, task: Task) -> Result<Finished, Lost> {
        let _one = self.one.acquire().await;
        tokio::time::sleep(self.takes).await;
        self.inner.submit(task).await
    }

    fn cancel(&self, id: &str) {
        self.inner.cancel(id);
    }

    fn ranks_alive(&self) -> usize {
        1
    }

    fn restarts(&self) -> u64 {
        0
    }

    async fn shutdown(&self) {
        self.inner.shutdown().await;
    }
}

/// Prints how long the job takes on three good nodes, and on those and a slow one.
pub(crate) async fn run(runs: usize) -> Result<(), Failure> {
    for _ in 0..runs {
        let three = makespan(&[GOOD; 3]).await?;
        let four = makespan(&[GOOD, GOOD, GOOD, GOOD * SLOWER]).await?;
        let ratio = (four.ms as f64 / three.ms as f64 * 100.0).round() / 100.0;
        println!(
            "{}",
            json!({
                "tasks": TASKS, "three_good_ms": three.ms, "with_a_slow_one_ms": four.ms, "ratio": ratio,
                "by_the_slow_one": four.by_the_last,
            })
        );
    }
    Ok(())
}

struct Made {
    ms: u64,
    /// Tasks whose results are of the last node.
    by_the_last: usize,
}

async fn makespan(takes: &[Duration]) -> Result<Made, Failure> {
    let dir = tempfile::Builder::new()
        .prefix("sundog-stragglers-")
        .tempdir()?;
    let jobs = Jobs {
        queue: Arc::new(MemoryQueue::new()),
        events: Arc::new(MemoryEvents::default()),
        store: Store::directory(&dir.path().join("store"))?,
        rules: Rules::default(),
    };
    let stop = CancellationToken::new();
    let mut nodes = Vec::new();
    for (number, takes) in takes.iter().enumerate() {
        let mut config = Config::new(&format!("node-{number}"));
        config.scratch = dir.path().join("scratch");
        config.slots = 2;
        config.heartbeat = Duration::from_millis(500);
        let world = Arc::new(Timed {
            inner: Threads::start(1),
            takes: *takes,
            one: Semaphore::new(1),
        });
        let run = dispatcher::run(config, jobs.clone(), world.clone(), stop.clone());
        nodes.push((tokio::spawn(run), world));
    }
    for number in 0..TASKS {
        let mut bytes = b"P5 64 64 255\n".to_vec();
        bytes.extend((0..4096).map(|i| (i * 7 + number * 31) as u8));
        let name = names::upload(OWNER, &format!("U/{number:02}.pgm"));
        let put = jobs
            .store
            .put(&name, bytes.into(), "image/x-portable-anymap");
        put.await?;
    }
    while jobs.events.nodes().await?.len() < takes.len() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    let job = Job {
        inputs: vec!["uploads/U/".into()],
        pipeline: "invert".into(),
        ..Job::default()
    };
    let begun = Instant::now();
    let id = jobs.submit(OWNER, job).await?;
    while !jobs.status(OWNER, &id).await?.state.is_final() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ms = begun.elapsed().as_millis() as u64;
    let receipt = jobs.receipt(OWNER, &id).await?.ok_or("no receipt")?;
    if receipt.counts.succeeded != TASKS as u64 {
        return Err(format!("{:?}", receipt.counts).into());
    }
    let last = format!("node-{}", takes.len() - 1);
    stop.cancel();
    for (node, world) in nodes {
        node.await??;
        world.shutdown().await;
    }
    Ok(Made {
        ms,
        by_the_last: receipt
            .tasks
            .iter()
            .filter(|task| task.node == last)
            .count(),
    })
}
