//! What users uploaded, and how much of the store is theirs.

use super::Jobs;
use crate::error::{Error, Result};
use crate::names;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::StoredJob;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Objects listed in one step.
const LISTED: usize = 4096;
/// Objects read at once.
const AT_ONCE: usize = 16;
/// Ended jobs whose bytes are remembered.
const REMEMBERED: usize = 100_000;

/// What there is of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Upload {
    /// Its id.
    pub upload: String,
    /// Files that have arrived.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last of them arrived, RFC 3339 in UTC.
    pub modified: String,
}

/// A file that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UploadedFile {
    /// Its name.
    pub name: String,
    /// What a job names to take this file alone.
    pub input: String,
    /// Its bytes.
    pub bytes: u64,
}

/// How much of the job system is a user's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Usage {
    /// Jobs that are kept.
    pub jobs: u64,
    /// Of those, jobs that have not ended.
    pub open_jobs: u64,
    /// Uploads that are kept.
    pub uploads: u64,
    /// Bytes of uploads.
    pub upload_bytes: u64,
    /// Bytes of everything of jobs: outputs, and what is noted of them.
    pub job_bytes: u64,
}

impl Usage {
    /// All bytes together.
    pub fn bytes(&self) -> u64 {
        self.upload_bytes.saturating_add(self.job_bytes)
    }
}

/// Bytes of jobs that have ended, which stay as they are until somebody tries one again.
#[derive(Debug, Default)]
pub struct Weights(Mutex<HashMap<String, u64>>);

impl Weights {
    fn known(&self, id: &str) -> Option<u64> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).copied()
    }

    fn keep(&self, id: &str, bytes: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(id.to_owned(), bytes);
    }

    /// A job is tried again.
    pub fn forget(&self, id: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(id);
    }
}

impl Jobs {
    /// A user's uploads in order of their ids, which is that of time; those above `after` and at most `limit`.
    pub async fn uploads(
        &self,
        owner: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Vec<Upload>> {
        super::check_owner(owner)?;
        let mut walk = self.store.walk(&names::uploads(owner))?;
        let mut uploads: BTreeMap<String, (u64, u64, SystemTime)> = BTreeMap::new();
        loop {
            let some = walk.next(LISTED).await?;
            if some.is_empty() {
                break;
            }
            for meta in some {
                let Some(id) = meta.name.split('/').nth(2) else {
                    continue;
                };
                if after.is_some_and(|after| id <= after) {
                    continue;
                }
                let upload = uploads.entry(id.to_owned());
                let (files, bytes, modified) = upload.or_insert((0, 0, meta.modified));
                *files += 1;
                *bytes += meta.size;
                *modified = meta.modified.max(*modified);
            }
        }
        let told = uploads.into_iter().take(limit);
        let told = told.map(|(upload, (files, bytes, modified))| Upload {
            upload,
            files,
            bytes,
            modified: rfc3339(modified),
        });
        Ok(told.collect())
    }

    /// The files of an upload that have arrived; none where there is no such upload.
    pub async fn uploaded(&self, owner: &str, upload: &str) -> Result<Vec<UploadedFile>> {
        super::check_owner(owner)?;
        if super::check_id(upload).is_err() {
            return Ok(Vec::new());
        }
        let below = names::upload(owner, upload);
        let found = self.store.list(&below).await?;
        let files = found.into_iter().filter_map(|meta| {
            let name = meta.name.strip_prefix(&below)?.strip_prefix('/')?;
            Some(UploadedFile {
                name: name.to_owned(),
                input: format!("uploads/{upload}/{name}"),
                bytes: meta.size,
            })
        });
        Ok(files.collect())
    }

    /// Removes an upload; returns how many files it had. Refused while a job that has not ended takes it.
    pub async fn remove_upload(&self, owner: &str, upload: &str) -> Result<usize> {
        super::check_owner(owner)?;
        if super::check_id(upload).is_err() {
            return Ok(0);
        }
        if let Some(job) = self.user_of_upload(owner, upload).await? {
            return Err(Error::State(format!(
                "job {job} has not ended and takes this upload (cancel it first)"
            )));
        }
        self.remove_all(&names::upload(owner, upload)).await
    }

    /// A job of the owner's that has not ended and names an upload.
    async fn user_of_upload(&self, owner: &str, upload: &str) -> Result<Option<String>> {
        let own = self.ids(owner).await?;
        let open = self.open_ids().await?;
        let whole = format!("uploads/{upload}");
        let below = format!("{whole}/");
        for id in own.intersection(&open) {
            let stored: Option<StoredJob> = names::read(&self.store, &names::spec(id)).await?;
            let takes = |input: &String| *input == whole || input.starts_with(&below);
            if stored.is_some_and(|stored| stored.spec.inputs.iter().any(takes)) {
                return Ok(Some(id.clone()));
            }
        }
        Ok(None)
    }

    /// How many jobs of a user have not ended.
    pub async fn open_jobs(&self, owner: &str) -> Result<usize> {
        let own = self.ids(owner).await?;
        let open = self.open_ids().await?;
        Ok(own.intersection(&open).count())
    }

    /// How much of the job system is a user's. What ended jobs weigh is looked at once.
    pub async fn usage(&self, owner: &str, weights: &Weights) -> Result<Usage> {
        super::check_owner(owner)?;
        let own = self.ids(owner).await?;
        let open = self.open_ids().await?;
        let uploads = self.uploads(owner, usize::MAX, None).await?;
        let weighed = own
            .iter()
            .map(|id| self.weight(weights, id, open.contains(id)));
        let weighed = stream::iter(weighed.collect::<Vec<_>>()).buffered(AT_ONCE);
        let job_bytes = weighed.try_fold(0u64, async |sum, bytes| Ok(sum + bytes));
        Ok(Usage {
            jobs: own.len() as u64,
            open_jobs: own.intersection(&open).count() as u64,
            uploads: uploads.len() as u64,
            upload_bytes: uploads.iter().map(|upload| upload.bytes).sum(),
            job_bytes: job_bytes.await?,
        })
    }

    /// Bytes of everything of a job.
    async fn weight(&self, weights: &Weights, id: &str, open: bool) -> Result<u64> {
        if open {
            weights.forget(id);
        } else if let Some(known) = weights.known(id) {
            return Ok(known);
        }
        let (mut walk, mut bytes) = (self.store.walk(&format!("jobs/{id}"))?, 0);
        loop {
            let some = walk.next(LISTED).await?;
            if some.is_empty() {
                break;
            }
            bytes += some.iter().map(|meta| meta.size).sum::<u64>();
        }
        if !open {
            weights.keep(id, bytes);
        }
        Ok(bytes)
    }

    async fn ids(&self, owner: &str) -> Result<BTreeSet<String>> {
        self.marked(&names::owner(owner)).await
    }

    pub(super) async fn open_ids(&self) -> Result<BTreeSet<String>> {
        self.marked(names::OPEN).await
    }

    async fn marked(&self, below: &str) -> Result<BTreeSet<String>> {
        let marks = self.store.list(below).await?;
        let ids = marks.iter().filter_map(|mark| mark.name.rsplit('/').next());
        Ok(ids.map(str::to_owned).collect())
    }

    /// Removes everything of a user: jobs, which are ended first, uploads, and what failed. Returns how many jobs and uploads
    /// there were. What services remember of events goes by itself.
    pub async fn erase(&self, owner: &str) -> Result<(usize, usize)> {
        super::check_owner(owner)?;
        let jobs = self.ids(owner).await?;
        for id in &jobs {
            match self.purge(owner, id).await {
                Ok(()) => {}
                // A mark whose submitter died before it stored the job.
                Err(Error::NoSuchJob(_)) => self.store.delete(&names::owned(owner, id)).await?,
                Err(error) => return Err(error),
            }
        }
        let uploads = self.uploads(owner, usize::MAX, None).await?.len();
        for below in names::of_owner(owner) {
            self.remove_all(&below).await?;
        }
        Ok((jobs.len(), uploads))
    }
}

fn rfc3339(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
