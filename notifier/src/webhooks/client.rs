//! One attempt of a delivery: a POST that follows nothing, waits so long and reads so much.

use super::Config;
use super::Hook;
use super::delivery::Item;
use super::guard::{Guard, Refused};
use super::sign::signature;
use std::error::Error as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of an answer that are read, so that its connection can be used again.
const READ: usize = 16 << 10;

/// Why webhooks cannot be delivered at all.
#[derive(Debug, thiserror::Error)]
#[error("webhooks cannot be delivered: {0}")]
pub struct Error(String);

/// How an attempt ended that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The answer's status, if there was an answer.
    pub status: Option<u16>,
    /// What the owner of the webhook is told.
    pub reason: String,
    /// Trying again would change nothing.
    pub is_final: bool,
}

/// Delivers.
#[derive(Clone, Debug)]
pub struct Client {
    guard: Guard,
    http: reqwest::Client,
}

impl Client {
    /// A client that reaches what the configuration allows.
    pub fn new(config: &Config) -> Result<Client, Error> {
        // An error means that a choice of cryptography was made before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = Guard::new(&config.allow, config.http, config.names.clone());
        let http = reqwest::Client::builder()
            // A proxy would resolve names again.
            .no_proxy()
            .dns_resolver(guard.clone())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(config.timeout.min(Duration::from_secs(5)))
            .timeout(config.timeout)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(10))
            .user_agent(concat!("sundog/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error(error.to_string()))?;
        Ok(Client { guard, http })
    }

    /// Posts once; returns the status of success.
    pub async fn post(&self, hook: &Hook, item: &Item) -> Result<u16, Failure> {
        // Rules may have changed since the webhook was made; and addresses in figures are not resolved.
        let url = self.guard.check(&hook.url).map_err(refused)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let timestamp = now.unwrap_or_default().as_secs();
        let sent = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("sundog-event", item.kind)
            .header("sundog-delivery", &item.delivery)
            .header("sundog-timestamp", timestamp)
            .header(
                "sundog-signature",
                signature(&hook.secret, timestamp, &item.body),
            )
            .body(item.body.clone())
            .send()
            .await;
        let mut answer = sent.map_err(failure)?;
        let status = answer.status();
        let mut read = 0;
        while read < READ {
            match answer.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                _ => break,
            }
        }
        if status.is_success() {
            return Ok(status.as_u16());
        }
        let reason = match status.is_redirection() {
            true => format!("answered {}; redirects are not followed", status.as_u16()),
            false => format!("answered {}", status.as_u16()),
        };
        Err(Failure {
            status: Some(status.as_u16()),
            reason,
            is_final: status == http::StatusCode::GONE,
        })
    }
}

fn refused(refused: Refused) -> Failure {
    Failure {
        status: None,
        reason: refused.to_string(),
        is_final: true,
    }
}

/// What went wrong, without the address and without anything that the other side wrote.
fn failure(error: reqwest::Error) -> Failure {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref::<Refused>() {
            return refused(*found);
        }
        source = cause.source();
    }
    let reason = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else {
        "the connection broke off"
    };
    Failure {
        status: None,
        reason: reason.into(),
        is_final: false,
    }
}
