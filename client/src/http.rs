//! The job system through a gateway.

use super::types::{Announced, Letter, Node, Slot, Status, Target, Upload};
use super::{check_id, is_loopback, problem, serving};
use crate::exit::{Exit, Failure, Result};
use protocol::{Job, JobReceipt};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Largest answer that is read: a receipt of some hundred thousand tasks.
const MAX_ANSWER: usize = 512 << 20;
/// Largest refusal that is read.
pub(super) const MAX_REFUSAL: usize = 64 << 10;
/// Requests that are tried again after a failure that may pass.
const TRIES: u32 = 4;
/// Silence after which a stream of events is opened again; gateways send a comment more often than that.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// Where a gateway is. Its token is not shown.
#[derive(Clone)]
struct Endpoint {
    base: Url,
    authorization: Option<HeaderValue>,
}

/// A gateway.
#[derive(Clone)]
pub struct Gateway {
    endpoint: Arc<Mutex<Endpoint>>,
    /// Whether it is the user's own serve, which may come back elsewhere.
    own: bool,
    http: reqwest::Client,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gateway")
            .field(&self.base().as_str())
            .finish()
    }
}

#[derive(Deserialize)]
struct Accepted {
    job: String,
}

#[derive(Deserialize)]
struct Uploaded {
    inputs: Vec<String>,
    files: Vec<UploadedFile>,
}

#[derive(Deserialize)]
struct UploadedFile {
    name: String,
    input: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
}

impl Gateway {
    /// A gateway at an address, entered with a token. `own`: the user's own serve.
    pub fn new(address: &str, token: Option<&str>, own: bool) -> Result<Gateway> {
        let endpoint = endpoint(address, token)?;
        let http = client(is_loopback(&endpoint.base))?;
        Ok(Gateway {
            endpoint: Arc::new(Mutex::new(endpoint)),
            own,
            http,
        })
    }

    fn current(&self) -> Endpoint {
        let endpoint = self.endpoint.lock();
        endpoint.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its address.
    pub fn base(&self) -> Url {
        self.current().base
    }

    /// The user's own serve may have been started again at another address.
    pub(super) fn look_again(&self) {
        if !self.own {
            return;
        }
        if let Ok(Some(found)) = serving::find()
            && let Ok(found) = endpoint(&found.address, Some(&found.token))
            && is_loopback(&found.base)
        {
            *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let base = self.base();
        let what = match self.own {
            true => format!("the `sundog serve` at {base} does not answer"),
            false => format!("the gateway at {base} cannot be reached"),
        };
        let hint = match self.own {
            true => "start it again: sundog serve",
            false => "check SUNDOG_GATEWAY, or start one: sundog serve",
        };
        Failure {
            exit: Exit::Unreachable,
            message: format!("{what}: {} ({hint})", problem::cause(error)),
        }
    }

    /// One request without an own retry.
    pub(super) async fn once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        headers: &HeaderMap,
    ) -> std::result::Result<reqwest::Response, reqwest::Error> {
        let Endpoint {
            base,
            authorization,
        } = self.current();
        let mut url = base;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        url.set_path(&format!("{}{path}", url.path()));
        url.set_query(Some(query).filter(|q| !q.is_empty()));
        let mut request = self.http.request(method.clone(), url);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request = request.headers(headers.clone());
        if let Some(body) = body {
            request = request.header("content-type", "application/json");
            request = request.body(body.to_string());
        }
        request.send().await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: HeaderMap,
    ) -> Result<Vec<u8>> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (failure, passing) = match self.once(&method, path, body, &headers).await {
                Ok(response) if response.status().is_success() => {
                    match read(response, MAX_ANSWER).await {
                        Ok(bytes) => return Ok(bytes),
                        Err(Some(error)) => (self.unreachable(&error), true),
                        Err(None) => {
                            return Err(Failure::failed("the gateway's answer is too long"));
                        }
                    }
                }
                Ok(response) => {
                    let status = response.status();
                    let body = read(response, MAX_REFUSAL).await.unwrap_or_default();
                    let passing = matches!(status.as_u16(), 429 | 502..=504);
                    let mut failure = problem::refused(status, &body);
                    if let (StatusCode::NOT_FOUND, Some(rest)) =
                        (status, path.strip_prefix("v1/jobs/"))
                    {
                        let job = rest.split(['/', '?']).next().unwrap_or(rest);
                        failure.message = format!("there is no job `{job}` (hint: sundog list)");
                    }
                    (failure, passing)
                }
                // Nobody listens there: waiting a second helps nobody.
                Err(error) => (self.unreachable(&error), !error.is_connect()),
            };
            if !passing || tries == TRIES {
                return Err(failure);
            }
            tokio::time::sleep(Duration::from_millis(150 << tries)).await;
        }
    }

    /// An answer that is read piece by piece.
    pub(super) async fn open(&self, path: &str) -> Result<reqwest::Response> {
        let none = HeaderMap::new();
        let answer = self.once(&Method::GET, path, None, &none).await;
        let response = answer.map_err(|error| self.unreachable(&error))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => {
                let body = read(response, MAX_REFUSAL).await.unwrap_or_default();
                Err(problem::refused(status, &body))
            }
        }
    }

    /// A request whose answer has nothing to tell.
    pub(super) async fn tell(&self, method: Method, path: &str) -> Result<()> {
        self.send(method, path, None, HeaderMap::new())
            .await
            .map(drop)
    }

    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T> {
        let bytes = self.send(method, path, body, HeaderMap::new()).await?;
        parse(&bytes)
    }

    pub(super) async fn announce(&self, files: &[Announced]) -> Result<Upload> {
        let list: Vec<Value> = files
            .iter()
            .map(|file| json!({"name": file.name, "bytes": file.bytes}))
            .collect();
        let body = json!({"files": list});
        let answer: Uploaded = self.ask(Method::POST, "v1/uploads", Some(&body)).await?;
        let places = answer.files.into_iter().map(|f| (f.name.clone(), f));
        let mut places: std::collections::HashMap<String, UploadedFile> = places.collect();
        let slots = files.iter().map(|file| {
            let place = places.remove(&file.name).ok_or_else(unreadable)?;
            let link = place.url.parse().ok().zip(place.method.parse().ok());
            let (url, method) = link.ok_or_else(unreadable)?;
            Ok(Slot {
                input: place.input,
                target: Target::Link {
                    method,
                    url,
                    headers: place.headers.into_iter().collect(),
                },
            })
        });
        Ok(Upload {
            slots: slots.collect::<Result<_>>()?,
            inputs: answer.inputs,
        })
    }

    pub(super) async fn submit(&self, job: &Job, key: &str) -> Result<String> {
        let body = serde_json::to_value(job).unwrap_or_default();
        let mut headers = HeaderMap::new();
        if let Ok(key) = HeaderValue::from_str(key) {
            headers.insert("idempotency-key", key);
        }
        let bytes = self
            .send(Method::POST, "v1/jobs", Some(&body), headers)
            .await?;
        let accepted: Accepted = parse(&bytes)?;
        Ok(accepted.job)
    }

    pub(super) async fn status(&self, job: &str) -> Result<Status> {
        check_id(job)?;
        self.ask(Method::GET, &format!("v1/jobs/{job}"), None).await
    }

    pub(super) async fn receipt(&self, job: &str) -> Result<Option<JobReceipt>> {
        if !self.status(job).await?.state.is_final() {
            return Ok(None);
        }
        let path = format!("v1/jobs/{job}/receipt");
        self.ask(Method::GET, &path, None).await.map(Some)
    }

    pub(super) async fn cancel(&self, job: &str) -> Result<Status> {
        check_id(job)?;
        self.ask(Method::DELETE, &format!("v1/jobs/{job}"), None)
            .await
    }

    /// Pauses or resumes.
    pub(super) async fn on(&self, job: &str, what: &str) -> Result<Status> {
        check_id(job)?;
        let path = format!("v1/jobs/{job}/{what}");
        self.ask(Method::POST, &path, None).await
    }

    pub(super) async fn purge(&self, job: &str) -> Result<()> {
        check_id(job)?;
        let path = format!("v1/jobs/{job}?purge=true");
        let none = HeaderMap::new();
        let answer = self.once(&Method::DELETE, &path, None, &none).await;
        let response = answer.map_err(|error| self.unreachable(&error))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => {
                let body = read(response, MAX_REFUSAL).await.unwrap_or_default();
                Err(problem::refused(status, &body))
            }
        }
    }

    pub(super) async fn retry(&self, job: &str) -> Result<u64> {
        check_id(job)?;
        let path = format!("v1/jobs/{job}/retry");
        let answer: Value = self.ask(Method::POST, &path, None).await?;
        answer["tasks"].as_u64().ok_or_else(unreadable)
    }

    pub(super) async fn nodes(&self) -> Result<Vec<Node>> {
        let mut answer: Value = self.ask(Method::GET, "v1/nodes", None).await?;
        match answer["nodes"].take() {
            Value::Array(nodes) => Ok(nodes),
            _ => Err(unreadable()),
        }
    }

    pub(super) async fn scale(&self, workers: usize) -> Result<Option<u64>> {
        let wish = serde_json::json!({ "workers": workers });
        let answer: Value = self.ask(Method::PUT, "v1/scale", Some(&wish)).await?;
        Ok(answer["before"].as_u64())
    }

    pub(super) async fn dead_letters(&self) -> Result<Vec<Letter>> {
        let mut answer: Value = self.ask(Method::GET, "v1/dead-letters", None).await?;
        serde_json::from_value(answer["letters"].take()).map_err(|_| unreadable())
    }

    pub(super) async fn replay(&self) -> Result<u64> {
        let answer: Value = self
            .ask(Method::POST, "v1/dead-letters/replay", None)
            .await?;
        answer["replayed"].as_u64().ok_or_else(unreadable)
    }

    /// Whether it lets the user in; for `sundog doctor`. Returns its time in seconds, where it tells.
    pub async fn knock(&self) -> Result<Option<String>> {
        let none = HeaderMap::new();
        let answer = self.once(&Method::GET, "v1/nodes", None, &none).await;
        let response = answer.map_err(|error| self.unreachable(&error))?;
        let date = response.headers().get("date").and_then(|d| d.to_str().ok());
        let date = date.map(str::to_owned);
        match response.status() {
            status if status.is_success() => Ok(date),
            status => {
                let body = read(response, MAX_REFUSAL).await.unwrap_or_default();
                Err(problem::refused(status, &body))
            }
        }
    }
}

fn endpoint(address: &str, token: Option<&str>) -> Result<Endpoint> {
    let expected = || {
        Failure::usage(
            "SUNDOG_GATEWAY: expected http://host:port or https://host without a password",
        )
    };
    let mut base: Url = address.parse().map_err(|_| expected())?;
    let bare = base.username().is_empty() && base.password().is_none() && base.query().is_none();
    if !bare || !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
        return Err(expected());
    }
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let authorization = token.map(|token| {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        value.map(|mut value| {
            value.set_sensitive(true);
            value
        })
    });
    let authorization = authorization.transpose().map_err(|_| {
        Failure::usage("SUNDOG_TOKEN: not a token (expected sundog_ and letters and digits)")
    })?;
    Ok(Endpoint {
        base,
        authorization,
    })
}

/// A client for requests that carry a token: it follows no redirect, and asks no proxy about this machine.
fn client(loopback: bool) -> Result<reqwest::Client> {
    super::transfer::tls();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(SILENCE + Duration::from_secs(10))
        .user_agent(concat!("sundog/", env!("CARGO_PKG_VERSION")));
    if loopback {
        builder = builder.no_proxy();
    }
    let built = builder.build();
    built.map_err(|error| {
        Failure::failed(format!("HTTP cannot be used: {}", problem::cause(&error)))
    })
}

/// A body of at most `most` bytes; `Err(None)` if it is longer.
pub(super) async fn read(
    mut response: reqwest::Response,
    most: usize,
) -> std::result::Result<Vec<u8>, Option<reqwest::Error>> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(Some)? {
        if bytes.len() + piece.len() > most {
            return Err(None);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|_| unreadable())
}

fn unreadable() -> Failure {
    Failure::failed(
        "the gateway's answer cannot be read (is SUNDOG_GATEWAY the address of a gateway of this version?)",
    )
}
