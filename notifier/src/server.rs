//! The service: its settings, its addresses and its run.

use crate::hub::Hub;
use crate::seats::Seats;
use crate::webhooks;
use crate::{problem::problem, sse};
use axum::Router;
use axum::extract::{FromRef, State};
use axum::routing::get;
use dispatcher::jobs::Jobs;
use service::{Api, Entrance, Limits, Problem, Tokens, telemetry};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How the notifier works.
#[derive(Clone, Debug)]
pub struct Config {
    /// Clients that may watch at once (4000).
    pub watchers: usize,
    /// Clients of one user that may watch at once (1000).
    pub watchers_per_user: usize,
    /// Silence after which a client is told that the stream is alive (15 s).
    pub heartbeat: Duration,
    /// How long a stream lasts at most, so that access is checked again (1 h); clients come back by themselves.
    pub life: Duration,
    /// Bytes of recent events that are kept for all streams together (64 MiB).
    pub keep_bytes: usize,
    /// Time in which a client takes no byte before its connection is closed (30 s).
    pub write_stall: Duration,
    /// Webhooks.
    pub webhooks: webhooks::Config,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            watchers: 4000,
            watchers_per_user: 1000,
            heartbeat: Duration::from_secs(15),
            life: Duration::from_secs(3600),
            keep_bytes: 64 << 20,
            write_stall: Duration::from_secs(30),
            webhooks: webhooks::Config::default(),
        }
    }
}

impl Config {
    /// For a notifier whose streams go beside other requests over so many connections: half of them at most, and an eighth for
    /// one user, so that nobody keeps the others out.
    pub fn beside(self, connections: usize) -> Config {
        Config {
            watchers: (connections / 2).max(1),
            watchers_per_user: (connections / 8).max(1),
            ..self
        }
    }
}

/// A notifier. Clones share it.
#[derive(Clone, Debug)]
pub struct Notifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    jobs: Jobs,
    hub: Hub,
    seats: Arc<Seats>,
    hooks: webhooks::Desk,
    shutdown: CancellationToken,
}

impl Notifier {
    /// Does nothing by itself before somebody watches or [`Notifier::deliver`] runs. Streams end at `shutdown`.
    pub fn new(config: Config, jobs: Jobs, shutdown: CancellationToken) -> Notifier {
        Notifier(Arc::new(Inner {
            hub: Hub::new(jobs.clone(), config.keep_bytes),
            seats: Seats::new(config.watchers, config.watchers_per_user),
            hooks: webhooks::Desk::default(),
            config,
            jobs,
            shutdown,
        }))
    }

    /// Delivers webhooks until the shutdown.
    pub async fn deliver(&self) -> Result<(), webhooks::Error> {
        webhooks::run(self).await
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    pub(crate) fn seats(&self) -> &Arc<Seats> {
        &self.0.seats
    }

    pub(crate) fn hooks(&self) -> &webhooks::Desk {
        &self.0.hooks
    }

    pub(crate) fn shutdown(&self) -> CancellationToken {
        self.0.shutdown.clone()
    }
}

/// What handlers need.
#[derive(Clone, Debug)]
pub(crate) struct App {
    notifier: Notifier,
    tokens: Tokens,
}

impl FromRef<App> for Notifier {
    fn from_ref(app: &App) -> Notifier {
        app.notifier.clone()
    }
}

impl FromRef<App> for Tokens {
    fn from_ref(app: &App) -> Tokens {
        app.tokens.clone()
    }
}

/// `/v1/jobs/{id}/events`, `/v1/events` and `/v1/webhooks`, to be served alone or beside other addresses.
pub fn api(notifier: &Notifier, entrance: &Entrance) -> Api {
    webhooks::add(sse::add(Api::new(entrance))).with_state(App {
        notifier: notifier.clone(),
        tokens: entrance.tokens().clone(),
    })
}

/// Serves all of it and `/metrics`, and delivers webhooks, until `shutdown`.
pub async fn run(
    config: Config,
    jobs: Jobs,
    entrance: impl Into<Entrance>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), webhooks::Error> {
    let limits = Limits {
        // Beside those who watch, those who ask.
        connections: config.watchers.saturating_add(256),
        write_stall: config.write_stall,
        ..Limits::default()
    };
    let notifier = Notifier::new(config, jobs, shutdown.clone());
    let health = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(notifier.clone());
    let entrance = entrance.into();
    let router = api(&notifier, &entrance)
        .merge(telemetry::metrics::api(&entrance))
        .into_router()
        .merge(health)
        .fallback(service::listen::no_route)
        .method_not_allowed_fallback(service::listen::no_method);
    let serve = service::serve(listener, router, limits, shutdown.clone());
    // If either ends, the other does.
    let deliver = async {
        let _stop = shutdown.clone().drop_guard();
        notifier.deliver().await
    };
    let ((), delivered) = tokio::join!(serve, deliver);
    delivered
}

/// Whether events and store answer.
async fn ready(State(notifier): State<Notifier>) -> Result<&'static str, Problem> {
    let jobs = notifier.jobs();
    jobs.events.fields("ready").await?;
    let there = dispatcher::names::exists(&jobs.store, "ready").await;
    there.map_err(problem)?;
    Ok("ready\n")
}
