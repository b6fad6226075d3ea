//! The dispatcher as a program: its services, its world, and its run until it is told to end.

use crate::jobs::{Jobs, Rules};
use crate::service;
use crate::settings::Settings;
use ::service::program::Failed;
use ::service::signals::Ends;

impl From<crate::Error> for Failed {
    fn from(error: crate::Error) -> Failed {
        Failed::with(error.exit_code(), error)
    }
}

/// Works until it is asked to end, then finishes what it has, or hands that back when it shall hurry.
pub async fn work(
    settings: &Settings,
    cloud: cloud::config::Config,
    rules: Rules,
    ends: Ends,
) -> Result<(), Failed> {
    let jobs = Jobs::cluster(&cloud, rules)?;
    let mut config = settings.config(cloud, &jobs.store);
    config.hurry = ends.hurry;
    let world = settings.world(None)?;
    tracing::info!(node = %config.node, on = %settings.on(), "the dispatcher works");
    let worked = service::run(config, jobs, world.clone(), ends.shutdown).await;
    world.shutdown().await;
    Ok(worked?)
}
