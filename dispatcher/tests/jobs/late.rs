//! A broker that does not answer when a dispatcher starts.

use crate::site::*;
use async_trait::async_trait;
use cloud::queue::memory::MemoryQueue;
use cloud::queue::{Consumer, Message, NodeId, Queue, QueueName, Stats};
use dispatcher::Config;
use protocol::state::JobState;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A queue whose first openings fail, as those of a broker that is away.
#[derive(Debug)]
struct Late {
    inner: MemoryQueue,
    fails: AtomicUsize,
}

#[async_trait]
impl Queue for Late {
    async fn publish(&self, messages: Vec<Message>) -> cloud::Result<()> {
        self.inner.publish(messages).await
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> cloud::Result<Consumer> {
        let less = |n: usize| n.checked_sub(1);
        let failed = self
            .fails
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        match failed {
            Ok(_) => Err(cloud::Error::Unreachable {
                service: "the broker",
                reason: "it is not there yet".into(),
            }),
            Err(_) => self.inner.consume(queue, prefetch).await,
        }
    }

    async fn stats(&self, queue: &QueueName) -> cloud::Result<Stats> {
        self.inner.stats(queue).await
    }

    async fn retire_node(&self, node: &NodeId) -> cloud::Result<u64> {
        self.inner.retire_node(node).await
    }
}

fn late(fails: usize) -> Arc<Late> {
    Arc::new(Late {
        inner: MemoryQueue::new(),
        fails: AtomicUsize::new(fails),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_at_the_start_is_asked_again() {
    let queue = late(6);
    let mut site = Site::on(queue.clone());
    site.start("a", Probe::new());
    let id = site.submit(3, false).await;
    let status = site.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 3)
    );
    assert_eq!(queue.fails.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stays_away_ends_the_dispatcher_after_a_while() {
    let site = Site::on(late(usize::MAX));
    let mut config = Config::new("a");
    config.wait = Duration::from_millis(300);
    config.pause = Duration::from_millis(10);
    let begun = Instant::now();
    let stop = CancellationToken::new();
    let ended = dispatcher::run(config, site.jobs.clone(), Probe::new(), stop).await;
    assert_eq!(ended.unwrap_err().exit_code(), 4);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    // Who is asked to end meanwhile does.
    let mut config = Config::new("b");
    config.pause = Duration::from_millis(10);
    let stop = CancellationToken::new();
    let ends = dispatcher::run(config, site.jobs.clone(), Probe::new(), stop.clone());
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(ends, later);
    assert!(ended.is_ok(), "{ended:?}");
}
