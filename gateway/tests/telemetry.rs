//! What gateway, notifier and dispatcher tell of one job that goes through a real broker: numbers on each of their
//! listeners, lines, and one trace from the request to the acknowledgement.

#![allow(clippy::unwrap_used)]

use cloud::events::memory::MemoryEvents;
use cloud::queue::rabbitmq::{RabbitConfig, RabbitQueue};
use cloud::store::Store;
use cloud::testing::{RabbitMq, available};
use dispatcher::jobs::{Jobs, Rules};
use dispatcher::names;
use dispatcher::world::{Threads, World as _};
use gateway::{Config, Secret};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use service::telemetry::testing::{Collector, Logs, Received, read_metrics};
use service::telemetry::trace::Traces;
use service::telemetry::{Settings, Telemetry, log, metrics};
use service::{Tokens, access};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(60);

async fn listen() -> (tokio::net::TcpListener, String) {
    let listener = service::listen("127.0.0.1:0".parse().unwrap(), false);
    let listener = listener.await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

fn one<'a>(spans: &'a [Received], name: &str) -> &'a Received {
    let found: Vec<_> = spans.iter().filter(|s| s.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_through_the_broker_is_one_trace_and_counted_everywhere() {
    if !available(RabbitMq::program(), "RabbitMQ") {
        return;
    }
    let broker = RabbitMq::start().unwrap();
    let collector = Collector::start().await.unwrap();
    let logs = Logs::default();
    let settings = Settings {
        // All that there is, so that a secret would be seen.
        filter: "trace".into(),
        format: log::Format::Json,
        writer: logs.writer(),
        traces: Traces::To(format!("{}/v1/traces", collector.endpoint())),
    };
    let telemetry = Telemetry::with("sundog-test", settings).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let queue = RabbitQueue::new(RabbitConfig::new(&broker.url()).unwrap()).unwrap();
    let jobs = Jobs {
        queue: Arc::new(queue),
        events: Arc::new(MemoryEvents::default()),
        store: Store::directory(&dir.path().join("store")).unwrap(),
        rules: Rules::default(),
    };
    let file = dir.path().join("tokens.toml");
    let token = access::add(&file, "ada", false).unwrap();
    let tokens = Tokens::file(&file).unwrap();
    let mut good = b"P5 40 30 255\n".to_vec();
    good.extend((0..1200u32).map(|i| i as u8));
    for (name, bytes) in [("a.pgm", good), ("broken.pgm", b"P5 9 9 255\n".to_vec())] {
        let name = names::upload("ada", &format!("u/{name}"));
        let kind = "image/x-portable-anymap";
        jobs.store.put(&name, bytes.into(), kind).await.unwrap();
    }

    let shutdown = CancellationToken::new();
    let (listener, gate) = listen().await;
    let config = Config::new(
        tokens.clone(),
        Secret::random().unwrap(),
        gate.parse().unwrap(),
    );
    let extra = service::Api::new(&config.entrance);
    let gateway = gateway::run(config, jobs.clone(), listener, extra, shutdown.clone());
    let (listener, told) = listen().await;
    let config = notifier::Config::default();
    let notifier = notifier::run(
        config,
        jobs.clone(),
        tokens.clone(),
        listener,
        shutdown.clone(),
    );
    let (listener, numbers) = listen().await;
    let own = metrics::serve(listener, Some(tokens.clone()), shutdown.clone());
    let world = Arc::new(Threads::start(2));
    let mut config = dispatcher::Config::new("node-a");
    config.pause = Duration::from_millis(5);
    let dispatcher = dispatcher::run(config, jobs.clone(), world.clone(), shutdown.clone());
    let gateway = tokio::spawn(gateway);
    let notifier = tokio::spawn(notifier);
    let own = tokio::spawn(own);
    let dispatcher = tokio::spawn(dispatcher);

    let client = Client::builder().build().unwrap();
    let job = json!({"inputs": ["uploads/u/"], "pipeline": "invert", "name": "a\u{1b}[2Jb"});
    let asked = client.post(format!("{gate}v1/jobs")).bearer_auth(&token);
    let answer = asked.json(&job).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let id = answer.json::<Value>().await.unwrap()["job"].clone();
    let id = id.as_str().unwrap();
    let ended = async {
        while !jobs.status("ada", id).await.unwrap().state.is_final() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::time::timeout(LIMIT, ended).await;
    ended.unwrap_or_else(|_| panic!("{}", logs.text()));

    let mut all = String::new();
    for url in [&gate, &told, &numbers] {
        let ask = client.get(format!("{url}metrics"));
        let refused = ask.try_clone().unwrap().send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{url}");
        let text = ask.bearer_auth(&token).send().await.unwrap().text().await;
        let text = text.unwrap();
        let values = read_metrics(&text).unwrap();
        let failed = r#"sundog_tasks_ended_total{reason="damaged_input",state="failed"}"#;
        assert_eq!(values.get(failed), Some(&1.0), "{url}\n{text}");
        let submitted =
            r#"sundog_http_requests_total{method="POST",route="/v1/jobs",status="202"}"#;
        assert_eq!(values.get(submitted), Some(&1.0), "{url}\n{text}");
        for queue in ["jobs", "tasks", "dead-letters"] {
            let series = format!("sundog_queue_messages{{queue=\"{queue}\"}}");
            assert!(values.contains_key(&series), "{series}\n{text}");
        }
        all.push_str(&text);
    }
    shutdown.cancel();
    gateway.await.unwrap().unwrap();
    notifier.await.unwrap().unwrap();
    own.await.unwrap();
    dispatcher.await.unwrap().unwrap();
    world.shutdown().await;
    telemetry.shutdown().await;

    let spans = collector.spans();
    let request = one(&spans, "POST /v1/jobs");
    assert_eq!(request.attributes["status"], "202");
    let of_job: Vec<_> = spans
        .iter()
        .filter(|s| s.trace == request.trace)
        .cloned()
        .collect();
    let publish = one(&of_job, "publish");
    let split = one(&of_job, "split");
    assert_eq!((&publish.parent, &split.parent), (&request.id, &publish.id));
    let tasks: Vec<_> = of_job.iter().filter(|s| s.name == "task").collect();
    assert!(tasks.len() >= 2, "{tasks:?}");
    for task in tasks {
        assert_eq!(
            (&task.parent, task.attributes["job"].as_str()),
            (&split.id, id)
        );
        let children = of_job.iter().filter(|s| s.parent == task.id);
        assert_eq!(children.filter(|s| s.name == "run").count(), 1);
    }

    let text = logs.text();
    for line in text.lines() {
        let _: Value = serde_json::from_str(line).unwrap();
    }
    assert!(text.contains("a job has ended") && !text.contains('\u{1b}'));
    all.push_str(&format!("{text}{spans:?}"));
    let credentials = broker.url();
    let credentials = credentials
        .split_once("//")
        .unwrap()
        .1
        .split_once('@')
        .unwrap()
        .0;
    for secret in [token.as_str(), credentials, "Bearer "] {
        assert!(!all.contains(secret), "a secret was told");
    }
}
