//! `sundog dispatcher`: takes jobs and tasks from the broker and runs them on this machine.

use crate::serve::program;
use client::exit::{Exit, Result};
use client::settings;
use dispatcher::jobs::Rules;
use dispatcher::settings::Settings;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog dispatcher --ranks 4
  sundog dispatcher --ranks 16 --hostfile hosts --node rack7

Needs SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE. Any number of dispatchers share the work. SIGTERM ends it when
what it has in hand is done, a second one hands that back to the others.")]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Works until it is told to end.
pub fn run(args: Args) -> Result {
    let cloud = client::services(&settings::load()?)?;
    let metrics = args.settings.metrics_listen;
    program::block_on("sundog-dispatcher", metrics, async {
        let ends = program::ends()?;
        dispatcher::program::work(&args.settings, cloud, Rules::from_env()?, ends).await?;
        Ok(Exit::Ok)
    })
}
