//! The program `sundog-dispatcher`: settings from flags and the environment, then the service.

use clap::Parser;
use dispatcher::jobs::{InputUrls, Rules};
use dispatcher::settings::Settings;
use dispatcher::{Error, program};
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
    let arguments = Arguments::parse();
    let worked = async {
        let rules = Rules {
            input_urls: InputUrls::from_env()?,
            ..Rules::default()
        };
        program::main(&arguments.settings, rules).await
    };
    let worked: Result<(), Error> = worked.await;
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(4)
        }
    }
}
