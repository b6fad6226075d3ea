//! Jobs of one task, which is done under the job's own message, and what a loss of power leaves of receipts.

use crate::site::*;
use cloud::queue::QueueName;
use dispatcher::{Config, names};
use protocol::state::{JobState, TaskState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Waits for the first run on this probe.
async fn runs(probe: &Probe) {
    soon(async || probe.runs.load(Ordering::SeqCst) > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_rank_costs_an_attempt() {
    let mut site = Site::new();
    let probe = Probe::new();
    probe.lose.store(1, Ordering::SeqCst);
    site.start("a", probe.clone());
    let id = site.submit(1, false).await;
    assert_eq!(site.ended(&id).await.state, JobState::Succeeded);
    assert_eq!(site.receipt(&id).await.tasks[0].attempt, 2);
    site.told_end(&id).await;
    assert_eq!(site.told(&id).await, (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_image_becomes_the_dead_letter_of_its_task() {
    let mut site = Site::new();
    site.start("a", Probe::new());
    let id = site.submit(0, true).await;
    assert_eq!(site.ended(&id).await.state, JobState::Failed);
    soon(async || !site.jobs.dead_letters(10).await.unwrap().is_empty()).await;
    let letters = site.jobs.dead_letters(10).await.unwrap();
    assert_eq!(
        (letters[0].job.as_deref(), letters[0].task),
        (Some(id.as_str()), Some(0))
    );
    site.upload(&id, "broken.pgm", picture(1)).await;
    assert_eq!(site.jobs.replay_of("ada", 10).await.unwrap(), 1);
    site.until(&id, |s| s.state == JobState::Succeeded).await;
}

/// Starts a node that holds its first task; returns what stops it and what lets it hurry.
fn holding(
    site: &Site,
    probe: &Arc<Probe>,
) -> (
    tokio::task::JoinHandle<()>,
    CancellationToken,
    CancellationToken,
) {
    let mut config = Config::new("a");
    config.scratch = site._dir.path().join("scratch");
    config.cancel_check = Duration::from_millis(10);
    let (shutdown, hurry) = (CancellationToken::new(), config.hurry.clone());
    probe.hold.store(true, Ordering::SeqCst);
    let run = dispatcher::run(config, site.jobs.clone(), probe.clone(), shutdown.clone());
    let run = tokio::spawn(async move { run.await.unwrap() });
    (run, shutdown, hurry)
}

#[tokio::test(flavor = "multi_thread")]
async fn handed_back_it_waits_among_the_tasks() {
    let mut site = Site::new();
    let probe = Probe::new();
    let (run, shutdown, hurry) = holding(&site, &probe);
    let id = site.submit(1, false).await;
    runs(&probe).await;
    shutdown.cancel();
    hurry.cancel();
    tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .unwrap()
        .unwrap();
    let ready = async |queue| site.jobs.queue.stats(&queue).await.unwrap().ready;
    assert_eq!(ready(QueueName::Jobs).await, 0);
    assert_eq!(ready(QueueName::Tasks).await, 1);
    site.start("b", Probe::new());
    assert_eq!(site.ended(&id).await.state, JobState::Succeeded);
    assert_eq!(site.receipt(&id).await.tasks[0].attempt, 1);
    site.told_end(&id).await;
    assert_eq!(site.told(&id).await, (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_job_is_split_again_when_its_dispatcher_dies() {
    let mut site = Site::new();
    let probe = Probe::new();
    let (run, _shutdown, _hurry) = holding(&site, &probe);
    let id = site.submit(1, false).await;
    runs(&probe).await;
    run.abort();
    site.start("b", Probe::new());
    let status = site.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 1)
    );
    assert_eq!(site.receipt(&id).await.tasks[0].node, "b");
    site.told_end(&id).await;
    assert_eq!(site.told(&id).await, (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_loss_of_power_cut_off_is_made_again() {
    for images in [1, 3] {
        let mut site = Site::new();
        let id = site.submit(images, false).await;
        let folder = site._dir.path().join("store/jobs").join(&id);
        let last = images - 1;
        for (name, left) in [
            (format!("r1/done/0/{last}-{last}.json"), ""),
            (format!("out/{last}-{last}.pgm"), ""),
            ("receipt.json".into(), "{\"version\":1,\"job\":\""),
            ("r1/end.json".into(), ""),
            ("r1/plan.json".into(), "\0\0\0\0"),
        ] {
            std::fs::create_dir_all(folder.join("r1/done/0")).unwrap();
            std::fs::create_dir_all(folder.join("out")).unwrap();
            std::fs::write(folder.join(name), left).unwrap();
        }
        site.start("a", Probe::new());
        let status = site.ended(&id).await;
        assert_eq!(
            (status.state, status.counts.succeeded),
            (JobState::Succeeded, u64::from(images))
        );
        let receipt = site.receipt(&id).await;
        let made: Vec<_> = receipt
            .tasks
            .iter()
            .map(|t| (t.output.clone().unwrap(), t.output_sha256.clone().unwrap()))
            .collect();
        assert_eq!(made, hashes_of_a_run(images));
        for (task, (_, hash)) in receipt.tasks.iter().zip(made) {
            let name = names::outputs_of(&id, task)[0].0.clone();
            let bytes = site.jobs.store.get(&name, 1 << 20).await.unwrap();
            assert_eq!(worker::atomic::sha256(&bytes), hash);
        }
        assert!(
            receipt
                .tasks
                .iter()
                .all(|t| t.state == TaskState::Succeeded)
        );
        site.told_end(&id).await;
        assert_eq!(site.told(&id).await, (1, usize::from(images), 1));
    }
}
