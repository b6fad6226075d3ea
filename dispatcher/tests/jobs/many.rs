//! Jobs of several pages.

use crate::site::*;
use dispatcher::names;
use futures_util::TryStreamExt as _;
use protocol::JobReceipt;
use protocol::state::{JobState, TaskState};
use std::sync::atomic::Ordering;

/// A page, and some of a second one.
const IMAGES: u64 = 4500;

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_of_several_pages_tells_of_all_its_inputs_and_can_be_tried_again() {
    let mut site = Site::new();
    let probe = Probe::new();
    probe.hold.store(true, Ordering::SeqCst);
    let upload = worker::batch::new_job_id();
    let mut image = b"P5 4 4 255\n".to_vec();
    image.extend(0..16);
    for n in 0..IMAGES {
        let name = names::upload("ada", &format!("{upload}/{n:05}.pgm"));
        let bytes = image.clone().into();
        let put = site
            .jobs
            .store
            .put_hint(&name, bytes, "image/x-portable-anymap");
        put.await.unwrap();
    }
    site.start("a", probe.clone());
    let id = site.jobs.submit("ada", job(&upload)).await.unwrap();
    site.until(&id, |status| status.counts.tasks == IMAGES)
        .await;
    soon(async || probe.runs.load(Ordering::SeqCst) > 0).await;
    site.jobs.cancel("ada", &id).await.unwrap();
    let status = site.ended(&id).await;
    assert_eq!(status.state, JobState::Cancelled);
    assert_eq!(status.counts.cancelled, IMAGES);
    // Of the second page nothing was begun, and nothing is noted.
    let folded = site.jobs.store.get(&names::folded(&id, 1, 1), 100).await;
    assert_eq!(folded.unwrap(), "[]");
    let some = site
        .jobs
        .some_tasks("ada", &id, 10, Some(4400))
        .await
        .unwrap();
    let numbers: Vec<u64> = some.iter().map(|receipt| receipt.task).collect();
    assert_eq!(numbers, (4401..4411).collect::<Vec<_>>());
    assert!(some.iter().all(|one| one.state == TaskState::Cancelled));

    // However it is read, the receipt is the same, and in the end lies in the store.
    let receipt = site.receipt(&id).await;
    assert_eq!(receipt.tasks.len() as u64, IMAGES);
    let parts = site.jobs.receipt_parts("ada", &id).await.unwrap().unwrap();
    let parts: Vec<Vec<u8>> = parts.try_collect().await.unwrap();
    let whole: JobReceipt = serde_json::from_slice(&parts.concat()).unwrap();
    assert_eq!(whole, receipt);
    soon(async || {
        !names::exists(&site.jobs.store, &names::open(&id))
            .await
            .unwrap()
    })
    .await;
    let stored: Option<JobReceipt> = names::read(&site.jobs.store, &names::receipt(&id))
        .await
        .unwrap();
    assert_eq!(stored.unwrap().tasks.len() as u64, IMAGES);

    probe.hold.store(false, Ordering::SeqCst);
    assert_eq!(site.jobs.retry("ada", &id).await.unwrap() as u64, IMAGES);
    let status = site.until(&id, |s| s.state == JobState::Succeeded).await;
    assert_eq!(status.counts.succeeded, IMAGES);
    let tasks = site.receipt(&id).await.tasks;
    assert_eq!(tasks.len() as u64, IMAGES);
    assert!((0..).zip(&tasks).all(|(n, one)| one.task == n));
}
