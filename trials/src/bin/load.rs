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
}

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
    let whole = format!("uploads/{upload}/");
    let one = format!("uploads/{upload}/00000.jpg");
    let warm = run(
        &jobs,
        &format!("uploads/{upload}/0000*.jpg"),
        &arguments.pipeline,
    )
    .await;
    if let Err(error) = warm {
        return Err(format!("{error}\n{}", node.log()).into());
    }
    let begun = Instant::now();
    run(&jobs, &whole, &arguments.pipeline).await?;
    let rate = arguments.tasks.max(50) as f64 / begun.elapsed().as_secs_f64();
    let mut waits = Vec::new();
    for _ in 0..arguments.single {
        let begun = Instant::now();
        run(&jobs, &one, &arguments.pipeline).await?;
        waits.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let n = (waits.len() as f64 * share) as usize;
        waits
            .get(n.min(waits.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    let begun = Instant::now();
    let submitted = submit_many(&jobs, &one, &arguments.pipeline, 1000).await?;
    let submits = submitted as f64 / begun.elapsed().as_secs_f64();
    let figures = serde_json::json!({
        "tasks_per_s": (rate * 10.0).round() / 10.0,
        "p50_ms": (at(0.5) * 100.0).round() / 100.0,
        "p99_ms": (at(0.99) * 100.0).round() / 100.0,
        "submits_per_s": submits.round(),
    });
    writeln!(std::io::stdout(), "{figures}")?;
    node.end()?;
    Ok(())
}

fn job(input: &str, pipeline: &str) -> Job {
    Job {
        inputs: vec![input.to_owned()],
        pipeline: pipeline.into(),
        ..Job::default()
    }
}

/// A job from its submission to its end.
async fn run(jobs: &Jobs, input: &str, pipeline: &str) -> Result<(), Failure> {
    let changes = jobs.events.changes().await?;
    let id = jobs.submit("load", job(input, pipeline)).await?;
    let mut changes = changes;
    let limit = Duration::from_secs(120);
    let ended = async {
        loop {
            let page = jobs.events.read(&id, 0, 1).await?;
            if page.last > 0 {
                let last = jobs.events.read(&id, page.last - 1, 10).await?;
                let last = last.records.last().map(|record| record.event.clone());
                if let Some(protocol::Event::JobFinished(end)) = last {
                    return match end.state {
                        JobState::Succeeded => Ok::<(), Failure>(()),
                        state => Err(format!("the job ended as {}", state.name()).into()),
                    };
                }
            }
            // A notice that was lost costs a moment.
            let _ = tokio::time::timeout(Duration::from_millis(50), changes.recv()).await;
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
