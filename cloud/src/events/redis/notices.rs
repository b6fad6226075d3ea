//! Listens to one channel for all subscriptions of a process, and listens again when the connection is gone.

use crate::events::Change;
use futures_util::StreamExt as _;
use redis::{Client, RedisResult};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// Silence after which the connection is tried.
const PING: Duration = Duration::from_secs(10);
/// How long its answer may take.
const PONG: Duration = Duration::from_secs(5);

/// The listener; it starts with the first follower and ends when this is dropped.
pub struct Notices {
    client: Client,
    changes: broadcast::Sender<Change>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl Notices {
    pub fn new(client: Client) -> Notices {
        let (changes, _) = broadcast::channel(1024);
        Notices {
            client,
            changes,
            listener: Mutex::new(None),
        }
    }

    /// Notices from now on.
    pub fn follow(&self) -> broadcast::Receiver<Change> {
        let receiver = self.changes.subscribe();
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if listener.as_ref().is_none_or(JoinHandle::is_finished) {
            *listener = Some(tokio::spawn(listen(
                self.client.clone(),
                self.changes.clone(),
            )));
        }
        receiver
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let listener = self.listener.get_mut();
        if let Some(listener) = listener.unwrap_or_else(PoisonError::into_inner).take() {
            listener.abort();
        }
    }
}

async fn listen(client: Client, changes: broadcast::Sender<Change>) {
    loop {
        if let Err(error) = listen_once(&client, &changes).await {
            tracing::warn!(%error, "listening to Redis broke off");
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Returns when the connection is gone.
async fn listen_once(client: &Client, changes: &broadcast::Sender<Change>) -> RedisResult<()> {
    let gone = || redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    let connecting = tokio::time::timeout(PONG, client.get_async_pubsub());
    let (mut sink, mut stream) = connecting.await.map_err(|_| gone())??.split();
    let subscribing = tokio::time::timeout(PONG, sink.subscribe("sundog:events"));
    subscribing.await.map_err(|_| gone())??;
    // Whatever happened before was not heard. Sending fails while nobody follows, which is fine.
    let _ = changes.send(Change::Anything);
    loop {
        match tokio::time::timeout(PING, stream.next()).await {
            Ok(Some(message)) => {
                let _ = changes.send(change(message.get_payload_bytes()));
            }
            Ok(None) => return Ok(()),
            Err(_) => {
                let ping = tokio::time::timeout(PONG, sink.ping::<redis::Value>());
                ping.await.map_err(|_| gone())??;
            }
        }
    }
}

fn change(payload: &[u8]) -> Change {
    let notice: Option<serde_json::Value> = serde_json::from_slice(payload).ok();
    match notice.as_ref().and_then(|notice| notice["job"].as_str()) {
        Some(job) => Change::Job(job.to_owned()),
        None => Change::Anything,
    }
}
