//! Whether the services behind answer.

use super::Jobs;
use cloud::queue::QueueName;
use std::future::Future;
use std::time::Duration;

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The services that do not answer, each with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silent {
    /// The broker's.
    pub queue: Option<String>,
    /// Redis's.
    pub events: Option<String>,
    /// The store's.
    pub store: Option<String>,
}

impl Silent {
    /// Whether all answer.
    pub fn none(&self) -> bool {
        self.queue.is_none() && self.events.is_none() && self.store.is_none()
    }
}

impl Jobs {
    /// Asks each of the services for next to nothing; takes three seconds at the most.
    pub async fn silent(&self) -> Silent {
        let store = async {
            match self.store.head("ready").await {
                Err(cloud::Error::NotFound(_)) => Ok(()),
                other => other.map(|_| ()),
            }
        };
        let (queue, events, store) = tokio::join!(
            refusal(self.queue.stats(&QueueName::Jobs)),
            refusal(self.events.nodes()),
            refusal(store),
        );
        Silent {
            queue,
            events,
            store,
        }
    }
}

async fn refusal<T>(call: impl Future<Output = cloud::Result<T>>) -> Option<String> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
