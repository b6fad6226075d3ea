//! What a gateway is made of, and its life from listening to its end.

use crate::arriving::Arriving;
use crate::links::Secret;
use crate::page::Page;
use crate::quota::Admitted;
use crate::receiving::{Pace, Receiving};
use crate::routes;
use axum::extract::FromRef;
use cloud::links::LinkKey;
use dispatcher::jobs::{Jobs, Known, Weights};
use dispatcher::scale::Scale;
use dispatcher::scratch::Scratch;
use service::{Api, Entrance, Tokens};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// Time between looks for files that were cut off long ago.
const SWEEP: Duration = Duration::from_secs(3600);

/// What users may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files of one upload (10 000).
    pub files: usize,
    /// Bytes of one file (4 GiB, which is what a dispatcher reads by default).
    pub file_bytes: u64,
    /// Bytes of one upload (64 GiB).
    pub upload_bytes: u64,
    /// Life of links to upload to (24 h), and of files that were cut off.
    pub upload_life: Duration,
    /// Bytes of the body that announces an upload, or of a job (4 MiB).
    pub body_bytes: usize,
    /// Files that are received at once (32), a quarter of them of one owner; further ones wait.
    pub receiving: usize,
    /// How slowly they may come (1 KiB/s, looked at every 10 s).
    pub pace: Pace,
    /// Time for a request other than an upload or download (60 s).
    pub request: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            files: 10_000,
            file_bytes: 4 << 30,
            upload_bytes: 64 << 30,
            upload_life: Duration::from_secs(24 * 3600),
            body_bytes: 4 << 20,
            receiving: 32,
            pace: Pace {
                least: 1024,
                window: Duration::from_secs(10),
            },
            request: Duration::from_secs(60),
        }
    }
}

/// How a gateway works.
#[derive(Clone)]
pub struct Config {
    /// Who may come in, and how often.
    pub entrance: Entrance,
    /// What links to a local store are signed with.
    pub secret: Secret,
    /// Where clients reach this gateway, such as `http://127.0.0.1:8080/`.
    pub public: Url,
    /// Where files lie until they are objects; None: beside the store, or the system's directory.
    pub scratch: Option<PathBuf>,
    /// What users may ask for.
    pub limits: Limits,
    /// What all services admit.
    pub service: service::Limits,
    /// What starts and ends workers, where there is something.
    pub scale: Option<Arc<dyn Scale>>,
    /// TLS, and proxies that are trusted.
    pub front: service::Front,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("entrance", &self.entrance)
            .field("public", &self.public.as_str())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// The defaults for a gateway that clients reach at `public`.
    pub fn new(entrance: impl Into<Entrance>, secret: Secret, public: Url) -> Config {
        Config {
            entrance: entrance.into(),
            secret,
            public,
            scratch: None,
            limits: Limits::default(),
            service: service::Limits::default(),
            scale: None,
            front: service::Front::default(),
        }
    }
}

/// What the routes share. Clones are cheap.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) jobs: Jobs,
    pub(crate) entrance: Entrance,
    /// Signs and checks links to a local store.
    pub(crate) key: LinkKey,
    pub(crate) limits: Limits,
    /// Where clients reach it, and where browsers come back to from a sign-in.
    pub(crate) public: Url,
    pub(crate) page: Arc<Page>,
    pub(crate) scratch: Arc<Scratch>,
    /// Places for files that are received.
    pub(crate) receiving: Arc<Receiving>,
    /// Files that have arrived in part.
    pub(crate) arriving: Arc<Arriving>,
    /// Bytes that were admitted of late.
    pub(crate) admitted: Arc<Admitted>,
    /// What the services behind answered last.
    pub(crate) ready: Arc<crate::routes::Ready>,
    /// Bytes of jobs that have ended.
    pub(crate) weights: Arc<Weights>,
    /// What lists remember of jobs.
    pub(crate) known: Arc<Known>,
    /// What the API is, made of its routes.
    pub(crate) description: Arc<OnceLock<crate::routes::Description>>,
    /// What starts and ends workers.
    pub(crate) scale: Option<Arc<dyn Scale>>,
}

impl FromRef<Gateway> for Tokens {
    fn from_ref(gateway: &Gateway) -> Tokens {
        gateway.entrance.tokens().clone()
    }
}

impl Gateway {
    /// Makes what the routes share. Links of the store lead here, unless the store signs its own.
    pub async fn new(config: &Config, mut jobs: Jobs) -> Result<Gateway, Error> {
        let base = config
            .public
            .join("v1/objects/")
            .map_err(|_| Error::Address(config.public.to_string()))?;
        if !matches!(config.public.scheme(), "http" | "https")
            || !config.public.path().ends_with('/')
        {
            return Err(Error::Address(config.public.to_string()));
        }
        let key = LinkKey::new(config.secret.bytes(), base)?;
        jobs.store = jobs.store.with_links(key.clone());
        let lasting = config.scratch.clone().or_else(|| jobs.store.scratch());
        let folder = lasting.clone().unwrap_or_else(std::env::temp_dir);
        let opened = tokio::task::spawn_blocking(move || Scratch::open(&folder)).await;
        let scratch = opened
            .map_err(std::io::Error::other)
            .and_then(|opened| opened)
            .map_err(Error::Scratch)?;
        let scratch = Arc::new(scratch);
        let page = Page::new(&jobs.store).await?;
        Ok(Gateway {
            jobs,
            entrance: config.entrance.clone(),
            key,
            limits: config.limits,
            public: config.public.clone(),
            page: Arc::new(page),
            arriving: Arriving::new(lasting.as_deref(), scratch.clone()),
            admitted: Arc::default(),
            scratch,
            ready: Arc::default(),
            scale: config.scale.clone(),
            weights: Arc::default(),
            known: Arc::default(),
            description: Arc::default(),
            receiving: Receiving::new(config.limits.receiving),
        })
    }
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service, or the links to the store.
    #[error(transparent)]
    Cloud(#[from] cloud::Error),
    /// Clients could not reach it.
    #[error(
        "the public address `{0}`: expected http://host:port/ or https://host/ with a slash at its end (hint: SUNDOG_PUBLIC_URL)"
    )]
    Address(String),
    /// No place for files that are received.
    #[error("no folder for temporary files: {0} (hint: set TMPDIR to one that can be written)")]
    Scratch(std::io::Error),
}

/// Serves the API and the page, and what `extra` adds, until `shutdown`.
pub async fn run(
    config: Config,
    jobs: Jobs,
    listener: TcpListener,
    extra: Api,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let polled = dispatcher::observe::watch_queues(jobs.queue.clone(), shutdown.clone());
    let gateway = Gateway::new(&config, jobs).await?;
    let _polling = AbortOnDropHandle::new(tokio::spawn(polled));
    let swept = sweep(gateway.arriving.clone(), config.limits.upload_life);
    let _sweeping = AbortOnDropHandle::new(tokio::spawn(swept));
    let router = routes::router_with(gateway, extra);
    service::serve_behind(listener, router, config.service, config.front, shutdown).await;
    Ok(())
}

/// Removes what nobody goes on with, for ever.
async fn sweep(arriving: Arc<Arriving>, age: Duration) {
    loop {
        match arriving.sweep(age).await {
            Ok(0) => {}
            Ok(parts) => tracing::info!(parts, "files that were cut off are gone"),
            Err(error) => tracing::warn!(%error, "files that were cut off are left"),
        }
        tokio::time::sleep(SWEEP).await;
    }
}
