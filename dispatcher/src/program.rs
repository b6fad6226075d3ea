//! The dispatcher as a program of its own: services from the environment, signals, an orderly end.

use crate::error::{Error, Result};
use crate::jobs::{Jobs, Rules};
use crate::service;
use crate::settings::Settings;
use ::service::telemetry::{self, Telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Works until SIGTERM or SIGINT, then finishes or hands back what it has. A second signal cuts that short.
/// Logs, metrics and traces are as the environment says.
pub async fn main(settings: &Settings, rules: Rules) -> Result<()> {
    let refused = |error: telemetry::Error| Error::State(error.to_string());
    let telemetry = Telemetry::start("sundog-dispatcher").map_err(refused)?;
    // Told until the very end.
    let scraped = CancellationToken::new();
    let worked = async {
        if let Some(addr) = settings.metrics_listen {
            let listening = telemetry::metrics::start(addr, scraped.clone()).await;
            listening.map_err(refused)?;
        }
        work(settings, rules).await
    };
    let worked = worked.await;
    scraped.cancel();
    telemetry.shutdown().await;
    worked
}

async fn work(settings: &Settings, rules: Rules) -> Result<()> {
    let cloud = cloud::config::Config::from_env()?;
    if cloud.broker.is_none() || cloud.redis.is_none() || cloud.store.is_none() {
        return Err(Error::State(
            "a dispatcher of its own needs SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE (hint: `sundog serve` needs none of them)".into(),
        ));
    }
    let jobs = Jobs {
        queue: cloud.queue()?,
        events: cloud.events()?,
        store: cloud.store(std::path::Path::new(""))?,
        rules,
    };
    let config = settings.config(cloud, &jobs.store);
    let shutdown = CancellationToken::new();
    let caught = |kind| signal(kind).map_err(|error| Error::local("catching signals", error));
    let (mut term, mut int) = (
        caught(SignalKind::terminate())?,
        caught(SignalKind::interrupt())?,
    );
    let asked = shutdown.clone();
    let mut config = config;
    let hurry = CancellationToken::new();
    config.hurry = hurry.clone();
    tokio::spawn(async move {
        for token in [asked, hurry] {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            token.cancel();
        }
    });
    let world = settings.world(None)?;
    let worked = service::run(config, jobs, world.clone(), shutdown).await;
    world.shutdown().await;
    worked
}
