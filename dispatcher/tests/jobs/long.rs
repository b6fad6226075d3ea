//! Tasks that take longer than a broker leaves a message with its consumer.

use crate::site::*;
use cloud::queue::rabbitmq::{RabbitConfig, RabbitQueue};
use cloud::queue::{Message, Queue, QueueName};
use cloud::testing::{RabbitMq, available};
use protocol::state::JobState;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Messages that are not acknowledged are taken back after a second, instead of half an hour.
const IMPATIENT: [(&str, u32); 2] = [("consumer_timeout", 1000), ("channel_tick_interval", 300)];

/// Some times that long.
const LONG: Duration = Duration::from_secs(5);

/// Whether the broker delivers a message again while somebody has it in hand.
async fn takes_back(queue: &dyn Queue) -> bool {
    let message = Message::new(QueueName::Jobs, "held");
    queue.publish(vec![message]).await.unwrap();
    let mut consumer = queue.consume(&QueueName::Jobs, 1).await.unwrap();
    let held = consumer.next().await.unwrap();
    match tokio::time::timeout(LONG, consumer.next()).await {
        Ok(again) => {
            let again = again.unwrap();
            assert!(again.redelivered && !held.is_live());
            again.ack().await.unwrap();
            true
        }
        Err(_) => {
            held.ack().await.unwrap();
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_outlasts_the_brokers_patience_is_run_once() {
    if !available(RabbitMq::program(), "RabbitMQ") {
        return;
    }
    let broker = RabbitMq::with_settings(&IMPATIENT).unwrap();
    let queue = RabbitQueue::new(RabbitConfig::new(&broker.url()).unwrap()).unwrap();
    let queue = Arc::new(queue);
    match takes_back(queue.as_ref()).await {
        true => println!("this broker takes back what is held: it is older than 3.12"),
        false => println!("this broker keeps to the limit that queues are declared with"),
    }
    let mut site = Site::on(queue.clone());
    let probe = Probe::new();
    probe.hold.store(true, Ordering::SeqCst);
    site.start("n1", probe.clone());
    let id = site.submit(2, false).await;
    let running = async {
        while probe.runs.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), running)
        .await
        .unwrap();
    tokio::time::sleep(LONG).await;
    probe.hold.store(false, Ordering::SeqCst);
    let status = site.ended(&id).await;
    assert_eq!(status.state, JobState::Succeeded);
    // What came again in the meantime is found to be done.
    let empty = async {
        loop {
            let tasks = queue.stats(&QueueName::Tasks).await.unwrap();
            if tasks.ready == 0 && site.told(&id).await.2 == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), empty)
        .await
        .unwrap();
    assert_eq!(probe.runs.load(Ordering::SeqCst), 2);
    assert_eq!(site.told(&id).await, (1, 2, 1));
    let receipt = site.receipt(&id).await;
    assert!(receipt.tasks.iter().all(|task| task.attempt == 1));
    let dead = queue.stats(&QueueName::DeadLetters).await.unwrap();
    assert_eq!(dead.ready, 0);
}
