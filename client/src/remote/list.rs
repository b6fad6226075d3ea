//! What a URL names: told some at a time as the store lists it, or one object fetched alone.

use super::{place, runtime, until_stopped};
use crate::exit::{Exit, Failure, Result};
use cloud::config::Config;
use dispatcher::list_url;
use imaging::executor::Stop;
use protocol::message::PlannedTask;
use std::path::Path;

/// Lists the objects of a URL, as a job that names it would find them; `tell` takes some and says whether it wants more.
/// Returns how many were passed over.
pub fn list(
    config: &Config,
    url: &str,
    stop: &Stop,
    tell: &mut (dyn FnMut(Vec<PlannedTask>) -> bool + Send),
) -> Result<u64> {
    let runtime = runtime()?;
    let listed = runtime.block_on(until_stopped(stop, async {
        let listed = list_url(config, url, tell).await;
        listed.map_err(crate::from_jobs)
    }));
    runtime.shutdown_background();
    match listed {
        Err(failure) if failure.exit == Exit::Interrupted => {
            Err(Failure::failed("the list was given up"))
        }
        listed => listed,
    }
}

/// Fetches the object of a URL into a file, unless it has more than `most` bytes.
pub fn get(config: &Config, url: &str, to: &Path, most: u64, stop: &Stop) -> Result<u64> {
    let (store, _, key) = place(config, url)?;
    let runtime = runtime()?;
    let got = runtime.block_on(until_stopped(stop, async {
        let got = store.get_file(&key, to, most).await;
        got.map_err(|error| crate::from_cloud(&error))
    }));
    runtime.shutdown_background();
    got
}
