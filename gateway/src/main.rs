//! The program `sundog-gateway`: settings from flags and the environment, then the service.

use clap::Parser;
use gateway::program::{self, Settings};
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
    let arguments = Arguments::parse();
    match program::main(&arguments.settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}
