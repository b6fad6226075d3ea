//! A dispatcher on the adapters in memory, and a world that can be held and broken.

use async_trait::async_trait;
use cloud::events::Events as _;
use cloud::events::memory::MemoryEvents;
use cloud::queue::Queue;
use cloud::queue::memory::MemoryQueue;
use cloud::store::Store;
use dispatcher::jobs::{JobStatus, Jobs, Rules};
use dispatcher::world::{Lost, Task, Threads, World};
use dispatcher::{Config, names};
use protocol::{Event, Job, JobReceipt};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use worker::atomic::sha256;
use worker::task::Finished;

/// Counts runs, and holds or fails them when told to.
pub(crate) struct Probe {
    pub(crate) inner: Threads,
    pub(crate) runs: AtomicUsize,
    pub(crate) hold: AtomicBool,
    pub(crate) lose: AtomicUsize,
    /// The first run of this task goes on until it is cancelled.
    pub(crate) stick: Arc<Mutex<Option<u64>>>,
    pub(crate) cancelled: Mutex<BTreeSet<String>>,
}

impl Probe {
    pub(crate) fn new() -> Arc<Probe> {
        Probe::stuck(Arc::default())
    }

    /// One that sticks, together with others, once at a task.
    pub(crate) fn stuck(stick: Arc<Mutex<Option<u64>>>) -> Arc<Probe> {
        Arc::new(Probe {
            inner: Threads::start(2),
            runs: AtomicUsize::new(0),
            hold: AtomicBool::new(false),
            lose: AtomicUsize::new(0),
            stick,
            cancelled: Mutex::default(),
        })
    }
}

#[async_trait]
impl World for Probe {
    async fn submit(&self, task: Task) -> Result<Finished, Lost> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        // Dispatchers that share this probe may give a task the same id in another round.
        self.cancelled.lock().unwrap().remove(&task.id);
        let lose = |n: usize| n.checked_sub(1);
        if self
            .lose
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose)
            .is_ok()
        {
            return Err(Lost::Fault {
                rank: Some(1),
                reason: "a rank died".into(),
            });
        }
        let cancelled = || self.cancelled.lock().unwrap().contains(&task.id);
        let sticks = || {
            self.stick
                .lock()
                .unwrap()
                .take_if(|n| *n == task.task)
                .is_some()
        };
        let held = sticks();
        while (held || self.hold.load(Ordering::SeqCst)) && !cancelled() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if cancelled() {
            let error = imaging::Error::Stopped("stopped before it was done".into());
            return Ok(Finished::failed(task.task, task.input, "probe", error));
        }
        self.inner.submit(task).await
    }

    fn cancel(&self, id: &str) {
        self.cancelled.lock().unwrap().insert(id.to_owned());
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

pub(crate) struct Site {
    pub(crate) jobs: Jobs,
    pub(crate) events: MemoryEvents,
    pub(crate) _dispatchers: Vec<DropGuard>,
    // Outlives the store.
    pub(crate) _dir: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Site {
        Site::on(Arc::new(MemoryQueue::new()))
    }

    /// With its messages there.
    pub(crate) fn on(queue: Arc<dyn Queue>) -> Site {
        let events = MemoryEvents::default();
        let dir = tempfile::tempdir().unwrap();
        let jobs = Jobs {
            queue,
            events: Arc::new(events.clone()),
            store: Store::directory(&dir.path().join("store")).unwrap(),
            rules: Rules::default(),
        };
        Site {
            jobs,
            events,
            _dispatchers: Vec::new(),
            _dir: dir,
        }
    }

    pub(crate) fn start(&mut self, node: &str, world: Arc<dyn World>) {
        self.start_with(node, world, 4);
    }

    pub(crate) fn start_with(&mut self, node: &str, world: Arc<dyn World>, slots: usize) {
        let mut config = Config::new(node);
        config.slots = slots;
        config.cancel_check = Duration::from_millis(10);
        config.slow = Duration::from_millis(50);
        config.heartbeat = Duration::from_millis(50);
        config.pause = Duration::from_millis(10);
        let shutdown = CancellationToken::new();
        tokio::spawn(dispatcher::run(
            config,
            self.jobs.clone(),
            world,
            shutdown.clone(),
        ));
        self._dispatchers.push(shutdown.drop_guard());
    }

    /// Uploads images, and a broken one if asked for, and submits a job on them.
    pub(crate) async fn submit(&self, images: u8, broken: bool) -> String {
        let id = worker::batch::new_job_id();
        for n in 0..images {
            self.upload(&id, &format!("{n}.pgm"), picture(n)).await;
        }
        if broken {
            self.upload(&id, "broken.pgm", b"P5 9 9 255\n".to_vec())
                .await;
        }
        self.jobs.submit_as("ada", &id, job(&id)).await.unwrap();
        id
    }

    pub(crate) async fn upload(&self, id: &str, name: &str, bytes: Vec<u8>) {
        let name = names::upload("ada", &format!("{id}/{name}"));
        let store = &self.jobs.store;
        store
            .put(&name, bytes.into(), "image/x-portable-anymap")
            .await
            .unwrap();
    }

    pub(crate) async fn ended(&self, id: &str) -> JobStatus {
        self.until(id, |status| status.state.is_final()).await
    }

    pub(crate) async fn until(&self, id: &str, reached: impl Fn(&JobStatus) -> bool) -> JobStatus {
        let wait = async {
            loop {
                let status = self.jobs.status("ada", id).await.unwrap();
                if reached(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .unwrap()
    }

    pub(crate) async fn receipt(&self, id: &str) -> JobReceipt {
        self.jobs.receipt("ada", id).await.unwrap().unwrap()
    }

    /// How many events of each kind there are: started, ends of tasks, ends of the job.
    pub(crate) async fn told(&self, id: &str) -> (usize, usize, usize) {
        let page = self.events.read(id, 0, 10_000).await.unwrap();
        let count = |is: fn(&Event) -> bool| page.records.iter().filter(|r| is(&r.event)).count();
        (
            count(|e| matches!(e, Event::JobStarted(_))),
            count(|e| matches!(e, Event::TaskFinished(_))),
            count(|e| matches!(e, Event::JobFinished(_))),
        )
    }

    pub(crate) async fn told_end(&self, id: &str) {
        let wait = async {
            while self.told(id).await.2 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .unwrap();
    }
}

/// Waits until something is so, which it soon is.
pub(crate) async fn soon(is: impl AsyncFn() -> bool) {
    let wait = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap();
}

pub(crate) fn picture(seed: u8) -> Vec<u8> {
    let mut bytes = b"P5 40 30 255\n".to_vec();
    bytes.extend((0..1200u32).map(|i| (i * 7 + u32::from(seed) * 31) as u8));
    bytes
}

/// A job on an upload.
pub(crate) fn job(upload: &str) -> Job {
    Job {
        inputs: vec![format!("uploads/{upload}/")],
        pipeline: "gaussian(sigma=2) | invert".into(),
        ..Job::default()
    }
}

/// Hashes of the outputs of the same images in one process, by name.
pub(crate) fn hashes_of_a_run(images: u8) -> Vec<(String, String)> {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::create_dir(&input).unwrap();
    for n in 0..images {
        std::fs::write(input.join(format!("{n}.pgm")), picture(n)).unwrap();
    }
    let request = worker::batch::Request {
        job_id: "run".into(),
        job: Job {
            inputs: vec![input.to_str().unwrap().into()],
            output: output.to_str().unwrap().into(),
            ..job("none")
        },
        only: None,
        dry_run: false,
        elsewhere: None,
        commit: None,
    };
    let comm = imaging::comm::serial::Serial::default();
    let stop = imaging::executor::Stop::default();
    worker::batch::run(&comm, Some(&request), 2, false, &stop, &mut |_| {}).unwrap();
    let names = (0..images).map(|n| format!("{n}.pgm"));
    let hash = |name: &String| sha256(&std::fs::read(output.join(name)).unwrap());
    names
        .map(|name| (format!("out/{name}"), hash(&name)))
        .collect()
}
