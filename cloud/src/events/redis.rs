//! Events on Redis: a stream per job, appended by one script, and notices by publish and subscribe.
//!
//! Keys: stream and channel `sundog:events:<job>`, channel `sundog:events`, hash `sundog:job:<job>`, hash
//! `sundog:event-keys:<job>`, sorted sets `sundog:jobs` and `sundog:nodes`, `sundog:node:<id>`, `sundog:lease:<name>`, stream
//! `sundog:series`. All expire.

mod notices;

use super::{Change, Cursor, Events, Heartbeat, MOMENTS, Moment, Page, Record, Retention};
use super::{SERIES, Sample, check_id, with_number};
use crate::error::{Error, Result};
use async_trait::async_trait;
use protocol::Event;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::streams::StreamRangeReply;
use redis::{Client, RedisError, RedisResult, Script};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast;
use tokio::time::Instant;

static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("append.lua")));
/// KEYS: the lease; ARGV: who asks, milliseconds.
static LEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local holder = redis.call('GET', KEYS[1]) \
         if holder and holder ~= ARGV[1] then return 0 end \
         redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1",
    )
});
/// KEYS: the node's beat, all names; ARGV: name, body, milliseconds, milliseconds that names are kept. Times are the server's,
/// since a node may be here to say that its clock is wrong.
static BEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) \
         redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) \
         redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1]) \
         redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now) \
         redis.call('PEXPIRE', KEYS[2], ARGV[4]) return 1",
    )
});
/// KEYS: the series; ARGV: name, busy, slots, milliseconds that it is kept, moments at most.
static SAMPLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) \
         redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[5], '*', 'node', ARGV[1], 'busy', ARGV[2], 'slots', ARGV[3]) \
         redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', now - ARGV[4])) \
         redis.call('PEXPIRE', KEYS[1], ARGV[4]) return 1",
    )
});
/// KEYS: the lease; ARGV: who gives it back.
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1",
    )
});

const JOBS: &str = "sundog:jobs";
const NODES: &str = "sundog:nodes";
const MOMENTS_OF_NODES: &str = "sundog:series";
const SEQ: &str = "events.seq";
const HISTORY: &str = "events.history";
/// How long the names of silent nodes are kept.
const NODE_NAMES: Duration = Duration::from_secs(24 * 3600);

/// How to reach and use Redis.
#[derive(Clone)]
pub struct RedisConfig {
    client: Client,
    /// How long a call waits for a Redis that is away (5 s): events are only a hint.
    pub patience: Duration,
    /// How long things are kept.
    pub retention: Retention,
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("redis", &self.address())
            .field("patience", &self.patience)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

impl RedisConfig {
    /// Reads `redis://user:password@host:port/database` or `rediss://…`.
    pub fn new(url: &str) -> Result<RedisConfig> {
        crate::tls::install();
        // The parser's own message may repeat the address with its password.
        let client = Client::open(url).map_err(|_| {
            Error::invalid(
                "the address of Redis",
                "expected redis://user:password@host:port/database or rediss://…",
            )
        })?;
        Ok(RedisConfig {
            client,
            patience: Duration::from_secs(5),
            retention: Retention::default(),
        })
    }

    /// Host and port, without credentials.
    pub fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }
}

/// Events on Redis. Clones share a connection.
#[derive(Clone)]
pub struct RedisEvents {
    config: RedisConfig,
    connection: ConnectionManager,
    notices: Arc<notices::Notices>,
}

impl fmt::Debug for RedisEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisEvents").field(&self.config).finish()
    }
}

impl RedisEvents {
    /// Prepares events on a server; connects at the first call. Needs a Tokio runtime.
    pub fn new(config: RedisConfig) -> Result<RedisEvents> {
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(5)))
            .set_response_timeout(Some(Duration::from_secs(5)))
            .set_number_of_retries(2)
            .set_max_delay(Duration::from_millis(500));
        let connection = ConnectionManager::new_lazy_with_config(config.client.clone(), manager)
            .map_err(|error| error_of("connecting to Redis", &error))?;
        Ok(RedisEvents {
            notices: Arc::new(notices::Notices::new(config.client.clone())),
            config,
            connection,
        })
    }

    /// Repeats a call, which must be idempotent, until it succeeds or patience is over.
    async fn retry<T, F>(&self, what: &str, call: impl Fn(ConnectionManager) -> F) -> Result<T>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        let deadline = Instant::now() + self.config.patience;
        let mut last = None;
        loop {
            match tokio::time::timeout_at(deadline, call(self.connection.clone())).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => {
                    let meaning = error_of(what, &error);
                    if !meaning.is_transient() {
                        return Err(meaning);
                    }
                    last = Some(meaning);
                }
                Err(_) => return Err(last.unwrap_or_else(|| unreachable("no answer in time"))),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn keep_millis(&self) -> u64 {
        millis(self.config.retention.job)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

fn stream_key(job: &str) -> String {
    format!("sundog:events:{job}")
}

fn job_key(job: &str) -> String {
    format!("sundog:job:{job}")
}

fn unreachable(reason: &str) -> Error {
    Error::Unreachable {
        service: "Redis",
        reason: reason.to_owned(),
    }
}

fn error_of(what: &str, error: &RedisError) -> Error {
    use redis::{ErrorKind, ServerErrorKind};
    match error.kind() {
        ErrorKind::AuthenticationFailed => Error::Refused {
            what: what.to_owned(),
            reason: "Redis refused the user or password (hint: check SUNDOG_REDIS)".into(),
        },
        ErrorKind::InvalidClientConfig | ErrorKind::UnexpectedReturnType | ErrorKind::Parse => {
            Error::Refused {
                what: what.to_owned(),
                reason: error.to_string(),
            }
        }
        ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::NoPerm) => {
            Error::Refused {
                what: what.to_owned(),
                reason: error.to_string(),
            }
        }
        _ => unreachable(&error.to_string()),
    }
}

/// A record of the stream; None for what is not ours.
fn record(entry: &redis::streams::StreamId) -> Option<Record> {
    let seq = entry.id.split('-').next()?.parse().ok()?;
    let text: String = entry.get("event")?;
    Some(Record {
        seq,
        key: entry.get("key")?,
        event: serde_json::from_str(&text).ok()?,
    })
}

#[async_trait]
impl Events for RedisEvents {
    async fn append_all(&self, job: &str, events: &[(String, Event)]) -> Result<Vec<u64>> {
        check_id("job", job)?;
        let history = u64::from_le_bytes(crate::random::bytes()).max(1);
        let mut script = APPEND.prepare_invoke();
        script
            .key(job_key(job))
            .key(stream_key(job))
            .key(format!("sundog:event-keys:{job}"))
            .key(JOBS)
            .arg(format!("{history:x}"))
            .arg(self.keep_millis())
            .arg(self.config.retention.events)
            .arg(job);
        for (key, event) in events {
            let json = serde_json::to_string(&with_number(event.clone(), None))
                .map_err(|error| Error::invalid("the event", error.to_string()))?;
            script.arg(key).arg(json);
        }
        let script = &script;
        self.retry("adding events", move |mut connection| async move {
            script.invoke_async(&mut connection).await
        })
        .await
    }

    async fn read(&self, job: &str, after: u64, limit: usize) -> Result<Page> {
        check_id("job", job)?;
        let stream = stream_key(job);
        let mut pipe = redis::pipe();
        pipe.atomic();
        pipe.cmd("XRANGE")
            .arg(&stream)
            .arg(format!("{}-0", after.saturating_add(1)))
            .arg("+")
            .arg("COUNT")
            .arg(limit.max(1));
        pipe.cmd("XRANGE").arg(&stream).arg("-").arg("+");
        pipe.arg("COUNT").arg(1);
        pipe.cmd("HMGET").arg(job_key(job)).arg(SEQ).arg(HISTORY);
        type Answer = (
            StreamRangeReply,
            StreamRangeReply,
            (Option<u64>, Option<String>),
        );
        let pipe = &pipe;
        let (found, first, (last, history)): Answer = self
            .retry("reading events", move |mut connection| async move {
                pipe.query_async(&mut connection).await
            })
            .await?;
        let (Some(last), Some(history)) = (last, history) else {
            return Ok(Page::default());
        };
        let first = first.ids.first().and_then(record);
        let mut page = Page {
            records: Vec::with_capacity(found.ids.len()),
            // Where the stream was evicted but its number is known, everything up to it is gone.
            first: first.map_or(last + 1, |record| record.seq),
            last,
            history: u64::from_str_radix(&history, 16).unwrap_or(u64::MAX),
        };
        for record in found.ids.iter().filter_map(record) {
            page.records.push(record);
        }
        Ok(page)
    }

    async fn positions(&self) -> Result<BTreeMap<String, Cursor>> {
        self.retry("listing jobs", move |mut connection| async move {
            let jobs: Vec<String> = redis::cmd("ZRANGE")
                .arg(JOBS)
                .arg(0)
                .arg(-1)
                .query_async(&mut connection)
                .await?;
            if jobs.is_empty() {
                return Ok(BTreeMap::new());
            }
            let mut pipe = redis::pipe();
            for job in &jobs {
                pipe.cmd("HMGET").arg(job_key(job)).arg(SEQ).arg(HISTORY);
            }
            let ends: Vec<(Option<u64>, Option<String>)> =
                pipe.query_async(&mut connection).await?;
            let known = jobs
                .into_iter()
                .zip(ends)
                .filter_map(|(job, (seq, history))| {
                    let history = u64::from_str_radix(&history?, 16).unwrap_or(u64::MAX);
                    Some((job, Cursor { seq: seq?, history }))
                });
            Ok(known.collect())
        })
        .await
    }

    async fn set_fields(&self, job: &str, fields: &[(&str, &str)]) -> Result<()> {
        check_id("job", job)?;
        if fields.is_empty() {
            return Ok(());
        }
        if let Some((name, _)) = fields.iter().find(|(name, _)| name.starts_with("events.")) {
            return Err(Error::invalid(
                format!("field `{name}`"),
                "names that begin with `events.` are taken",
            ));
        }
        let key = job_key(job);
        let mut pipe = redis::pipe();
        pipe.atomic();
        pipe.hset_multiple(&key, fields).ignore();
        pipe.cmd("PEXPIRE")
            .arg(&key)
            .arg(self.keep_millis())
            .ignore();
        let pipe = &pipe;
        self.retry("writing a job's fields", move |mut connection| async move {
            pipe.query_async(&mut connection).await
        })
        .await
    }

    async fn fields(&self, job: &str) -> Result<BTreeMap<String, String>> {
        check_id("job", job)?;
        let mut fields: BTreeMap<String, String> = self
            .retry("reading a job's fields", move |mut connection| async move {
                let mut command = redis::cmd("HGETALL");
                command.arg(job_key(job));
                command.query_async(&mut connection).await
            })
            .await?;
        fields.retain(|name, _| !name.starts_with("events."));
        Ok(fields)
    }

    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Result<()> {
        check_id("node", &heartbeat.node)?;
        let mut script = BEAT.prepare_invoke();
        script
            .key(format!("sundog:node:{}", heartbeat.node))
            .key(NODES);
        script
            .arg(&heartbeat.node)
            .arg(&heartbeat.body)
            .arg(millis(ttl))
            .arg(millis(NODE_NAMES));
        let script = &script;
        self.retry("sending a heartbeat", move |mut connection| async move {
            script.invoke_async(&mut connection).await
        })
        .await
    }

    async fn nodes(&self) -> Result<Vec<Heartbeat>> {
        self.retry("listing nodes", move |mut connection| async move {
            let mut names: Vec<String> = redis::cmd("ZRANGE")
                .arg(NODES)
                .arg(0)
                .arg(-1)
                .query_async(&mut connection)
                .await?;
            if names.is_empty() {
                return Ok(Vec::new());
            }
            names.sort();
            let mut command = redis::cmd("MGET");
            for name in &names {
                command.arg(format!("sundog:node:{name}"));
            }
            let bodies: Vec<Option<String>> = command.query_async(&mut connection).await?;
            let alive = names.into_iter().zip(bodies);
            Ok(alive
                .filter_map(|(node, body)| Some(Heartbeat { node, body: body? }))
                .collect())
        })
        .await
    }

    async fn sample(&self, sample: &Sample) -> Result<()> {
        check_id("node", &sample.node)?;
        let mut script = SAMPLE.prepare_invoke();
        script
            .key(MOMENTS_OF_NODES)
            .arg(&sample.node)
            .arg(sample.busy)
            .arg(sample.slots)
            .arg(millis(SERIES))
            .arg(MOMENTS);
        let script = &script;
        self.retry("adding to the series", move |mut connection| async move {
            script.invoke_async(&mut connection).await
        })
        .await
    }

    async fn samples(&self) -> Result<Vec<Moment>> {
        let now = self.clock().await?;
        let since = now.checked_sub(SERIES).unwrap_or(UNIX_EPOCH);
        let since = millis(since.duration_since(UNIX_EPOCH).unwrap_or_default());
        let found: StreamRangeReply = self
            .retry("reading the series", move |mut connection| async move {
                let mut command = redis::cmd("XRANGE");
                command.arg(MOMENTS_OF_NODES).arg(since).arg("+");
                command.query_async(&mut connection).await
            })
            .await?;
        let moment = |entry: &redis::streams::StreamId| {
            let at = entry.id.split('-').next()?.parse().ok()?;
            Some(Moment {
                time: UNIX_EPOCH + Duration::from_millis(at),
                sample: Sample {
                    node: entry.get("node")?,
                    busy: entry.get("busy")?,
                    slots: entry.get("slots")?,
                },
            })
        };
        Ok(found.ids.iter().filter_map(moment).collect())
    }

    async fn clock(&self) -> Result<SystemTime> {
        let (secs, micros): (u64, u64) = self
            .retry("asking for the time", move |mut connection| async move {
                redis::cmd("TIME").query_async(&mut connection).await
            })
            .await?;
        Ok(UNIX_EPOCH + Duration::from_secs(secs) + Duration::from_micros(micros))
    }

    async fn lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<bool> {
        check_id("lease", name)?;
        let mut script = LEASE.prepare_invoke();
        script.key(format!("sundog:lease:{name}"));
        script.arg(holder).arg(millis(ttl));
        let script = &script;
        self.retry("taking a lease", move |mut connection| async move {
            script.invoke_async(&mut connection).await
        })
        .await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<()> {
        check_id("lease", name)?;
        let mut script = RELEASE.prepare_invoke();
        script.key(format!("sundog:lease:{name}")).arg(holder);
        let script = &script;
        self.retry("giving a lease back", move |mut connection| async move {
            script.invoke_async(&mut connection).await
        })
        .await
    }

    async fn changes(&self) -> Result<broadcast::Receiver<Change>> {
        // A subscription that cannot work says so at once.
        self.retry("connecting to Redis", move |mut connection| async move {
            redis::cmd("PING").query_async::<()>(&mut connection).await
        })
        .await?;
        Ok(self.notices.follow())
    }
}
