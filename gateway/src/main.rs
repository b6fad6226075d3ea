//! The program `sundog-gateway`: settings from flags and the environment, then the service.

use clap::Parser;
use cloud::config::Config;
use dispatcher::jobs::{Jobs, Rules};
use gateway::program::{Settings, serve};
use service::{program, signals};
use std::process::ExitCode;

/// Serves Sundog's HTTP API and its web page.
///
/// SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE say where the services are.
#[derive(Debug, Parser)]
#[command(name = "sundog-gateway", version)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Arguments::parse().settings;
    program::run("sundog-gateway", None, async {
        let jobs = Jobs::cluster(&Config::from_env()?, Rules::from_env()?)?;
        serve(&settings, jobs, signals::ends(|_| ())?).await
    })
    .await
}
