//! Reductions as jobs: the nodes of a tree are the job's tasks, and what a node knows is an object until the job ends.
//!
//! A node takes so many files, or results of nodes, at a time as may be open; what it knows meanwhile lies in a temporary
//! file. The median needs all values of an index at once, so that its tree is one node.

use crate::attempt::{Finish, Outcome, Unread, fetch, may_pass};
use crate::error::{Error, Result};
use crate::execute::Known;
use crate::names;
use crate::observe::{self, Reason};
use crate::scratch::Temporary;
use crate::service::{Node, Room};
use crate::world::{Lost, Task};
use cloud::store::Store;
use jobs::span::PAGE;
use jobs::tree::{Needs, Tree};
use protocol::job::{Device, Job, Mode, Reduce, ReduceOp};
use protocol::message::{PlanPage, PlannedTask};
use protocol::receipt::TaskReceipt;
use protocol::state::TaskState;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::Mutex;
use worker::reduce::Target;
use worker::reduce::step::{Ending, First, Step, Take};
use worker::single::ms;
use worker::task::Fault;

/// The tree of a reduction of so many files.
pub fn tree(reduce: &Reduce, files: u64) -> Tree {
    match reduce.op {
        ReduceOp::Median => Tree::flat(files),
        _ => Tree::new(files, reduce.fan_in as u64),
    }
}

/// The tasks of a reduction: the nodes of its tree. One that has a file which cannot be read has its reason.
pub(crate) fn tasks(reduce: &Reduce, files: &[PlannedTask]) -> Vec<PlannedTask> {
    let tree = tree(reduce, files.len() as u64);
    let many = |n: u64, what: &str| match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    let node = |node: u64| {
        let (input, taken) = match tree.needs(node) {
            Needs::Files(Range { start, end }) => (
                format!("files {} to {end} of {}", start + 1, files.len()),
                &files[start as usize..end as usize],
            ),
            Needs::Nodes(Range { start, end }) => {
                let level = tree.level(node);
                let below: u64 = tree.levels()[..level - 1].iter().sum();
                let text = format!(
                    "results {} to {} of level {level}",
                    start - below + 1,
                    end - below
                );
                (text, &[][..])
            }
        };
        let input = match node == tree.root() {
            true => many(files.len() as u64, "file"),
            false => input,
        };
        let bad = taken.iter().find_map(|file| {
            let reason = file.reason.as_ref()?;
            Some(match file.input.is_empty() {
                true => reason.clone(),
                false => format!("{}: {reason}", file.input),
            })
        });
        let none = files
            .is_empty()
            .then(|| "no files to reduce: name at least one".to_owned());
        PlannedTask {
            input,
            relative: String::new(),
            bytes: (!taken.is_empty()).then(|| taken.iter().filter_map(|file| file.bytes).sum()),
            clash: None,
            reason: bad.or(none),
        }
    };
    (0..tree.nodes()).map(node).collect()
}

/// Removes what nodes of a round left for each other.
pub(crate) async fn remove_partials(store: &Store, job: &str, round: u32) -> Result<()> {
    for meta in store.list(&names::partials(job, round)).await? {
        store.delete(&meta.name).await?;
    }
    Ok(())
}

/// Why a node has no result.
enum No {
    /// It has an end.
    Ended(Outcome),
    /// A service failed.
    Service(Error),
}

impl From<Error> for No {
    fn from(error: Error) -> No {
        No::Service(error)
    }
}

type Got<T> = std::result::Result<T, No>;

/// What a node takes.
enum Taken {
    /// A file, by the text that names it.
    File(String),
    /// The result of a node.
    Result(u64),
}

/// A node at work.
struct Work<'a> {
    node: &'a Node,
    known: &'a Known,
    reduce: &'a Reduce,
    finish: &'a Finish<'a>,
    /// Paths, and what they are called in messages.
    shown: Vec<(String, String)>,
    receipt: TaskReceipt,
}

impl Node {
    /// Runs a node of a reduction's tree, as [`Node::attempt`] runs an image.
    pub(crate) async fn reduce(
        &self,
        known: &Known,
        reduce: &Reduce,
        finish: &Finish<'_>,
        room: Option<&Mutex<Option<Room<'_>>>>,
    ) -> Result<Outcome> {
        let (number, attempt) = (finish.number, finish.order.span.attempt);
        let mut receipt = self.verdict(number, finish.task, attempt, TaskState::Failed, "");
        receipt.reason = None;
        receipt.rejections = finish.order.rejections;
        let work = Work {
            node: self,
            known,
            reduce,
            finish,
            shown: Vec::new(),
            receipt,
        };
        match work.run(room).await {
            Ok(receipt) => Ok(Outcome::Final(Box::new(receipt), Reason::None)),
            Err(No::Ended(outcome)) => Ok(outcome),
            Err(No::Service(error)) => Err(error),
        }
    }

    /// The texts that name some files of a reduction.
    async fn files(&self, id: &str, files: Range<u64>) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let per = u64::from(PAGE);
        for page in files.start / per..files.end.div_ceil(per) {
            let key = (format!("{id}/files"), page as u32);
            let known = self.plans().get(&key).cloned();
            let listed = match known {
                Some(listed) => listed,
                None => {
                    let name = names::plan_files(id, page as u32);
                    let listed: Option<PlanPage> = names::read(&self.jobs.store, &name).await?;
                    let listed = listed.ok_or_else(|| Error::NoSuchJob(id.to_owned()))?;
                    self.remember(key, listed.into())
                }
            };
            let (from, to) = (page * per, (page + 1) * per);
            let part = files.start.max(from) - from..files.end.min(to) - from;
            let part = listed.tasks.get(part.start as usize..part.end as usize);
            found.extend(
                part.unwrap_or_default()
                    .iter()
                    .map(|file| file.input.clone()),
            );
        }
        match found.len() as u64 == files.end - files.start {
            true => Ok(found),
            false => Err(Error::NoSuchJob(id.to_owned())),
        }
    }
}

impl Work<'_> {
    fn job(&self) -> &Job {
        &self.known.spec
    }

    fn id(&self) -> &str {
        &self.finish.order.span.job
    }

    fn round(&self) -> u32 {
        self.finish.order.span.round
    }

    /// An end without a result.
    fn ended(&self, reason: &str, class: Reason, passes: bool) -> No {
        let mut receipt = Box::new(self.receipt.clone());
        receipt.reason = Some(self.told(reason));
        No::Ended(match passes {
            true => Outcome::Again(receipt, class),
            false => Outcome::Final(receipt, class),
        })
    }

    /// The names of temporary files are nobody's concern.
    fn told(&self, reason: &str) -> String {
        let mut shown = self.shown.clone();
        // No path is taken for a part of a longer one.
        shown.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        let replace = |text: String, (path, name): &(String, String)| text.replace(path, name);
        shown.iter().fold(reason.to_owned(), replace)
    }

    /// Runs the node to its receipt.
    async fn run(mut self, room: Option<&Mutex<Option<Room<'_>>>>) -> Got<TaskReceipt> {
        let number = self.finish.number;
        let (node, known) = (self.node, self.known);
        let plan = crate::records::plan(&node.jobs.store, self.id()).await?;
        let files = plan.and_then(|plan| plan.files);
        let files = files.ok_or_else(|| Error::NoSuchJob(self.id().to_owned()))?;
        let tree = tree(self.reduce, files);
        let is_root = number == tree.root();
        let taken = match tree.needs(number) {
            Needs::Files(files) => {
                let texts = node.files(self.id(), files).await?;
                texts.into_iter().map(Taken::File).collect::<Vec<_>>()
            }
            Needs::Nodes(nodes) => nodes.map(Taken::Result).collect(),
        };
        let text = node.files(self.id(), 0..1).await?;
        let first_name = text.first().cloned().unwrap_or_default();
        let first = self.first(&first_name).await?;
        let target = self.job().format.clone();
        let target = target.unwrap_or_else(|| first.target.clone());
        let target_kind = match Target::parse(&target) {
            Ok(kind) => kind,
            Err(error) => return Err(self.ended(&error.to_string(), Reason::Unsuitable, false)),
        };
        let whole = self.reduce.op == ReduceOp::Median;
        let at_once = if whole {
            taken.len()
        } else {
            self.reduce.max_open_files
        };
        let chunks = taken.chunks(at_once.max(1));
        let last = chunks.len().saturating_sub(1);
        let (mut after, mut hash): (Option<Temporary>, _) = (None, None);
        for (nth, chunk) in chunks.enumerate() {
            let (mut paths, mut copies) = (Vec::new(), Vec::new());
            for one in chunk {
                let (path, copy) = self.fetch(one).await?;
                paths.push(protocol::name::to_text(&path));
                copies.push(copy);
            }
            let mut result = None;
            if is_root && nth == last {
                let (path, copy) = self.fetch(&Taken::File(first_name.clone())).await?;
                result = Some(Ending {
                    target: target.clone(),
                    first: protocol::name::to_text(&path),
                });
                copies.push(copy);
            }
            let first = first.clone();
            let take = match chunk.first() {
                _ if whole => Take::All {
                    paths,
                    max_open_files: self.reduce.max_open_files,
                },
                Some(Taken::Result(_)) => Take::Results { first, paths },
                _ => Take::Files { first, paths },
            };
            let made = node.scratch.name();
            let path = |kept: &Temporary| protocol::name::to_text(kept.path());
            let step = Step {
                op: self.reduce.op,
                bits: self.reduce.bits,
                take,
                after: after.as_ref().map(path),
                result,
            };
            hash = Some(self.step(step, made.path()).await?);
            after = Some(made);
        }
        let (Some(made), Some((sha256, bytes))) = (after, hash) else {
            return Err(self.ended("it takes nothing", Reason::Unsuitable, false));
        };
        if let Some(room) = room {
            // Nothing more is computed of its span.
            room.lock().await.take();
        }
        let storing = Instant::now();
        match is_root {
            false => self.keep(made.path(), &sha256).await?,
            true => {
                let name = format!("{}.{}", self.reduce.op.name(), target_kind.extension());
                let object = names::object(number, None, &name);
                let key = format!("jobs/{}/{object}", known.stored.id);
                let media_type = target_kind.media_type();
                node.put(&key, made.path(), &sha256, media_type).await?;
                self.receipt.output = Some(format!("out/{name}"));
                self.receipt.object = Some(object);
                self.receipt.output_sha256 = Some(sha256);
                self.receipt.bytes = Some(bytes);
            }
        }
        self.receipt.ms.store += ms(storing.elapsed());
        self.receipt.ranks = Some(1);
        self.receipt.state = TaskState::Succeeded;
        Ok(self.receipt)
    }

    /// Stores what a node knows for the one that takes it.
    async fn keep(&self, made: &Path, sha256: &str) -> Result<()> {
        let store = &self.node.jobs.store;
        let name = names::partial(self.id(), self.round(), self.finish.number);
        self.node
            .put(&name, made, sha256, "application/octet-stream")
            .await?;
        store.sync_soon(&[name.as_str()]).await?;
        // One that comes after the end of its job would be left.
        let end = names::end(self.id(), self.round());
        if !self.reduce.keep_partials && names::exists(store, &end).await? {
            store.delete(&name).await?;
        }
        Ok(())
    }

    /// What the first file is, which whoever comes first looks at.
    async fn first(&mut self, name: &str) -> Got<First> {
        let store = &self.node.jobs.store;
        let known = names::first_file(self.id(), self.round());
        if let Some(first) = names::read(store, &known).await? {
            return Ok(first);
        }
        let (path, _copy) = self.fetch(&Taken::File(name.to_owned())).await?;
        let step = Step {
            op: self.reduce.op,
            bits: self.reduce.bits,
            take: Take::First {
                path: protocol::name::to_text(&path),
                name: name.to_owned(),
            },
            after: None,
            result: None,
        };
        let made = self.node.scratch.name();
        self.step(step, made.path()).await?;
        let text = std::fs::read(made.path()).map_err(|e| Error::local("reading a file", e))?;
        let first: First = serde_json::from_slice(&text).map_err(|error| Error::Damaged {
            name: known.clone(),
            reason: error.to_string(),
        })?;
        names::create_hint(store, &known, &first).await?;
        Ok(first)
    }

    /// The file of what is taken: its own where the store is a directory, else a copy that goes with the second value.
    async fn fetch(&mut self, taken: &Taken) -> Got<(PathBuf, Temporary)> {
        let (node, copy) = (self.node, self.node.scratch.name());
        let begun = Instant::now();
        let (path, shown) = match taken {
            Taken::File(text) => {
                let found = node.input(self.known, text, copy.path()).await?;
                let path = found.map_err(|Unread { reason, passes }| {
                    self.ended(&format!("{text}: {reason}"), Reason::Store, passes)
                })?;
                (path, text.clone())
            }
            Taken::Result(number) => {
                let name = names::partial(self.id(), self.round(), *number);
                match fetch(&node.jobs.store, &name, copy.path(), u64::MAX).await {
                    Ok(path) => (path, format!("the result of node {number}")),
                    Err(Error::Cloud(cloud::Error::NotFound(_))) => {
                        let reason = format!("the result of node {number} is gone");
                        return Err(self.ended(&reason, Reason::Store, true));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        self.receipt.ms.fetch += ms(begun.elapsed());
        let pair = (protocol::name::to_text(&path), shown);
        if !self.shown.contains(&pair) {
            self.shown.push(pair);
        }
        Ok((path, copy))
    }

    /// Runs a step on the world; the hash and the length of what it wrote.
    async fn step(&mut self, step: Step, output: &Path) -> Got<(String, u64)> {
        let Finish {
            order,
            number,
            task,
        } = *self.finish;
        let (node, attempt) = (self.node, order.span.attempt);
        let flight = node.flights.fetch_add(1, Ordering::Relaxed);
        let run = Task {
            id: format!("{}.{number}.{flight}", order.span.job),
            task: number,
            attempt,
            pipeline: Default::default(),
            format: None,
            limits: self.job().limits.clone(),
            keep_metadata: Default::default(),
            pages: Default::default(),
            strict: false,
            color: None,
            background: None,
            input: task.input.clone(),
            output: protocol::name::to_text(output),
            mode: Mode::Images,
            device: Device::Cpu,
            // After a failure alone, so that a further one is nobody else's.
            alone: attempt > 1,
            urgent: false,
            scratch: true,
            step: Some(Box::new(step)),
        };
        self.shown
            .push((protocol::name::to_text(output), "the result".into()));
        let finished = match node.watched(&order.span, run).await {
            Ok(finished) => finished,
            Err(Lost::Fault { reason, .. }) => {
                return Err(self.ended(&reason, Reason::RankLost, true));
            }
            Err(lost) => return Err(No::Ended(Outcome::Back(lost.to_string()))),
        };
        observe::stages(&finished.receipt);
        let class = Reason::of(finished.fault, finished.receipt.state);
        self.receipt.ms.compute += finished.receipt.ms.compute;
        match finished.receipt.state {
            TaskState::Succeeded => {
                let made = finished.receipt;
                Ok((
                    made.output_sha256.unwrap_or_default(),
                    made.bytes.unwrap_or(0),
                ))
            }
            // It says nothing of the files, and waits for room.
            TaskState::Failed if finished.fault == Some(Fault::Full) => {
                let full = std::io::ErrorKind::StorageFull.into();
                Err(Error::local("writing a partial result", full).into())
            }
            state => {
                self.receipt.state = state;
                let reason = finished.receipt.reason.unwrap_or_default();
                let passes = state == TaskState::Failed && !finished.refused && may_pass(class);
                Err(self.ended(&reason, class, passes))
            }
        }
    }
}
