//! Gateway and notifier that die while somebody watches.

use super::{Case, Course, THREADS};
use crate::Failure;
use crate::cluster::StoreKind;
use crate::trial::Trial;
use crate::watcher::Watcher;
use protocol::Event;
use std::time::Duration;

/// kill -9 of the notifier: who watches comes back and misses nothing.
pub const NOTIFIER_KILLED: Case = Case {
    name: "notifier-killed",
    store: StoreKind::Directory,
    needs_ranks: false,
    play: |trial| Box::pin(killed(trial, true)),
};

/// kill -9 of the gateway, which takes no part in what runs.
pub const GATEWAY_KILLED: Case = Case {
    name: "gateway-killed",
    store: StoreKind::S3,
    needs_ranks: false,
    play: |trial| Box::pin(killed(trial, false)),
};

async fn killed(trial: &mut Trial, notifier: bool) -> Result<Course, Failure> {
    for program in ["sundog-gateway", "sundog-notifier"] {
        if let Err(error) = crate::find(program) {
            return Ok(Course::Skipped(error.to_string()));
        }
    }
    trial.front().await?;
    trial.submit(1).await?;
    for _ in 0..2 {
        trial.dispatcher(THREADS)?;
    }
    let front = trial.front.as_ref().ok_or("no front")?;
    let path = format!("v1/jobs/{}/events", trial.job);
    let url = match notifier {
        true => front.notifier_url(&path),
        false => front.gateway_url(&path),
    };
    let watcher = Watcher::start(&url, front.token());
    for _ in 0..trial.dice.usize(1..4) {
        trial.midst().await?;
        let front = trial.front.as_mut().ok_or("no front")?;
        match notifier {
            true => front.replace_notifier()?,
            false => front.replace_gateway()?,
        }
        trial.note("killed and started again");
        let wait = Duration::from_millis(trial.dice.u64(0..700));
        trial.pause(wait).await;
    }
    trial.ended().await?;
    let seen = watcher.until_the_end(Duration::from_secs(30))?;
    let page = trial.jobs.events.read(&trial.job, 0, 100_000).await?;
    let told: Vec<&Event> = page.records.iter().map(|record| &record.event).collect();
    if seen.iter().collect::<Vec<_>>() != told {
        let (seen, told) = (seen.len(), told.len());
        return Err(format!("the watcher saw {seen} events of {told}, or others").into());
    }
    trial.note(format!("the watcher saw all {} events", seen.len()));
    Ok(Course::Through)
}
