//! Webhooks through a gateway, which alone has an address for them.

use super::types::{Tested, Webhook};
use super::{Client, Gateway};
use crate::exit::{Failure, Result};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Listed {
    webhooks: Vec<Webhook>,
}

impl Client {
    /// The gateway that this client goes through.
    pub fn gateway(&self) -> Result<&Gateway> {
        match self {
            Client::Gateway(gateway) => Ok(gateway),
            Client::Direct(_) => Err(Failure::usage(
                "webhooks are made at a gateway (set SUNDOG_GATEWAY and SUNDOG_TOKEN)",
            )),
        }
    }
}

impl Gateway {
    /// Makes a webhook; no events or no jobs mean ends of all jobs.
    pub async fn add_webhook(
        &self,
        url: &str,
        events: &[String],
        jobs: &[String],
    ) -> Result<Webhook> {
        let mut wish = json!({"url": url});
        if !events.is_empty() {
            wish["events"] = json!(events);
        }
        if !jobs.is_empty() {
            wish["jobs"] = json!(jobs);
        }
        self.ask(Method::POST, "v1/webhooks", Some(&wish)).await
    }

    /// The user's webhooks.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>> {
        let listed: Listed = self.ask(Method::GET, "v1/webhooks", None).await?;
        Ok(listed.webhooks)
    }

    /// Delivers a made event once.
    pub async fn test_webhook(&self, id: &str) -> Result<Tested> {
        self.ask(Method::POST, &of(id, "/test")?, None).await
    }

    /// Draws another secret.
    pub async fn rotate_webhook(&self, id: &str) -> Result<Webhook> {
        self.ask(Method::POST, &of(id, "/rotate")?, None).await
    }

    /// Drops a webhook.
    pub async fn remove_webhook(&self, id: &str) -> Result<()> {
        self.tell(Method::DELETE, &of(id, "")?).await
    }

    /// What became of a webhook's last deliveries, the newest first.
    pub async fn deliveries(&self, id: &str) -> Result<Value> {
        self.ask(Method::GET, &of(id, "/deliveries")?, None).await
    }
}

/// The path of a webhook, of an id that can be one.
fn of(id: &str, rest: &str) -> Result<String> {
    match (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        true => Ok(format!("v1/webhooks/{id}{rest}")),
        false => Err(Failure::usage(format!(
            "`{}` is no webhook's id, which is letters and digits (hint: sundog webhook list)",
            crate::text::harmless(&id.chars().take(100).collect::<String>())
        ))),
    }
}
