//! Queues in the memory of one process, with the rules of the broker.

use super::{
    Consumer, DELIVERY_LIMIT, Death, Delivery, Hold, Message, NodeId, Queue, QueueName, Stats,
};
use crate::error::{Error, Result};
use async_trait::async_trait;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Notify, Semaphore, mpsc};

/// Queues in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<BTreeMap<QueueName, Line>>,
}

#[derive(Debug, Default)]
struct Line {
    items: VecDeque<Item>,
    /// The consumers by their numbers, those that came first first.
    consumers: VecDeque<u64>,
    named: u64,
    arrival: Arc<Notify>,
}

#[derive(Clone, Debug)]
struct Item {
    message: Message,
    redeliveries: u32,
    queued: Instant,
    published: SystemTime,
}

impl MemoryQueue {
    /// Empty queues.
    pub fn new() -> MemoryQueue {
        MemoryQueue::default()
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, BTreeMap<QueueName, Line>> {
        // Every change below is complete before anything could panic.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, mut message: Message) -> Result<()> {
        message.trace = message
            .trace
            .filter(|text| super::traceparent(text).is_some());
        let mut lines = self.lines();
        let to = message.to.clone();
        let line = match &message.to {
            node @ QueueName::Node(_) => lines
                .get_mut(node)
                .ok_or_else(|| Error::Unroutable(message.to.to_string()))?,
            other => lines.entry(other.clone()).or_default(),
        };
        line.items.push_back(Item {
            message,
            redeliveries: 0,
            queued: Instant::now(),
            published: SystemTime::now(),
        });
        Shared::wake(line, &to);
        Ok(())
    }

    /// Wakes who may take what has come to a queue.
    fn wake(line: &Line, queue: &QueueName) {
        match queue.is_exclusive() {
            // Which of them may is seen when they look.
            true => line.arrival.notify_waiters(),
            false => line.arrival.notify_one(),
        }
    }

    fn take(&self, queue: &QueueName, consumer: u64) -> Option<Item> {
        let mut lines = self.lines();
        let line = lines.get_mut(queue)?;
        if queue.is_exclusive() && line.consumers.front() != Some(&consumer) {
            return None;
        }
        let item = line.items.pop_front();
        // Wake-ups do not add up: pass this one on while there is more.
        if !line.items.is_empty() {
            line.arrival.notify_one();
        }
        item
    }

    fn put_back(&self, mut item: Item) {
        item.redeliveries += 1;
        let from = item.message.to.clone();
        let given_up = from != QueueName::DeadLetters && item.redeliveries > DELIVERY_LIMIT;
        let mut lines = self.lines();
        let target = if given_up {
            QueueName::DeadLetters
        } else if lines.contains_key(&from) {
            from.clone()
        } else {
            QueueName::Tasks
        };
        let line = lines.entry(target.clone()).or_default();
        item.message.to = target.clone();
        if given_up {
            item.message.death = Some(Death {
                queue: Some(from),
                reason: "delivery_limit".into(),
            });
            line.items.push_back(item);
        } else {
            line.items.push_front(item);
        }
        Shared::wake(line, &target);
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn publish(&self, messages: Vec<Message>) -> Result<()> {
        for message in messages {
            self.shared.add(message)?;
        }
        Ok(())
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Consumer> {
        let prefetch = usize::from(prefetch.max(1));
        let (arrival, number) = {
            let mut lines = self.shared.lines();
            let line = lines.entry(queue.clone()).or_default();
            line.named += 1;
            line.consumers.push_back(line.named);
            (line.arrival.clone(), line.named)
        };
        let (deliver, deliveries) = mpsc::channel(prefetch);
        let (shared, queue) = (self.shared.clone(), queue.clone());
        let permits = Arc::new(Semaphore::new(prefetch));
        tokio::spawn(async move {
            let consuming = Consuming {
                shared,
                queue,
                number,
            };
            loop {
                let permit = tokio::select! {
                    _ = deliver.closed() => break,
                    permit = permits.clone().acquire_owned() => permit,
                };
                let Ok(permit) = permit else { break };
                let item = loop {
                    let arrived = arrival.notified();
                    if deliver.is_closed() {
                        break None;
                    }
                    if let Some(item) = consuming.shared.take(&consuming.queue, number) {
                        break Some(item);
                    }
                    tokio::select! {
                        _ = deliver.closed() => break None,
                        _ = arrived => {}
                    }
                };
                let Some(item) = item else { break };
                let delivery = Delivery {
                    body: item.message.body.clone(),
                    queue: consuming.queue.clone(),
                    attempt: item.message.attempt.saturating_add(item.redeliveries),
                    redeliveries: item.redeliveries,
                    redelivered: item.redeliveries > 0,
                    published: Some(item.published),
                    death: item.message.death.clone(),
                    trace: item.message.trace.clone(),
                    hold: Some(Box::new(Held {
                        shared: consuming.shared.clone(),
                        item,
                        _permit: permit,
                    })),
                };
                // A consumer that is gone drops the delivery, which puts it back.
                let _ = deliver.send(delivery).await;
            }
        });
        Ok(Consumer { deliveries })
    }

    async fn stats(&self, queue: &QueueName) -> Result<Stats> {
        let lines = self.shared.lines();
        match (lines.get(queue), queue) {
            (Some(line), _) => Ok(Stats {
                ready: line.items.len() as u64,
                consumers: line.consumers.len() as u64,
                oldest_age: Some(
                    line.items
                        .iter()
                        .map(|item| item.queued.elapsed())
                        .max()
                        .unwrap_or(Duration::ZERO),
                ),
            }),
            (None, QueueName::Node(_)) => Err(Error::NotFound(queue.to_string())),
            (None, _) => Ok(Stats {
                ready: 0,
                consumers: 0,
                oldest_age: Some(Duration::ZERO),
            }),
        }
    }

    async fn retire_node(&self, node: &NodeId) -> Result<u64> {
        let name = QueueName::Node(node.clone());
        let mut lines = self.shared.lines();
        let Some(line) = lines.get(&name) else {
            return Ok(0);
        };
        if !line.consumers.is_empty() {
            return Err(super::node_in_use(&name));
        }
        let items = lines
            .remove(&name)
            .map(|line| line.items)
            .unwrap_or_default();
        let count = items.len() as u64;
        let tasks = lines.entry(QueueName::Tasks).or_default();
        for mut item in items {
            item.message.to = QueueName::Tasks;
            item.message.attempt = item.message.attempt.saturating_add(item.redeliveries);
            item.redeliveries = 0;
            tasks.items.push_back(item);
        }
        tasks.arrival.notify_one();
        Ok(count)
    }
}

struct Consuming {
    shared: Arc<Shared>,
    queue: QueueName,
    number: u64,
}

impl Drop for Consuming {
    fn drop(&mut self) {
        if let Some(line) = self.shared.lines().get_mut(&self.queue) {
            line.consumers.retain(|number| *number != self.number);
            // It may have taken a wake-up meant for another consumer, or be the one that the others waited for.
            Shared::wake(line, &self.queue);
        }
    }
}

struct Held {
    shared: Arc<Shared>,
    item: Item,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

#[async_trait]
impl Hold for Held {
    async fn ack(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn requeue(self: Box<Self>) -> Result<()> {
        self.abandon();
        Ok(())
    }

    fn abandon(self: Box<Self>) {
        self.shared.put_back(self.item);
    }

    fn is_live(&self) -> bool {
        true
    }

    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(MemoryQueue {
            shared: self.shared.clone(),
        })
    }
}
