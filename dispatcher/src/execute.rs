//! Spans on this node: taken, run, committed, told.

use crate::attempt::{Finish, Outcome};
use crate::error::{Error, Result};
use crate::names;
use crate::observe::{self, Reason};
use crate::service::{Node, Room};
use cloud::queue::{Message, QueueName};
use futures_util::{StreamExt as _, stream};
use jobs::records::{Entry, SpanReceipt, Told};
use jobs::span::{Order, Span};
use protocol::Job;
use protocol::event::{Event, TaskStarted};
use protocol::message::{PlanPage, PlannedTask};
use protocol::receipt::TaskReceipt;
use protocol::state::TaskState;
use protocol::{StoredJob, message};
use service::telemetry::trace;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, RwLockReadGuard};
use tracing::Instrument as _;

/// Tasks that take no longer are told of by their end alone.
const BRIEF: Duration = Duration::from_millis(50);

/// Images of a span in hand at once: the next is fetched while one is computed.
const ABREAST: usize = 2;

/// What a node knows of a job that it works on.
pub(crate) struct Known {
    pub(crate) stored: StoredJob,
    pub(crate) spec: Arc<Job>,
}

/// The right to run a span beside others, in that order.
pub(crate) type Place<'a> = (RwLockReadGuard<'a, ()>, Room<'a>);

/// What becomes of a span.
enum Ran {
    /// It is committed.
    Done(Box<SpanReceipt>),
    /// Nobody waits for it.
    Needless,
    /// It goes back as it is.
    Back(String),
}

impl Node {
    /// Runs a span; a reason where it is to go back.
    pub(crate) async fn run(
        &self,
        order: &Order,
        place: Option<Place<'_>>,
        trace: Option<&str>,
    ) -> Option<String> {
        let begun = Instant::now();
        let _in_hand = self.in_hand.enter(order)?;
        let began = self.say_began(order);
        let work = async {
            tokio::select! {
                ran = self.span(order, place, trace) => ran,
                () = self.hand_back.cancelled() => Ok(Ran::Back("this dispatcher ends".into())),
            }
        };
        let (ran, began) = (std::pin::pin!(work), std::pin::pin!(began));
        let ran = match futures_util::future::select(ran, began).await {
            futures_util::future::Either::Left((ran, _)) => ran,
            futures_util::future::Either::Right(((), ran)) => ran.await,
        };
        observe::handled(begun.elapsed());
        match ran {
            Ok(Ran::Done(receipt)) => {
                self.tell(&Told::Ended(receipt)).await;
                None
            }
            Ok(Ran::Needless) => None,
            Ok(Ran::Back(reason)) => {
                if !self.hand_back.is_cancelled() {
                    tokio::time::sleep(self.config.pause).await;
                }
                Some(reason)
            }
            Err(error) => {
                // It may be that the store fails this node alone.
                if error.is_transient() || self.is_sound().await {
                    tokio::time::sleep(self.config.pause).await;
                }
                Some(error.to_string())
            }
        }
    }

    async fn say_began(&self, order: &Order) {
        let brief = self.config.slow / 4;
        tokio::time::sleep(brief).await;
        let told = Told::Began {
            span: order.span.clone(),
            node: self.config.node.clone(),
            ms: brief.as_millis() as u64,
        };
        self.tell(&told).await;
    }

    /// Tells whoever leads; whether that was heard by the queue.
    pub(crate) async fn tell(&self, told: &Told) -> bool {
        if let Some(own) = self.own_conductor() {
            return own.send(told.clone()).is_ok();
        }
        self.announce(told).await
    }

    /// The same through the queue, whoever leads.
    pub(crate) async fn announce(&self, told: &Told) -> bool {
        let message = Message::new(QueueName::Control, names::to_json(told));
        match self.jobs.queue.publish(vec![message]).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the conductor was not told");
                false
            }
        }
    }

    async fn span(
        &self,
        order: &Order,
        place: Option<Place<'_>>,
        trace: Option<&str>,
    ) -> Result<Ran> {
        let span = &order.span;
        // A span that may kill its node runs where nothing else does.
        let (_alone, _beside);
        let room = match (order.alone, place) {
            (true, _) => {
                _alone = self.turns.write().await;
                self.in_hand.begin(order);
                self.room(false).await
            }
            (false, place) => {
                let place = match place {
                    None => self.place(order.urgent).await,
                    place => place,
                };
                let (beside, room) = place.unzip();
                _beside = beside;
                room
            }
        };
        let Some(room) = room else {
            return Ok(Ran::Back("this dispatcher ends".into()));
        };
        let begun = Instant::now();
        let known = match self.patiently(|| self.known(&span.job)).await {
            Err(Error::NoSuchJob(_)) => return Ok(self.needless().await),
            known => known?,
        };
        let page = match self.patiently(|| self.page(&span.job, span.page)).await {
            Err(Error::NoSuchJob(_)) => return Ok(self.needless().await),
            page => page?,
        };
        if page.tasks.len() <= span.last as usize {
            return Ok(self.needless().await);
        }
        if order.copy_of.is_some() && names::exists(&self.jobs.store, &names::span(span)).await? {
            return Ok(Ran::Needless);
        }
        let room = Mutex::new(Some(room));
        let images = (span.first..=span.last).map(|input| {
            let (page, known, room) = (&page, &known, &room);
            async move {
                let task = &page.tasks[input as usize];
                let last = input == span.last;
                self.image(known, order, input, task, trace, last.then_some(room))
                    .await
            }
        });
        let images: Vec<_> = images.collect();
        let mut images = stream::iter(images).buffered(ABREAST);
        let mut entries = Vec::new();
        while let Some(outcome) = images.next().await {
            match outcome? {
                Outcome::Final(receipt, class) => entries.push((*receipt, false, class)),
                Outcome::Again(receipt, class) => entries.push((*receipt, true, class)),
                Outcome::Back(reason) => return Ok(Ran::Back(reason)),
            }
        }
        drop(images);
        drop(room);
        if entries
            .iter()
            .any(|(receipt, ..)| receipt.state == TaskState::Cancelled)
        {
            return Ok(Ran::Needless);
        }
        let ms = begun.elapsed().as_millis() as u64;
        self.commit(order, entries, ms, trace).await
    }

    /// A span whose job is not there any more, unless it is this node that does not see it.
    async fn needless(&self) -> Ran {
        match self.is_sound().await {
            true => Ran::Needless,
            false => Ran::Back("this node does not see its job".into()),
        }
    }

    /// One image, beside others of its span.
    async fn image(
        &self,
        known: &Known,
        order: &Order,
        input: u32,
        task: &PlannedTask,
        trace: Option<&str>,
        room: Option<&Mutex<Option<Room<'_>>>>,
    ) -> Result<Outcome> {
        let number = Span::number(order.span.page, input);
        let traced = observe::task(&order.span, number, &self.config.node);
        trace::follow(&traced, trace);
        let finish = Finish {
            order,
            number,
            task,
        };
        let attempt = self.patiently(|| self.attempt(known, &finish, room));
        let told = async {
            tokio::time::sleep(BRIEF).await;
            self.tell_started(order, number, task);
        };
        self.be_busy().await;
        let work = async {
            let (attempt, told) = (std::pin::pin!(attempt), std::pin::pin!(told));
            match futures_util::future::select(attempt, told).await {
                futures_util::future::Either::Left((outcome, _)) => outcome,
                futures_util::future::Either::Right(((), attempt)) => attempt.await,
            }
        };
        let outcome = work.instrument(traced).await;
        observe::attempted(match &outcome {
            Ok(Outcome::Final(..)) => "final",
            Ok(Outcome::Again(..)) => "again",
            Ok(Outcome::Back(_)) => "back",
            Err(_) => "error",
        });
        outcome
    }

    /// Nobody waits for it to be heard.
    fn tell_started(&self, order: &Order, number: u64, task: &PlannedTask) {
        let span = &order.span;
        let event = TaskStarted {
            version: protocol::VERSION,
            seq: None,
            job: span.job.to_string(),
            task: number,
            input: task.input.clone(),
            node: Some(self.config.node.clone()),
            cost: None,
            attempt: span.attempt,
        };
        let key = format!("task-{number}-started-{}-{}", span.round, span.attempt);
        let (events, job) = (self.jobs.events.clone(), span.job.clone());
        tokio::spawn(async move {
            if let Err(error) = events.append(&job, &key, &Event::TaskStarted(event)).await {
                tracing::debug!(%error, job = %job, "the begin of a task was not told");
            }
        });
    }

    /// Writes a span's receipt if it has none; returns the one that it has.
    async fn commit(
        &self,
        order: &Order,
        entries: Vec<(TaskReceipt, bool, Reason)>,
        ms: u64,
        trace: Option<&str>,
    ) -> Result<Ran> {
        let span = &order.span;
        if self.standing.is_unsound() || !self.has_its_store().await {
            self.is_sound().await;
            return Ok(Ran::Back("this node is not sound".into()));
        }
        let outputs: Vec<String> = (entries.iter())
            .flat_map(|(receipt, ..)| names::outputs_of(&span.job, receipt))
            .map(|(name, _)| name)
            .collect();
        let classes: Vec<Reason> = entries.iter().map(|(.., class)| *class).collect();
        let entries = entries
            .into_iter()
            .map(|(receipt, passing, _)| Entry { receipt, passing });
        let receipt = SpanReceipt {
            version: protocol::VERSION,
            span: span.clone(),
            node: self.config.node.clone(),
            ms,
            entries: entries.collect(),
        };
        let name = names::span(span);
        let store = &self.jobs.store;
        // Others come along where there are some, unless somebody waits for this one.
        let at_once = order.urgent || self.in_hand.is_one();
        let write = async || {
            let new = names::create_hint(store, &name, &receipt).await?;
            let all = outputs.iter().map(String::as_str).chain([name.as_str()]);
            let all: Vec<&str> = all.collect();
            let synced = match at_once {
                true => store.sync(&all).await,
                false => store.sync_soon(&all).await,
            };
            if let Err(error) = synced {
                if new {
                    store.delete(&name).await?;
                }
                return Err(error.into());
            }
            if new {
                return Ok::<_, Error>(None);
            }
            // One that was cut off is gone now, and the next try writes it.
            let there: Option<SpanReceipt> = names::read(store, &name).await?;
            there.map(Some).ok_or_else(|| {
                Error::local("reading a receipt", std::io::ErrorKind::NotFound.into())
            })
        };
        let traced = observe::commit(span, &self.config.node);
        trace::follow(&traced, trace);
        let there = self.patiently(write).instrument(traced.clone()).await?;
        let _traced = traced.entered();
        if there.is_none() {
            for (entry, class) in receipt.entries.iter().zip(classes) {
                if !entry.passing {
                    observe::task_ended(&span.job, &entry.receipt, class);
                }
            }
        }
        Ok(Ran::Done(Box::new(there.unwrap_or(receipt))))
    }

    /// What is known of a job, read once.
    pub(crate) async fn known(&self, id: &str) -> Result<Arc<Known>> {
        if let Some(known) = self.memory().get(id) {
            return Ok(known.clone());
        }
        let stored: Option<StoredJob> = names::read(&self.jobs.store, &names::spec(id)).await?;
        let stored = stored.ok_or_else(|| Error::NoSuchJob(id.to_owned()))?;
        let known = Arc::new(Known {
            spec: Arc::new(stored.spec.clone()),
            stored,
        });
        let mut memory = self.memory();
        if memory.len() >= 64 {
            // Ids sort by time.
            memory.pop_first();
        }
        Ok(memory.entry(id.to_owned()).or_insert(known).clone())
    }

    async fn page(&self, id: &str, page: u32) -> Result<Arc<message::PlanPage>> {
        let key = (id.to_owned(), page);
        if let Some(found) = self.plans().get(&key) {
            return Ok(found.clone());
        }
        let found: Arc<PlanPage> = crate::records::plan_page(&self.jobs.store, id, page)
            .await?
            .into();
        Ok(self.remember(key, found))
    }

    /// Keeps a page that was read for the next who needs it.
    pub(crate) fn remember(&self, key: (String, u32), found: Arc<PlanPage>) -> Arc<PlanPage> {
        let mut plans = self.plans();
        if plans.len() >= 16 {
            plans.pop_first();
        }
        plans.entry(key).or_insert(found).clone()
    }

    /// The receipt of a task that ends without a run.
    pub(crate) fn verdict(
        &self,
        number: u64,
        task: &PlannedTask,
        attempt: u32,
        state: TaskState,
        reason: &str,
    ) -> TaskReceipt {
        crate::records::verdict(&self.config.node, number, task, attempt, state, reason)
    }

    /// Whether a user wished that this round of a job ends.
    pub(crate) async fn is_cancelled(&self, id: &str, round: u32) -> Result<bool> {
        names::exists(&self.jobs.store, &names::cancelled(id, round)).await
    }
}
