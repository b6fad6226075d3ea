//! What a dispatcher tells of one job with a broken image: numbers, lines and spans.

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use cloud::events::memory::MemoryEvents;
use cloud::queue::memory::MemoryQueue;
use cloud::store::Store;
use dispatcher::jobs::{Jobs, Rules};
use dispatcher::world::{Threads, World as _};
use dispatcher::{Config, names};
use protocol::Job;
use protocol::state::JobState;
use service::telemetry::testing::{Collector, Logs, Received, read_metrics};
use service::telemetry::trace::Traces;
use service::telemetry::{Settings, Telemetry, log, metrics};
use service::{Limits, Tokens};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "sundog_a-secret-of-this-test";
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NASTY: &str = "x\u{1b}[2J\nforged";

async fn submit(State(jobs): State<Jobs>) -> String {
    let job = Job {
        name: NASTY.into(),
        inputs: vec!["uploads/u/".into()],
        pipeline: "gaussian(sigma=2)".into(),
        ..Job::default()
    };
    jobs.submit("ada", job).await.unwrap()
}

async fn ask(addr: SocketAddr, method: &str, path: &str, header: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    assert!(!chunked, "{head}");
    (head.to_owned(), body.to_owned())
}

fn one<'a>(spans: &'a [Received], name: &str) -> &'a Received {
    let found: Vec<_> = spans.iter().filter(|s| s.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_is_told_in_numbers_lines_and_one_trace() {
    let collector = Collector::start().await.unwrap();
    let logs = Logs::default();
    let telemetry = Telemetry::with(
        "sundog-test",
        Settings {
            filter: "debug".into(),
            format: log::Format::Json,
            writer: logs.writer(),
            traces: Traces::To(format!("{}/v1/traces", collector.endpoint())),
        },
    )
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let jobs = Jobs {
        queue: Arc::new(MemoryQueue::new()),
        events: Arc::new(MemoryEvents::default()),
        store: Store::directory(&dir.path().join("store")).unwrap(),
        rules: Rules::default(),
    };
    let mut good = b"P5 40 30 255\n".to_vec();
    good.extend((0..1200u32).map(|i| i as u8));
    for (name, bytes) in [
        ("a.pgm", good.clone()),
        ("b.pgm", good),
        ("broken.pgm", b"P5 9 9 255\n".to_vec()),
    ] {
        let name = names::upload("ada", &format!("u/{name}"));
        let kind = "image/x-portable-anymap";
        jobs.store.put(&name, bytes.into(), kind).await.unwrap();
    }
    let tokens = Tokens::single("ada", TOKEN).unwrap();
    let router = Router::new()
        .route("/v1/jobs", post(submit))
        .route("/readyz", get(async || "ready"))
        .with_state(jobs.clone())
        .merge(metrics::router(Some(tokens)));
    let listener = service::listen("127.0.0.1:0".parse().unwrap(), true)
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(service::serve(
        listener,
        router,
        Limits::default(),
        shutdown.clone(),
    ));
    let world = Arc::new(Threads::start(2));
    let mut config = Config::new("node-a");
    config.pause = Duration::from_millis(5);
    let worked = tokio::spawn(dispatcher::run(
        config,
        jobs.clone(),
        world.clone(),
        shutdown.clone(),
    ));

    let (_, id) = ask(addr, "POST", "/v1/jobs", &format!("traceparent: {CALLER}")).await;
    ask(addr, "GET", "/readyz", "X: y").await;
    let ended = async {
        loop {
            let status = jobs.status("ada", &id).await.unwrap();
            if status.state.is_final() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    let ended = ended.unwrap_or_else(|_| panic!("{}", logs.text()));
    assert_eq!((ended.state, ended.counts.failed), (JobState::Partial, 1));

    let (head, _) = ask(addr, "GET", "/metrics", "X: y").await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    let (head, _) = ask(addr, "GET", "/metrics", "Authorization: Bearer wrong").await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    let alone = service::listen("127.0.0.1:0".parse().unwrap(), false)
        .await
        .unwrap();
    let numbers_at = alone.local_addr().unwrap();
    let end = CancellationToken::new();
    let told = tokio::spawn(metrics::serve(alone, None, end.clone()));
    // Queues are looked at now and then, beside the work.
    let looked = async {
        let seen = "sundog_queue_messages{queue=\"dead-letters\"}";
        while !ask(numbers_at, "GET", "/metrics", "X: y")
            .await
            .1
            .contains(seen)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(20), looked).await;
    looked.expect("nobody looked at the queues");
    // The receipt of the job is there a little before the last message is settled.
    shutdown.cancel();
    worked.await.unwrap().unwrap();
    served.await.unwrap();
    world.shutdown().await;
    let (addr, served) = (numbers_at, told);
    let (head, body) = ask(addr, "GET", "/metrics", "X: y").await;
    assert!(
        head.to_lowercase()
            .contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    end.cancel();
    served.await.unwrap();
    telemetry.shutdown().await;

    numbers(&body);
    lines(&logs.text(), &id);
    let spans = collector.spans();
    trace(&spans, &id);
    let told = format!("{body}{}{spans:?}", logs.text());
    assert!(
        !told.contains(TOKEN) && !told.contains("Bearer"),
        "a secret was told"
    );
}

fn numbers(body: &str) {
    let values = read_metrics(body).unwrap();
    let value = |series: &str| {
        *values
            .get(series)
            .unwrap_or_else(|| panic!("{series}:\n{body}"))
    };
    assert_eq!(value("sundog_jobs_submitted_total"), 1.0);
    assert_eq!(value("sundog_jobs_ended_total{state=\"partial\"}"), 1.0);
    let ended = |reason: &str, state: &str| {
        value(&format!(
            "sundog_tasks_ended_total{{reason=\"{reason}\",state=\"{state}\"}}"
        ))
    };
    assert_eq!(ended("none", "succeeded"), 2.0);
    assert_eq!(ended("damaged_input", "failed"), 1.0);
    // The broken one is not tried again.
    assert_eq!(value("sundog_task_attempts_total{outcome=\"final\"}"), 3.0);
    assert_eq!(value("sundog_images_total"), 2.0);
    assert_eq!(value("sundog_pixels_total"), 2400.0);
    for stage in ["fetch", "decode", "compute", "halo", "encode", "store"] {
        let count = format!("sundog_task_stage_seconds_count{{stage=\"{stage}\"}}");
        assert_eq!(value(&count), 2.0);
    }
    // The dispatcher has ended by then.
    assert_eq!(value("sundog_task_slots"), 0.0);
    assert_eq!(value("sundog_ranks_alive"), 0.0);
    assert_eq!(value("sundog_node_quarantined{reason=\"clock\"}"), 0.0);
    assert_eq!(value("sundog_world_restarts_total"), 0.0);
    for queue in ["jobs", "tasks", "dead-letters"] {
        value(&format!("sundog_queue_messages{{queue=\"{queue}\"}}"));
        value(&format!(
            "sundog_queue_oldest_age_seconds{{queue=\"{queue}\"}}"
        ));
    }
    let requests = "sundog_http_requests_total{method=\"POST\",route=\"/v1/jobs\",status=\"200\"}";
    assert_eq!(value(requests), 1.0);
    let refused = "sundog_http_requests_total{method=\"GET\",route=\"/metrics\",status=\"401\"}";
    assert_eq!(value(refused), 2.0);
    for name in values.keys() {
        assert!(!name.contains("ada") && !name.contains("node-a"), "{name}");
    }
}

fn lines(text: &str, id: &str) {
    assert!(!text.contains('\u{1b}'));
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let about = |message: &str| -> Vec<_> {
        lines
            .iter()
            .filter(|line| line["message"] == message)
            .collect()
    };
    for message in ["a job begins", "a job has ended"] {
        let found = about(message);
        assert_eq!(found.len(), 1, "{message}:\n{text}");
        assert_eq!(
            (&found[0]["job"], &found[0]["level"]),
            (&id.into(), &"INFO".into())
        );
        assert_eq!(found[0]["node"], "node-a");
    }
    let tasks = about("a task has ended");
    let numbers: BTreeSet<_> = tasks.iter().map(|line| line["task"].as_u64()).collect();
    assert_eq!(numbers, BTreeSet::from([Some(0), Some(1), Some(2)]));
    for line in tasks {
        assert_eq!(
            (&line["job"], &line["level"]),
            (&id.into(), &"DEBUG".into())
        );
        assert_eq!(line["trace"], &CALLER[3..35]);
    }
}

/// From the caller's own span to each image and to the commits of spans of them.
fn trace(spans: &[Received], id: &str) {
    assert!(!spans.iter().any(|span| span.name.contains("readyz")));
    let request = one(spans, "POST /v1/jobs");
    let of_job: Vec<_> = spans
        .iter()
        .filter(|span| span.trace == request.trace)
        .cloned()
        .collect();
    assert_eq!(
        (request.trace.as_str(), request.parent.as_str()),
        (&CALLER[3..35], &CALLER[36..52])
    );
    let publish = one(&of_job, "publish");
    assert_eq!(publish.parent, request.id);
    let split = one(&of_job, "split");
    assert_eq!(
        (&split.parent, split.attributes["job"].as_str()),
        (&publish.id, id)
    );
    let commits = of_job.iter().filter(|span| span.name == "commit");
    let commits: Vec<_> = commits.map(|span| &span.parent).collect();
    assert!(!commits.is_empty() && commits.iter().all(|parent| **parent == split.id));
    let tasks: Vec<_> = of_job.iter().filter(|span| span.name == "task").collect();
    assert!(tasks.len() >= 3, "{tasks:?}");
    let numbers: BTreeSet<_> = tasks
        .iter()
        .map(|span| span.attributes["task"].as_str())
        .collect();
    assert_eq!(numbers, BTreeSet::from(["0", "1", "2"]));
    for task in tasks {
        assert_eq!(
            (&task.parent, task.service.as_str()),
            (&split.id, "sundog-test")
        );
        let children: Vec<_> = of_job
            .iter()
            .filter(|span| span.parent == task.id)
            .cloned()
            .collect();
        let run = one(&children, "run");
        let names: BTreeSet<_> = children.iter().map(|span| span.name.as_str()).collect();
        assert!(names.contains("fetch"), "{names:?}");
        if names.contains("store") {
            for stage in ["decode", "compute", "halo", "encode"] {
                assert!(
                    run.events.iter().any(|event| event.contains(stage)),
                    "{run:?}"
                );
            }
        }
    }
}
