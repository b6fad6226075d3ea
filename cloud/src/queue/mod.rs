//! Queues of jobs and tasks: the trait, its messages and deliveries.
//!
//! Delivery is at least once. A message is gone from the broker only when its delivery was acknowledged or
//! replaced by messages that the broker has confirmed; everything else (a crash, a lost connection, a
//! delivery that is dropped) makes it come again. Work must therefore be idempotent.

pub mod memory;
pub mod rabbitmq;

use crate::error::{Error, Result};
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// Redeliveries after which the broker itself gives a message up, for work that kills its consumers.
pub const DELIVERY_LIMIT: u32 = 20;

/// How long a message may be in hand. Brokers that know of it (RabbitMQ since 3.12) take it back after that; older
/// ones after half an hour, unless their own `consumer_timeout` is set.
pub const ACK_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// One of the queues.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QueueName {
    /// Jobs to which something was done: submitted, cancelled, tried again. Whoever leads looks at them.
    Jobs,
    /// What nodes tell whoever leads. It has one consumer at a time, the others wait for its end: that is how one leads.
    Control,
    /// Tasks that any node may take.
    Tasks,
    /// Tasks for one node.
    Node(NodeId),
    /// Messages that ran out of attempts.
    DeadLetters,
}

/// Name of a node as part of queue and key names: 1 to 100 letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(String);

impl NodeId {
    /// Checks a node's name.
    pub fn new(id: &str) -> Result<NodeId> {
        let fits = (1..=100).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if fits {
            Ok(NodeId(id.to_owned()))
        } else {
            Err(Error::invalid(
                format!("node `{id}`"),
                "a node's name is 1 to 100 letters, digits, `-`, `_` and `.`",
            ))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueName::Jobs => f.write_str("sundog.jobs"),
            QueueName::Control => f.write_str("sundog.control"),
            QueueName::Tasks => f.write_str("sundog.tasks"),
            QueueName::Node(id) => write!(f, "sundog.node.{}", id.0),
            QueueName::DeadLetters => f.write_str("sundog.dead-letters"),
        }
    }
}

impl QueueName {
    /// Whether only one consumer at a time is given messages, the one that came first.
    pub fn is_exclusive(&self) -> bool {
        *self == QueueName::Control
    }

    /// The queue of that name.
    pub fn parse(name: &str) -> Result<QueueName> {
        match name {
            "sundog.jobs" => Ok(QueueName::Jobs),
            "sundog.control" => Ok(QueueName::Control),
            "sundog.tasks" => Ok(QueueName::Tasks),
            "sundog.dead-letters" => Ok(QueueName::DeadLetters),
            _ => match name.strip_prefix("sundog.node.") {
                Some(id) => Ok(QueueName::Node(NodeId::new(id)?)),
                None => Err(Error::invalid(
                    format!("queue `{name}`"),
                    "no such queue (sundog.jobs, sundog.control, sundog.tasks, sundog.node.<id>, sundog.dead-letters)",
                )),
            },
        }
    }
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it goes.
    pub to: QueueName,
    /// What it says, JSON of a `protocol` type.
    pub body: Bytes,
    /// Which attempt at the work this is, from 1.
    pub attempt: u32,
    /// Why it is a dead letter.
    pub death: Option<Death>,
    /// The trace that it belongs to, as a W3C `traceparent`; what is none is not sent.
    pub trace: Option<String>,
}

impl Message {
    /// A first attempt.
    pub fn new(to: QueueName, body: impl Into<Bytes>) -> Message {
        Message {
            to,
            body: body.into(),
            attempt: 1,
            death: None,
            trace: None,
        }
    }
}

/// Why and where a message was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The queue it was taken from.
    pub queue: Option<QueueName>,
    /// Why; `delivery_limit` when the broker gave it up after [`DELIVERY_LIMIT`] redeliveries.
    pub reason: String,
}

/// How full a queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages that no consumer holds.
    pub ready: u64,
    /// Consumers; one that was dropped may be counted until its last delivery is settled.
    pub consumers: u64,
    /// For how long the oldest of them has waited; None where it is not known. From RabbitMQ this is an upper
    /// bound, known once this process has consumed from the queue: the age of the last message it was given.
    pub oldest_age: Option<Duration>,
}

/// Queues, in memory or on a broker.
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// Publishes messages and returns when each is durably on its queue. After an error some of them may be.
    ///
    /// Waits for a broker that is away, with a bound. [`Error::Unroutable`] names a node without a queue.
    async fn publish(&self, messages: Vec<Message>) -> Result<()>;

    /// Takes messages from a queue, at most `prefetch` (at least 1) not yet settled. Creates a node's queue.
    ///
    /// The consumer outlives losses of the connection; messages it held then come again.
    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Consumer>;

    /// How full a queue is. A node without a queue is [`Error::NotFound`].
    async fn stats(&self, queue: &QueueName) -> Result<Stats>;

    /// Closes the queue of a node that is gone; what waits there goes to [`QueueName::Tasks`]. Returns how many.
    ///
    /// Refused while somebody consumes from it.
    async fn retire_node(&self, node: &NodeId) -> Result<u64>;
}

/// Deliveries from one queue. Dropping it hands back those that were not taken yet.
#[derive(Debug)]
pub struct Consumer {
    pub(crate) deliveries: mpsc::Receiver<Delivery>,
}

impl Consumer {
    /// The next delivery; None when the queue was closed for good.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            match self.deliveries.poll_recv(cx) {
                // Its connection went away while it waited here: the broker sends it again.
                Poll::Ready(Some(delivery)) if !delivery.is_live() => drop(delivery),
                other => return other,
            }
        }
    }
}

impl futures_core::Stream for Consumer {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.poll(cx)
    }
}

/// A message in hand. Exactly one of [`ack`](Delivery::ack), [`replace`](Delivery::replace),
/// [`requeue`](Delivery::requeue) and [`reject`](Delivery::reject) ends it; dropped, it is requeued.
#[must_use = "a delivery that is dropped goes back to its queue"]
pub struct Delivery {
    /// What the message says.
    pub body: Bytes,
    /// The queue it was taken from.
    pub queue: QueueName,
    /// Which attempt this is, from 1: the publisher's count plus deliveries that were not acknowledged.
    pub attempt: u32,
    /// How many of these attempts were deliveries of this message that were not acknowledged: their consumer
    /// died, lost its connection, or handed them back.
    pub redeliveries: u32,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    /// When it was published, by the publisher's clock.
    pub published: Option<SystemTime>,
    /// Set on dead letters.
    pub death: Option<Death>,
    /// The trace that it belongs to, as a W3C `traceparent`; kept when the message goes elsewhere.
    pub trace: Option<String>,
    pub(crate) hold: Option<Box<dyn Hold>>,
}

/// An adapter's side of a delivery.
#[async_trait]
pub(crate) trait Hold: Send + Sync {
    async fn ack(self: Box<Self>) -> Result<()>;
    async fn requeue(self: Box<Self>) -> Result<()>;
    /// Requeues without waiting.
    fn abandon(self: Box<Self>);
    fn is_live(&self) -> bool;
    fn queue(&self) -> Arc<dyn Queue>;
}

impl Delivery {
    /// The message is done with. Call it last, when everything it asked for is durable.
    pub async fn ack(mut self) -> Result<()> {
        match self.hold.take() {
            Some(hold) => hold.ack().await,
            None => Err(Error::Lost),
        }
    }

    /// Puts the message back at the front of its queue. Brokers count this as an attempt.
    pub async fn requeue(mut self) -> Result<()> {
        match self.hold.take() {
            Some(hold) => hold.requeue().await,
            None => Err(Error::Lost),
        }
    }

    /// Publishes what follows from the message, then acknowledges it: tasks of a job, the next attempt, the
    /// same attempt for another node. If publishing fails the message is requeued and the error returned.
    pub async fn replace(mut self, messages: Vec<Message>) -> Result<()> {
        let Some(hold) = self.hold.take() else {
            return Err(Error::Lost);
        };
        // Still held by `self` while publishing, so that a cancelled call requeues it.
        let queue = hold.queue();
        self.hold = Some(hold);
        queue.publish(messages).await?;
        self.ack().await
    }

    /// Puts the message at the end of `to` with the next attempt's number, redeliveries not counted.
    pub async fn retry(self, to: QueueName) -> Result<()> {
        let message = self.message(to);
        let message = Message {
            attempt: message.attempt.saturating_add(1),
            ..message
        };
        self.replace(vec![message]).await
    }

    /// Gives the message up: it goes to [`QueueName::DeadLetters`] with its reason.
    pub async fn reject(self, reason: &str) -> Result<()> {
        let message = Message {
            attempt: self.attempt,
            death: Some(Death {
                queue: Some(self.queue.clone()),
                // Headers must fit into one frame of the protocol.
                reason: reason.chars().take(2000).collect(),
            }),
            ..self.message(QueueName::DeadLetters)
        };
        self.replace(vec![message]).await
    }

    /// The same hold on what follows from the message, as if that had been taken from its queue for the first time: it need
    /// not be published where its taker works on it at once. Lost, the message itself comes again.
    pub fn follow(mut self, next: Message) -> Delivery {
        let hold = self.hold.take();
        Delivery {
            body: next.body,
            queue: next.to,
            attempt: next.attempt,
            redeliveries: 0,
            redelivered: false,
            published: self.published,
            death: next.death,
            trace: next.trace,
            hold,
        }
    }

    /// The message as it would be published to `to` with its publisher's count of attempts unchanged.
    pub fn message(&self, to: QueueName) -> Message {
        Message {
            to,
            body: self.body.clone(),
            attempt: self.attempt.saturating_sub(self.redeliveries),
            death: None,
            trace: self.trace.clone(),
        }
    }

    /// Whether it can still be settled: its connection lasts, and the broker has not taken it back.
    pub fn is_live(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.is_live())
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take() {
            hold.abandon();
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("queue", &self.queue)
            .field("attempt", &self.attempt)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The text, if it is a W3C `traceparent` of version 00.
fn traceparent(text: &str) -> Option<&str> {
    let mut parts = text.split('-');
    let mut hex = |digits: usize| {
        parts.next().is_some_and(|part| {
            let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
            part.len() == digits && part.bytes().all(lower)
        })
    };
    let fits = text.starts_with("00-") && [2, 32, 16, 2].into_iter().all(&mut hex);
    (fits && parts.next().is_none()).then_some(text)
}

fn node_in_use(queue: &QueueName) -> Error {
    Error::Refused {
        what: format!("closing `{queue}`"),
        reason: "its node still consumes from it (hint: stop that dispatcher first)".into(),
    }
}
