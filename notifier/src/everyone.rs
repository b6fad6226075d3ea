//! One subscription to the events of all jobs, sorted into a feed per user who watches.

use crate::entry::{Entry, ends};
use crate::feed::{Budget, Feed, Head, Pace};
use crate::hub::status;
use crate::places::{Place, Places};
use cloud::events::{Cursor, Subscription, Topic, Update, subscribe};
use cloud::{Error, Result};
use dispatcher::jobs::Jobs;
use dispatcher::names;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use protocol::StoredJob;
use protocol::state::JobState;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// How often feeds are looked for that nobody watches.
const SWEEP: Duration = Duration::from_secs(10);
/// Time for a user's jobs to be looked up.
const PREPARE: Duration = Duration::from_secs(15);
/// Updates that may arrive meanwhile.
const WAITING: usize = 20_000;
/// Jobs whose owners are remembered.
const REMEMBERED: usize = 50_000;
/// Jobs looked up at once.
const AT_ONCE: usize = 16;
/// Wait after a service failed.
const AGAIN: Duration = Duration::from_secs(1);

/// The feeds of all users.
#[derive(Debug)]
pub struct Everyone {
    jobs: Jobs,
    budget: Arc<Budget>,
    state: Mutex<State>,
    /// One at a time begins to watch: who comes second finds the feed of the first.
    joining: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    /// What the subscription has told.
    places: BTreeMap<String, Cursor>,
    feeds: BTreeMap<String, Line>,
    known: HashMap<String, Option<Known>>,
}

#[derive(Debug)]
enum Line {
    /// The user's jobs are being looked up; these came meanwhile.
    Waiting(Vec<(Update, Known)>),
    Ready(Arc<Feed>),
}

/// What does not change of a job.
#[derive(Clone, Debug)]
struct Known {
    owner: String,
    submitted: String,
}

impl Everyone {
    /// Nothing is followed before somebody watches.
    pub fn new(jobs: Jobs, budget: Arc<Budget>) -> Arc<Everyone> {
        Arc::new(Everyone {
            jobs,
            budget,
            state: Mutex::default(),
            joining: tokio::sync::Mutex::default(),
        })
    }

    /// The feed of a user.
    pub async fn feed(self: &Arc<Self>, owner: &str) -> Result<(Arc<Feed>, watch::Receiver<Head>)> {
        let _joining = self.joining.lock().await;
        if let Some(Line::Ready(feed)) = self.state().feeds.get(owner) {
            return Ok((feed.clone(), feed.listen()));
        }
        self.start().await?;
        let ends = {
            let mut state = self.state();
            let line = Line::Waiting(Vec::new());
            state.feeds.insert(owner.to_owned(), line);
            state.places.clone()
        };
        let prepared = tokio::time::timeout(PREPARE, self.prepare(owner, ends)).await;
        let prepared = prepared.unwrap_or_else(|_| {
            Err(Error::Unreachable {
                service: "the store",
                reason: "a user's jobs could not be listed in time".into(),
            })
        });
        let places = match prepared {
            Ok(places) => places,
            Err(error) => {
                self.state().feeds.remove(owner);
                return Err(error);
            }
        };
        let feed = Feed::new(self.budget.clone());
        let id = places.marks().to_string();
        feed.begin(places, id);
        let head = feed.listen();
        let waited = {
            let mut state = self.state();
            let ready = Line::Ready(feed.clone());
            let line = state.feeds.insert(owner.to_owned(), ready);
            // Under the same lock, so that they come before whatever is told next.
            match line {
                Some(Line::Waiting(updates)) if updates.len() < WAITING => {
                    for (update, known) in &updates {
                        self.push(&feed, update, known, &[]);
                    }
                    true
                }
                _ => {
                    state.feeds.remove(owner);
                    false
                }
            }
        };
        match waited {
            true => {
                feed.tell();
                Ok((feed, head))
            }
            false => Err(Error::Unreachable {
                service: "the store",
                reason: "too much happened while a user's jobs were listed".into(),
            }),
        }
    }

    /// Sees to it that the events of all jobs are followed.
    async fn start(self: &Arc<Self>) -> Result<()> {
        if self.state().running {
            return Ok(());
        }
        let after = self.jobs.events.positions().await?;
        let topic = Topic::All {
            after: after.clone(),
        };
        let updates = subscribe(self.jobs.events.clone(), topic).await?;
        *self.state() = State {
            running: true,
            places: after,
            ..State::default()
        };
        let everyone = self.clone();
        tokio::spawn(async move { everyone.run(updates).await });
        Ok(())
    }

    /// Until nobody has watched for a while.
    async fn run(self: Arc<Self>, mut updates: Subscription) {
        let mut pace = Pace::default();
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                update = updates.next() => match update {
                    Some(update) => {
                        self.sort(update).await;
                        pace.added();
                    }
                    None => break,
                },
                () = pace.due() => {
                    for line in self.state().feeds.values() {
                        if let Line::Ready(feed) = line {
                            feed.tell();
                        }
                    }
                    pace.told();
                }
                _ = sweep.tick() => {
                    // Nobody may be about to join.
                    let Ok(_joining) = self.joining.try_lock() else {
                        continue;
                    };
                    let mut state = self.state();
                    state.feeds.retain(|_, line| match line {
                        Line::Waiting(_) => true,
                        Line::Ready(feed) => !feed.is_idle(),
                    });
                    if state.feeds.is_empty() {
                        *state = State::default();
                        return;
                    }
                }
            }
        }
        let state = std::mem::take(&mut *self.state());
        for line in state.feeds.into_values() {
            if let Line::Ready(feed) = line {
                feed.close();
            }
        }
    }

    /// Hands an update to its owner's feed.
    async fn sort(&self, update: Update) {
        let (job, cursor) = match &update {
            Update::Event { job, cursor, .. } => (job.clone(), Some(*cursor)),
            Update::Reset { job } => (job.clone(), None),
        };
        // An event that is sorted wrongly would be a gap: better late.
        let known = loop {
            match self.known(&job).await {
                Ok(known) => break known,
                Err(error) => tracing::warn!(%error, job, "a job's owner cannot be read yet"),
            }
            tokio::time::sleep(AGAIN).await;
        };
        let watched = known.as_ref().is_some_and(|known| {
            let state = self.state();
            state.feeds.contains_key(&known.owner)
        });
        let status = match (&update, &known) {
            (Update::Reset { .. }, Some(known)) if watched => {
                status(&self.jobs, &known.owner, &job).await
            }
            _ => None,
        };
        let mut state = self.state();
        match cursor {
            Some(cursor) => state.places.insert(job, cursor),
            None => state.places.remove(&job),
        };
        let Some(known) = known else {
            return;
        };
        match state.feeds.get_mut(&known.owner) {
            Some(Line::Ready(feed)) => {
                let feed = feed.clone();
                self.push(&feed, &update, &known, status.as_slice());
            }
            Some(Line::Waiting(updates)) if updates.len() < WAITING => {
                updates.push((update, known));
            }
            Some(Line::Waiting(_)) | None => {}
        }
    }

    fn push(
        &self,
        feed: &Feed,
        update: &Update,
        known: &Known,
        status: &[dispatcher::jobs::JobStatus],
    ) {
        feed.push(|places| match update {
            Update::Event {
                job,
                cursor,
                record,
            } => {
                let place = Place {
                    cursor: *cursor,
                    submitted: known.submitted.clone(),
                    ended: ends(&record.event),
                };
                places.set(job, place);
                let id = places.marks().to_string();
                Entry::event(job, *cursor, record, &id).submitted(&known.submitted)
            }
            Update::Reset { job } => {
                let was = places.remove(job);
                let ended = was.is_some_and(|place| place.ended);
                let id = places.marks().to_string();
                Entry::reset(job, ended, status, false, &id).submitted(&known.submitted)
            }
        });
    }

    /// Where a user's feed begins: their jobs at the places that the subscription has told.
    async fn prepare(
        self: &Arc<Self>,
        owner: &str,
        ends: BTreeMap<String, Cursor>,
    ) -> Result<Places> {
        let marks = self.jobs.store.list(&names::owner(owner)).await?;
        let own = marks.iter().filter_map(|mark| {
            let job = mark.name.rsplit('/').next()?;
            Some((job.to_owned(), *ends.get(job)?))
        });
        let own: Vec<(String, Cursor)> = own.collect();
        let looks = own.into_iter().map(|(job, cursor)| {
            let everyone = self.clone();
            async move { everyone.look_up(job, cursor).await }.boxed()
        });
        let mut found = stream::iter(looks).buffer_unordered(AT_ONCE);
        let mut places = Places::default();
        while let Some(found) = found.next().await {
            let (job, cursor, known, ended) = found?;
            let Some(known) = known.filter(|known| known.owner == owner) else {
                continue;
            };
            let place = Place {
                cursor,
                submitted: known.submitted,
                ended,
            };
            places.set(&job, place);
        }
        Ok(places)
    }

    /// A job with its place, whose it is, and whether it has ended.
    async fn look_up(
        &self,
        job: String,
        cursor: Cursor,
    ) -> Result<(String, Cursor, Option<Known>, bool)> {
        let known = self.known(&job).await?;
        let fields = self.jobs.events.fields(&job).await?;
        let state: Option<JobState> = fields
            .get("state")
            .and_then(|state| serde_json::from_value(state.as_str().into()).ok());
        let ended = state.is_some_and(JobState::is_final);
        Ok((job, cursor, known, ended))
    }

    /// Whose a job is. None: nobody's, as of a job that was removed from the store.
    async fn known(&self, job: &str) -> Result<Option<Known>> {
        if let Some(known) = self.state().known.get(job) {
            return Ok(known.clone());
        }
        let fields = self.jobs.events.fields(job).await?;
        let known = match (fields.get("owner"), fields.get("submitted")) {
            (Some(owner), Some(submitted)) => Some(Known {
                owner: owner.clone(),
                submitted: submitted.clone(),
            }),
            _ => stored(&self.jobs, job).await?.map(|stored| Known {
                owner: stored.owner,
                submitted: stored.submitted,
            }),
        };
        let mut state = self.state();
        if state.known.len() >= REMEMBERED {
            state.known.clear();
        }
        state.known.insert(job.to_owned(), known.clone());
        Ok(known)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job as accepted, whoever's it is. One that cannot be read is nobody's.
async fn stored(jobs: &Jobs, job: &str) -> Result<Option<StoredJob>> {
    match names::read::<StoredJob>(&jobs.store, &names::spec(job)).await {
        Ok(stored) => Ok(stored),
        Err(dispatcher::Error::Cloud(error)) if error.is_transient() => Err(error),
        Err(error) => {
            tracing::warn!(%error, job, "a job cannot be read");
            Ok(None)
        }
    }
}
