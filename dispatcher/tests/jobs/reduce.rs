//! Reductions through the queue: the bytes of a reduction in one process, whoever runs which node, and nothing left.

use crate::site::*;
use cloud::queue::{Message, QueueName};
use dispatcher::{Error, names};
use imaging::comm::serial::Serial;
use imaging::executor::Stop;
use jobs::Span;
use jobs::span::Order;
use protocol::Job;
use protocol::job::{Reduce, ReduceOp};
use protocol::state::{JobState, TaskState};
use std::sync::atomic::Ordering;
use std::time::Duration;
use worker::reduce::Request;

/// Files of numbers, or pictures.
#[derive(Clone, Copy)]
enum What {
    Numbers,
    Pictures,
}

fn file(what: What, n: usize) -> (String, Vec<u8>) {
    match what {
        What::Numbers => {
            let one = |i: usize| format!("{}\n", ((n * 37 + i * 101) as f64).sin() * 1e3);
            (
                format!("{n:03}.txt"),
                (0..50).map(one).collect::<String>().into(),
            )
        }
        What::Pictures => (format!("{n:03}.pgm"), picture(n as u8)),
    }
}

fn reduction(upload: &str, op: ReduceOp, fan_in: usize) -> Job {
    Job {
        inputs: vec![format!("uploads/{upload}/")],
        reduce: Some(Reduce {
            op,
            fan_in,
            max_open_files: 5,
            bits: None,
            keep_partials: false,
        }),
        ..Job::default()
    }
}

impl Site {
    /// Uploads so many files and submits a reduction of them.
    async fn reduce(&self, what: What, files: usize, op: ReduceOp, fan_in: usize) -> String {
        let id = worker::batch::new_job_id();
        for n in 0..files {
            let (name, bytes) = file(what, n);
            self.upload(&id, &name, bytes).await;
        }
        let job = reduction(&id, op, fan_in);
        self.jobs.submit_as("ada", &id, job).await.unwrap();
        id
    }

    /// The bytes of the one output.
    async fn result(&self, id: &str) -> Vec<u8> {
        let receipt = self.receipt(id).await;
        let outputs: Vec<_> = receipt
            .tasks
            .iter()
            .flat_map(|task| names::outputs_of(id, task))
            .map(|(name, output)| (name, output.sha256.unwrap().to_owned()))
            .collect();
        let [(name, hash)] = &outputs[..] else {
            panic!("{outputs:?}");
        };
        let bytes = self.jobs.store.get(name, 1 << 24).await.unwrap().to_vec();
        assert_eq!(worker::atomic::sha256(&bytes), *hash);
        bytes
    }

    async fn partials(&self, id: &str) -> usize {
        let below = names::partials(id, 1);
        self.jobs.store.list(&below).await.unwrap().len()
    }
}

/// What one process makes of the same files.
fn in_one_process(what: What, files: usize, op: ReduceOp, fan_in: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let paths = (0..files).map(|n| {
        let (name, bytes) = file(what, n);
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    });
    let output = dir.path().join(match what {
        What::Numbers => "out.txt",
        What::Pictures => "out.pgm",
    });
    let mut request = Request::new(op, paths.collect(), output.clone());
    request.fan_in = fan_in;
    let (comm, stop) = (Serial::default(), Stop::default());
    worker::reduce::run(&comm, 2, &request, &stop, &|_, _| ()).unwrap();
    std::fs::read(output).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn reductions_have_the_bytes_of_one_process_and_leave_nothing() {
    for nodes in [1, 2, 4] {
        let mut site = Site::new();
        for n in 0..nodes {
            site.start(&format!("n{n}"), Probe::new());
        }
        for (what, files, fan_in) in [(What::Numbers, 23, 3), (What::Pictures, 17, 7)] {
            let mut jobs = Vec::new();
            for op in ReduceOp::ALL {
                // All of them at once, so that they could mix.
                jobs.push((op, site.reduce(what, files, op, fan_in).await));
            }
            for (op, id) in jobs {
                let status = site.ended(&id).await;
                assert_eq!(status.state, JobState::Succeeded, "{op:?}");
                let nodes = match op {
                    ReduceOp::Median => 1,
                    _ => dispatcher::tree(&reduction("", op, fan_in).reduce.unwrap(), files as u64)
                        .nodes(),
                };
                assert_eq!(
                    (status.counts.tasks, status.counts.succeeded),
                    (nodes, nodes)
                );
                let expected = in_one_process(what, files, op, fan_in);
                assert!(site.result(&id).await == expected, "{op:?}");
                site.told_end(&id).await;
                assert_eq!(site.told(&id).await, (1, nodes as usize, 1));
                assert_eq!(site.partials(&id).await, 0);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redelivered_and_lost_nodes_of_a_tree_change_nothing() {
    let mut site = Site::new();
    let probe = Probe::new();
    probe.lose.store(3, Ordering::SeqCst);
    site.start("a", probe.clone());
    site.start("b", Probe::new());
    let id = site.reduce(What::Numbers, 40, ReduceOp::Std, 2).await;
    site.until(&id, |status| status.counts.succeeded > 2).await;
    // Leaves alone: nobody sends a node before what it needs is there.
    let twice = (0..20).map(|node| {
        let order = Order::new(Span {
            job: id.as_str().into(),
            round: 1,
            page: 0,
            first: node,
            last: node,
            attempt: 1,
        });
        Message::new(QueueName::Tasks, names::to_json(&order))
    });
    site.jobs.queue.publish(twice.collect()).await.unwrap();
    assert_eq!(site.ended(&id).await.state, JobState::Succeeded);
    let expected = in_one_process(What::Numbers, 40, ReduceOp::Std, 2);
    assert!(site.result(&id).await == expected);
    // What is late leaves nothing either.
    soon(async || {
        let stats = site.jobs.queue.stats(&QueueName::Tasks).await.unwrap();
        stats.ready == 0
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(site.partials(&id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_ends_the_reduction_with_its_reason_and_a_retry_begins_anew() {
    let mut site = Site::new();
    site.start("a", Probe::new());
    let id = worker::batch::new_job_id();
    for n in 0..30 {
        let (name, bytes) = file(What::Numbers, n);
        site.upload(&id, &name, bytes).await;
    }
    site.upload(&id, "017.txt", b"1\n2\nthree\n".to_vec()).await;
    let job = reduction(&id, ReduceOp::Mean, 5);
    site.jobs.submit_as("ada", &id, job).await.unwrap();
    let status = site.ended(&id).await;
    assert_eq!(status.state, JobState::Failed);
    let receipt = site.receipt(&id).await;
    let failed: Vec<_> = (receipt.tasks.iter())
        .filter(|task| task.state == TaskState::Failed)
        .collect();
    let [failed] = &failed[..] else {
        panic!("{failed:?}");
    };
    let reason = failed.reason.as_deref().unwrap();
    assert!(
        reason.contains(&format!("uploads/{id}/017.txt")) && reason.contains("three"),
        "{reason}"
    );
    assert!(
        !reason.contains("scratch") && !reason.contains("/store/"),
        "{reason}"
    );
    assert!(
        site.jobs
            .results("ada", &id, Duration::from_secs(60))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(site.partials(&id).await, 0);
    let (name, bytes) = file(What::Numbers, 17);
    site.upload(&id, &name, bytes).await;
    assert_eq!(site.jobs.retry("ada", &id).await.unwrap(), 9);
    let status = site.until(&id, |s| s.state == JobState::Succeeded).await;
    assert_eq!((status.counts.succeeded, status.counts.failed), (9, 0));
    let expected = in_one_process(What::Numbers, 30, ReduceOp::Mean, 5);
    assert!(site.result(&id).await == expected);
    assert_eq!(site.jobs.retry("ada", &id).await.unwrap(), 0);
    let left = site
        .jobs
        .store
        .list(&names::partials(&id, 2))
        .await
        .unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reductions_of_nothing_or_of_what_is_not_there_end() {
    let mut site = Site::new();
    site.start("a", Probe::new());
    for (inputs, part) in [
        (Vec::new(), "no files to reduce"),
        (vec!["uploads/none/a.txt".to_owned()], "no such object"),
    ] {
        let job = Job {
            inputs,
            ..reduction("", ReduceOp::Sum, 5)
        };
        let id = site.jobs.submit("ada", job).await.unwrap();
        assert_eq!(site.ended(&id).await.state, JobState::Failed);
        let receipt = site.receipt(&id).await;
        let reason = receipt.tasks[0].reason.as_deref().unwrap();
        assert!(reason.contains(part), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reduction_is_paused_cancelled_and_kept_as_other_jobs_are() {
    let mut site = Site::new();
    let probe = Probe::new();
    probe.hold.store(true, Ordering::SeqCst);
    site.start("a", probe.clone());
    let id = site.reduce(What::Pictures, 20, ReduceOp::Max, 2).await;
    soon(async || probe.runs.load(Ordering::SeqCst) > 0).await;
    assert_eq!(
        site.jobs.pause("ada", &id).await.unwrap().state,
        JobState::Paused
    );
    site.jobs.resume("ada", &id).await.unwrap();
    site.jobs.cancel("ada", &id).await.unwrap();
    assert_eq!(site.ended(&id).await.state, JobState::Cancelled);
    probe.hold.store(false, Ordering::SeqCst);
    site.told_end(&id).await;
    assert_eq!(site.jobs.retry("ada", &id).await.unwrap(), 21);
    site.until(&id, |s| s.state == JobState::Succeeded).await;
    let expected = in_one_process(What::Pictures, 20, ReduceOp::Max, 2);
    assert!(site.result(&id).await == expected);
    // And where they are wanted, partial results stay until the job is deleted.
    let kept = worker::batch::new_job_id();
    let mut job = reduction(&id, ReduceOp::Max, 2);
    job.reduce.as_mut().unwrap().keep_partials = true;
    site.jobs.submit_as("ada", &kept, job).await.unwrap();
    assert_eq!(site.ended(&kept).await.state, JobState::Succeeded);
    assert_eq!(site.partials(&kept).await, 20);
    site.jobs.purge("ada", &kept).await.unwrap();
    assert_eq!(site.partials(&kept).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reduction_or_a_job_cannot_have_is_refused_by_name() {
    let site = Site::new();
    let refused = async |job: Job| match site.jobs.submit("ada", job).await {
        Err(Error::Invalid { key, reason }) => (key, reason),
        other => panic!("{other:?}"),
    };
    let mean = || reduction("x", ReduceOp::Mean, 5);
    for (key, job) in [
        (
            "reduce",
            Job {
                pipeline: "invert".into(),
                ..mean()
            },
        ),
        (
            "names",
            Job {
                names: Some("{stem}.{format}".into()),
                ..mean()
            },
        ),
        (
            "pages",
            Job {
                pages: protocol::Pages::First,
                ..mean()
            },
        ),
        ("reduce.fan_in", reduction("x", ReduceOp::Mean, 1)),
        (
            "format",
            Job {
                format: Some("npz".into()),
                ..mean()
            },
        ),
        (
            "format",
            Job {
                format: Some("npz".into()),
                ..job("x")
            },
        ),
        (
            "ranks",
            Job {
                ranks: Some(2),
                ..job("x")
            },
        ),
        (
            "threads",
            Job {
                threads: Some(2),
                ..job("x")
            },
        ),
        (
            "thread_ranks",
            Job {
                thread_ranks: Some(2),
                ..job("x")
            },
        ),
    ] {
        let (named, reason) = refused(job).await;
        assert_eq!(named, key, "{reason}");
        if key.contains("rank") || key == "threads" {
            assert!(
                reason.contains("leave it out") && reason.contains("sundog dispatcher"),
                "{reason}"
            );
        }
    }
}
