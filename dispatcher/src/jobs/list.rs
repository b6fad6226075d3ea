//! The jobs of a user, page by page.

use super::Jobs;
use super::status::JobStatus;
use super::together::Together;
use crate::error::{Error, Result};
use crate::names;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::state::JobState;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Jobs looked at at once.
const AT_ONCE: usize = 16;

/// What is remembered between lists, so that many who look at many jobs cost little.
#[derive(Debug, Default)]
pub struct Known {
    ended: Ended,
    /// Moments and ids of jobs by owner, the newest first.
    marks: Together<Vec<(u64, String)>>,
}

/// Jobs that had ended when they were listed: they stay as they are until somebody tries one again, which is a new round.
#[derive(Debug, Default)]
struct Ended(Mutex<HashMap<String, (String, u32, JobStatus)>>);

impl Ended {
    /// Jobs that are remembered.
    const MOST: usize = 50_000;

    fn get(&self, owner: &str, id: &str, round: u32) -> Option<JobStatus> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (whose, of, status) = known.get(id)?;
        (whose == owner && *of == round).then(|| status.clone())
    }

    fn keep(&self, owner: &str, round: u32, status: &JobStatus) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Ended::MOST {
            known.clear();
        }
        let kept = (owner.to_owned(), round, status.clone());
        known.insert(status.job.clone(), kept);
    }
}

impl Jobs {
    /// All jobs of a user, the newest first.
    pub async fn list(&self, owner: &str) -> Result<Vec<JobStatus>> {
        self.some(owner, usize::MAX, None, None).await
    }

    /// Some jobs of a user, the newest first: at most `limit`, those that come after `after`, in that state alone.
    pub async fn some(
        &self,
        owner: &str,
        limit: usize,
        state: Option<JobState>,
        after: Option<&str>,
    ) -> Result<Vec<JobStatus>> {
        let known = Known::default();
        Ok(self.page(owner, limit, state, after, &known).await?.0)
    }

    /// The same, and where the next page begins, if there may be one. `after` is that, or a job's id. Ids that come from a
    /// client's key do not tell the time, so the order is that in which jobs' marks were made.
    pub async fn page(
        &self,
        owner: &str,
        limit: usize,
        state: Option<JobState>,
        after: Option<&str>,
        known: &Known,
    ) -> Result<(Vec<JobStatus>, Option<String>)> {
        super::check_owner(owner)?;
        let marks = known.marks.get(owner, || self.marks(owner)).await?;
        let begin = match after {
            None => 0,
            Some(after) => {
                let place = match marks.iter().position(|(_, id)| id == after) {
                    Some(at) => marks[at].clone(),
                    None => place(after).ok_or_else(|| Error::NoSuchJob(after.to_owned()))?,
                };
                marks.partition_point(|mark| *mark >= place)
            }
        };
        let mut found: Vec<JobStatus> = Vec::new();
        let mut looked_at = marks[begin..].to_vec();
        if state.is_some_and(|state| !state.is_final()) {
            // A job that goes on is marked so, and nobody needs to look at the thousands that have ended.
            let open = self.open_ids().await?;
            looked_at.retain(|(_, id)| open.contains(id));
        }
        // A few more than are wanted are looked at together, since some may be in other states.
        for some in looked_at.chunks(AT_ONCE.max(limit.min(64))) {
            let looked = stream::iter(some.to_vec())
                .map(|(_, id)| async move {
                    match self.listed(owner, &id, known).await {
                        // A mark whose submitter died before it stored the job.
                        Err(Error::NoSuchJob(_)) => Ok(None),
                        other => other.map(Some),
                    }
                })
                .buffered(AT_ONCE);
            let looked: Vec<Option<JobStatus>> = looked.try_collect().await?;
            let fits = |status: &JobStatus| state.is_none_or(|state| status.state == state);
            found.extend(looked.into_iter().flatten().filter(fits));
            if found.len() >= limit {
                break;
            }
        }
        let full = found.len() >= limit;
        found.truncate(limit);
        let last = found.last().filter(|_| full);
        let last = last.and_then(|last| marks.iter().find(|(_, id)| *id == last.job));
        let next = last.map(|(nanos, id)| format!("{nanos:0PLACE$}{id}"));
        Ok((found, next))
    }

    /// The marks of an owner's jobs, the newest first.
    async fn marks(&self, owner: &str) -> Result<Vec<(u64, String)>> {
        let mut walk = self.store.walk(&names::owner(owner))?;
        let marks = walk.next(usize::MAX).await?;
        let marks = marks.into_iter().filter_map(|mark| {
            let id = mark.name.rsplit('/').next()?.to_owned();
            Some((nanos(mark.modified), id))
        });
        let mut marks: Vec<_> = marks.collect();
        marks.sort_by(|a, b| b.cmp(a));
        Ok(marks)
    }

    /// Where a job of a list is: as it was looked at before, where it had ended then and nobody has tried it again.
    async fn listed(&self, owner: &str, id: &str, known: &Known) -> Result<JobStatus> {
        // Before its state, so that a new round is never taken for an old one.
        let round = names::current_round(&self.store, id).await?;
        if let Some(status) = known.ended.get(owner, id, round) {
            return Ok(status);
        }
        let status = self.status(owner, id).await?;
        if status.state.is_final() {
            known.ended.keep(owner, round, &status);
        }
        Ok(status)
    }
}

/// Digits of a moment in what tells where a page ends; such a text is told from ids by them.
const PLACE: usize = 19;

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// Where a page ended, whether or not the job is still there that was its last.
fn place(text: &str) -> Option<(u64, String)> {
    let (nanos, id) = text.split_at_checked(PLACE)?;
    let digits = nanos.bytes().all(|b| b.is_ascii_digit());
    (digits && !id.is_empty()).then_some((nanos.parse().ok()?, id.to_owned()))
}
