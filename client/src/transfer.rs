//! Moves files to and from the addresses of links, streamed, with tries again.

use super::problem;
use crate::exit::{Exit, Failure, Result};
use futures_util::StreamExt as _;
use indicatif::ProgressBar;
use reqwest::{Method, Url};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use worker::atomic::Pending;

/// Tries of one file.
const TRIES: u32 = 5;

/// Moves files.
#[derive(Clone, Debug)]
pub struct Transfer {
    far: reqwest::Client,
    /// Asks no proxy.
    near: reqwest::Client,
}

/// Whether an address is this machine's own.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Chooses ring for TLS, unless something has chosen before, which is as good.
pub(super) fn tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Why a try failed.
enum Trouble {
    /// Another try may succeed.
    Passing(String),
    /// The link is not accepted, or not any more.
    Link(String),
    /// It will not.
    Final(Failure),
}

/// How a download ended.
#[derive(Debug)]
pub enum Fetched {
    /// The file is there.
    Done,
    /// The link is not accepted any more; a new one may help.
    Stale(String),
}

/// A client for one address that carries no credentials.
pub fn plain_http(url: &Url) -> Result<reqwest::Client> {
    built(match is_loopback(url) {
        true => builder().no_proxy(),
        false => builder(),
    })
}

fn builder() -> reqwest::ClientBuilder {
    tls();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::limited(3))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(60))
        .user_agent(concat!("sundog/", env!("CARGO_PKG_VERSION")))
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|error| {
        Failure::failed(format!("HTTP cannot be used: {}", problem::cause(&error)))
    })
}

impl Transfer {
    /// Clients for links; they carry no credentials of their own.
    pub fn new() -> Result<Transfer> {
        Ok(Transfer {
            far: built(builder())?,
            near: built(builder().no_proxy())?,
        })
    }

    fn client(&self, url: &Url) -> &reqwest::Client {
        match is_loopback(url) {
            true => &self.near,
            false => &self.far,
        }
    }

    /// Sends a file of `bytes` bytes to a link. `name` is for messages.
    pub async fn put(
        &self,
        path: &Path,
        name: &str,
        bytes: u64,
        (method, url, headers): (&Method, &Url, &[(String, String)]),
        bar: &ProgressBar,
    ) -> Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            let sent = Arc::new(AtomicU64::new(0));
            let reason = match self
                .put_once(path, bytes, (method, url, headers), bar, &sent)
                .await
            {
                Ok(()) => return Ok(()),
                Err(Trouble::Final(failure)) => return Err(failure),
                Err(Trouble::Link(reason)) => {
                    return Err(Failure::failed(format!("{name}: {reason}")));
                }
                Err(Trouble::Passing(reason)) => reason,
            };
            bar.dec(sent.load(Ordering::Relaxed));
            if tries == TRIES {
                return Err(Failure {
                    exit: Exit::Unreachable,
                    message: format!("{name} cannot be uploaded: {reason} (tried {TRIES} times)"),
                });
            }
            tokio::time::sleep(pause(tries)).await;
        }
    }

    async fn put_once(
        &self,
        path: &Path,
        bytes: u64,
        (method, url, headers): (&Method, &Url, &[(String, String)]),
        bar: &ProgressBar,
        sent: &Arc<AtomicU64>,
    ) -> std::result::Result<(), Trouble> {
        let named = |error: std::io::Error| {
            let cause = worker::jobfile::io_cause(&error);
            let path = path.display().to_string();
            Trouble::Final(Failure::failed(format!("cannot read {path}: {cause}")))
        };
        let file = tokio::fs::File::open(path).await.map_err(named)?;
        let found = file.metadata().await.map_err(named)?.len();
        if found != bytes {
            let path = path.display();
            let message = format!("{path} changed while it was uploaded (submit it again)");
            return Err(Trouble::Final(Failure::failed(message)));
        }
        let (count, bar) = (sent.clone(), bar.clone());
        let pieces = tokio_util::io::ReaderStream::with_capacity(file, 256 << 10);
        let pieces = pieces.inspect(move |piece| {
            if let Ok(piece) = piece {
                count.fetch_add(piece.len() as u64, Ordering::Relaxed);
                bar.inc(piece.len() as u64);
            }
        });
        let mut request = self.client(url).request(method.clone(), url.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        // Signed links of object stores take no body of unknown length.
        let request = request
            .header("content-length", bytes)
            .body(reqwest::Body::wrap_stream(pieces));
        let response = request.send().await;
        let response = response.map_err(|error| Trouble::Passing(problem::cause(&error)))?;
        checked(response).map(drop)
    }

    /// Fetches a link into a file that appears whole, checked, or not at all.
    pub async fn get(
        &self,
        url: &Url,
        target: &Path,
        expected: (Option<u64>, Option<&str>),
        bar: &ProgressBar,
    ) -> Result<Fetched> {
        if url.scheme() == "file" {
            return self.copy(url, target, expected, bar).await;
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let mut got = 0;
            let reason = match self.get_once(url, target, expected, bar, &mut got).await {
                Ok(()) => return Ok(Fetched::Done),
                Err(Trouble::Final(failure)) => return Err(failure),
                Err(Trouble::Link(reason)) => return Ok(Fetched::Stale(reason)),
                Err(Trouble::Passing(reason)) => reason,
            };
            bar.dec(got);
            if tries == TRIES {
                return Err(Failure::failed(format!("{reason} (tried {TRIES} times)")));
            }
            tokio::time::sleep(pause(tries)).await;
        }
    }

    async fn get_once(
        &self,
        url: &Url,
        target: &Path,
        (bytes, sha256): (Option<u64>, Option<&str>),
        bar: &ProgressBar,
        got: &mut u64,
    ) -> std::result::Result<(), Trouble> {
        let response = self.client(url).get(url.clone()).send().await;
        let response = response.map_err(|error| Trouble::Passing(problem::cause(&error)))?;
        let mut response = checked(response)?;
        let disk = |error: std::io::Error| Trouble::Final(Failure::failed(error.to_string()));
        let pending = Pending::create(target).map_err(disk)?;
        let mut hasher = Sha256::new();
        loop {
            let piece = response.chunk().await;
            let piece = piece.map_err(|error| Trouble::Passing(problem::cause(&error)))?;
            let Some(piece) = piece else { break };
            *got += piece.len() as u64;
            bar.inc(piece.len() as u64);
            if bytes.is_some_and(|most| *got > most) {
                return Err(Trouble::Passing(
                    "it is longer than its receipt says".into(),
                ));
            }
            hasher.update(&piece);
            pending.writer().write_all(&piece).map_err(disk)?;
        }
        let found: String = hasher
            .finalize()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        if sha256.is_some_and(|expected| expected != found) {
            let reason = "its bytes differ from the receipt's hash";
            return Err(Trouble::Passing(reason.into()));
        }
        pending.commit().map(drop).map_err(disk)
    }

    /// A link to a file of this machine.
    async fn copy(
        &self,
        url: &Url,
        target: &Path,
        (_, sha256): (Option<u64>, Option<&str>),
        bar: &ProgressBar,
    ) -> Result<Fetched> {
        let source = url.to_file_path();
        let source = source.map_err(|()| Failure::failed("not the address of a file"))?;
        let (target, bar) = (target.to_owned(), bar.clone());
        let expected = sha256.map(str::to_owned);
        let copied = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
            let found = worker::atomic::digest_file(&source)?;
            if expected.is_some_and(|expected| expected != found.sha256) {
                return Err(std::io::Error::other(
                    "its bytes differ from the receipt's hash",
                ));
            }
            let pending = Pending::create(&target)?;
            let read = std::io::copy(&mut std::fs::File::open(&source)?, &mut pending.writer())?;
            bar.inc(read);
            pending.commit().map(drop)
        });
        match copied.await {
            Ok(Ok(())) => Ok(Fetched::Done),
            Ok(Err(error)) => Err(Failure::failed(worker::jobfile::io_cause(&error))),
            Err(error) => Err(Failure::failed(error.to_string())),
        }
    }
}

/// Sorts answers of stores by what can be done about them.
fn checked(response: reqwest::Response) -> std::result::Result<reqwest::Response, Trouble> {
    let status = response.status();
    match status.as_u16() {
        200..=299 => Ok(response),
        401 | 403 | 410 => Err(Trouble::Link(format!("the store answered {status}"))),
        408 | 429 | 500..=599 => Err(Trouble::Passing(format!("the store answered {status}"))),
        413 => Err(Trouble::Final(Failure {
            exit: Exit::Refused,
            message: "the file is larger than the store takes".into(),
        })),
        _ => Err(Trouble::Final(Failure::failed(format!(
            "the store answered {status}"
        )))),
    }
}

fn pause(tries: u32) -> Duration {
    Duration::from_millis(200 << tries.min(6))
}
