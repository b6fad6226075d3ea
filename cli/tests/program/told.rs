//! What a `sundog serve` tells of itself, set up by the environment alone.

use crate::server::Serve;
use crate::{lines, photos, run};
use serde_json::Value;
use service::telemetry::testing::{Collector, read_metrics};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn a_job_is_told_in_lines_numbers_and_one_trace_without_the_token() {
    // For the client below; an error means that another test did.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::start()).unwrap();
    let dir = photos();
    let dir = dir.path();
    let variables = [
        ("SUNDOG_LOG", "trace"),
        ("SUNDOG_LOG_FORMAT", "json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
    ];
    let mut serve = Serve::set(dir, &[], &variables);
    let (address, token) = (serve.address.clone(), serve.token().to_owned());

    let (code, out, err) = run(dir, &["submit", "photos", "-p", "invert"]);
    assert_eq!(code, 0, "{err}");
    let job = out.trim().to_owned();
    let (code, out, err) = run(dir, &["watch", &job, "--json"]);
    assert_eq!(code, 0, "{err}");
    let tasks = lines(&out)
        .iter()
        .filter(|e| e["event"] == "task_finished")
        .count();
    let numbers = runtime.block_on(async {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let ask = client.get(format!("{address}metrics"));
        let refused = ask.try_clone().unwrap().send().await.unwrap();
        assert_eq!(refused.status().as_u16(), 401);
        ask.bearer_auth(&token)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    });
    let values = read_metrics(&numbers).unwrap();
    let succeeded = r#"sundog_tasks_ended_total{reason="none",state="succeeded"}"#;
    assert_eq!(values.get(succeeded), Some(&(tasks as f64)), "{numbers}");
    serve.signal("-TERM");
    assert!(serve.child.wait().unwrap().success());

    let text = serve.log();
    let messages: Vec<Value> = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for message in ["a job begins", "a job has ended"] {
        let found = messages
            .iter()
            .filter(|m| m["message"] == message && m["job"] == *job);
        assert_eq!(found.count(), 1, "{message}:\n{text}");
    }
    let spans = collector.spans();
    let of_job: Vec<_> = spans
        .iter()
        .filter(|span| span.attributes.get("job").is_some_and(|id| *id == job))
        .collect();
    assert_eq!(
        of_job.iter().filter(|span| span.name == "task").count(),
        tasks
    );
    let traces: BTreeSet<_> = of_job.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 1, "{of_job:?}");
    let request = spans
        .iter()
        .find(|span| span.name == "POST /v1/jobs")
        .unwrap();
    assert!(traces.contains(&request.trace));
    assert_eq!(request.service, "sundog-serve");
    assert!(
        !format!("{text}{numbers}{spans:?}").contains(&token),
        "the token was told"
    );
}
