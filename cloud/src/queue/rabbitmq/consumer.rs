//! A consumer that goes on after its connection was lost, and the deliveries in its user's hands.

use super::connection::{self, Backoff};
use super::{RabbitQueue, properties};
use crate::error::{Error, Result};
use crate::queue::{Consumer, Delivery, Hold, Queue, QueueName};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use lapin::Acker;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions};
use lapin::options::{BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Starts consuming; returns once the broker has agreed, or its refusal, or when patience is over.
pub async fn start(queue: RabbitQueue, name: QueueName, prefetch: u16) -> Result<Consumer> {
    let deadline = Instant::now() + queue.shared.config.patience;
    let mut pause = Backoff::default();
    let opened = loop {
        let failure = match tokio::time::timeout_at(deadline, open(&queue, &name, prefetch)).await {
            Ok(Ok(opened)) => break opened,
            Ok(Err(error)) => match connection::refusal(&format!("consuming `{name}`"), &error) {
                Some(refused) => return Err(refused),
                None => error.to_string(),
            },
            Err(_) => return Err(connection::unreachable("no answer in time")),
        };
        if tokio::time::timeout_at(deadline, pause.wait())
            .await
            .is_err()
        {
            return Err(connection::unreachable(&failure));
        }
    };
    let (deliver, deliveries) = mpsc::channel(usize::from(prefetch));
    tokio::spawn(follow(queue, name, prefetch, opened, deliver));
    Ok(Consumer { deliveries })
}

async fn open(
    queue: &RabbitQueue,
    name: &QueueName,
    prefetch: u16,
) -> lapin::Result<(Channel, lapin::Consumer)> {
    let channel = queue.shared.consuming.channel().await?;
    if matches!(name, QueueName::Node(_)) {
        connection::declare_queue(&channel, name).await?;
    }
    channel
        .basic_qos(prefetch, BasicQosOptions::default())
        .await?;
    let consumer = channel
        .basic_consume(
            name.to_string().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    Ok((channel, consumer))
}

/// Passes deliveries on until the receiver is gone, opening the consumer again whenever it breaks.
async fn follow(
    queue: RabbitQueue,
    name: QueueName,
    prefetch: u16,
    opened: (Channel, lapin::Consumer),
    deliver: mpsc::Sender<Delivery>,
) {
    let mut opened = Some(opened);
    let mut pause = Backoff::default();
    loop {
        let (channel, mut consumer) = match opened.take() {
            Some(opened) => opened,
            None => {
                tokio::select! {
                    _ = deliver.closed() => return,
                    _ = pause.wait() => {}
                }
                match open(&queue, &name, prefetch).await {
                    Ok(opened) => {
                        tracing::info!(queue = %name, "consuming again");
                        pause = Backoff::default();
                        opened
                    }
                    Err(error) => {
                        tracing::warn!(queue = %name, %error, "cannot consume yet");
                        continue;
                    }
                }
            }
        };
        loop {
            let next = tokio::select! {
                _ = deliver.closed() => None,
                next = consumer.next() => Some(next),
            };
            match next {
                Some(Some(Ok(delivery))) => {
                    let delivery = wrap(&queue, &name, &channel, delivery);
                    // Dropped, and with that requeued, when the receiver is gone.
                    let _ = deliver.send(delivery).await;
                }
                Some(Some(Err(error))) => {
                    tracing::warn!(queue = %name, %error, "consuming broke off");
                    break;
                }
                Some(None) => break,
                None => {
                    let tag = consumer.tag();
                    if channel
                        .basic_cancel(tag, BasicCancelOptions::default())
                        .await
                        .is_ok()
                    {
                        while let Some(Ok(delivery)) = consumer.next().await {
                            drop(wrap(&queue, &name, &channel, delivery));
                        }
                    }
                    return;
                }
            }
        }
    }
}

fn wrap(
    queue: &RabbitQueue,
    name: &QueueName,
    channel: &Channel,
    delivery: lapin::message::Delivery,
) -> Delivery {
    let received = properties::read(&delivery);
    if let Some(published) = received.published {
        queue
            .shared
            .last_published()
            .insert(name.clone(), published);
    }
    Delivery {
        body: delivery.data.into(),
        queue: name.clone(),
        attempt: received.attempt,
        redeliveries: received.redeliveries,
        redelivered: delivery.redelivered,
        published: received.published,
        death: received.death,
        trace: received.trace,
        hold: Some(Box::new(Held {
            queue: queue.clone(),
            acker: delivery.acker,
            channel: channel.clone(),
        })),
    }
}

/// An unsettled delivery. Keeps its channel open, since its tag means nothing on another.
struct Held {
    queue: RabbitQueue,
    acker: Acker,
    channel: Channel,
}

impl Held {
    async fn nack(&self) -> Result<()> {
        let options = BasicNackOptions {
            requeue: true,
            ..Default::default()
        };
        settled(self.acker.nack(options).await)
    }
}

fn settled(answer: lapin::Result<bool>) -> Result<()> {
    match answer {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(Error::Lost),
    }
}

#[async_trait]
impl Hold for Held {
    async fn ack(self: Box<Self>) -> Result<()> {
        let queue = self.queue.clone();
        let call = async move { settled(self.acker.ack(BasicAckOptions::default()).await) };
        queue.on_runtime(call).await
    }

    async fn requeue(self: Box<Self>) -> Result<()> {
        let queue = self.queue.clone();
        queue.on_runtime(async move { self.nack().await }).await
    }

    fn abandon(self: Box<Self>) {
        let queue = self.queue.clone();
        queue.shared.runtime.spawn(async move { self.nack().await });
    }

    fn is_live(&self) -> bool {
        self.acker.usable() && self.channel.status().connected()
    }

    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(self.queue.clone())
    }
}
