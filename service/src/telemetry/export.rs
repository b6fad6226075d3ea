//! Sends spans to a collector over HTTP, on the runtime of the program.

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// Largest answer of a collector that is read.
const MAX_ANSWER: usize = 1 << 20;
/// How long an export may take where no deadline is set otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client for the exporter, whose own thread has no runtime.
pub struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    /// Whether the last export failed: an outage is told once.
    failing: AtomicBool,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the requests, whose headers hold credentials.
        f.write_str("Sender")
    }
}

impl Sender {
    /// Errors are the text of what is wrong.
    pub fn new() -> Result<Sender, String> {
        // An error means that a provider was chosen before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(|error| error.to_string())?;
        let runtime = Handle::try_current().map_err(|error| error.to_string())?;
        Ok(Sender {
            client,
            runtime,
            failing: AtomicBool::new(false),
        })
    }
}

async fn send(
    client: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let request = reqwest::Request::try_from(request).map_err(reqwest::Error::without_url)?;
    let sent = client.execute(request).await;
    let mut answer = sent.map_err(reqwest::Error::without_url)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err("the collector's answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = self.runtime.spawn(send(self.client.clone(), request));
        let answer = match sending.await {
            Ok(answer) => answer,
            Err(error) => Err(error.into()),
        };
        let failure = match &answer {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answered {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        let result = match &failure {
            None => "sent",
            Some(_) => "failed",
        };
        metrics::counter!("sundog_trace_exports_total", "result" => result).increment(1);
        let before = self.failing.swap(failure.is_some(), Ordering::AcqRel);
        match failure {
            Some(reason) if !before => {
                tracing::warn!(reason, "spans do not reach the collector (told once)");
            }
            None if before => tracing::info!("spans reach the collector again"),
            _ => {}
        }
        answer
    }
}
