//! The program `sundog-dispatcher`: settings from flags and the environment, then the service.

use ::service::{program, signals};
use clap::Parser;
use cloud::config::Config;
use dispatcher::jobs::Rules;
use dispatcher::program::work;
use dispatcher::settings::Settings;
use std::process::ExitCode;

/// Takes jobs from the queue, runs their tasks on a world of ranks and writes receipts.
///
/// SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE say where the services are.
#[derive(Debug, Parser)]
#[command(name = "sundog-dispatcher", version)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Arguments::parse().settings;
    let metrics = settings.metrics_listen;
    program::run("sundog-dispatcher", metrics, async {
        let ends = signals::ends(|_| ())?;
        work(&settings, Config::from_env()?, Rules::from_env()?, ends).await
    })
    .await
}
