//! Jobs as users see them: submitted, looked at, cancelled, tried again. What gateway and command line call.

mod check;
mod dead;
mod inputs;
mod list;
mod nodes;
mod ready;
mod status;
mod together;
mod uploads;
mod urls;

pub use check::{Rules, check};
pub(crate) use check::{check_upload, check_url, file_of};
pub use dead::{DeadLetter, LOOK};
pub use inputs::object_of;
pub use list::Known;
pub use nodes::{Nodes, Total};
pub use ready::Silent;
pub use status::{JobStatus, Output};
pub(crate) use status::{count, to_field};
pub use uploads::{Upload, UploadedFile, Usage, Weights};
pub use urls::InputUrls;
pub(crate) use urls::{Url, is_below};

use crate::error::{Error, Result};
use crate::names;
use crate::observe;
use cloud::events::Events;
use cloud::queue::{Message, NodeId, Queue, QueueName};
use cloud::store::Store;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::message::{JobCancelled, JobRound};
use protocol::state::JobState;
use protocol::{Job, JobMessage, JobReceipt, StoredJob};
use service::telemetry::trace;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument as _;
use worker::batch::{new_job_id, now};

/// How long the end of a job is waited for before it is removed all the same.
const ENDING: Duration = Duration::from_secs(10);

/// Objects that are listed at once to be removed, and how many are removed at once.
const REMOVED: usize = 1000;
const AT_ONCE: usize = 16;

/// Between two looks at that.
const AGAIN: Duration = Duration::from_millis(50);

/// The job system's services and what may be done with them. Clones share connections.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// Jobs and tasks that wait.
    pub queue: Arc<dyn Queue>,
    /// What happened.
    pub events: Arc<dyn Events>,
    /// Specs, inputs, outputs and receipts.
    pub store: Store,
    /// What users may ask for.
    pub rules: Rules,
}

impl Jobs {
    /// On the services of a cluster, all of which must be set. Needs a Tokio runtime.
    pub fn cluster(cloud: &cloud::config::Config, rules: Rules) -> Result<Jobs> {
        let missing = cloud.missing();
        if !missing.is_empty() {
            return Err(Error::invalid(
                missing.join(", "),
                "not set (set all of SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE, or use sundog serve, which needs none)",
            ));
        }
        Jobs::with_directory(cloud, Path::new(""), rules)
    }

    /// On the services that are set; in memory, and with `dir` as the store, where they are not.
    pub fn with_directory(cloud: &cloud::config::Config, dir: &Path, rules: Rules) -> Result<Jobs> {
        Ok(Jobs {
            queue: cloud.queue()?,
            events: cloud.events()?,
            store: cloud.store(dir)?,
            rules,
        })
    }

    /// Accepts a job; returns its id once it is durable and queued.
    pub async fn submit(&self, owner: &str, job: Job) -> Result<String> {
        let id = new_job_id();
        self.submit_as(owner, &id, job).await?;
        Ok(id)
    }

    /// Accepts a job under an id that was drawn before, as from a key of the user's. The same job
    /// again, as after a lost reply, is accepted and queued again, which changes nothing.
    pub async fn submit_as(&self, owner: &str, id: &str, job: Job) -> Result<()> {
        check_owner(owner)?;
        check_id(id)?;
        check(&job, &self.rules, self.store.address())?;
        let stored = StoredJob {
            version: protocol::VERSION,
            id: id.to_owned(),
            owner: owner.to_owned(),
            submitted: now(),
            spec: job,
        };
        // What the job will fill.
        let folders = [names::done_page(id, 1, 0), names::outputs(id)];
        self.store.prepare(&folders)?;
        // Together, since each is a wait for the disk or the network. Marks of a job that is not there are nothing.
        let spec = names::spec(id);
        let (owned, open) = (names::owned(owner, id), names::open(id));
        let created = names::create_hint(&self.store, &spec, &stored);
        let (created, owned, open) = tokio::join!(created, self.mark(&owned), self.mark(&open));
        owned.and(open)?;
        if !created? {
            let there = self.load(owner, id).await?;
            if there.spec != stored.spec {
                return Err(Error::State(format!(
                    "there is another job `{id}` already (draw a new id)"
                )));
            }
        }
        let name = stored.spec.name.as_str();
        let fields = [
            ("owner", owner),
            ("name", name),
            ("submitted", stored.submitted.as_str()),
        ];
        let kept = [spec.as_str()];
        // A message whose job was lost with the machine's power is given up; its submitter was told nothing.
        let ((), synced, published) = tokio::join!(
            self.tell(id, &fields),
            self.store.sync(&kept),
            self.publish(id, 1)
        );
        synced?;
        published?;
        observe::submitted();
        Ok(())
    }

    /// Ends a job: what runs is stopped, what waits is not begun. A job that has ended stays as it is.
    pub async fn cancel(&self, owner: &str, id: &str) -> Result<JobStatus> {
        self.load(owner, id).await?;
        let round = names::current_round(&self.store, id).await?;
        if !names::exists(&self.store, &names::end(id, round)).await? {
            self.end_round(id, round).await?;
        }
        self.status(owner, id).await
    }

    /// Begins nothing more of a job until it is resumed; what runs goes on.
    pub async fn pause(&self, owner: &str, id: &str) -> Result<JobStatus> {
        let status = self.status(owner, id).await?;
        if status.state.is_final() {
            return Err(Error::State(format!("job {id} has ended already")));
        }
        self.mark(&names::paused(id)).await?;
        self.publish(id, 1).await?;
        self.status(owner, id).await
    }

    /// Goes on with a job that was paused.
    pub async fn resume(&self, owner: &str, id: &str) -> Result<JobStatus> {
        self.load(owner, id).await?;
        self.store.delete(&names::paused(id)).await?;
        self.publish(id, 1).await?;
        self.status(owner, id).await
    }

    /// Removes everything of a job, which is ended first where it goes on. Uploads stay: other jobs may use them.
    pub async fn purge(&self, owner: &str, id: &str) -> Result<()> {
        self.load(owner, id).await?;
        if !self.cancel(owner, id).await?.state.is_final() {
            let begun = Instant::now();
            while names::exists(&self.store, &names::open(id)).await? && begun.elapsed() < ENDING {
                tokio::time::sleep(AGAIN).await;
            }
        }
        // The spec first: without it there is no such job any more.
        self.store.delete(&names::spec(id)).await?;
        let below = [format!("jobs/{id}"), names::letters_of(owner, id)];
        for prefix in below {
            self.remove_all(&prefix).await?;
        }
        for mark in [names::open(id), names::owned(owner, id)] {
            self.store.delete(&mark).await?;
        }
        Ok(())
    }

    /// Removes all objects below a prefix, however many; returns how many there were.
    pub(crate) async fn remove_all(&self, prefix: &str) -> Result<usize> {
        let (mut walk, mut removed) = (self.store.walk(prefix)?, 0);
        loop {
            let some = walk.next(REMOVED).await?;
            if some.is_empty() {
                return Ok(removed);
            }
            removed += some.len();
            let removals = some
                .into_iter()
                .map(async |meta| self.store.delete(&meta.name).await);
            let removals = stream::iter(removals).buffer_unordered(AT_ONCE);
            removals.try_collect::<Vec<()>>().await?;
        }
    }

    /// Lets no further task of a round begin.
    pub(crate) async fn end_round(&self, id: &str, round: u32) -> Result<()> {
        let marker = JobCancelled {
            version: protocol::VERSION,
            job: id.to_owned(),
            time: now(),
        };
        names::create(&self.store, &names::cancelled(id, round), &marker).await?;
        self.publish(id, round).await
    }

    /// Runs the tasks of an ended job again that did not succeed; returns how many.
    pub async fn retry(&self, owner: &str, id: &str) -> Result<usize> {
        self.load(owner, id).await?;
        self.retry_any(id).await
    }

    pub(crate) async fn retry_any(&self, id: &str) -> Result<usize> {
        let current = names::current_round(&self.store, id).await?;
        let end: Option<JobReceipt> = names::read(&self.store, &names::end(id, current)).await?;
        let Some(end) = end else {
            return Err(Error::State(format!(
                "job {id} has not ended yet (hint: sundog watch {id})"
            )));
        };
        let n = match (&end.spec.reduce, end.state) {
            // All of it again: what its nodes left for each other is gone.
            (Some(_), JobState::Failed | JobState::Cancelled) => end.counts.tasks as usize,
            _ => (end.counts.tasks - end.counts.succeeded) as usize,
        };
        if n == 0 {
            return Ok(0);
        }
        let round = current + 1;
        let next = JobRound {
            version: protocol::VERSION,
            job: id.to_owned(),
            round,
            time: now(),
        };
        self.forget_letters(id).await?;
        self.mark(&names::open(id)).await?;
        // Whoever came first asked for the same tasks.
        names::create(&self.store, &names::round(id, round), &next).await?;
        self.tell(id, &[("state", JobState::Queued.name())]).await;
        self.publish(id, round).await?;
        Ok(n)
    }

    /// The job as accepted, if it is this user's.
    pub async fn load(&self, owner: &str, id: &str) -> Result<StoredJob> {
        let missing = || Error::NoSuchJob(id.to_owned());
        check_id(id).map_err(|_| missing())?;
        let stored: Option<StoredJob> = names::read(&self.store, &names::spec(id)).await?;
        stored.filter(|s| s.owner == owner).ok_or_else(missing)
    }

    /// How many jobs have not ended; whoever leads goes on with them.
    pub async fn unfinished(&self) -> Result<usize> {
        let mut open = 0;
        for mark in self.store.list(names::OPEN).await? {
            if let Some(id) = mark.name.rsplit('/').next() {
                open += usize::from(names::exists(&self.store, &names::spec(id)).await?);
            }
        }
        Ok(open)
    }

    async fn mark(&self, name: &str) -> Result<()> {
        Ok(self
            .store
            .put_hint(name, Vec::new().into(), "text/plain")
            .await?)
    }

    /// Tells whoever leads that something was done to a job of this store.
    pub(crate) async fn publish(&self, id: &str, round: u32) -> Result<()> {
        // Where it cannot be told which store this is, nobody's is doubted.
        let store = self.store.identity().await.ok();
        self.publish_of(id, round, store).await
    }

    /// The same of a job that was found in some store.
    pub(crate) async fn publish_of(
        &self,
        id: &str,
        round: u32,
        store: Option<String>,
    ) -> Result<()> {
        let message = JobMessage {
            version: protocol::VERSION,
            job: id.to_owned(),
            round,
            store,
        };
        let mut message = Message::new(QueueName::Jobs, names::to_json(&message));
        let span = tracing::info_span!("publish", otel.kind = "producer", job = id, round);
        let publish = async {
            message.trace = trace::current();
            self.queue.publish(vec![message]).await
        };
        Ok(publish.instrument(span).await?)
    }

    /// Sets fields of a job's events; those are a hint, so that their loss is only logged.
    pub(crate) async fn tell(&self, id: &str, fields: &[(&str, &str)]) {
        if let Err(error) = self.events.set_fields(id, fields).await {
            tracing::warn!(%error, job = id, "fields of a job were not set");
        }
    }
}

fn check_owner(owner: &str) -> Result<()> {
    match NodeId::new(owner) {
        Ok(_) if !owner.starts_with('.') => Ok(()),
        _ => Err(Error::invalid(
            "owner",
            "a user's name is 1 to 100 letters, digits, `-`, `_` and `.`",
        )),
    }
}

fn check_id(id: &str) -> Result<()> {
    let fits = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    match fits {
        true => Ok(()),
        false => Err(Error::invalid(
            "id",
            "a job's id is 1 to 64 letters and digits",
        )),
    }
}
