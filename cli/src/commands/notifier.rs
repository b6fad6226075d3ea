//! `sundog notifier`: streams of events, and webhooks.

use crate::serve::program;
use client::exit::{Exit, Result};
use client::settings;
use dispatcher::jobs::{Jobs, Rules};
use notifier::program::Settings;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Serves the streams of events alone, and delivers webhooks. Needs SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE.")]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Serves until it is told to end.
pub fn run(args: Args) -> Result {
    let cloud = client::services(&settings::load()?)?;
    program::block_on("sundog-notifier", None, async {
        let jobs = Jobs::cluster(&cloud, Rules::default())?;
        notifier::program::serve(&args.settings, jobs, program::ends()?).await?;
        Ok(Exit::Ok)
    })
}
