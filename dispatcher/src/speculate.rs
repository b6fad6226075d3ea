//! Slow tasks at the end of a job: a copy is sent to whoever is free, and the first result counts.
//!
//! Speculative execution as in MapReduce (Dean and Ghemawat, OSDI 2004): near the end of a job a task that takes
//! far longer than the others may be on a node that is overloaded or failing. Task receipts are created only if
//! absent and outputs are the same to the last bit, so a copy is a duplicate like any other.

use crate::error::Result;
use crate::finish::Known;
use crate::names;
use crate::observe;
use crate::service::Node;
use cloud::queue::{Message, QueueName};
use protocol::TaskMessage;
use service::telemetry::trace;
use std::time::Duration;

impl Node {
    /// Sends a copy of a task that has run for `elapsed` here, if it is slow, the job nearly done and another node
    /// free. Returns whether it did.
    pub(crate) async fn speculate(
        &self,
        known: &Known,
        message: &TaskMessage,
        elapsed: Duration,
    ) -> Result<bool> {
        let schedule = &known.spec.schedule;
        if !schedule.speculate || message.copy_of.is_some() || elapsed < self.config.slow {
            return Ok(false);
        }
        let Some(mean) = known.progress.lock().await.mean(message.round) else {
            return Ok(false);
        };
        if elapsed <= mean.mul_f64(schedule.speculate_ratio.max(1.0)) {
            return Ok(false);
        }
        let Some(share) = self.jobs.share_ended(&message.job).await? else {
            return Ok(false);
        };
        if share < schedule.speculate_after || !self.another_is_free().await? {
            return Ok(false);
        }
        let copy = TaskMessage {
            copy_of: Some(self.config.node.clone()),
            ..message.clone()
        };
        let message = Message {
            trace: trace::current(),
            ..Message::new(QueueName::Tasks, names::to_json(&copy))
        };
        self.jobs.queue.publish(vec![message]).await?;
        observe::speculated();
        let (job, task, ms) = (&copy.job, copy.task, elapsed.as_millis() as u64);
        tracing::info!(
            job,
            task,
            ms,
            "a slow task is offered to other nodes as well"
        );
        Ok(true)
    }

    /// Whether another node has nothing to do in at least one of its slots.
    async fn another_is_free(&self) -> Result<bool> {
        let nodes = self.jobs.events.nodes().await?;
        Ok(nodes.iter().any(|node| {
            let body: serde_json::Value = serde_json::from_str(&node.body).unwrap_or_default();
            let number = |key: &str| body[key].as_u64();
            node.node != self.config.node && number("busy") < number("slots")
        }))
    }
}
