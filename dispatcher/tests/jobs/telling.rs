//! What is told when nobody hears it for a while, and what becomes of messages whose dispatcher died too late.

use async_trait::async_trait;
use cloud::events::memory::MemoryEvents;
use cloud::events::{Change, Cursor, Events, Heartbeat, Moment, Page, Record, Sample};
use cloud::queue::memory::MemoryQueue;
use cloud::queue::{Message, QueueName};
use cloud::store::Store;
use cloud::{Error, Result};
use dispatcher::jobs::{Jobs, Rules};
use dispatcher::world::Threads;
use dispatcher::{Config, names};
use jobs::Span;
use jobs::span::Order;
use protocol::{Event, Job};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Events that nobody hears while they are away.
#[derive(Clone, Debug, Default)]
struct Deaf {
    inner: MemoryEvents,
    away: Arc<AtomicBool>,
}

impl Deaf {
    fn hears(&self) -> Result<()> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(Error::Unreachable {
                service: "the test's events",
                reason: "away".into(),
            }),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Events for Deaf {
    async fn append_all(&self, job: &str, events: &[(String, Event)]) -> Result<Vec<u64>> {
        self.hears()?;
        self.inner.append_all(job, events).await
    }
    async fn read(&self, job: &str, after: u64, limit: usize) -> Result<Page> {
        self.hears()?;
        self.inner.read(job, after, limit).await
    }
    async fn positions(&self) -> Result<BTreeMap<String, Cursor>> {
        self.hears()?;
        self.inner.positions().await
    }
    async fn set_fields(&self, job: &str, fields: &[(&str, &str)]) -> Result<()> {
        self.hears()?;
        self.inner.set_fields(job, fields).await
    }
    async fn fields(&self, job: &str) -> Result<BTreeMap<String, String>> {
        self.hears()?;
        self.inner.fields(job).await
    }
    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Result<()> {
        self.hears()?;
        self.inner.beat(heartbeat, ttl).await
    }
    async fn nodes(&self) -> Result<Vec<Heartbeat>> {
        self.hears()?;
        self.inner.nodes().await
    }
    async fn sample(&self, sample: &Sample) -> Result<()> {
        self.hears()?;
        self.inner.sample(sample).await
    }
    async fn samples(&self) -> Result<Vec<Moment>> {
        self.hears()?;
        self.inner.samples().await
    }
    async fn clock(&self) -> Result<SystemTime> {
        self.hears()?;
        self.inner.clock().await
    }
    async fn lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<bool> {
        self.hears()?;
        self.inner.lease(name, holder, ttl).await
    }
    async fn release(&self, name: &str, holder: &str) -> Result<()> {
        self.hears()?;
        self.inner.release(name, holder).await
    }
    async fn changes(&self) -> Result<broadcast::Receiver<Change>> {
        self.hears()?;
        self.inner.changes().await
    }
}

/// A job on three images, of which the last is broken, and one dispatcher.
struct Site {
    jobs: Jobs,
    events: Deaf,
    scratch: tempfile::TempDir,
}

impl Site {
    fn new() -> Site {
        let events = Deaf::default();
        let jobs = Jobs {
            queue: Arc::new(MemoryQueue::new()),
            events: Arc::new(events.clone()),
            store: Store::memory(),
            rules: Rules::default(),
        };
        Site {
            jobs,
            events,
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    /// Starts a dispatcher, which ends with what is returned.
    fn dispatcher(&self) -> (DropGuard, JoinHandle<dispatcher::Result<()>>) {
        let mut config = Config::new("one");
        config.pause = Duration::from_millis(10);
        config.scratch = self.scratch.path().to_owned();
        let shutdown = CancellationToken::new();
        let world = Arc::new(Threads::start(1));
        let run = dispatcher::run(config, self.jobs.clone(), world, shutdown.clone());
        (shutdown.drop_guard(), tokio::spawn(run))
    }

    async fn submit(&self) -> String {
        for (name, bytes) in [
            ("0.pgm", "P5 2 2 255\nabcd"),
            ("1.pgm", "P5 2 2 255\nefgh"),
            ("2.pgm", "P5 9 9 255\n"),
        ] {
            let name = names::upload("ada", &format!("U/{name}"));
            let stored = self
                .jobs
                .store
                .put(&name, bytes.into(), "image/x-portable-anymap");
            stored.await.unwrap();
        }
        self.jobs.submit("ada", self.job()).await.unwrap()
    }

    fn job(&self) -> Job {
        let mut job = Job {
            inputs: vec!["uploads/U/".into()],
            pipeline: "invert".into(),
            ..Job::default()
        };
        job.schedule.max_attempts = 1;
        job
    }

    async fn until(&self, what: impl AsyncFn() -> bool) {
        let wait = async {
            while !what().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .unwrap();
    }

    async fn has_receipt(&self, id: &str) -> bool {
        names::exists(&self.jobs.store, &names::receipt(id))
            .await
            .unwrap()
    }

    async fn letters(&self) -> usize {
        self.jobs.dead_letters(10).await.unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_heard_is_told_before_the_end_of_the_job() {
    let site = Site::new();
    let _dispatcher = site.dispatcher();
    site.events.away.store(true, Ordering::SeqCst);
    let id = site.submit().await;
    // The work goes on although nobody hears of it.
    site.until(async || site.has_receipt(&id).await).await;
    site.events.away.store(false, Ordering::SeqCst);
    let told = async || site.events.inner.read(&id, 0, 100).await.unwrap().records;
    let is_end = |record: &Record| matches!(record.event, Event::JobFinished(_));
    site.until(async || told().await.iter().any(is_end)).await;
    let page = told().await;
    let (last, before) = page.split_last().unwrap();
    assert!(is_end(last));
    let mut tasks: Vec<u64> = before
        .iter()
        .filter_map(|record| match &record.event {
            Event::TaskFinished(event) => Some(event.task),
            _ => None,
        })
        .collect();
    tasks.sort();
    assert_eq!(tasks, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_the_end_changes_nothing() {
    let site = Site::new();
    let _dispatcher = site.dispatcher();
    let id = site.submit().await;
    site.until(async || site.has_receipt(&id).await && site.letters().await == 1)
        .await;
    let receipt = site.jobs.receipt("ada", &id).await.unwrap();
    let messages = [2, 0].map(|task| {
        let order = Order::new(Span {
            job: id.as_str().into(),
            round: 1,
            page: 0,
            first: task,
            last: task,
            attempt: 1,
        });
        Message::new(QueueName::Tasks, names::to_json(&order))
    });
    site.jobs.queue.publish(messages.to_vec()).await.unwrap();
    site.jobs.submit_as("ada", &id, site.job()).await.unwrap();
    let left = async |queue| site.jobs.queue.stats(&queue).await.unwrap().ready;
    site.until(async || left(QueueName::Tasks).await + left(QueueName::Jobs).await == 0)
        .await;
    site.until(async || site.jobs.unfinished().await.unwrap() == 0)
        .await;
    assert_eq!(site.letters().await, 1);
    assert_eq!(site.jobs.receipt("ada", &id).await.unwrap(), receipt);
    let told = site.events.inner.read(&id, 0, 100).await.unwrap().records;
    let ends = told
        .iter()
        .filter(|r| matches!(r.event, Event::JobFinished(_)));
    assert_eq!(ends.count(), 1);
}
