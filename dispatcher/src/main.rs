//! The program `sundog-dispatcher`: settings from the environment, then the service.

use dispatcher::jobs::{InputUrls, Jobs, Rules};
use dispatcher::world::Threads;
use dispatcher::{Config, service};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(4)
        }
    }
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let cloud = cloud::config::Config::from_env()?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut config = Config::new(match host.trim() {
        "" => "localhost",
        host => host,
    });
    let jobs = Jobs {
        queue: cloud.queue()?,
        events: cloud.events()?,
        store: cloud.store(std::path::Path::new("sundog-store"))?,
        rules: Rules {
            input_urls: InputUrls::from_env()?,
            ..Rules::default()
        },
    };
    config.cloud = cloud;
    let shutdown = CancellationToken::new();
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let asked = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        asked.cancel();
    });
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    service::run(config, jobs, Arc::new(Threads::start(cores)), shutdown).await?;
    Ok(())
}
