//! Whether the services behind a gateway answer it.

use super::http::{Gateway, MAX_REFUSAL, read};
use crate::Silent;
use crate::exit::{Exit, Failure, Result};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use std::time::Duration;

/// How long the gateway may take, which waits for its services for three seconds at the most.
const PATIENCE: Duration = Duration::from_secs(6);

#[derive(Debug, Default, Deserialize)]
struct Ready {
    checks: Checks,
}

#[derive(Debug, Default, Deserialize)]
struct Checks {
    queue: String,
    events: String,
    store: String,
}

impl Gateway {
    pub(super) async fn silent(&self) -> Result<Silent> {
        let none = HeaderMap::new();
        let asked = async {
            let response = self.once(&Method::GET, "readyz", None, &none).await?;
            Ok::<_, reqwest::Error>(read(response, MAX_REFUSAL).await.unwrap_or_default())
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        let bytes = match answer {
            Ok(Ok(bytes)) => bytes,
            _ => {
                return Err(Failure {
                    exit: Exit::Unreachable,
                    message: "the gateway does not answer".into(),
                });
            }
        };
        told(&bytes)
    }
}

/// What a gateway says, which is the same with an answer of 200 and of 503.
fn told(bytes: &[u8]) -> Result<Silent> {
    let ready: Ready = serde_json::from_slice(bytes)
        .map_err(|_| Failure::failed("the gateway does not say whether its services answer"))?;
    let why = |said: String| (said != "ok").then(|| "the gateway gets no answer".to_owned());
    Ok(Silent {
        queue: why(ready.checks.queue),
        events: why(ready.checks.events),
        store: why(ready.checks.store),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_names_the_services_that_do_not_answer_it() {
        let body = r#"{"ready":false,"checks":{"queue":"no answer","events":"ok","store":"ok"}}"#;
        let silent = told(body.as_bytes()).unwrap();
        assert!(silent.queue.is_some() && silent.events.is_none() && silent.store.is_none());
        assert!(told(b"<html>").is_err());
    }
}
