//! One attempt at a task: fetch its input, run it on the world, store its output.

use crate::error::{Error, Result};
use crate::execute::Known;
use crate::expand::Place;
use crate::names;
use crate::observe::{self, Reason};
use crate::service::{Node, Room};
use crate::world::{Lost, Task};
use cloud::store::{Created, Store};
use imaging::codec::{Format, FormatKind};
use jobs::Span;
use jobs::span::Order;
use protocol::Job;
use protocol::message::PlannedTask;
use protocol::receipt::TaskReceipt;
use protocol::state::TaskState;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tracing::{Instrument as _, debug_span};
use worker::names::{Facts, Template};
use worker::single::ms;
use worker::task::{Fault, Finished};

/// Largest input where the job names no limit.
const MAX_INPUT: u64 = 64 << 30;

/// How long somebody else's bucket may take over an input where the job names no limit.
const FOREIGN_SECS: f64 = 120.0;

/// How an attempt ended.
pub(crate) enum Outcome {
    /// With a receipt that is final.
    Final(Box<TaskReceipt>, Reason),
    /// With a reason why it may go better another time.
    Again(Box<TaskReceipt>, Reason),
    /// Not at all, through no fault of the task: somebody else may try, at no cost.
    Back(String),
}

/// What is tried.
pub(crate) struct Finish<'a> {
    pub(crate) order: &'a Order,
    /// Its number in its job.
    pub(crate) number: u64,
    pub(crate) task: &'a PlannedTask,
}

/// Why an input cannot be had, and whether that may pass.
pub(crate) struct Unread {
    pub(crate) reason: String,
    pub(crate) passes: bool,
}

/// Whether what went wrong may go better another time; a damaged image stays so.
pub(crate) fn may_pass(class: Reason) -> bool {
    matches!(
        class,
        Reason::RankLost | Reason::NodeLost | Reason::Store | Reason::Io | Reason::Timeout
    )
}

impl Node {
    /// What is wrong with the image is in the receipt; an error is a service's. `room` is given back when only the
    /// store is waited for.
    pub(crate) async fn attempt(
        &self,
        known: &Known,
        what: &Finish<'_>,
        room: Option<&Mutex<Option<Room<'_>>>>,
    ) -> Result<Outcome> {
        let Finish {
            order,
            number,
            task,
        } = *what;
        let (id, job, attempt) = (&*order.span.job, &known.spec, order.span.attempt);
        if let Some(reduce) = &job.reduce {
            return self.reduce(known, reduce, what, room).await;
        }
        let failed =
            |reason: &str| Box::new(self.verdict(number, task, attempt, TaskState::Failed, reason));
        let fetching = Instant::now();
        let copy = self.scratch.name();
        let input = match self.input(known, &task.input, copy.path()).await? {
            Ok(path) => path,
            Err(Unread { reason, passes }) => {
                let failed = failed(&reason);
                return Ok(match passes {
                    true => Outcome::Again(failed, Reason::Store),
                    false => Outcome::Final(failed, Reason::Store),
                });
            }
        };
        let fetched = fetching.elapsed();
        let start = match start_of(&input) {
            Ok(start) => start,
            Err(error) => {
                let failed = failed(&format!("reading it: {error}"));
                return Ok(Outcome::Again(failed, Reason::Io));
            }
        };
        let kind = FormatKind::detect(&start).unwrap_or(FormatKind::Png);
        let format = job.format.as_deref();
        let format = format.and_then(|format| Format::parse(format).ok());
        let made = self.scratch.name();
        let output = made.path();
        let flight = self.flights.fetch_add(1, Ordering::Relaxed);
        let run = Task {
            id: format!("{id}.{number}.{flight}"),
            task: number,
            attempt,
            pipeline: job.pipeline.clone(),
            format: job.format.clone(),
            limits: job.limits.clone(),
            keep_metadata: job.keep_metadata,
            pages: job.pages,
            strict: job.strict,
            color: job.color.clone(),
            background: job.background.clone(),
            input: protocol::name::to_text(&input),
            output: protocol::name::to_text(output),
            mode: job.mode,
            device: job.schedule.device,
            // After a failure alone, so that a further one is nobody else's.
            alone: attempt > 1,
            urgent: order.urgent,
            // It is read and sent to the store, and then removed.
            scratch: true,
            step: None,
        };
        let watched = async {
            let finished = self.watched(&order.span, run).await?;
            observe::stages(&finished.receipt);
            Ok(finished)
        };
        let finished = match watched.instrument(debug_span!("run")).await {
            Ok(finished) => finished,
            Err(Lost::Fault { reason, .. }) => {
                return Ok(Outcome::Again(failed(&reason), Reason::RankLost));
            }
            Err(lost) => return Ok(Outcome::Back(lost.to_string())),
        };
        if let Some(room) = room {
            // Nothing more is computed of its span.
            room.lock().await.take();
        }
        let mut receipt = finished.receipt;
        let class = Reason::of(finished.fault, receipt.state);
        receipt.task = number;
        receipt.attempt = attempt;
        receipt.rejections = order.rejections;
        receipt.node = self.config.node.clone();
        receipt.input = task.input.clone();
        receipt.ms.fetch += ms(fetched);
        // The names of temporary files are nobody's concern.
        for path in [output, &input, self.scratch.path()] {
            let path = protocol::name::to_text(path);
            let pages = receipt.pages.iter_mut().map(|page| &mut page.reason);
            for reason in pages.chain([&mut receipt.reason]).flatten() {
                *reason = reason.replace(&path, &task.input);
            }
        }
        let apart = receipt.pages.iter().any(|page| page.output.is_some());
        let _siblings = (apart || receipt.state != TaskState::Succeeded).then(|| Siblings(output));
        match receipt.state {
            TaskState::Succeeded => {}
            // It says nothing of the image, which waits for room.
            TaskState::Failed if finished.fault == Some(Fault::Full) => {
                let full = std::io::ErrorKind::StorageFull.into();
                return Err(Error::local("writing an output", full));
            }
            // Its other pages are stored.
            TaskState::Failed if apart => {}
            TaskState::Failed if !finished.refused => {
                return Ok(match may_pass(class) {
                    true => Outcome::Again(Box::new(receipt), class),
                    false => Outcome::Final(Box::new(receipt), class),
                });
            }
            _ => return Ok(Outcome::Final(Box::new(receipt), class)),
        }
        let storing = Instant::now();
        let own = kind;
        let kind = format.map_or(kind, |format| format.kind());
        let made = Made {
            job,
            task,
            number,
            own,
            kind,
        };
        let files = match made.name(&mut receipt, output) {
            Ok(files) => files,
            Err(reason) => {
                receipt.state = TaskState::Failed;
                receipt.reason = Some(reason);
                (receipt.output, receipt.output_sha256, receipt.bytes) = (None, None, None);
                receipt.pages.clear();
                return Ok(Outcome::Final(Box::new(receipt), Reason::Unsuitable));
            }
        };
        for (object, file, hash) in files {
            let name = format!("jobs/{id}/{object}");
            let put = self.put(&name, &file, &hash, kind.media_type());
            put.instrument(debug_span!("store")).await?;
        }
        receipt.ms.store += ms(storing.elapsed());
        Ok(match receipt.state {
            TaskState::Succeeded => Outcome::Final(Box::new(receipt), class),
            _ if may_pass(class) => Outcome::Again(Box::new(receipt), class),
            _ => Outcome::Final(Box::new(receipt), class),
        })
    }

    /// The file of an input: its own where the store is a directory, else a copy. What is wrong with it is no error,
    /// which is a service's.
    pub(crate) async fn input(
        &self,
        known: &Known,
        input: &str,
        copy: &Path,
    ) -> Result<std::result::Result<PathBuf, Unread>> {
        let job = &known.spec;
        let unread = |error: &dyn std::fmt::Display, passes| {
            let reason = error.to_string();
            Ok(Err(Unread { reason, passes }))
        };
        match self.sources.locate(&known.stored.owner, input) {
            Ok(Place::File(path)) => Ok(Ok(path)),
            Ok(Place::Object(store, key)) => {
                let most = job.limits.max_bytes.map_or(MAX_INPUT, |size| size.0);
                // A bucket of somebody else's may never answer, and is no fault of ours.
                let foreign = store.address() != self.jobs.store.address();
                let patience = job.limits.timeout_secs.unwrap_or(FOREIGN_SECS);
                let patience = Duration::try_from_secs_f64(patience).unwrap_or(Duration::MAX);
                let fetch = async {
                    let fetch = fetch(&store, &key, copy, most);
                    match foreign {
                        false => fetch.await,
                        true => match tokio::time::timeout(patience, fetch).await {
                            Ok(fetched) => fetched,
                            Err(_) => Err(Error::State(format!(
                                "{} did not give it within {} s",
                                store.address(),
                                patience.as_secs()
                            ))),
                        },
                    }
                };
                match fetch.instrument(debug_span!("fetch")).await {
                    Ok(path) => Ok(Ok(path)),
                    Err(error) if error.is_transient() && !foreign => Err(error),
                    // No input pays for a node that does not get at the store.
                    Err(error) if !foreign && !self.is_sound().await => Err(error),
                    Err(Error::Cloud(error @ cloud::Error::NotFound(_))) => unread(&error, false),
                    Err(error) => unread(&error, true),
                }
            }
            Err(error) if error.is_transient() => Err(error),
            Err(error) => unread(&error, false),
        }
    }

    /// Runs a task, and stops it when its job is cancelled, when another node has committed its span, or when this
    /// dispatcher gives it back.
    pub(crate) async fn watched(
        &self,
        span: &Span,
        task: Task,
    ) -> std::result::Result<Finished, Lost> {
        let flight = task.id.clone();
        let run = self.world.submit(task);
        tokio::pin!(run);
        loop {
            tokio::select! {
                finished = &mut run => return finished,
                () = self.hand_back.cancelled() => return Err(Lost::Shutdown),
                () = tokio::time::sleep(self.config.cancel_check) => {
                    match self.is_needless(span).await {
                        Ok(true) => self.world.cancel(&flight),
                        Ok(false) => {}
                        Err(error) => tracing::warn!(%error, job = %span.job, "looking for a cancel"),
                    }
                }
            }
        }
    }

    /// Stores an output, which the commit makes safe. One that is there is by an attempt whose commit is not there (yet): the same bytes, unless
    /// another build made them.
    pub(crate) async fn put(
        &self,
        name: &str,
        file: &Path,
        hash: &str,
        media_type: &str,
    ) -> Result<()> {
        let store = &self.jobs.store;
        if store.create_file_hint(name, file, media_type).await? == Created::New {
            return Ok(());
        }
        let copy = self.scratch.name();
        let there = fetch(store, name, copy.path(), u64::MAX).await?;
        let there = tokio::task::spawn_blocking(move || worker::atomic::sha256_of(&there)).await;
        let there = there.map_err(|error| Error::State(format!("hashing a file: {error}")))?;
        if there.map_err(|error| Error::local("hashing the output", error))? != hash {
            store.delete(name).await?;
            store.create_file_hint(name, file, media_type).await?;
        }
        Ok(())
    }
}

impl Node {
    /// Whether nobody waits for a run any more.
    async fn is_needless(&self, span: &Span) -> Result<bool> {
        let store = &self.jobs.store;
        let name = names::span(span);
        let (done, cancelled) = tokio::join!(
            names::exists(store, &name),
            self.is_cancelled(&span.job, span.round)
        );
        Ok(done? || cancelled?)
    }
}

/// The file of an object: its own where the store is a directory, else a copy.
pub(crate) async fn fetch(store: &Store, key: &str, copy: &Path, most: u64) -> Result<PathBuf> {
    if let Some(path) = store.file(key)? {
        return match store.exists(key).await? {
            true => Ok(path),
            false => Err(cloud::Error::NotFound(key.to_owned()).into()),
        };
    }
    store.get_file(key, copy, most).await?;
    Ok(copy.to_owned())
}

/// So few bytes of a file of this machine that asking another thread for them would take longer.
fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut start = Vec::new();
    std::fs::File::open(path)?
        .take(FormatKind::DETECT_BYTES as u64)
        .read_to_end(&mut start)?;
    Ok(start)
}

/// Temporary files of pages beside that of a whole image; removed when this is dropped.
struct Siblings<'a>(&'a Path);

impl Drop for Siblings<'_> {
    fn drop(&mut self) {
        let (Some(folder), Some(name)) = (self.0.parent(), self.0.file_name()) else {
            return;
        };
        let begin = format!("{}-p", name.to_string_lossy());
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&begin) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// What names of a task's outputs are made of.
struct Made<'a> {
    job: &'a Job,
    task: &'a PlannedTask,
    number: u64,
    own: FormatKind,
    kind: FormatKind,
}

impl Made<'_> {
    /// Gives the outputs of a receipt their names for people and their objects. Returns objects, files and hashes.
    fn name(
        &self,
        receipt: &mut TaskReceipt,
        whole: &Path,
    ) -> std::result::Result<Vec<(String, PathBuf, String)>, String> {
        let sha256 = receipt.input_sha256.clone().unwrap_or_default();
        let mut files = Vec::new();
        for page in &mut receipt.pages {
            let Some(file) = page.output.take() else {
                continue;
            };
            let size = (page.width, page.height);
            let named = self.one(Some(page.page), size, &sha256)?;
            let object = names::object(self.number, Some(page.page), &named);
            let hash = page.output_sha256.clone().unwrap_or_default();
            page.output = Some(format!("out/{named}"));
            page.object = Some(object.clone());
            files.push((object, protocol::name::to_path(&file), hash));
        }
        if files.is_empty() {
            let size = (receipt.width, receipt.height);
            let named = self.one(None, size, &sha256)?;
            let object = names::object(self.number, None, &named);
            let hash = receipt.output_sha256.clone().unwrap_or_default();
            receipt.output = Some(format!("out/{named}"));
            receipt.object = Some(object.clone());
            files.push((object, whole.to_owned(), hash));
        } else if receipt.state == TaskState::Succeeded {
            let first = receipt.pages.iter().find(|page| page.output.is_some());
            receipt.output = first.and_then(|page| page.output.clone());
            receipt.object = first.and_then(|page| page.object.clone());
        }
        Ok(files)
    }

    fn one(
        &self,
        page: Option<u32>,
        size: (Option<u64>, Option<u64>),
        sha256: &str,
    ) -> std::result::Result<String, String> {
        let template = self.job.names.as_deref().map(Template::parse).transpose()?;
        let pixels = |side: Option<u64>| side.unwrap_or(0) as usize;
        let facts = Facts {
            relative: &self.task.relative,
            own: self.own,
            format: self.kind,
            index: self.number + 1,
            page,
            size: (pixels(size.0), pixels(size.1)),
            sha256,
        };
        let name = worker::names::name(template.as_ref(), &facts)?;
        Ok(match self.task.clash {
            Some(count) => worker::names::numbered(&name, count),
            None => name,
        })
    }
}
