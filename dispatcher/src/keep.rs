//! How long jobs and uploads are kept: whoever leads removes what is older, so that one does it at a time.
//!
//! A job's time begins with its end, an upload's with its last file. An upload that a kept job names is kept, too; what goes on
//! is never removed.

use crate::error::Result;
use crate::jobs::Jobs;
use crate::names;
use protocol::{JobReceipt, StoredJob};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// Between two looks at most.
const OFTEN: Duration = Duration::from_secs(3600);
/// Objects listed in one step.
const LISTED: usize = 4096;
/// Uploads removed between two looks at what jobs name.
const REMOVED: usize = 64;

/// How long what is kept; None: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Jobs after their end, with outputs, receipts and what failed of them.
    pub jobs: Option<Duration>,
    /// Uploads that no job names, after their last file.
    pub uploads: Option<Duration>,
}

impl Default for Keep {
    fn default() -> Keep {
        const DAY: u64 = 24 * 3600;
        Keep {
            jobs: Some(Duration::from_secs(30 * DAY)),
            uploads: Some(Duration::from_secs(DAY)),
        }
    }
}

impl Keep {
    /// How often it is looked.
    fn every(&self) -> Option<Duration> {
        let shortest = self.jobs.into_iter().chain(self.uploads).min()?;
        Some((shortest / 4).clamp(Duration::from_millis(100), OFTEN))
    }
}

/// A mark whose job is not stored belongs to one that is being submitted for so long, later to a submitter that died.
const SUBMITTING: Duration = Duration::from_secs(3600);

/// What an owner's jobs name, of those that were read.
#[derive(Default)]
struct Claims {
    /// Uploads by job.
    of: BTreeMap<String, BTreeSet<String>>,
}

/// Goes on until it is dropped.
pub(crate) async fn run(jobs: Jobs, keep: Keep, clock: fn() -> SystemTime) {
    let Some(every) = keep.every() else {
        return;
    };
    let mut every = tokio::time::interval(every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut claims = BTreeMap::new();
    loop {
        every.tick().await;
        if let Some(most) = keep.jobs
            && let Err(error) = old_jobs(&jobs, most, clock()).await
        {
            tracing::warn!(%error, "looking for jobs that are kept no longer");
        }
        if let Some(most) = keep.uploads
            && let Err(error) = old_uploads(&jobs, most, clock(), &mut claims).await
        {
            tracing::warn!(%error, "looking for uploads that are kept no longer");
        }
    }
}

/// Whether something of that time is older; what is of the future is not.
fn is_older(time: SystemTime, most: Duration, now: SystemTime) -> bool {
    now.duration_since(time).is_ok_and(|age| age > most)
}

/// Removes jobs that ended so long ago; returns how many.
pub(crate) async fn old_jobs(jobs: &Jobs, most: Duration, now: SystemTime) -> Result<usize> {
    let mut walk = jobs.store.walk(names::OWNERS)?;
    let mut removed = 0;
    loop {
        let some = walk.next(LISTED).await?;
        if some.is_empty() {
            return Ok(removed);
        }
        for mark in some {
            let mut parts = mark.name.rsplit('/');
            let (Some(id), Some(owner)) = (parts.next(), parts.next()) else {
                continue;
            };
            // No job has ended before it was submitted.
            if is_older(mark.modified, most, now) && has_ended(jobs, id, most, now).await? {
                tracing::info!(job = id, "a job is kept no longer");
                match jobs.purge(owner, id).await {
                    Ok(()) => removed += 1,
                    // A mark whose submitter died before it stored the job.
                    Err(crate::Error::NoSuchJob(_)) => jobs.store.delete(&mark.name).await?,
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// Whether a job ended so long ago and nobody has tried it again since; a mark without a job counts as one.
async fn has_ended(jobs: &Jobs, id: &str, most: Duration, now: SystemTime) -> Result<bool> {
    let store = &jobs.store;
    if names::exists(store, &names::open(id)).await? {
        return Ok(false);
    }
    if !names::exists(store, &names::spec(id)).await? {
        return Ok(true);
    }
    let round = names::current_round(store, id).await?;
    let end: Option<JobReceipt> = names::read(store, &names::end(id, round)).await?;
    let finished = end.and_then(|end| end.finished.parse::<jiff::Timestamp>().ok());
    let old = finished.is_some_and(|at| is_older(SystemTime::from(at), most, now));
    // A retry marks the job before all else.
    Ok(old && !names::exists(store, &names::open(id)).await?)
}

/// Removes uploads whose last file came so long ago and that no job names; returns how many.
async fn old_uploads(
    jobs: &Jobs,
    most: Duration,
    now: SystemTime,
    claims: &mut BTreeMap<String, Claims>,
) -> Result<usize> {
    let mut walk = jobs.store.walk(names::UPLOADS)?;
    // By owner and upload: when the last file came.
    let mut last: BTreeMap<(String, String), SystemTime> = BTreeMap::new();
    loop {
        let some = walk.next(LISTED).await?;
        if some.is_empty() {
            break;
        }
        for meta in some {
            let mut parts = meta.name.split('/').skip(1);
            if let (Some(owner), Some(upload)) = (parts.next(), parts.next()) {
                let last = last.entry((owner.to_owned(), upload.to_owned()));
                let at = last.or_insert(meta.modified);
                *at = (*at).max(meta.modified);
            }
        }
    }
    let mut old: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((owner, upload), at) in last {
        if is_older(at, most, now) {
            old.entry(owner).or_default().push(upload);
        }
    }
    claims.retain(|owner, _| old.contains_key(owner));
    let mut removed = 0;
    for (owner, uploads) in old {
        let claims = claims.entry(owner.clone()).or_default();
        for some in uploads.chunks(REMOVED) {
            // Anew, since removing takes its time and a job may name one meanwhile.
            if !claims.read(jobs, &owner, now).await? {
                tracing::debug!(
                    owner,
                    "a job is being submitted: its uploads are left for the next look"
                );
                break;
            }
            let named = |upload: &str| claims.of.values().any(|names| names.contains(upload));
            for upload in some.iter().filter(|upload| !named(upload)) {
                tracing::info!(
                    owner,
                    upload,
                    "an upload that no job names is kept no longer"
                );
                jobs.remove_all(&names::upload(&owner, upload)).await?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

impl Claims {
    /// Reads jobs that are new and forgets those that are gone: what a job names never changes. False where one is being
    /// submitted, so that nobody knows yet what it names.
    async fn read(&mut self, jobs: &Jobs, owner: &str, now: SystemTime) -> Result<bool> {
        let marks = jobs.store.list(&names::owner(owner)).await?;
        let ids = marks.iter().filter_map(|mark| {
            let id = mark.name.rsplit('/').next()?;
            Some((id, mark.modified))
        });
        let ids: BTreeMap<&str, SystemTime> = ids.collect();
        self.of.retain(|id, _| ids.contains_key(id.as_str()));
        let mut all = true;
        for (id, marked) in ids {
            if self.of.contains_key(id) {
                continue;
            }
            let stored: Option<StoredJob> = names::read(&jobs.store, &names::spec(id)).await?;
            if let Some(stored) = stored {
                let inputs = stored.spec.inputs.iter();
                let named =
                    inputs.filter_map(|input| input.strip_prefix("uploads/")?.split('/').next());
                let named = named.map(str::to_owned).collect();
                self.of.insert(id.to_owned(), named);
            } else {
                all &= is_older(marked, SUBMITTING, now);
            }
        }
        Ok(all)
    }
}
