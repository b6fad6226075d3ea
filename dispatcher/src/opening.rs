//! Opening queues on a broker that may be slow, or away.

use crate::error::Result;
use crate::service::Node;
use cloud::queue::{Consumer, QueueName};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(5);

impl Node {
    /// Opens a queue. A broker that does not answer is asked again for a while; None where `stop` comes first.
    pub(crate) async fn open_queue(
        &self,
        queue: &QueueName,
        prefetch: u16,
        stop: &CancellationToken,
    ) -> Result<Option<Consumer>> {
        let begun = Instant::now();
        let mut pause = self.config.pause / 4;
        loop {
            let opened = tokio::select! {
                () = stop.cancelled() => return Ok(None),
                opened = self.jobs.queue.consume(queue, prefetch) => opened,
            };
            let left = self.config.wait.saturating_sub(begun.elapsed());
            match opened {
                Ok(consumer) => return Ok(Some(consumer)),
                Err(error) if error.is_transient() && !left.is_zero() => {
                    let seconds = left.as_secs();
                    tracing::warn!(%error, %queue, seconds, "the broker is asked again, for so long at most");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(pause.min(left)) => {}
            }
            pause = (pause * 2).min(LONGEST);
        }
    }
}
