//! What a provider says of itself: where people sign in, where codes are exchanged, with which keys it signs. Asked for when
//! it is needed, and again from time to time.

use super::jwt::Keys;
use crate::problem::{Code, Problem};
use serde_json::Value;
use std::sync::{Arc, Mutex as Fast, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use url::Url;

/// After which it is asked again.
const FRESH: Duration = Duration::from_secs(3600);
/// How long its last word counts while it cannot be reached.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Between two questions because of a key that is not known, or after one without an answer.
const PAUSE: Duration = Duration::from_secs(20);
/// Bytes of an answer.
const MOST: usize = 1 << 20;

/// What it said.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) authorization: Url,
    pub(super) token: Url,
    /// It names itself in its answers to browsers (RFC 9207).
    pub(super) names_itself: bool,
    /// Clients show their secret in the body, since it takes none in the head.
    pub(super) secret_in_body: bool,
    pub(super) keys: Keys,
    at: Instant,
}

/// A provider at an address.
#[derive(Debug)]
pub(super) struct Provider {
    issuer: String,
    pub(super) http: reqwest::Client,
    known: Fast<Option<Arc<Known>>>,
    /// When it was last asked; whoever holds it asks.
    asking: Mutex<Option<Instant>>,
}

impl Provider {
    pub(super) fn new(issuer: &str) -> Result<Provider, String> {
        // An error means that a choice of cryptography was made before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            .user_agent(concat!("sundog/", env!("CARGO_PKG_VERSION")));
        let near = address(issuer)?.host_str().is_some_and(is_near);
        let http = if near { http.no_proxy() } else { http };
        Ok(Provider {
            issuer: issuer.to_owned(),
            http: http.build().map_err(|error| error.to_string())?,
            known: Fast::default(),
            asking: Mutex::default(),
        })
    }

    fn said(&self) -> Option<Arc<Known>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// What it says of itself, not older than an hour, if it can be reached.
    pub(super) async fn known(&self) -> Result<Arc<Known>, Problem> {
        let fresh = |known: &Arc<Known>| known.at.elapsed() < FRESH;
        if let Some(known) = self.said().filter(fresh) {
            return Ok(known);
        }
        let mut asked = self.asking.lock().await;
        if let Some(known) = self.said().filter(fresh) {
            return Ok(known);
        }
        if asked.is_none_or(|asked| asked.elapsed() > PAUSE) {
            self.ask().await;
            *asked = Some(Instant::now());
        }
        let usable = self.said().filter(|known| known.at.elapsed() < STALE);
        usable.ok_or_else(|| {
            let message = "the provider of sign-ins cannot be reached (the log tells why)";
            Problem::new(Code::Unavailable, message)
        })
    }

    /// The same once more, since a key may be new; None where it was asked a moment ago.
    pub(super) async fn again(&self) -> Option<Arc<Known>> {
        // Whoever sends tokens of made-up keys does not have others wait.
        let mut asked = self.asking.try_lock().ok()?;
        if asked.is_some_and(|asked| asked.elapsed() < PAUSE) {
            return None;
        }
        self.ask().await;
        *asked = Some(Instant::now());
        self.said()
    }

    async fn ask(&self) {
        match self.describe().await {
            Ok(known) => {
                let mut kept = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                *kept = Some(Arc::new(known));
            }
            Err(reason) => {
                let issuer = &self.issuer;
                tracing::warn!(%issuer, reason, "the provider of sign-ins cannot be used");
            }
        }
    }

    async fn describe(&self) -> Result<Known, String> {
        let base = self.issuer.trim_end_matches('/');
        let own = format!("{base}/.well-known/openid-configuration");
        let own = self.json(&own).await?;
        let text = |name: &str| {
            let text = own.get(name).and_then(Value::as_str);
            text.ok_or_else(|| format!("it does not say its {name}"))
        };
        // Another's description would have another's keys.
        let issuer = text("issuer")?;
        if issuer != self.issuer {
            return Err(format!("it calls itself {issuer}"));
        }
        let keys = self.json(address(text("jwks_uri")?)?.as_str()).await?;
        let methods = own.get("token_endpoint_auth_methods_supported");
        let methods: Vec<&str> = methods
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |m| m.iter().filter_map(Value::as_str).collect());
        let names_itself = own.get("authorization_response_iss_parameter_supported");
        Ok(Known {
            authorization: address(text("authorization_endpoint")?)?,
            token: address(text("token_endpoint")?)?,
            names_itself: names_itself == Some(&Value::Bool(true)),
            secret_in_body: methods.contains(&"client_secret_post")
                && !methods.contains(&"client_secret_basic"),
            keys: Keys::read(&keys).ok_or("its keys cannot be read")?,
            at: Instant::now(),
        })
    }

    async fn json(&self, url: &str) -> Result<Value, String> {
        let answer = self.http.get(url).send().await;
        let answer = answer.map_err(|error| cause(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("{url} answers {status}"));
        }
        let bytes = body(answer).await?;
        serde_json::from_slice(&bytes).map_err(|_| format!("{url} answers no JSON"))
    }
}

/// A body that is not too long.
pub(super) async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| cause(&error))? {
        if bytes.len() + piece.len() > MOST {
            return Err("its answer is too long".into());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// What an error of HTTP comes from.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// An address that nobody on the way can change: HTTPS, or of this machine.
pub(super) fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| format!("`{text}` is no address"))?;
    let near = url.host_str().is_some_and(is_near);
    match url.scheme() {
        "https" => Ok(url),
        "http" if near => Ok(url),
        _ => Err(format!("`{text}` is not HTTPS")),
    }
}

fn is_near(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip = host.parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
}
