//! What comes again and again, and what is looked at again and again, changes nothing.

use crate::site::*;
use cloud::queue::{Message, QueueName};
use dispatcher::names;
use protocol::job::Schedule;
use protocol::state::JobState;
use protocol::{Job, JobMessage};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_job_that_come_again_and_again_run_nothing_twice() {
    let mut site = Site::new();
    let probes = [Probe::new(), Probe::new()];
    site.start("a", probes[0].clone());
    site.start("b", probes[1].clone());
    let id = worker::batch::new_job_id();
    for n in 0..100 {
        site.upload(&id, &format!("{n}.pgm"), picture(n)).await;
    }
    let spec = Job {
        schedule: Schedule {
            speculate: false,
            ..Schedule::default()
        },
        ..job(&id)
    };
    site.jobs.submit_as("ada", &id, spec).await.unwrap();
    loop {
        let message = |_| {
            let message = JobMessage {
                version: 1,
                job: id.clone(),
                round: 1,
                store: None,
            };
            Message::new(QueueName::Jobs, names::to_json(&message))
        };
        let some = (0..5).map(message).collect();
        site.jobs.queue.publish(some).await.unwrap();
        let status = site.jobs.status("ada", &id).await.unwrap();
        let counts = status.counts;
        assert!(counts.succeeded + counts.failed <= 100, "{counts:?}");
        assert!(counts.tasks == 0 || counts.tasks == 100, "{counts:?}");
        if status.state.is_final() {
            assert_eq!(status.state, JobState::Succeeded);
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Whatever of them is left is taken and comes to nothing.
    soon(async || {
        let stats = site.jobs.queue.stats(&QueueName::Jobs).await.unwrap();
        stats.ready == 0
    })
    .await;
    site.told_end(&id).await;
    assert_eq!(site.told(&id).await, (1, 100, 1));
    let runs = probes.iter().map(|probe| probe.runs.load(Ordering::SeqCst));
    assert_eq!(runs.sum::<usize>(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_stay_however_often_they_are_looked_at() {
    let mut site = Site::new();
    site.start("a", Probe::new());
    let id = site.submit(0, true).await;
    assert_eq!(site.ended(&id).await.state, JobState::Failed);
    // And a message that is none of ours.
    let strange = Message::new(QueueName::Tasks, b"not a span".to_vec());
    site.jobs.queue.publish(vec![strange]).await.unwrap();
    soon(async || site.jobs.dead_letters(10).await.unwrap().len() == 2).await;
    // More often than brokers deliver a message by default.
    for _ in 0..30 {
        let letters = site.jobs.dead_letters(10).await.unwrap();
        let jobs: Vec<_> = letters.iter().map(|letter| letter.job.as_deref()).collect();
        assert_eq!(jobs, [Some(id.as_str()), None]);
    }
}
