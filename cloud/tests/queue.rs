//! What every queue promises, for the twin in memory and for RabbitMQ; then what only a broker can break.

#![allow(clippy::unwrap_used)]

use cloud::Error;
use cloud::queue::memory::MemoryQueue;
use cloud::queue::rabbitmq::{RabbitConfig, RabbitQueue};
use cloud::queue::{Consumer, DELIVERY_LIMIT, Delivery, Message, NodeId, Queue, QueueName};
use cloud::testing::{RabbitMq, available};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

async fn next(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(LIMIT, consumer.next())
        .await
        .expect("a delivery in time")
        .expect("an open queue")
}

fn task(body: impl Into<String>) -> Message {
    Message::new(QueueName::Tasks, body.into())
}

fn text(delivery: &Delivery) -> &str {
    std::str::from_utf8(&delivery.body).unwrap()
}

/// Waits until a queue's depth is `ready`; counts lag behind on a broker.
async fn depth_becomes(queue: &dyn Queue, name: &QueueName, ready: u64) {
    let end = Instant::now() + LIMIT;
    loop {
        let stats = queue.stats(name).await.unwrap();
        if stats.ready == ready {
            return;
        }
        assert!(Instant::now() < end, "{name} holds {stats:?}, not {ready}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn consumers_leave(queue: &dyn Queue, name: &QueueName) {
    let end = Instant::now() + LIMIT;
    while queue.stats(name).await.unwrap().consumers > 0 {
        assert!(Instant::now() < end, "{name} still has consumers");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Retires a node whose consumer was dropped just now, which the queue may not have heard of yet.
async fn retire(queue: &dyn Queue, node: &NodeId) -> u64 {
    let end = Instant::now() + LIMIT;
    loop {
        match queue.retire_node(node).await {
            Err(Error::Refused { .. }) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            retired => return retired.unwrap(),
        }
    }
}

async fn messages_arrive_in_order(queue: &dyn Queue) {
    let bodies: Vec<String> = (0..700).map(|i| format!("{{\"task\":{i}}}")).collect();
    queue
        .publish(bodies.iter().map(task).collect())
        .await
        .unwrap();
    queue.publish(Vec::new()).await.unwrap();
    let mut consumer = queue.consume(&QueueName::Tasks, 50).await.unwrap();
    for body in &bodies {
        let delivery = next(&mut consumer).await;
        assert_eq!(text(&delivery), body);
        assert_eq!((delivery.attempt, delivery.redelivered), (1, false));
        assert_eq!(delivery.queue, QueueName::Tasks);
        assert!(delivery.published.unwrap().elapsed().unwrap_or_default() < LIMIT);
        delivery.ack().await.unwrap();
    }
    depth_becomes(queue, &QueueName::Tasks, 0).await;
}

async fn what_is_not_acknowledged_comes_again(queue: &dyn Queue) {
    queue.publish(vec![task("again")]).await.unwrap();
    let mut consumer = queue.consume(&QueueName::Tasks, 1).await.unwrap();
    drop(next(&mut consumer).await);
    let delivery = next(&mut consumer).await;
    assert_eq!((delivery.attempt, delivery.redelivered), (2, true));
    delivery.requeue().await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!((delivery.attempt, delivery.redelivered), (3, true));
    assert_eq!(delivery.redeliveries, 2);
    assert_eq!(delivery.message(QueueName::Tasks).attempt, 1);
    assert_eq!(text(&delivery), "again");
    delivery.ack().await.unwrap();
}

async fn a_retry_counts_and_goes_to_the_end(queue: &dyn Queue) {
    queue
        .publish(vec![task("first"), task("second")])
        .await
        .unwrap();
    let mut consumer = queue.consume(&QueueName::Tasks, 1).await.unwrap();
    next(&mut consumer)
        .await
        .retry(QueueName::Tasks)
        .await
        .unwrap();
    let second = next(&mut consumer).await;
    assert_eq!((text(&second), second.attempt), ("second", 1));
    second.ack().await.unwrap();
    let first = next(&mut consumer).await;
    assert_eq!((text(&first), first.attempt), ("first", 2));
    assert!(!first.redelivered);
    first.ack().await.unwrap();
}

async fn a_rejected_message_is_a_dead_letter_with_its_reason(queue: &dyn Queue) {
    queue
        .publish(vec![Message::new(QueueName::Jobs, "job")])
        .await
        .unwrap();
    let mut consumer = queue.consume(&QueueName::Jobs, 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    delivery.reject("truncated JPEG: ünfinished").await.unwrap();
    let mut dead = queue.consume(&QueueName::DeadLetters, 1).await.unwrap();
    let delivery = next(&mut dead).await;
    let death = delivery.death.clone().unwrap();
    assert_eq!(death.reason, "truncated JPEG: ünfinished");
    assert_eq!(death.queue, Some(QueueName::Jobs));
    // A replay is a first attempt again.
    let replay = Message::new(death.queue.unwrap(), delivery.body.clone());
    delivery.replace(vec![replay]).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!((text(&delivery), delivery.attempt), ("job", 1));
    assert!(delivery.death.is_none());
    delivery.ack().await.unwrap();
}

async fn a_message_that_is_never_settled_becomes_a_dead_letter(queue: &dyn Queue) {
    queue.publish(vec![task("poison")]).await.unwrap();
    let mut consumer = queue.consume(&QueueName::Tasks, 1).await.unwrap();
    for attempt in 1..=DELIVERY_LIMIT + 1 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.attempt, attempt);
        delivery.requeue().await.unwrap();
    }
    let mut dead = queue.consume(&QueueName::DeadLetters, 1).await.unwrap();
    let delivery = next(&mut dead).await;
    assert_eq!(text(&delivery), "poison");
    let death = delivery.death.clone().unwrap();
    assert_eq!(death.reason, "delivery_limit");
    assert_eq!(death.queue, Some(QueueName::Tasks));
    delivery.ack().await.unwrap();
}

async fn no_more_than_prefetch_are_in_hand(queue: &dyn Queue) {
    queue
        .publish((0..5).map(|i| task(i.to_string())).collect())
        .await
        .unwrap();
    let mut consumer = queue.consume(&QueueName::Tasks, 2).await.unwrap();
    let first = next(&mut consumer).await;
    let second = next(&mut consumer).await;
    let none = tokio::time::timeout(Duration::from_millis(200), consumer.next()).await;
    assert!(none.is_err(), "a third delivery");
    assert_eq!(queue.stats(&QueueName::Tasks).await.unwrap().ready, 3);
    first.ack().await.unwrap();
    let third = next(&mut consumer).await;
    assert_eq!(text(&third), "2");
    second.ack().await.unwrap();
    third.ack().await.unwrap();
    for _ in 0..2 {
        next(&mut consumer).await.ack().await.unwrap();
    }
}

async fn a_dropped_consumer_hands_back_what_it_did_not_give_out(queue: &dyn Queue) {
    queue
        .publish((0..4).map(|i| task(i.to_string())).collect())
        .await
        .unwrap();
    let mut consumer = queue.consume(&QueueName::Tasks, 3).await.unwrap();
    let held = next(&mut consumer).await;
    drop(consumer);
    depth_becomes(queue, &QueueName::Tasks, 3).await;
    // What was given out can still be acknowledged.
    held.ack().await.unwrap();
    consumers_leave(queue, &QueueName::Tasks).await;
    let mut consumer = queue.consume(&QueueName::Tasks, 3).await.unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let delivery = next(&mut consumer).await;
        seen.insert(text(&delivery).to_owned());
        delivery.ack().await.unwrap();
    }
    assert_eq!(seen, ["1", "2", "3"].map(String::from).into());
    depth_becomes(queue, &QueueName::Tasks, 0).await;
}

async fn consumers_share_a_queue(queue: &dyn Queue) {
    let mut one = queue.consume(&QueueName::Tasks, 1).await.unwrap();
    let mut two = queue.consume(&QueueName::Tasks, 1).await.unwrap();
    queue.publish(vec![task("a"), task("b")]).await.unwrap();
    let (a, b) = (next(&mut one).await, next(&mut two).await);
    assert_ne!(text(&a), text(&b));
    a.ack().await.unwrap();
    b.ack().await.unwrap();
}

async fn a_node_has_its_own_queue_until_it_is_retired(queue: &dyn Queue) {
    let node = NodeId::new("n-1.lab_a").unwrap();
    let name = QueueName::Node(node.clone());
    let to_node = |body: &'static str| Message::new(name.clone(), body);
    let refused = queue.publish(vec![to_node("nobody")]).await;
    assert!(matches!(refused, Err(Error::Unroutable(_))), "{refused:?}");
    let missing = queue.stats(&name).await;
    assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
    assert_eq!(queue.retire_node(&node).await.unwrap(), 0);

    let mut consumer = queue.consume(&name, 1).await.unwrap();
    queue
        .publish(vec![to_node("one"), to_node("two"), to_node("three")])
        .await
        .unwrap();
    next(&mut consumer).await.ack().await.unwrap();
    let busy = queue.retire_node(&node).await;
    assert!(matches!(busy, Err(Error::Refused { .. })), "{busy:?}");
    drop(consumer);
    depth_becomes(queue, &name, 2).await;
    assert_eq!(retire(queue, &node).await, 2);
    let refused = queue.publish(vec![to_node("late")]).await;
    assert!(matches!(refused, Err(Error::Unroutable(_))), "{refused:?}");

    let mut tasks = queue.consume(&QueueName::Tasks, 1).await.unwrap();
    for body in ["two", "three"] {
        let delivery = next(&mut tasks).await;
        assert_eq!(text(&delivery), body);
        delivery.ack().await.unwrap();
    }
}

async fn a_message_is_replaced_only_when_its_successors_are_accepted(queue: &dyn Queue) {
    let job = Message::new(QueueName::Jobs, "job");
    queue.publish(vec![job]).await.unwrap();
    let mut jobs = queue.consume(&QueueName::Jobs, 1).await.unwrap();
    let nobody = QueueName::Node(NodeId::new("nobody").unwrap());
    let delivery = next(&mut jobs).await;
    let refused = delivery.replace(vec![Message::new(nobody, "x")]).await;
    assert!(matches!(refused, Err(Error::Unroutable(_))), "{refused:?}");
    let delivery = next(&mut jobs).await;
    assert_eq!(delivery.attempt, 2);
    let tasks = (0..20).map(|i| task(i.to_string())).collect();
    delivery.replace(tasks).await.unwrap();
    let mut consumer = queue.consume(&QueueName::Tasks, 5).await.unwrap();
    for i in 0..20 {
        let delivery = next(&mut consumer).await;
        assert_eq!(text(&delivery), i.to_string());
        delivery.ack().await.unwrap();
    }
    depth_becomes(queue, &QueueName::Jobs, 0).await;
}

async fn a_trace_goes_with_its_message(queue: &dyn Queue) {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = |trace: &str| Message {
        trace: Some(trace.into()),
        ..task("traced")
    };
    let none = "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let messages = vec![traced(trace), task("plain"), traced(none), traced("x\r\ny")];
    queue.publish(messages).await.unwrap();
    let mut consumer = queue.consume(&QueueName::Tasks, 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.trace.as_deref(), Some(trace));
    delivery.retry(QueueName::Tasks).await.unwrap();
    for _ in 0..3 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.trace, None);
        delivery.ack().await.unwrap();
    }
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.trace.as_deref(), Some(trace));
    delivery.reject("given up").await.unwrap();
    let mut dead = queue.consume(&QueueName::DeadLetters, 1).await.unwrap();
    let delivery = next(&mut dead).await;
    assert_eq!(delivery.trace.as_deref(), Some(trace));
    delivery.ack().await.unwrap();
}

async fn the_control_queue_has_one_consumer_at_a_time(queue: &dyn Queue) {
    let control = |body: &str| Message::new(QueueName::Control, body.to_owned());
    let mut first = queue.consume(&QueueName::Control, 4).await.unwrap();
    let mut second = queue.consume(&QueueName::Control, 4).await.unwrap();
    queue
        .publish((0..6).map(|n| control(&n.to_string())).collect())
        .await
        .unwrap();
    let mut held = Vec::new();
    for n in 0..4 {
        let delivery = next(&mut first).await;
        assert_eq!(text(&delivery), n.to_string());
        held.push(delivery);
    }
    // It has its hands full, and the other gets nothing all the same.
    let other = tokio::time::timeout(Duration::from_millis(200), second.next()).await;
    assert!(other.is_err());
    held.remove(0).ack().await.unwrap();
    let delivery = next(&mut first).await;
    assert_eq!(text(&delivery), "4");
    held.push(delivery);
    drop((held, first));
    let mut left = BTreeSet::new();
    while left.len() < 5 {
        let delivery = next(&mut second).await;
        left.insert(text(&delivery).to_owned());
        delivery.ack().await.unwrap();
    }
    let expected = ["1", "2", "3", "4", "5"].map(str::to_owned);
    assert_eq!(left, BTreeSet::from(expected));
    drop(second);
    depth_becomes(queue, &QueueName::Control, 0).await;
    consumers_leave(queue, &QueueName::Control).await;
}

async fn stats_tell_depth_and_age(queue: &dyn Queue) {
    let empty = queue.stats(&QueueName::Jobs).await.unwrap();
    assert_eq!((empty.ready, empty.oldest_age), (0, Some(Duration::ZERO)));
    let jobs = (0..3).map(|_| Message::new(QueueName::Jobs, "j"));
    queue.publish(jobs.collect()).await.unwrap();
    depth_becomes(queue, &QueueName::Jobs, 3).await;
    let mut consumer = queue.consume(&QueueName::Jobs, 1).await.unwrap();
    let first = next(&mut consumer).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stats = queue.stats(&QueueName::Jobs).await.unwrap();
    assert_eq!(stats.ready, 2);
    assert!(stats.oldest_age.unwrap() >= Duration::from_millis(50));
    first.ack().await.unwrap();
    for _ in 0..2 {
        next(&mut consumer).await.ack().await.unwrap();
    }
}

/// Runs the whole suite on one queue, each case beginning and ending with empty queues.
async fn conforms(queue: &dyn Queue) {
    macro_rules! run {
        ($($case:ident),* $(,)?) => {$(
            eprintln!("case {}", stringify!($case));
            $case(queue).await;
            for name in [QueueName::Jobs, QueueName::Tasks, QueueName::DeadLetters] {
                depth_becomes(queue, &name, 0).await;
                // A consumer on its way out could still take and hand back what the next case publishes.
                consumers_leave(queue, &name).await;
            }
        )*};
    }
    run!(
        messages_arrive_in_order,
        what_is_not_acknowledged_comes_again,
        a_retry_counts_and_goes_to_the_end,
        a_rejected_message_is_a_dead_letter_with_its_reason,
        a_message_that_is_never_settled_becomes_a_dead_letter,
        no_more_than_prefetch_are_in_hand,
        a_dropped_consumer_hands_back_what_it_did_not_give_out,
        consumers_share_a_queue,
        the_control_queue_has_one_consumer_at_a_time,
        a_node_has_its_own_queue_until_it_is_retired,
        a_message_is_replaced_only_when_its_successors_are_accepted,
        a_trace_goes_with_its_message,
        stats_tell_depth_and_age,
    );
}

#[tokio::test]
async fn memory_conforms() {
    conforms(&MemoryQueue::new()).await;
}

/// One test for all that needs the broker, since starting it takes longer than any case.
#[tokio::test]
async fn rabbitmq_conforms_and_survives() {
    if !available(RabbitMq::program(), "RabbitMQ") {
        return;
    }
    let mut broker = RabbitMq::start().unwrap();
    let connect = || RabbitQueue::new(RabbitConfig::new(&broker.url()).unwrap()).unwrap();
    let queue = connect();
    conforms(&queue).await;
    eprintln!("case rate");
    a_batch_is_confirmed_at_more_than_1000_a_second(&queue).await;
    eprintln!("case password");
    a_wrong_password_is_refused_and_not_shown(&broker).await;
    consumers_leave(&queue, &QueueName::Tasks).await;
    eprintln!("case heartbeats");
    heartbeats_go_on_while_the_caller_computes(&broker).await;
    consumers_leave(&queue, &QueueName::Tasks).await;
    eprintln!("case kill");
    nothing_is_lost_when_the_broker_is_killed(&mut broker, &queue).await;
}

async fn a_batch_is_confirmed_at_more_than_1000_a_second(queue: &RabbitQueue) {
    let count = 5000;
    let begin = Instant::now();
    let batch = (0..count).map(|i| task(i.to_string())).collect();
    queue.publish(batch).await.unwrap();
    let rate = f64::from(count) / begin.elapsed().as_secs_f64();
    let mut consumer = queue.consume(&QueueName::Tasks, 500).await.unwrap();
    let begin = Instant::now();
    for _ in 0..count {
        next(&mut consumer).await.ack().await.unwrap();
    }
    let consumed = f64::from(count) / begin.elapsed().as_secs_f64();
    eprintln!("{rate:.0} messages/s published and confirmed, {consumed:.0} consumed");
    assert!(rate > 1000.0, "{rate:.0} messages/s");
}

async fn a_wrong_password_is_refused_and_not_shown(broker: &RabbitMq) {
    let url = broker.url().replace(":guest@", ":swordfish@");
    let config = RabbitConfig::new(&url).unwrap();
    assert!(!format!("{config:?}").contains("swordfish"));
    let queue = RabbitQueue::new(config).unwrap();
    assert!(!format!("{queue:?}").contains("swordfish"));
    let begin = Instant::now();
    let error = queue.publish(vec![task("x")]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("swordfish"));
    assert!(begin.elapsed() < Duration::from_secs(10));
}

async fn heartbeats_go_on_while_the_caller_computes(broker: &RabbitMq) {
    let url = format!("{}?heartbeat=1", broker.url());
    let queue = RabbitQueue::new(RabbitConfig::new(&url).unwrap()).unwrap();
    queue.publish(vec![task("long")]).await.unwrap();
    let mut consumer = queue.consume(&QueueName::Tasks, 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    // The only thread of this test's runtime is busy for longer than the broker bears silence.
    std::thread::sleep(Duration::from_secs(4));
    delivery.ack().await.unwrap();
    drop(consumer);
    depth_becomes(&queue, &QueueName::Tasks, 0).await;
}

async fn nothing_is_lost_when_the_broker_is_killed(broker: &mut RabbitMq, queue: &RabbitQueue) {
    let count = 300;
    let batch = (0..count).map(|i| task(i.to_string())).collect();
    queue.publish(batch).await.unwrap();
    let mut consumer = queue.consume(&QueueName::Tasks, 10).await.unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let delivery = next(&mut consumer).await;
        seen.insert(text(&delivery).to_owned());
        delivery.ack().await.unwrap();
    }
    let held = next(&mut consumer).await;
    broker.kill();

    // Publishing waits for the broker to come back.
    let late = queue.clone();
    let late = tokio::spawn(async move { late.publish(vec![task("late")]).await });
    // One that has no time to wait says so.
    let mut hasty = RabbitConfig::new(&broker.url()).unwrap();
    hasty.patience = Duration::from_millis(300);
    let hasty = RabbitQueue::new(hasty).unwrap();
    let error = hasty.publish(vec![task("x")]).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");

    broker.resume().unwrap();
    let lost = held.ack().await;
    assert!(matches!(lost, Err(Error::Lost)), "{lost:?}");
    late.await.unwrap().unwrap();
    let mut again = 0;
    while seen.len() < count + 1 {
        let delivery = next(&mut consumer).await;
        again += u32::from(delivery.redelivered);
        seen.insert(text(&delivery).to_owned());
        delivery.ack().await.unwrap();
    }
    assert!(seen.contains("late"));
    assert!(again >= 1, "the message in hand came again");
    // Nothing else is left than what was acknowledged just before the broker died.
    depth_becomes(queue, &QueueName::Tasks, 0).await;
}
