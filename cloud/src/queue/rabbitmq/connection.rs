//! Connections that come back, the topology they rely on, and what the broker's errors mean.

use crate::error::{Error, Result};
use crate::queue::{ACK_LIMIT, DELIVERY_LIMIT, QueueName};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// A runtime that may be dropped anywhere, also by one of its own tasks.
pub struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    pub fn start(name: &str) -> Result<OwnRuntime> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(|error| Error::Refused {
                what: "starting a thread for the broker".into(),
                reason: error.to_string(),
            })?;
        Ok(OwnRuntime(Some(runtime)))
    }

    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        match &self.0 {
            Some(runtime) => runtime.spawn(task),
            None => unreachable!("taken only by drop"),
        }
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Pauses that grow from 0.1 s to 5 s, with a random part so that clients do not come back in step.
#[derive(Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    pub async fn wait(&mut self) {
        let cap = Duration::from_millis(100 << self.failures.min(6)).min(Duration::from_secs(5));
        self.failures += 1;
        tokio::time::sleep(cap.mul_f64(0.5 + 0.5 * crate::random::fraction())).await;
    }
}

/// One connection to the broker, made again when it is gone.
pub struct Link {
    uri: AMQPUri,
    name: &'static str,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

impl Link {
    pub fn new(uri: AMQPUri, name: &'static str) -> Link {
        Link {
            uri,
            name,
            connection: tokio::sync::Mutex::new(None),
        }
    }

    /// A new channel; the exchanges and queues exist when it is returned.
    pub async fn channel(&self) -> lapin::Result<Channel> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &*slot
            && connection.status().connected()
            && let Ok(channel) = connection.create_channel().await
        {
            return Ok(channel);
        }
        *slot = None;
        let properties = ConnectionProperties::default().with_connection_name(self.name.into());
        let connection = Connection::connect_uri(self.uri.clone(), properties).await?;
        let there = exists(&connection, &QueueName::DeadLetters).await?;
        let channel = connection.create_channel().await?;
        declare(&channel, there).await?;
        *slot = Some(Arc::new(connection));
        Ok(channel)
    }
}

/// Exchange and routing key of a queue.
pub fn route(queue: &QueueName) -> (&'static str, String) {
    match queue {
        QueueName::Jobs => ("sundog.jobs", "jobs".into()),
        QueueName::Control => ("sundog.jobs", "control".into()),
        QueueName::Tasks => ("sundog.tasks", "tasks".into()),
        QueueName::Node(id) => ("sundog.tasks", format!("node.{}", id.as_str())),
        QueueName::DeadLetters => ("", queue.to_string()),
    }
}

/// Whether there is a queue of that name, whatever its arguments are.
async fn exists(connection: &Connection, queue: &QueueName) -> lapin::Result<bool> {
    let (channel, name) = (connection.create_channel().await?, queue.to_string());
    let options = QueueDeclareOptions::durable().passive();
    let found = channel.queue_declare(name.as_str().into(), options, FieldTable::default());
    match found.await {
        Ok(_) => {
            channel.close(200, "looked".into()).await?;
            Ok(true)
        }
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `dead_letters`: those are there. An earlier version made them without a delivery limit, and a queue is not declared with
/// other arguments than it has.
async fn declare(channel: &Channel, dead_letters: bool) -> lapin::Result<()> {
    for exchange in ["sundog.jobs", "sundog.tasks"] {
        channel
            .exchange_declare(
                exchange.into(),
                ExchangeKind::Direct,
                ExchangeDeclareOptions {
                    durable: true,
                    ..Default::default()
                },
                FieldTable::default(),
            )
            .await?;
    }
    let queues = [
        QueueName::DeadLetters,
        QueueName::Jobs,
        QueueName::Control,
        QueueName::Tasks,
    ];
    for queue in queues {
        if !dead_letters || queue != QueueName::DeadLetters {
            declare_queue(channel, &queue).await?;
        }
    }
    Ok(())
}

/// Declares and binds one queue.
pub async fn declare_queue(channel: &Channel, queue: &QueueName) -> lapin::Result<()> {
    let name = queue.to_string();
    let mut arguments = FieldTable::default();
    let text = |value: &str| AMQPValue::LongString(value.into());
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert(
        "x-consumer-timeout".into(),
        AMQPValue::LongInt(ACK_LIMIT.as_millis() as i32),
    );
    if queue.is_exclusive() {
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    }
    // Dead letters stay however often somebody looks at them: since version 4 a queue for which nothing is said drops what
    // was looked at twenty times, and earlier ones do not take a limit below 0, which would mean none.
    let limit = match queue {
        QueueName::DeadLetters => i32::MAX,
        _ => DELIVERY_LIMIT as i32,
    };
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(limit));
    if *queue != QueueName::DeadLetters {
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        let dead_letters = QueueName::DeadLetters.to_string();
        arguments.insert("x-dead-letter-routing-key".into(), text(&dead_letters));
        // Without these a broker that stops at the wrong moment loses what it gives up.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
    }
    let options = QueueDeclareOptions::durable();
    channel
        .queue_declare(name.as_str().into(), options, arguments)
        .await?;
    let (exchange, key) = route(queue);
    if !exchange.is_empty() {
        channel
            .queue_bind(
                name.as_str().into(),
                exchange.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
    }
    Ok(())
}

pub fn unreachable(reason: &str) -> Error {
    Error::Unreachable {
        service: "the broker",
        reason: reason.to_owned(),
    }
}

/// What an error of the broker means to a caller.
pub fn error_of(what: &str, error: &lapin::Error) -> Error {
    refusal(what, error).unwrap_or_else(|| unreachable(&error.to_string()))
}

pub fn is_not_found(error: &lapin::Error) -> bool {
    soft(error) == Some(AMQPSoftError::NOTFOUND.get_id())
}

fn soft(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.get_id()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

/// The error as a refusal, if no other attempt will do better.
pub fn refusal(what: &str, error: &lapin::Error) -> Option<Error> {
    let ErrorKind::ProtocolError(protocol) = error.kind() else {
        return None;
    };
    let hint = match protocol.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            "hint: check the broker's user, password and permissions"
        }
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => {
            "hint: the queue or exchange exists with other settings; let it run empty, then delete it"
        }
        AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => "hint: check the broker's virtual host",
        _ => return None,
    };
    Some(Error::Refused {
        what: what.to_owned(),
        reason: format!("{} ({hint})", protocol.get_message()),
    })
}
