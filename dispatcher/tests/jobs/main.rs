//! Jobs from submit to receipt on the adapters in memory, with threads as ranks.
#![allow(clippy::unwrap_used)]

mod again;
mod asking;
mod fair;
mod kept;
mod late;
mod long;
mod many;
mod reduce;
mod schedule;
mod single;
mod site;
mod telling;
mod unsound;
mod wishes;

use crate::site::*;
use cloud::queue::memory::MemoryQueue;
use cloud::queue::{Message, QueueName};
use dispatcher::names;
use jobs::Span;
use jobs::span::Order;
use protocol::Job;
use protocol::state::{JobState, TaskState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use worker::atomic::sha256;

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
    for (task, (_, hash)) in receipt.tasks.iter().zip(hashes) {
        let name = names::outputs_of(&id, task)[0].0.clone();
        let bytes = site.jobs.store.get(&name, 1 << 20).await.unwrap();
        assert_eq!(sha256(&bytes), hash);
    }
    assert_eq!(site.told(&id).await, (1, 5, 1));
    assert_eq!(site.jobs.list("ada").await.unwrap().len(), 1);
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
        let order = Order::new(Span {
            job: id.as_str().into(),
            round: 1,
            page: 0,
            first: task,
            last: task,
            attempt: 1,
        });
        Message::new(QueueName::Tasks, names::to_json(&order))
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
async fn a_broken_image_fails_alone_and_at_once_and_is_a_dead_letter() {
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
    // The same bytes would fail in the same way again.
    assert_eq!(failed.attempt, 1);
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
    assert_eq!(other.jobs.unfinished().await.unwrap(), 1);
    other.start("b", probe);
    let status = other.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 3)
    );
    while !other.jobs.store.list(names::OPEN).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(other.jobs.unfinished().await.unwrap(), 0);
}
