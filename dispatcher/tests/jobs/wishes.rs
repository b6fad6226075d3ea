//! What users do to jobs that go on, and what buckets that never answer do to others.

use crate::site::*;
use cloud::config::Config as Cloud;
use dispatcher::{Config, Error};
use protocol::Job;
use protocol::state::JobState;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_begins_nothing_more_until_it_is_resumed() {
    let mut site = Site::new();
    let probe = Probe::new();
    probe.hold.store(true, Ordering::SeqCst);
    site.start_with("a", probe.clone(), 1);
    let id = site.submit(20, false).await;
    soon(async || probe.runs.load(Ordering::SeqCst) > 0).await;
    let status = site.jobs.pause("ada", &id).await.unwrap();
    assert_eq!(status.state, JobState::Paused);
    assert!(site.jobs.pause("eve", &id).await.is_err());
    // Until whoever leads has heard of it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    probe.hold.store(false, Ordering::SeqCst);
    let ended = async || {
        let status = site.jobs.status("ada", &id).await.unwrap();
        assert_eq!(status.state, JobState::Paused);
        status.counts.succeeded
    };
    // What was on its way ends, and nothing else.
    let (mut before, mut still) = (0, 0);
    while still < 10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = ended().await;
        still = if now == before { still + 1 } else { 0 };
        before = now;
    }
    assert!((1..20).contains(&before), "{before}");
    site.jobs.resume("ada", &id).await.unwrap();
    let status = site.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 20)
    );
    let late = site.jobs.pause("ada", &id).await;
    assert!(matches!(late, Err(Error::State(_))), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_results_come_in_pages() {
    let mut site = Site::new();
    site.start("a", Probe::new());
    let mut ids = Vec::new();
    for images in [1, 0, 4] {
        let id = site.submit(images, images == 0).await;
        site.ended(&id).await;
        ids.push(id);
    }
    ids.sort();
    ids.reverse();
    let some = async |limit, state, after| {
        let some = site.jobs.some("ada", limit, state, after).await.unwrap();
        some.into_iter()
            .map(|status| status.job)
            .collect::<Vec<_>>()
    };
    assert_eq!(some(2, None, None).await, ids[..2]);
    assert_eq!(some(2, None, Some(&ids[1])).await, ids[2..]);
    assert_eq!(some(9, Some(JobState::Failed), None).await.len(), 1);
    assert!(some(9, Some(JobState::Running), None).await.is_empty());
    let listed = site.jobs.some("ada", 9, None, None).await.unwrap();
    let four = listed.iter().find(|job| job.counts.tasks == 4).unwrap();
    assert!(four.started.is_some() && four.finished.is_some() && four.ms.is_some());
    let tasks = async |limit, after| {
        let some = site.jobs.some_tasks("ada", &four.job, limit, after).await;
        let numbers = some.unwrap().into_iter().map(|receipt| receipt.task);
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(tasks(3, None).await, [0, 1, 2]);
    assert_eq!(tasks(3, Some(2)).await, [3]);
    assert!(tasks(3, Some(3)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_deleted_job_is_left() {
    let mut site = Site::new();
    let probe = Probe::new();
    site.start("a", probe.clone());
    let done = site.submit(3, true).await;
    site.ended(&done).await;
    probe.hold.store(true, Ordering::SeqCst);
    let running = site.submit(3, false).await;
    soon(async || probe.runs.load(Ordering::SeqCst) > 4).await;
    for id in [&done, &running] {
        assert!(site.jobs.purge("eve", id).await.is_err());
        site.jobs.purge("ada", id).await.unwrap();
        let gone = site.jobs.status("ada", id).await;
        assert!(matches!(gone, Err(Error::NoSuchJob(_))), "{gone:?}");
    }
    probe.hold.store(false, Ordering::SeqCst);
    assert!(site.jobs.list("ada").await.unwrap().is_empty());
    assert!(site.jobs.dead_letters(10).await.unwrap().is_empty());
    for below in ["jobs", "open", "owners", "letters"] {
        let left = site.jobs.store.list(below).await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
    // And the uploads are still there for others.
    assert_eq!(site.jobs.store.list("uploads").await.unwrap().len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_that_never_answer_keep_nobody_from_working_and_their_jobs_can_be_cancelled() {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let variables = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "nowhere"),
        ("SUNDOG_S3_ENDPOINT", &endpoint),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let site = Site::new();
    let mut config = Config::new("a");
    config.cloud = Cloud::from_vars(variables).unwrap();
    config.scratch = site._dir.path().join("scratch");
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(dispatcher::run(
        config,
        site.jobs.clone(),
        Probe::new(),
        stop,
    ));
    let mut stuck = Vec::new();
    for _ in 0..6 {
        let job = Job {
            inputs: vec!["s3://somebody/images/".into()],
            ..job("none")
        };
        stuck.push(site.jobs.submit("ada", job).await.unwrap());
    }
    let begun = Instant::now();
    let id = site.submit(1, false).await;
    assert_eq!(site.ended(&id).await.state, JobState::Succeeded);
    assert!(begun.elapsed() < Duration::from_secs(5), "{begun:?}");
    for id in &stuck {
        site.jobs.cancel("ada", id).await.unwrap();
    }
    for id in &stuck {
        assert_eq!(site.ended(id).await.state, JobState::Cancelled);
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{begun:?}");
}
