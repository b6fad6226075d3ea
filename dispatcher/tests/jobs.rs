//! Jobs from submit to receipt on the adapters in memory, with threads as ranks.

#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use cloud::events::Events as _;
use cloud::events::memory::MemoryEvents;
use cloud::queue::memory::MemoryQueue;
use cloud::queue::{Message, QueueName};
use cloud::store::Store;
use dispatcher::jobs::{InputUrls, JobStatus, Jobs, Rules, check};
use dispatcher::world::{Lost, Task, Threads, World};
use dispatcher::{Config, names};
use protocol::state::{JobState, TaskState};
use protocol::{Event, Job, JobReceipt, TaskMessage};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use worker::atomic::sha256;
use worker::task::Finished;

/// Counts runs, and holds or fails them when told to.
struct Probe {
    inner: Threads,
    runs: AtomicUsize,
    hold: AtomicBool,
    lose: AtomicUsize,
    cancelled: Mutex<BTreeSet<String>>,
}

impl Probe {
    fn new() -> Arc<Probe> {
        Arc::new(Probe {
            inner: Threads::start(2),
            runs: AtomicUsize::new(0),
            hold: AtomicBool::new(false),
            lose: AtomicUsize::new(0),
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
        while self.hold.load(Ordering::SeqCst) && !cancelled() {
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

struct Site {
    jobs: Jobs,
    events: MemoryEvents,
    _dispatchers: Vec<DropGuard>,
    // Outlives the store.
    _dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Site {
        let events = MemoryEvents::default();
        let dir = tempfile::tempdir().unwrap();
        let jobs = Jobs {
            queue: Arc::new(MemoryQueue::new()),
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

    fn start(&mut self, node: &str, world: Arc<dyn World>) {
        let mut config = Config::new(node);
        config.cancel_check = Duration::from_millis(10);
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
    async fn submit(&self, images: u8, broken: bool) -> String {
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

    async fn upload(&self, id: &str, name: &str, bytes: Vec<u8>) {
        let name = names::upload("ada", &format!("{id}/{name}"));
        let store = &self.jobs.store;
        store
            .put(&name, bytes.into(), "image/x-portable-anymap")
            .await
            .unwrap();
    }

    async fn ended(&self, id: &str) -> JobStatus {
        self.until(id, |status| status.state.is_final()).await
    }

    async fn until(&self, id: &str, reached: impl Fn(&JobStatus) -> bool) -> JobStatus {
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

    async fn receipt(&self, id: &str) -> JobReceipt {
        self.jobs.receipt("ada", id).await.unwrap().unwrap()
    }

    /// How many events of each kind there are: started, ends of tasks, ends of the job.
    async fn told(&self, id: &str) -> (usize, usize, usize) {
        let page = self.events.read(id, 0, 10_000).await.unwrap();
        let count = |is: fn(&Event) -> bool| page.records.iter().filter(|r| is(&r.event)).count();
        (
            count(|e| matches!(e, Event::JobStarted(_))),
            count(|e| matches!(e, Event::TaskFinished(_))),
            count(|e| matches!(e, Event::JobFinished(_))),
        )
    }

    async fn told_end(&self, id: &str) {
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

fn picture(seed: u8) -> Vec<u8> {
    let mut bytes = b"P5 40 30 255\n".to_vec();
    bytes.extend((0..1200u32).map(|i| (i * 7 + u32::from(seed) * 31) as u8));
    bytes
}

/// A job on an upload.
fn job(upload: &str) -> Job {
    Job {
        inputs: vec![format!("uploads/{upload}/")],
        pipeline: "gaussian(sigma=2) | invert".into(),
        ..Job::default()
    }
}

/// Hashes of the outputs of the same images in one process, by name.
fn hashes_of_a_run(images: u8) -> Vec<(String, String)> {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_to_its_receipt_with_the_pixels_of_a_run_in_one_process() {
    let mut site = Site::new();
    site.start("a", Probe::new());
    let id = site.submit(5, false).await;
    let status = site.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 5)
    );
    let receipt = site.receipt(&id).await;
    let hashes = receipt.tasks.iter().map(|t| {
        let output = t.output.clone().unwrap();
        (output, t.output_sha256.clone().unwrap())
    });
    let hashes: Vec<_> = hashes.collect();
    assert_eq!(hashes, hashes_of_a_run(5));
    for (path, hash) in hashes {
        let bytes = site
            .jobs
            .store
            .get(&names::output(&id, &path), 1 << 20)
            .await
            .unwrap();
        assert_eq!(sha256(&bytes), hash);
    }
    assert_eq!(site.told(&id).await, (1, 5, 1));
    assert_eq!(site.jobs.list("ada").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_see_their_own_jobs_alone() {
    let site = Site::new();
    let id = site.submit(1, false).await;
    assert!(site.jobs.status("eve", &id).await.is_err());
    assert!(site.jobs.cancel("eve", &id).await.is_err());
    assert!(site.jobs.retry("eve", &id).await.is_err());
    assert!(
        site.jobs
            .results("eve", &id, Duration::from_secs(60))
            .await
            .is_err()
    );
    assert!(site.jobs.submit_as("eve", &id, job(&id)).await.is_err());
    assert!(site.jobs.list("eve").await.unwrap().is_empty());
    assert!(site.jobs.status("ada", "../x").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_cannot_work_are_refused_by_key() {
    let site = Site::new();
    let cases: [(&str, fn(&mut Job)); 13] = [
        ("pipeline", |job| job.pipeline = "invrt".into()),
        ("format", |job| job.format = Some("jpg2".into())),
        ("inputs", |job| job.inputs = vec!["/etc/passwd".into()]),
        ("inputs", |job| job.inputs = vec!["inputs/x".into()]),
        ("inputs", |job| job.inputs = vec!["uploads".into()]),
        ("inputs", |job| job.inputs = vec!["uploads/*".into()]),
        ("inputs", |job| job.inputs = vec!["uploads/../eve/x".into()]),
        ("inputs", |job| {
            job.inputs = vec!["uploads/none/../../eve/x".into()];
        }),
        ("inputs", |job| job.inputs = vec!["uploads/none//x".into()]),
        ("inputs", |job| job.inputs = vec!["http://x/y".into()]),
        ("inputs", |job| job.inputs = vec!["s3://".into()]),
        ("output", |job| job.output = "s3://elsewhere/".into()),
        ("schedule.max_attempts", |job| job.schedule.max_attempts = 0),
    ];
    for (key, spoil) in cases {
        let mut job = job("none");
        spoil(&mut job);
        let error = site.jobs.submit("ada", job).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{key}`")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_the_owners_uploads_alone() {
    let mut site = Site::new();
    site.start("a", Probe::new());
    for name in [
        "a.pgm",
        "b.pgm",
        "sub/a.pgm",
        "[a].pgm",
        "a*.pgm",
        "note.txt",
    ] {
        site.upload("U1", name, picture(1)).await;
    }
    let planned = async |owner: &str, inputs: &[&str]| {
        let inputs = inputs.iter().map(|&i| i.to_owned()).collect();
        let job = Job {
            inputs,
            ..job("none")
        };
        let id = site.jobs.submit(owner, job).await.unwrap();
        let wait = async {
            loop {
                if let Some(receipt) = site.jobs.receipt(owner, &id).await.unwrap() {
                    return receipt;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let receipt = tokio::time::timeout(Duration::from_secs(60), wait).await;
        let tasks = receipt.unwrap().tasks.into_iter();
        let tasks = tasks.map(|t| match t.output {
            Some(output) => format!("{} {output}", t.input),
            None => t.reason.unwrap(),
        });
        tasks.collect::<Vec<_>>()
    };
    let all = planned("ada", &["uploads/U1"]).await;
    let below = |name: &str| format!("uploads/U1/{name} out/{name}");
    let names = ["[a].pgm", "a*.pgm", "a.pgm", "b.pgm", "sub/a.pgm"];
    assert_eq!(all, names.map(below));
    let some = planned("ada", &["uploads/U1/?.pgm", "uploads/U1/a.pgm"]).await;
    assert_eq!(some, ["a.pgm", "b.pgm"].map(below));
    let odd = planned("ada", &["uploads/U1/[a].pgm", "uploads/U1/a*.pgm"]).await;
    assert_eq!(odd, ["[a].pgm", "a*.pgm"].map(below));
    let sub = planned("ada", &["uploads/U1/sub/"]).await;
    assert_eq!(sub, ["uploads/U1/sub/a.pgm out/a.pgm"]);
    for input in ["uploads/U1/", "uploads/U1/a.pgm", "uploads/U1/*"] {
        let others = planned("eve", &[input]).await;
        assert!(
            others.len() == 1 && others[0].starts_with("no "),
            "{others:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_inputs_where_the_rules_and_the_store_allow() {
    let rules = |text: &str| Rules {
        input_urls: InputUrls::parse(text).unwrap(),
        ..Rules::default()
    };
    let refused = |input: &str, rules: &Rules| {
        let job = Job {
            inputs: vec![input.into()],
            ..job("none")
        };
        check(&job, rules, "s3://bucket/sundog").is_err()
    };
    assert!(!refused("s3://bucket/raw/*.jpg", &rules("")));
    assert!(!refused("gs://bucket/sundog/x", &rules("")));
    assert!(refused("s3://bucket/sundog/jobs/1/out/x.jpg", &rules("")));
    assert!(refused("s3://bucket/sundog/u*", &rules("s3://bucket")));
    assert!(refused("s3://bucket/x", &rules("none")));
    assert!(refused("s3://bucket/x", &rules("s3://bucket/raw")));
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_and_several_dispatchers_make_one_result_and_one_end() {
    let mut site = Site::new();
    let id = site.submit(12, false).await;
    // The same order again, and tasks before anyone split the job.
    site.jobs.submit_as("ada", &id, job(&id)).await.unwrap();
    let probes = [Probe::new(), Probe::new()];
    site.start("a", probes[0].clone());
    site.start("b", probes[1].clone());
    let twice = (0..12).map(|task| {
        let message = TaskMessage {
            version: 1,
            job: id.clone(),
            round: 1,
            task,
            rejections: 0,
            rejected_by: None,
        };
        Message::new(QueueName::Tasks, names::to_json(&message))
    });
    site.until(&id, |status| status.state != JobState::Queued)
        .await;
    site.jobs.queue.publish(twice.collect()).await.unwrap();
    let status = site.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 12)
    );
    // Until the last duplicate is gone.
    while site
        .jobs
        .queue
        .stats(&QueueName::Tasks)
        .await
        .unwrap()
        .ready
        > 0
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(site.told(&id).await, (1, 12, 1));
    assert_eq!(site.receipt(&id).await.tasks.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_image_fails_alone_after_its_attempts_and_is_a_dead_letter() {
    let mut site = Site::new();
    site.start("a", Probe::new());
    let id = site.submit(2, true).await;
    let status = site.ended(&id).await;
    assert_eq!(status.state, JobState::Partial);
    assert_eq!((status.counts.succeeded, status.counts.failed), (2, 1));
    let receipt = site.receipt(&id).await;
    let failed = receipt
        .tasks
        .iter()
        .find(|t| t.state == TaskState::Failed)
        .unwrap();
    assert_eq!(failed.attempt, 3);
    assert!(failed.reason.is_some());
    let wait = async {
        loop {
            let letters = site.jobs.dead_letters(10).await.unwrap();
            if let [letter] = &letters[..] {
                return letter.clone();
            }
        }
    };
    let letter = tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .unwrap();
    assert_eq!(
        (letter.job.as_deref(), letter.task),
        (Some(id.as_str()), Some(failed.task))
    );
    assert_eq!(Some(letter.reason), failed.reason);
    assert_eq!(site.jobs.dead_letters_of("ada", 10).await.unwrap().len(), 1);
    assert!(
        site.jobs
            .dead_letters_of("eve", 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(site.jobs.replay_of("eve", 10).await.unwrap(), 0);
    assert_eq!(site.jobs.replay_of("ada", 10).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_rank_costs_an_attempt_and_nothing_else() {
    let mut site = Site::new();
    let probe = Probe::new();
    probe.lose.store(2, Ordering::SeqCst);
    site.start("a", probe.clone());
    let id = site.submit(3, false).await;
    assert_eq!(site.ended(&id).await.state, JobState::Succeeded);
    assert_eq!(probe.runs.load(Ordering::SeqCst), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_runs_the_failed_tasks_alone() {
    let mut site = Site::new();
    let probe = Probe::new();
    site.start("a", probe.clone());
    let id = site.submit(3, true).await;
    assert_eq!(site.ended(&id).await.state, JobState::Partial);
    let before = probe.runs.load(Ordering::SeqCst);
    site.upload(&id, "broken.pgm", picture(9)).await;
    assert_eq!(site.jobs.retry("ada", &id).await.unwrap(), 1);
    let status = site.until(&id, |s| s.state == JobState::Succeeded).await;
    assert_eq!((status.counts.succeeded, status.counts.failed), (4, 0));
    assert_eq!(probe.runs.load(Ordering::SeqCst), before + 1);
    assert_eq!(site.jobs.retry("ada", &id).await.unwrap(), 0);
    site.events.clear();
    assert_eq!(site.jobs.status("ada", &id).await.unwrap(), status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_stops_what_runs_and_ends_once() {
    let mut site = Site::new();
    let probe = Probe::new();
    probe.hold.store(true, Ordering::SeqCst);
    site.start("a", probe.clone());
    site.start("b", probe.clone());
    let id = site.submit(8, false).await;
    while probe.runs.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    site.jobs.cancel("ada", &id).await.unwrap();
    site.jobs.cancel("ada", &id).await.unwrap();
    let status = site.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.cancelled),
        (JobState::Cancelled, 8)
    );
    site.told_end(&id).await;
    assert_eq!(site.told(&id).await, (1, 8, 1));
    // And none that has ended is cancelled.
    assert_eq!(
        site.jobs.cancel("ada", &id).await.unwrap().state,
        JobState::Cancelled
    );
    probe.hold.store(false, Ordering::SeqCst);
    assert_eq!(site.jobs.retry("ada", &id).await.unwrap(), 8);
    site.until(&id, |s| s.state == JobState::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_comes_from_receipts_when_events_are_lost() {
    let mut site = Site::new();
    let probe = Probe::new();
    site.start("a", probe.clone());
    let id = site.submit(4, true).await;
    let status = site.ended(&id).await;
    site.events.clear();
    assert_eq!(site.jobs.status("ada", &id).await.unwrap(), status);
    // Lost in the middle: counts of a part are not taken for the whole.
    probe.hold.store(true, Ordering::SeqCst);
    let id = site.submit(3, false).await;
    site.until(&id, |s| s.state == JobState::Running).await;
    site.events.clear();
    probe.hold.store(false, Ordering::SeqCst);
    let status = site.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_inputs_are_a_success_with_a_note() {
    let mut site = Site::new();
    site.start("a", Probe::new());
    let empty = Job {
        inputs: Vec::new(),
        ..job("none")
    };
    let id = site.jobs.submit("ada", empty).await.unwrap();
    assert_eq!(site.ended(&id).await.state, JobState::Succeeded);
    assert!(site.receipt(&id).await.note.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_queue_is_filled_again_from_what_is_stored() {
    let mut site = Site::new();
    let probe = Probe::new();
    site.start("a", probe.clone());
    let done = site.submit(2, false).await;
    site.ended(&done).await;
    site._dispatchers.clear();
    // Jobs that wait while the queue is lost: one that was never split, one in the middle.
    probe.hold.store(true, Ordering::SeqCst);
    let mut other = Site {
        jobs: site.jobs.clone(),
        ..Site::new()
    };
    other.jobs.queue = Arc::new(MemoryQueue::new());
    let id = site.submit(3, false).await;
    probe.hold.store(false, Ordering::SeqCst);
    assert_eq!(other.jobs.sweep().await.unwrap(), 0, "it may be on its way");
    assert_eq!(other.jobs.resume().await.unwrap(), 1);
    other.start("b", probe);
    let status = other.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 3)
    );
    while !other.jobs.store.list(names::OPEN).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(other.jobs.resume().await.unwrap(), 0);
}
