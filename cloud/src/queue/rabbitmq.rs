//! Queues on RabbitMQ: quorum queues, confirmed and mandatory publishing, own reconnection.
//!
//! All traffic runs on a runtime of its own, so that heartbeats go on while the caller's threads compute.
//! Publishing and consuming use a connection each: the broker stops reading from publishers when it
//! runs out of memory, and acknowledgements must still get through then.

mod connection;
mod consumer;
mod properties;

use super::{Consumer, Message, NodeId, Queue, QueueName, Stats};
use crate::error::{Error, Result};
use async_trait::async_trait;
use connection::{Link, OwnRuntime, refusal, unreachable};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Messages of a batch that wait for their confirms at once.
const WINDOW: usize = 512;

/// How to reach and use the broker.
#[derive(Clone)]
pub struct RabbitConfig {
    uri: lapin::uri::AMQPUri,
    /// How long a call waits for a broker that is away (30 s).
    pub patience: Duration,
}

impl std::fmt::Debug for RabbitConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RabbitConfig")
            .field("broker", &self.address())
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl RabbitConfig {
    /// Reads `amqp://user:password@host:port/vhost` or `amqps://…`.
    pub fn new(url: &str) -> Result<RabbitConfig> {
        // The parser's own message may repeat the address with its password.
        let mut uri: lapin::uri::AMQPUri = url.parse().map_err(|_: String| {
            Error::invalid(
                "the broker's address",
                "expected amqp://user:password@host:port/vhost or amqps://…",
            )
        })?;
        // Everybody knows that account's password.
        let host = uri.authority.host.trim_matches(['[', ']']);
        let loopback = host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback());
        if uri.authority.userinfo.username == "guest" && !loopback {
            return Err(Error::invalid(
                "the broker's address",
                "the account `guest` is refused off loopback (hint: give Sundog an account of its own)",
            ));
        }
        // Less than the half minute that load balancers leave an idle connection.
        uri.query.heartbeat.get_or_insert(15);
        uri.query.connection_timeout.get_or_insert(10_000);
        Ok(RabbitConfig {
            uri,
            patience: Duration::from_secs(30),
        })
    }

    /// Host, port and virtual host, without credentials.
    pub fn address(&self) -> String {
        let authority = &self.uri.authority;
        format!("{}:{}/{}", authority.host, authority.port, self.uri.vhost)
    }
}

/// Queues on RabbitMQ. Clones share connections.
#[derive(Clone)]
pub struct RabbitQueue {
    shared: Arc<Shared>,
}

struct Shared {
    config: RabbitConfig,
    publishing: Link,
    consuming: Link,
    /// The channel in confirm mode that all publishers share while it lasts.
    channel: tokio::sync::Mutex<Option<Channel>>,
    /// When the last message given to this process was published, by queue.
    last_published: Mutex<BTreeMap<QueueName, SystemTime>>,
    runtime: OwnRuntime,
}

impl std::fmt::Debug for RabbitQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RabbitQueue")
            .field(&self.shared.config)
            .finish()
    }
}

impl RabbitQueue {
    /// Prepares queues on a broker; connects at the first call that needs it.
    pub fn new(config: RabbitConfig) -> Result<RabbitQueue> {
        crate::tls::install();
        let runtime = OwnRuntime::start("sundog-amqp")?;
        Ok(RabbitQueue {
            shared: Arc::new(Shared {
                publishing: Link::new(config.uri.clone(), "sundog publisher"),
                consuming: Link::new(config.uri.clone(), "sundog consumer"),
                channel: tokio::sync::Mutex::new(None),
                last_published: Mutex::default(),
                config,
                runtime,
            }),
        })
    }

    /// Runs a call on the adapter's own runtime, where it also completes when the caller goes away.
    async fn on_runtime<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match self.shared.runtime.spawn(call).await {
            Ok(result) => result,
            Err(_) => Err(unreachable("its runtime was stopped")),
        }
    }
}

impl Shared {
    async fn confirm_channel(&self) -> lapin::Result<Channel> {
        let mut slot = self.channel.lock().await;
        if let Some(channel) = &*slot
            && channel.status().connected()
        {
            return Ok(channel.clone());
        }
        *slot = None;
        let channel = self.publishing.channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        *slot = Some(channel.clone());
        Ok(channel)
    }

    /// Publishes until everything is confirmed or the patience is over.
    async fn publish(&self, messages: Vec<Message>) -> Result<()> {
        let deadline = Instant::now() + self.config.patience;
        let mut open = messages;
        let mut pause = connection::Backoff::default();
        loop {
            let before = open.len();
            let attempt = self.publish_once(&mut open);
            let failure = match tokio::time::timeout_at(deadline, attempt).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Failure::Unroutable(name))) => return Err(Error::Unroutable(name)),
                Ok(Err(Failure::Broker(error))) => match refusal("publishing", &error) {
                    Some(refused) => return Err(refused),
                    None => error.to_string(),
                },
                Err(_) => return Err(unreachable("no confirmation came in time")),
            };
            if open.len() < before {
                pause = connection::Backoff::default();
            }
            tracing::warn!(error = failure, left = open.len(), "publishing again");
            if tokio::time::timeout_at(deadline, pause.wait())
                .await
                .is_err()
            {
                return Err(unreachable(&failure));
            }
        }
    }

    /// Removes from `open` what was confirmed.
    async fn publish_once(&self, open: &mut Vec<Message>) -> std::result::Result<(), Failure> {
        let channel = self.confirm_channel().await.map_err(Failure::Broker)?;
        while !open.is_empty() {
            let mut confirms = Vec::with_capacity(WINDOW.min(open.len()));
            let mut failure = None;
            for message in open.iter().take(WINDOW) {
                let (exchange, key) = connection::route(&message.to);
                let sent = channel
                    .basic_publish(
                        exchange.into(),
                        key.into(),
                        BasicPublishOptions {
                            mandatory: true,
                            immediate: false,
                        },
                        &message.body,
                        properties::of(message),
                    )
                    .await;
                match sent {
                    Ok(confirm) => confirms.push(confirm),
                    Err(error) => {
                        failure = Some(Failure::Broker(error));
                        break;
                    }
                }
            }
            // Every confirm is awaited, whatever became of the others.
            let mut confirmed = Vec::with_capacity(confirms.len());
            for confirm in confirms {
                confirmed.push(match confirm.await {
                    // Only this one means that a queue has it: an unroutable message is "acknowledged", too.
                    Ok(Confirmation::Ack(None)) => true,
                    Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => {
                        let name = returned.routing_key.to_string();
                        failure.get_or_insert(Failure::Unroutable(name));
                        false
                    }
                    Ok(Confirmation::Nack(None) | Confirmation::NotRequested) => {
                        let error = std::io::Error::other("the broker did not take the message");
                        failure.get_or_insert(Failure::Broker(error.into()));
                        false
                    }
                    Err(error) => {
                        failure.get_or_insert(Failure::Broker(error));
                        false
                    }
                });
            }
            let mut index = 0;
            open.retain(|_| {
                index += 1;
                !confirmed.get(index - 1).copied().unwrap_or(false)
            });
            if let Some(failure) = failure {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Ready messages and consumers of a queue, None where it does not exist.
    async fn look(&self, queue: &QueueName) -> Result<Option<lapin::Queue>> {
        let name = queue.to_string();
        let patience = self.config.patience;
        let attempt = async {
            let channel = self.consuming.channel().await?;
            let options = QueueDeclareOptions::durable().passive();
            channel
                .queue_declare(name.as_str().into(), options, FieldTable::default())
                .await
        };
        match tokio::time::timeout(patience, attempt).await {
            Ok(Ok(found)) => Ok(Some(found)),
            Ok(Err(error)) if connection::is_not_found(&error) => Ok(None),
            Ok(Err(error)) => Err(connection::error_of(
                &format!("looking at `{name}`"),
                &error,
            )),
            Err(_) => Err(unreachable("no answer in time")),
        }
    }

    async fn retire(&self, node: &NodeId) -> Result<u64> {
        let queue = QueueName::Node(node.clone());
        let name = queue.to_string();
        match self.look(&queue).await? {
            None => return Ok(0),
            Some(found) if found.consumer_count() > 0 => return Err(super::node_in_use(&queue)),
            Some(_) => {}
        }
        let failed =
            |error: lapin::Error| connection::error_of(&format!("closing `{name}`"), &error);
        let channel = self.consuming.channel().await.map_err(failed)?;
        // First nothing more may arrive, then what is there moves, then the queue goes.
        let (exchange, key) = connection::route(&queue);
        channel
            .queue_unbind(
                name.as_str().into(),
                exchange.into(),
                key.into(),
                FieldTable::default(),
            )
            .await
            .map_err(failed)?;
        let mut count = 0;
        while let Some(found) = channel
            .basic_get(name.as_str().into(), BasicGetOptions::default())
            .await
            .map_err(failed)?
        {
            let delivery = found.delivery;
            let received = properties::read(&delivery);
            self.publish(vec![Message {
                to: QueueName::Tasks,
                body: delivery.data.into(),
                attempt: received.attempt,
                death: None,
                trace: received.trace,
            }])
            .await?;
            delivery
                .acker
                .ack(BasicAckOptions::default())
                .await
                .map_err(failed)?;
            count += 1;
        }
        channel
            .queue_delete(name.as_str().into(), QueueDeleteOptions::default())
            .await
            .map_err(failed)?;
        Ok(count)
    }

    fn last_published(&self) -> std::sync::MutexGuard<'_, BTreeMap<QueueName, SystemTime>> {
        self.last_published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

enum Failure {
    Unroutable(String),
    Broker(lapin::Error),
}

#[async_trait]
impl Queue for RabbitQueue {
    async fn publish(&self, messages: Vec<Message>) -> Result<()> {
        let shared = self.shared.clone();
        self.on_runtime(async move { shared.publish(messages).await })
            .await
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Consumer> {
        let (this, queue) = (self.clone(), queue.clone());
        self.on_runtime(async move { consumer::start(this, queue, prefetch.max(1)).await })
            .await
    }

    async fn stats(&self, queue: &QueueName) -> Result<Stats> {
        let (shared, queue) = (self.shared.clone(), queue.clone());
        self.on_runtime(async move {
            let found = shared.look(&queue).await?;
            let found = found.ok_or_else(|| Error::NotFound(queue.to_string()))?;
            let ready = u64::from(found.message_count());
            let oldest_age = match shared.last_published().get(&queue) {
                _ if ready == 0 => Some(Duration::ZERO),
                Some(published) => Some(published.elapsed().unwrap_or_default()),
                None => None,
            };
            Ok(Stats {
                ready,
                consumers: u64::from(found.consumer_count()),
                oldest_age,
            })
        })
        .await
    }

    async fn retire_node(&self, node: &NodeId) -> Result<u64> {
        let (shared, node) = (self.shared.clone(), node.clone());
        self.on_runtime(async move { shared.retire(&node).await })
            .await
    }
}
