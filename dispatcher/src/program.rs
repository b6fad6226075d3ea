//! The dispatcher as a program: its services, its world, and its run until it is told to end.

use crate::jobs::{Jobs, Rules};
use crate::service;
use crate::settings::Settings;
use ::service::signals::Ends;
use ::service::telemetry;

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service, or a setting of one.
    #[error(transparent)]
    Cloud(#[from] cloud::Error),
    /// The work itself.
    #[error(transparent)]
    Jobs(#[from] crate::Error),
    /// What it tells of itself.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// Signals.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl Error {
    /// How the program ends: 2 for settings, 4 for a service that cannot be reached, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Cloud(error) => error.exit_code(),
            Error::Jobs(error) => error.exit_code(),
            Error::Telemetry(_) => 2,
            Error::System(_) => 1,
        }
    }
}

/// Works until it is asked to end, then finishes what it has, or hands that back when it shall hurry.
pub async fn work(
    settings: &Settings,
    cloud: cloud::config::Config,
    rules: Rules,
    ends: Ends,
) -> Result<(), Error> {
    let jobs = Jobs::cluster(&cloud, rules)?;
    let mut config = settings.config(cloud, &jobs.store);
    config.hurry = ends.hurry;
    let world = settings.world(None)?;
    tracing::info!(node = %config.node, on = %settings.on(), "the dispatcher works");
    let worked = service::run(config, jobs, world.clone(), ends.shutdown).await;
    world.shutdown().await;
    Ok(worked?)
}
