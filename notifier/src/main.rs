//! The program `sundog-notifier`: settings from the environment, then the service.

use dispatcher::jobs::{Jobs, Rules};
use notifier::Config;
use notifier::webhooks::Allow;
use service::Tokens;
use service::telemetry::Telemetry;
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Where it listens when nothing else is said.
const LISTEN: &str = "127.0.0.1:8081";

#[tokio::main]
async fn main() -> ExitCode {
    match told().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(4)
        }
    }
}

/// With logs, metrics and traces as the environment says.
async fn told() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::start("sundog-notifier")?;
    let served = serve().await;
    telemetry.shutdown().await;
    served
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let cloud = cloud::config::Config::from_env()?;
    let listen = setting("SUNDOG_NOTIFIER_LISTEN").unwrap_or_else(|| LISTEN.into());
    let listen: SocketAddr = listen.parse().map_err(|_| {
        format!("SUNDOG_NOTIFIER_LISTEN: `{listen}` is not an address such as {LISTEN}")
    })?;
    let tokens = setting("SUNDOG_TOKENS").ok_or(
        "SUNDOG_TOKENS is not set: without a tokens file nobody could watch anything (hint: sundog token add)",
    )?;
    let tokens = Tokens::file(tokens.as_ref())?;
    let config = config()?;
    let jobs = Jobs {
        queue: cloud.queue()?,
        events: cloud.events()?,
        store: cloud.store(std::path::Path::new("sundog-store"))?,
        rules: Rules::default(),
    };
    let listener = service::listen(listen, true).await?;
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
    eprintln!("listening on http://{}", listener.local_addr()?);
    notifier::run(config, jobs, tokens, listener, shutdown).await?;
    Ok(())
}

/// What the environment says of the notifier itself.
fn config() -> Result<Config, String> {
    let mut config = Config::default();
    if let Some(text) = setting("SUNDOG_WEBHOOK_ALLOW") {
        let allow = text.split(',').map(|part| part.trim().parse::<Allow>());
        config.webhooks.allow = allow
            .collect::<Result<_, _>>()
            .map_err(|error| format!("SUNDOG_WEBHOOK_ALLOW: {error}"))?;
    }
    config.webhooks.http = match setting("SUNDOG_WEBHOOK_HTTP").as_deref() {
        None | Some("refuse") => false,
        Some("allow") => true,
        Some(_) => return Err("SUNDOG_WEBHOOK_HTTP: expected allow or refuse".into()),
    };
    Ok(config)
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
