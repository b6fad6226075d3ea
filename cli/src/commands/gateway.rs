//! `sundog gateway`: the job system over HTTP, for those without credentials of its services.

use crate::serve::program;
use client::exit::{Exit, Result};
use client::settings;
use dispatcher::jobs::{Jobs, Rules};
use gateway::program::Settings;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  sundog token add ada --file tokens.toml
  sundog gateway --tokens tokens.toml --listen 0.0.0.0:8080 --public-url https://sundog.example/ \
    --trusted-proxies 10.0.0.7

Needs SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE. Serves the web page, uploads, jobs, results, and the streams of
events, too, so that SUNDOG_GATEWAY needs one address; webhooks are delivered by sundog notifier. It speaks HTTP: put
a proxy that speaks HTTPS before it where others reach it.")]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Serves until it is told to end.
pub fn run(mut args: Args) -> Result {
    let layers = settings::load()?;
    let cloud = client::services(&layers)?;
    let own = args.settings.scale_command.take();
    args.settings.scale_command = own.or_else(|| layers.text("scale_command").map(str::to_owned));
    program::block_on("sundog-gateway", None, async {
        let jobs = Jobs::cluster(&cloud, Rules::from_env()?)?;
        gateway::program::serve(&args.settings, jobs, program::ends()?).await?;
        Ok(Exit::Ok)
    })
}
