//! The program `sundog-gateway`: settings from flags and the environment, then the service.

use clap::Parser;
use dispatcher::jobs::{Jobs, Rules};
use gateway::program::{self, Error, Settings};
use service::{signals, telemetry};
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
    let served = telemetry::around("sundog-gateway", None, async {
        let jobs = Jobs::cluster(&cloud::config::Config::from_env()?, Rules::from_env()?)?;
        program::serve(&settings, jobs, signals::ends(|_| ())?).await
    });
    let served: Result<(), Error> = served.await;
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
