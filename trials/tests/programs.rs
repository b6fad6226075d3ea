//! What the programs of a cluster tell of themselves, each started as a program of its own: numbers behind a token,
//! lines with the ids of job and task, and no secret anywhere.

#![allow(clippy::unwrap_used)]

use cloud::testing::{RabbitMq, Redis, available};
use serde_json::Value;
use service::telemetry::testing::read_metrics;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use trials::{Cluster, Front, Program, StoreKind, Work, answers, find};

/// How long anything may take to come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// What only something that goes wrong, or that nobody asked for here, brings about.
const RARE: [&str; 7] = [
    "sundog_queue_poll_failures_total",
    "sundog_task_copies_total",
    "sundog_task_halo_ratio",
    "sundog_trace_exports_total",
    "sundog_watchers_cut_off_total",
    "sundog_webhook_attempts_total",
    "sundog_world_restarts_total",
];

/// Sends a GET and leaves its answer to be read.
fn get(url: &str, token: Option<&str>) -> TcpStream {
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let bearer = token.map_or(String::new(), |t| format!("Authorization: Bearer {t}\r\n"));
    write!(
        stream,
        "GET /{path} HTTP/1.0\r\nHost: {host}\r\n{bearer}\r\n"
    )
    .unwrap();
    stream
}

/// The numbers at an address, which strangers are not told.
fn numbers(url: &str, token: &str) -> (String, BTreeMap<String, f64>) {
    let read = |token| {
        let mut text = String::new();
        get(url, token).read_to_string(&mut text).unwrap();
        text
    };
    for wrong in [None, Some("sundog_wrong")] {
        let answer = read(wrong);
        assert!(answer.starts_with("HTTP/1.0 401 "), "{url}: {answer}");
        assert!(!answer.contains("sundog_build_info"), "{url}: {answer}");
    }
    let answer = read(Some(token));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 "), "{url}: {head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    (body.to_owned(), read_metrics(body).unwrap())
}

/// Asks until the answer is yes.
fn wait(what: &str, mut ask: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ask() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A user's command; exit code, stdout and stderr.
fn sundog(front: &Front, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(find("sundog").unwrap());
    command.args(arguments).envs(front.environment());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The names of metrics in the table of the documentation.
fn documented() -> BTreeSet<String> {
    let table = include_str!("../../docs/observability.md").lines();
    let rows = table.filter_map(|line| line.strip_prefix("| `sundog_")?.split('`').next());
    rows.map(|name| format!("sundog_{name}")).collect()
}

/// The metric that a series belongs to.
fn metric<'a>(series: &'a str, known: &BTreeSet<String>) -> &'a str {
    let name = series.split('{').next().unwrap_or_default();
    let ends = ["_bucket", "_sum", "_count"].iter();
    let whole = ends
        .filter_map(|end| name.strip_suffix(end))
        .find(|name| known.contains(*name));
    whole.unwrap_or(name)
}

#[test]
fn each_program_tells_its_numbers_and_lines_and_no_secret() {
    let services = [
        available(RabbitMq::program(), "RabbitMQ"),
        available(Redis::program(), "Redis"),
    ];
    if services.contains(&false) {
        return;
    }
    let work = Work::make(7, 6, "gaussian(sigma=1)").unwrap();
    let mut cluster = Cluster::start(StoreKind::S3).unwrap();
    // All that there is, so that a secret would be seen.
    cluster.set("SUNDOG_LOG", "trace");
    let mut front = cluster.front().unwrap();
    let tokens = front.tokens().display().to_string();
    cluster.set("SUNDOG_TOKENS", &tokens);
    let own = TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .unwrap()
        .to_string();
    let arguments = ["--threads", "2", "--metrics-listen", &own];
    let mut dispatcher = cluster.dispatcher("d1", &arguments).unwrap();
    wait("the gateway does not answer", || {
        answers(&front.gateway_url("readyz"))
    });
    wait("the notifier does not answer", || {
        answers(&front.notifier_url("healthz"))
    });

    let images = cluster.dir().join("images");
    std::fs::create_dir(&images).unwrap();
    for (name, bytes) in &work.images {
        std::fs::write(images.join(name), bytes).unwrap();
    }
    // Somebody watches the notifier.
    let mut events = get(&front.notifier_url("v1/events"), Some(front.token()));
    let mut first = [0; 12];
    events.read_exact(&mut first).unwrap();
    assert_eq!(first, *b"HTTP/1.0 200");
    let images = images.display().to_string();
    let submit = [
        "submit",
        &images,
        "-p",
        &work.pipeline,
        "--max-attempts",
        "2",
        "--watch",
    ];
    let (code, out, err) = sundog(&front, &submit);
    assert_eq!(code, Some(3), "{err}");
    let job = out.trim().to_owned();

    let token = front.token().to_owned();
    let at = [
        ("sundog-dispatcher", format!("http://{own}/metrics")),
        ("sundog-gateway", front.gateway_url("metrics")),
        ("sundog-notifier", front.notifier_url("metrics")),
    ];
    // Queues are looked at now and then.
    wait("nobody looks at the queues", || {
        numbers(&at[0].1, &token)
            .0
            .contains("sundog_queue_messages{queue=\"dead-letters\"} 0")
    });
    let known = documented();
    assert!(known.len() > 20, "{known:?}");
    let mut told = BTreeSet::new();
    let mut all = BTreeMap::new();
    let mut texts = String::new();
    for (service, url) in &at {
        let (text, values) = numbers(url, &token);
        let build = values
            .keys()
            .filter(|key| key.starts_with("sundog_build_info{"));
        let build: Vec<_> = build.collect();
        assert!(build.len() == 1 && build[0].contains(service), "{build:?}");
        told.extend(
            values
                .keys()
                .map(|series| metric(series, &known).to_owned()),
        );
        all.insert(*service, values);
        texts += &text;
    }
    let unknown: Vec<_> = told.difference(&known).collect();
    assert!(unknown.is_empty(), "not documented: {unknown:?}");
    let silent: BTreeSet<_> = known.difference(&told).map(String::as_str).collect();
    assert!(silent.is_subset(&RARE.into()), "never told: {silent:?}");

    let value = |service: &str, series: &str| {
        let found = all[service].get(series);
        *found.unwrap_or_else(|| panic!("{service} has no {series}"))
    };
    let (good, bad) = (work.expected.len() as f64, work.damaged.len() as f64);
    for (series, expected) in [
        (
            "sundog_tasks_ended_total{reason=\"none\",state=\"succeeded\"}",
            good,
        ),
        (
            "sundog_tasks_ended_total{reason=\"damaged_input\",state=\"failed\"}",
            bad,
        ),
        ("sundog_jobs_ended_total{state=\"partial\"}", 1.0),
        ("sundog_images_total", good),
        ("sundog_task_stage_seconds_count{stage=\"decode\"}", good),
        ("sundog_task_slots", 4.0),
        ("sundog_tasks_in_hand", 0.0),
        ("sundog_queue_messages{queue=\"tasks\"}", 0.0),
        ("sundog_queue_consumers{queue=\"tasks\"}", 1.0),
    ] {
        assert_eq!(value("sundog-dispatcher", series), expected, "{series}");
    }
    assert_eq!(value("sundog-gateway", "sundog_jobs_submitted_total"), 1.0);
    let submitted = "sundog_http_requests_total{method=\"POST\",route=\"/v1/jobs\",status=\"202\"}";
    assert_eq!(value("sundog-gateway", submitted), 1.0);
    assert_eq!(value("sundog-notifier", "sundog_watchers"), 1.0);
    drop(events);

    for (name, program) in front.programs() {
        assert!(
            program.end().unwrap().success(),
            "{name}:\n{}",
            program.log()
        );
    }
    assert!(dispatcher.end().unwrap().success(), "{}", dispatcher.log());
    lines(&dispatcher, &job, work.images.len());
    let mut logs = vec![("the dispatcher", dispatcher.log())];
    for (name, program) in front.programs() {
        logs.push((name, program.log()));
    }
    logs.push(("metrics", texts));
    let secrets = [cluster.secrets(), front.secrets()].concat();
    assert_eq!(secrets.len(), 5);
    for (place, text) in &logs {
        for (name, secret) in &secrets {
            assert!(
                secret.len() > 8 && !text.contains(secret),
                "{place} holds {name}"
            );
        }
        for part in ["X-Amz-Signature=", "Bearer "] {
            assert!(!text.contains(part), "{place} holds {part}");
        }
    }
}

/// Each line is an object; the job's and each task's are found by their ids.
fn lines(dispatcher: &Program, job: &str, tasks: usize) {
    let text = dispatcher.log();
    let read =
        |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}"));
    let lines: Vec<Value> = text.lines().map(read).collect();
    for line in &lines {
        for key in ["time", "level", "target", "message"] {
            assert!(line[key].is_string(), "no {key}: {line}");
        }
    }
    let about = |message: &'static str| lines.iter().filter(move |line| line["message"] == message);
    for message in ["a job begins", "a job has ended"] {
        let found: Vec<_> = about(message).collect();
        assert_eq!(found.len(), 1, "{message}: {found:?}");
        assert_eq!(found[0]["job"], *job);
        assert_eq!(found[0]["node"], "d1");
    }
    let ended: BTreeSet<_> = about("a task has ended")
        .filter(|line| line["job"] == *job)
        .map(|line| line["task"].as_u64().unwrap())
        .collect();
    assert_eq!(ended, (0..tasks as u64).collect());
}
