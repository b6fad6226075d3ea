//! What a job's schedule changes: copies of slow tasks, and stopping at the first error.

use crate::site::*;
use protocol::job::{Acceptance, OnError, Placement};
use protocol::state::{JobState, TaskState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn another_node_takes_over_from_one_that_is_stuck() {
    let mut site = Site::new();
    let stick = Arc::new(Mutex::new(Some(3)));
    let (a, b) = (Probe::stuck(stick.clone()), Probe::stuck(stick.clone()));
    site.start("a", a.clone());
    site.start("b", b.clone());
    let id = site.submit(12, false).await;
    let status = site.ended(&id).await;
    assert_eq!(status.state, JobState::Succeeded);
    site.told_end(&id).await;
    assert_eq!(site.told(&id).await, (1, 12, 1));
    let receipt = site.receipt(&id).await;
    assert!(
        receipt
            .tasks
            .iter()
            .all(|t| t.state == TaskState::Succeeded)
    );
    let hashes: Vec<_> = receipt
        .tasks
        .iter()
        .map(|t| (t.output.clone().unwrap(), t.output_sha256.clone().unwrap()))
        .collect();
    let mut expected = hashes_of_a_run(12);
    expected.sort();
    let mut found: Vec<_> = hashes;
    found.sort();
    assert_eq!(found, expected);
    let runs = || a.runs.load(Ordering::SeqCst) + b.runs.load(Ordering::SeqCst);
    assert!(runs() >= 13, "{}", runs());
    // The one that stuck is told to stop.
    let stopped = async {
        while a.cancelled.lock().unwrap().is_empty() && b.cancelled.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let stopped = tokio::time::timeout(Duration::from_secs(10), stopped).await;
    assert!(stopped.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_stays_where_it_is_if_the_job_says_so_or_nobody_else_is_there() {
    for (nodes, speculate) in [(2, false), (1, true)] {
        let mut site = Site::new();
        let stick = Arc::new(Mutex::new(Some(3)));
        let probes: Vec<_> = (0..nodes).map(|_| Probe::stuck(stick.clone())).collect();
        for (n, probe) in probes.iter().enumerate() {
            site.start(&format!("node-{n}"), probe.clone());
        }
        let mut job = job("U");
        job.schedule.speculate = speculate;
        for n in 0..12 {
            site.upload("U", &format!("{n:02}.pgm"), picture(n)).await;
        }
        let id = site.jobs.submit("ada", job).await.unwrap();
        site.until(&id, |s| s.counts.succeeded == 11).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let runs: usize = probes.iter().map(|p| p.runs.load(Ordering::SeqCst)).sum();
        assert_eq!(runs, 12);
        site.jobs.cancel("ada", &id).await.unwrap();
        assert_eq!(site.ended(&id).await.state, JobState::Cancelled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_stops_at_its_first_error_if_it_says_so() {
    let mut site = Site::new();
    let probe = Probe::new();
    // Only one at a time reaches the world, so that some are still to begin.
    site.start_with("a", probe.clone(), 1);
    for n in 0..40 {
        let name = format!("{n:02}.pgm");
        let bytes = if n == 0 {
            b"P5 9 9 255\n".to_vec()
        } else {
            picture(n)
        };
        site.upload("U", &name, bytes).await;
    }
    let mut job = job("U");
    job.on_error = OnError::Stop;
    job.schedule.max_attempts = 1;
    // The broken one is the smallest and would come last.
    job.inputs = (0..40).map(|n| format!("uploads/U/{n:02}.pgm")).collect();
    site.upload(
        "U",
        "00.pgm",
        [b"P5 900 900 255\n".to_vec(), vec![0; 5000]].concat(),
    )
    .await;
    let id = site.jobs.submit("ada", job).await.unwrap();
    let status = site.ended(&id).await;
    let counts = status.counts;
    assert_eq!((status.state, counts.failed), (JobState::Failed, 1));
    assert!(counts.cancelled > 0, "{counts:?}");
    assert_eq!(counts.succeeded + counts.cancelled, 39);
    // A retry does the rest, and stops again at the broken one or goes on if it was mended.
    site.upload("U", "00.pgm", picture(0)).await;
    site.jobs.retry("ada", &id).await.unwrap();
    site.until(&id, |s| s.state == JobState::Succeeded).await;
}

/// Two nodes, one of which does nothing with what it has; many images are drawn for both.
async fn drawn(acceptance: Acceptance) -> (Site, String, Arc<Probe>) {
    let mut site = Site::new();
    let (held, free) = (Probe::new(), Probe::new());
    held.hold.store(true, Ordering::SeqCst);
    site.start("a", held.clone());
    site.start("b", free);
    let mut job = job("U");
    job.schedule.placement = Placement::Random;
    job.schedule.acceptance = acceptance;
    // None is refused.
    job.schedule.max_rejections = 0;
    job.schedule.speculate = false;
    for n in 0..30 {
        site.upload("U", &format!("{n:02}.pgm"), picture(n)).await;
    }
    let id = site.jobs.submit("ada", job).await.unwrap();
    (site, id, held)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_a_full_node_goes_to_whoever_has_room() {
    let (site, id, held) = drawn(Acceptance::Optional).await;
    // All but what fills the slots.
    site.until(&id, |s| s.counts.succeeded >= 26).await;
    held.hold.store(false, Ordering::SeqCst);
    assert_eq!(site.ended(&id).await.state, JobState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_drawn_for_a_node_that_must_accept_it_waits_there() {
    let (site, id, held) = drawn(Acceptance::Mandatory).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = site.jobs.status("ada", &id).await.unwrap();
    assert!(status.counts.succeeded < 26, "{:?}", status.counts);
    held.hold.store(false, Ordering::SeqCst);
    assert_eq!(site.ended(&id).await.state, JobState::Succeeded);
}
