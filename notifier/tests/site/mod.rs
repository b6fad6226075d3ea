//! A notifier on a free port with jobs of two users, and a client of its streams.

#![allow(dead_code, clippy::unwrap_used)]

use cloud::events::Events;
use cloud::events::memory::MemoryEvents;
use cloud::events::redis::{RedisConfig, RedisEvents};
use cloud::queue::memory::MemoryQueue;
use cloud::store::Store;
use cloud::testing::{Redis, available};
use dispatcher::jobs::{Jobs, Rules};
use notifier::Config;
use protocol::event::{JobFinished, TaskStarted};
use protocol::state::JobState;
use protocol::{Event, Job};
use serde_json::Value;
use service::Tokens;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const LIMIT: Duration = Duration::from_secs(30);

/// What the notifier stands on; it may be started several times.
pub struct Ground {
    pub jobs: Jobs,
    memory: Option<MemoryEvents>,
    redis: Option<Redis>,
    tokens: Tokens,
    pub ada: String,
    pub bob: String,
    _dir: tempfile::TempDir,
}

/// A notifier that runs.
pub struct Site {
    pub url: String,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Ground {
    pub fn memory() -> Ground {
        let memory = MemoryEvents::default();
        Ground::on(Arc::new(memory.clone()), Some(memory), None)
    }

    /// None where no server is installed.
    pub fn redis() -> Option<Ground> {
        available(Redis::program(), "Redis").then(|| {
            let server = Redis::start().unwrap();
            let config = RedisConfig::new(&server.url()).unwrap();
            let events = Arc::new(RedisEvents::new(config).unwrap());
            Ground::on(events, None, Some(server))
        })
    }

    fn on(events: Arc<dyn Events>, memory: Option<MemoryEvents>, redis: Option<Redis>) -> Ground {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens.toml");
        let ada = service::access::add(&file, "ada", false).unwrap();
        let bob = service::access::add(&file, "bob", false).unwrap();
        let jobs = Jobs {
            queue: Arc::new(MemoryQueue::new()),
            events,
            store: Store::directory(&dir.path().join("store")).unwrap(),
            rules: Rules::default(),
        };
        Ground {
            jobs,
            memory,
            redis,
            tokens: Tokens::file(&file).unwrap(),
            ada,
            bob,
            _dir: dir,
        }
    }

    pub async fn start(&self, config: Config) -> Site {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = service::listen(any, true).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let (jobs, tokens, shutdown) = (self.jobs.clone(), self.tokens.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let run = notifier::run(config, jobs, tokens, listener, shutdown);
            run.await.unwrap();
        });
        Site { url, stop, task }
    }

    /// Loses all events.
    pub fn flush(&self) {
        if let Some(memory) = &self.memory {
            memory.clear();
        }
        if let Some(redis) = &self.redis {
            assert!(redis.command(&["FLUSHALL"]).unwrap().starts_with("+OK"));
        }
    }

    pub fn redis_command(&self, words: &[&str]) -> Option<String> {
        self.redis
            .as_ref()
            .map(|redis| redis.command(words).unwrap())
    }

    pub async fn job(&self, owner: &str) -> String {
        // Ids of the same millisecond have no order.
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.jobs.submit(owner, Job::default()).await.unwrap()
    }

    pub async fn add(&self, job: &str, tasks: std::ops::Range<u64>) {
        for task in tasks {
            let key = format!("task-{task}");
            let event = started(job, task);
            self.jobs.events.append(job, &key, &event).await.unwrap();
        }
    }

    pub async fn finish(&self, job: &str) {
        let event = Event::JobFinished(JobFinished {
            version: 1,
            seq: None,
            job: job.into(),
            state: JobState::Succeeded,
            succeeded: 3,
            failed: 0,
            rejected: 0,
            cancelled: 0,
            ms: 7,
            note: None,
            warnings: 0,
            skipped: Default::default(),
        });
        let events = &self.jobs.events;
        events.append(job, "job-finished-1", &event).await.unwrap();
        let fields = [("state", "succeeded")];
        events.set_fields(job, &fields).await.unwrap();
    }
}

pub fn started(job: &str, task: u64) -> Event {
    Event::TaskStarted(TaskStarted {
        cost: None,
        version: 1,
        seq: None,
        job: job.into(),
        task,
        input: format!("holiday \u{e4} \"{task}\" ").repeat(8),
        node: Some("n1".into()),
        attempt: 1,
    })
}

pub fn client() -> reqwest::Client {
    // Reading the system's certificates takes its time.
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        let builder = reqwest::Client::builder().no_proxy();
        builder.pool_max_idle_per_host(0).build().unwrap()
    });
    CLIENT.clone()
}

/// One event of a stream.
#[derive(Clone, Debug)]
pub struct Told {
    pub id: String,
    pub event: String,
    pub data: Value,
}

impl Told {
    pub fn seq(&self) -> u64 {
        self.data["seq"].as_u64().unwrap_or(0)
    }

    pub fn job(&self) -> &str {
        self.data["job"].as_str().unwrap_or_default()
    }
}

/// A client that reads one stream.
pub struct Stream {
    response: reqwest::Response,
    buffer: String,
    bytes: Vec<u8>,
    /// As a browser keeps it.
    pub last: String,
}

impl Stream {
    pub async fn open(url: &str, token: &str, last: Option<&str>) -> Stream {
        let response = request(url, token, last).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream {
            response,
            buffer: String::new(),
            bytes: Vec::new(),
            last: last.unwrap_or_default().to_owned(),
        }
    }

    /// The next event; None at the end of the stream.
    pub async fn next(&mut self) -> Option<Told> {
        let next = tokio::time::timeout(LIMIT, self.read());
        next.await.expect("an event in time")
    }

    async fn read(&mut self) -> Option<Told> {
        loop {
            while let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                let field = |name: &str| {
                    let lines = block.lines();
                    let mut values = lines.filter_map(|line| line.strip_prefix(name));
                    values.next().map(str::to_owned)
                };
                if let Some(id) = field("id: ") {
                    self.last = id;
                }
                if let (Some(event), Some(data)) = (field("event: "), field("data: ")) {
                    return Some(Told {
                        id: self.last.clone(),
                        event,
                        data: serde_json::from_str(&data).unwrap(),
                    });
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.bytes.extend_from_slice(&chunk);
            let end = match std::str::from_utf8(&self.bytes) {
                Ok(text) => text.len(),
                Err(error) => error.valid_up_to(),
            };
            let rest = self.bytes.split_off(end);
            let text = std::mem::replace(&mut self.bytes, rest);
            self.buffer.push_str(std::str::from_utf8(&text).unwrap());
        }
    }

    /// Takes events of a job from one number to another, and nothing else.
    pub async fn take(&mut self, job: &str, range: std::ops::RangeInclusive<u64>) {
        for expected in range {
            let told = self.next().await.expect("a stream that goes on");
            assert_eq!((told.job(), told.seq()), (job, expected), "{told:?}");
        }
    }

    /// Nothing comes for a while.
    pub async fn nothing(&mut self) {
        let more = tokio::time::timeout(Duration::from_millis(300), self.read()).await;
        assert!(more.is_err(), "{more:?}");
    }
}

pub async fn request(url: &str, token: &str, last: Option<&str>) -> reqwest::Response {
    let mut request = client().get(url).bearer_auth(token);
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    request.send().await.unwrap()
}
