//! What users may ask for, and what they see.

use crate::site::*;
use dispatcher::jobs::{InputUrls, Rules, check};
use protocol::Job;
use std::time::Duration;

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
    let cases: [(&str, fn(&mut Job)); 15] = [
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
        // More than the operator allows.
        ("limits.max_pixels", |job| {
            job.limits.max_pixels = 1_000_000_000_000_000;
        }),
        ("limits.timeout_secs", |job| {
            job.limits.timeout_secs = Some(1e8);
        }),
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
    for name in ["a.pgm", "b.pgm", "sub/a.pgm", "[a].pgm", "a*.pgm"] {
        site.upload("U1", name, picture(1)).await;
    }
    site.upload("U1", "note.txt", b"no picture".to_vec()).await;
    site.upload("U1", "sub/._a.pgm", picture(1)).await;
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
