//! The program `sundog-dispatcher`: settings from flags and the environment, then the service.

use ::service::{signals, telemetry};
use clap::Parser;
use dispatcher::jobs::Rules;
use dispatcher::program::{self, Error};
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
    let worked = telemetry::around("sundog-dispatcher", metrics, async {
        let cloud = cloud::config::Config::from_env()?;
        program::work(&settings, cloud, Rules::from_env()?, signals::ends(|_| ())?).await
    });
    let worked: Result<(), Error> = worked.await;
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
