//! `sundog dispatcher`: takes jobs and tasks from the broker and runs them on this machine.

use crate::client;
use crate::exit::{Exit, Failure, Result};
use crate::output;
use crate::serve::{signals, telling};
use crate::settings::{self, Layers};
use dispatcher::jobs::{InputUrls, Jobs, Rules};
use dispatcher::service;
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
    let layers = settings::load()?;
    let metrics = args.settings.metrics_listen;
    telling::block_on("sundog-dispatcher", metrics, async {
        let (jobs, cloud) = services(&layers)?;
        let ends = signals::ends()?;
        let mut config = args.settings.config(cloud, &jobs.store);
        config.hurry = ends.hurry;
        let world = args.settings.world(None).map_err(client::from_jobs)?;
        output::message(&format!(
            "dispatcher {} on {}",
            config.node,
            on(&args.settings)
        ));
        let ended = service::run(config, jobs, world.clone(), ends.shutdown).await;
        world.shutdown().await;
        ended.map_err(client::from_jobs)?;
        Ok(Exit::Ok)
    })
}

/// The services of a cluster, all of which must be set.
pub fn services(layers: &Layers) -> Result<(Jobs, cloud::config::Config)> {
    let missing: Vec<&str> = client::missing_services(layers);
    if !missing.is_empty() {
        return Err(Failure {
            exit: Exit::Usage,
            message: format!(
                "not set: {} (set them, or use sundog serve, which needs no services)",
                missing.join(", ")
            ),
        });
    }
    let config = client::services(layers)?;
    let failed = |error| client::from_cloud(&error);
    let jobs = Jobs {
        queue: config.queue().map_err(failed)?,
        events: config.events().map_err(failed)?,
        store: config.store(std::path::Path::new("")).map_err(failed)?,
        rules: rules()?,
    };
    Ok((jobs, config))
}

/// What users may ask for.
pub fn rules() -> Result<Rules> {
    Ok(Rules {
        input_urls: InputUrls::from_env().map_err(client::from_jobs)?,
        ..Rules::default()
    })
}

/// What tasks run on, for people.
pub fn on(settings: &Settings) -> String {
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    match (settings.ranks, settings.threads()) {
        (0, threads) => format!("{threads} thread{}", plural(threads)),
        (ranks, _) => format!("{ranks} rank{} of mpirun", plural(ranks)),
    }
}
