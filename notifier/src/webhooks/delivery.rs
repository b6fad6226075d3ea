//! One delivery: tried again with growing pauses, up to a bound, and what came of it.

use super::client::Client;
use super::sign::delivery_id;
use super::{Config, Hook, now};
use crate::random::fraction;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What is to be delivered.
#[derive(Clone, Debug)]
pub struct Item {
    /// The same for the same event and webhook.
    pub delivery: String,
    /// The event's kind.
    pub kind: &'static str,
    /// Its job.
    pub job: String,
    /// The event as JSON.
    pub body: Bytes,
}

impl Item {
    /// An event for a webhook; `key` names it within its job.
    pub fn new(hook: &Hook, kind: &'static str, job: &str, key: &str, body: Bytes) -> Item {
        Item {
            delivery: delivery_id(&hook.id, job, key),
            kind,
            job: job.to_owned(),
            body,
        }
    }
}

/// How a delivery ended, or stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The other side accepted it.
    Delivered,
    /// It will be tried again.
    Retrying,
    /// It will not be tried again.
    GivenUp,
}

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Value of the header `Sundog-Delivery`.
    pub delivery: String,
    /// The event's kind.
    pub event: String,
    /// Its job.
    pub job: String,
    /// When it was tried last.
    pub time: String,
    /// How often it was tried.
    pub attempts: u32,
    /// How it stands.
    pub outcome: Outcome,
    /// The last answer's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the last attempt was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Delivers items of all webhooks.
#[derive(Clone, Debug)]
pub struct Courier {
    client: Client,
    config: Arc<Config>,
    at_once: Arc<Semaphore>,
}

impl Courier {
    /// So many at once as the configuration says.
    pub fn new(client: Client, config: Arc<Config>) -> Courier {
        Courier {
            client,
            at_once: Arc::new(Semaphore::new(config.at_once.max(1))),
            config,
        }
    }

    /// Tries until the item is accepted or it is given up. `told` hears of every attempt that failed.
    pub async fn deliver(
        &self,
        hook: &Hook,
        item: &Item,
        told: impl Fn(Report) + Send + Sync,
    ) -> Report {
        let mut attempts = 0;
        loop {
            attempts += 1;
            // Pauses take no place.
            let place = self.at_once.acquire().await;
            let posted = self.client.post(hook, item).await;
            drop(place);
            let mut report = Report {
                delivery: item.delivery.clone(),
                event: item.kind.into(),
                job: item.job.clone(),
                time: now(),
                attempts,
                outcome: Outcome::Delivered,
                status: None,
                reason: None,
            };
            match posted {
                Ok(status) => {
                    report.status = Some(status);
                    count("delivered");
                    return report;
                }
                Err(failure) => {
                    tracing::info!(
                        hook = hook.id,
                        reason = failure.reason,
                        attempts,
                        "a webhook failed"
                    );
                    report.status = failure.status;
                    report.reason = Some(failure.reason);
                    if failure.is_final || attempts >= self.config.attempts {
                        report.outcome = Outcome::GivenUp;
                        count("given_up");
                        return report;
                    }
                    report.outcome = Outcome::Retrying;
                    count("retrying");
                    told(report);
                }
            }
            tokio::time::sleep(pause(&self.config, attempts, fraction())).await;
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("sundog_webhook_attempts_total", "outcome" => outcome).increment(1);
}

/// How long to wait after so many attempts; `chance` in 0..1 spreads it from half to one and a half times.
fn pause(config: &Config, attempts: u32, chance: f64) -> Duration {
    let factor = 3_u32.saturating_pow(attempts.saturating_sub(1));
    let pause = config.backoff.saturating_mul(factor);
    pause.min(config.backoff_most).mul_f64(0.5 + chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let config = Config::default();
        let pauses = (1..=8).map(|attempt| pause(&config, attempt, 0.5).as_secs());
        assert_eq!(pauses.collect::<Vec<_>>(), [1, 3, 9, 27, 81, 243, 300, 300]);
        assert_eq!(pause(&config, 40, 0.0).as_secs(), 150);
        assert!(pause(&config, u32::MAX, 1.0).as_secs() <= 450);
    }
}
