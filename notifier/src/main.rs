//! The program `sundog-notifier`: settings from flags and the environment, then the service.

use clap::Parser;
use cloud::config::Config;
use dispatcher::jobs::{Jobs, Rules};
use notifier::program::{Settings, serve};
use service::{program, signals};
use std::process::ExitCode;

/// Serves the streams of events and delivers webhooks.
///
/// SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE say where the services are.
#[derive(Debug, Parser)]
#[command(name = "sundog-notifier", version)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Arguments::parse().settings;
    program::run("sundog-notifier", None, async {
        let jobs = Jobs::cluster(&Config::from_env()?, Rules::default())?;
        serve(&settings, jobs, signals::ends(|_| ())?).await
    })
    .await
}
