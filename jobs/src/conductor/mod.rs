//! The conductor's pure core: what it knows of jobs, nodes and spans on their way, and what it does when it is told something.
//!
//! All that it knows can be lost: it is told again from the store ([`Input::Loaded`]) and by the beats of nodes. A job ends
//! because its inputs are seen to have ended, never because some message came.

mod feed;
mod job;
mod needs;
mod tick;
mod told;

use crate::backoff::Dice;
use crate::fair::Fair;
use crate::span::{End, Order, Report, Span};
use crate::tree::Tree;
use crate::{JobId, Ms, NodeName};
use protocol::job::{Acceptance, Placement, Schedule};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use job::Counted;
use job::Job;

/// How the conductor works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a span is worth at most, in microseconds of predicted work (50 000).
    pub span: u32,
    /// Spans on their way for each slot of the living nodes (2); where they cost more than `span`, fewer, down to one.
    pub ahead: u32,
    /// A job is small whose inputs are worth no more together, in microseconds of predicted work (1 000 000). Where its owner
    /// has nothing under way and others fill all slots, a span of it is sent all the same, one for each node at a time: what
    /// one user waits for does not depend on how much others have.
    pub soon: u32,
    /// After so long without a beat a node is dead, and a span that nobody names is looked for.
    pub patience: Ms,
    /// How long jobs that were begun under another conductor are not fed: until nodes have said what they have.
    pub settle: Ms,
    /// A span that runs for less is not slow.
    pub slow: Ms,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            span: 50_000,
            ahead: 2,
            soon: 1_000_000,
            patience: 6000,
            settle: 2000,
            slow: 1000,
            seed: 1,
        }
    }
}

/// What the conductor is told. Anything may come late, twice, in another order or never.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time went by; how many spans wait in the shared queue, where that is known now.
    Tick(Option<u64>),
    /// Something was done to a job: submitted, cancelled, paused, tried again.
    Job(JobId),
    /// What the store says of a job, all of it.
    Loaded(Box<Loaded>),
    /// What the store says of a job that is known, in the same round.
    Flags {
        /// The job.
        job: JobId,
        /// What its user wishes.
        flags: Flags,
    },
    /// A job's inputs are known: costs of each page, and which of them cannot be processed.
    Planned {
        /// The job.
        job: JobId,
        /// Its pages.
        pages: Vec<Loading>,
        /// Where its inputs are the nodes of a tree: each is run when those that it needs have succeeded, and one that
        /// fails ends the job.
        tree: Option<Tree>,
    },
    /// A job's inputs could not be looked for, in a way that may pass.
    PlanFailed(JobId),
    /// A node lives.
    Beat(Beat),
    /// A node works on a span, for so long already.
    Began(Span, NodeName, Ms),
    /// A span was committed.
    Ended(Report),
    /// A span came to a node again, from one that had it and may have died.
    Returned(Span),
    /// The process died that had a span in hand.
    Crashed(Order),
    /// A node refused a span.
    Refused(Span, NodeName),
    /// A node gives a span back through no fault of it.
    Back(Span),
    /// There is no receipt of a span that was looked for.
    Missing(Span),
    /// The receipt of a round is written and told.
    Finished(JobId, u32),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Read a job from the store; the round that is known already.
    Load(JobId, Option<u32>),
    /// Find a job's inputs and write its plan.
    Plan(JobId),
    /// Send a span: to that node, or to whichever is free.
    Feed(Order, Option<NodeName>),
    /// Look whether a span has its receipt.
    Look(Span),
    /// Write the receipt of a span whose node died while nothing else was at work there.
    Blame(Span),
    /// These inputs of a page have ended, each for the first time: tell of them.
    Accept(JobId, u32, Vec<(u32, End)>),
    /// All inputs of a page have ended.
    Fold(JobId, u32),
    /// An error ends the job.
    Stop(JobId),
    /// All inputs have ended, or the job was cancelled: write the job's receipt and tell of its end.
    Finish(JobId, u32),
}

/// What its user wishes of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// It is to end.
    pub cancelled: bool,
    /// Nothing more of it is begun for now.
    pub paused: bool,
}

/// A job as the store has it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its id.
    pub job: JobId,
    /// Whose it is.
    pub owner: Arc<str>,
    /// 0 is the most urgent.
    pub class: u8,
    /// Which run it is in.
    pub round: u32,
    /// What its user wishes.
    pub flags: Flags,
    /// Whether this round has its receipt already.
    pub over: bool,
    /// How it wants to be run.
    pub schedule: Schedule,
    /// Whether an error ends it.
    pub stops: bool,
    /// Whether it bounds the memory of its images: they may have to wait for each other.
    pub capped: bool,
    /// Its pages, where its inputs are known.
    pub pages: Option<Vec<Loading>>,
    /// See [`Input::Planned`].
    pub tree: Option<Tree>,
}

/// A page as the store has it.
#[derive(Clone, Debug, Default)]
pub struct Loading {
    /// Predicted cost of each input in microseconds.
    pub costs: Vec<u32>,
    /// Inputs that have ended, and how.
    pub ended: Vec<(u32, End)>,
    /// Inputs that are to be tried again, and as which attempt.
    pub again: Vec<(u32, u32)>,
}

/// What a node says of itself.
#[derive(Clone, Debug)]
pub struct Beat {
    /// Its name.
    pub node: NodeName,
    /// Spans that it works on at once; 0 where it takes none.
    pub slots: u32,
    /// How busy it is with what is not ours, from 0 to 1.
    pub load: f64,
    /// Spans that it has.
    pub hand: Vec<Span>,
}

#[derive(Clone, Debug)]
struct Node {
    seen: Ms,
    slots: u32,
    load: f64,
    /// Spans that were sent to it alone and have not ended.
    given: u32,
}

/// A span on its way.
#[derive(Clone, Debug)]
struct Flight {
    order: Order,
    to: Option<NodeName>,
    fed: Ms,
    /// Who named it last, and when.
    seen: Option<(NodeName, Ms)>,
    begun: Option<Ms>,
    /// Microseconds, as predicted.
    cost: u64,
    /// The same by what its job's spans took.
    weight: u64,
    returned: u32,
    /// When it came to another node although somebody had it.
    doubted: Option<Ms>,
    looking: bool,
    /// Nodes that refused it since all were asked, the last one last.
    refused_by: Vec<NodeName>,
}

/// What is done at some time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Retry(Span),
    Send(Span),
    Plan(JobId),
    Enter(JobId),
}

/// Jobs, nodes and spans as far as they are known.
#[derive(Debug)]
pub struct Conductor {
    settings: Settings,
    jobs: BTreeMap<JobId, Job>,
    nodes: BTreeMap<NodeName, Node>,
    /// Slots of all of them.
    slots: u32,
    flights: BTreeMap<Span, Flight>,
    /// What they weigh together, in microseconds.
    load: u64,
    /// How many of them are urgent.
    urgent: u32,
    /// How many of them each owner has.
    under_way: BTreeMap<Arc<str>, u32>,
    /// What processes died of, of jobs that are not known yet.
    crashed: Vec<Order>,
    due: BTreeSet<(Ms, Due)>,
    fair: Fair,
    dice: Dice,
    /// When it began to lead.
    born: Option<Ms>,
    /// When the span was sent that a node has shown of those sent last to the shared queue.
    front: Ms,
    fed: u64,
}

impl Conductor {
    /// One that knows nothing.
    pub fn new(settings: Settings) -> Conductor {
        Conductor {
            dice: Dice::new(settings.seed),
            settings,
            jobs: BTreeMap::new(),
            nodes: BTreeMap::new(),
            slots: 0,
            flights: BTreeMap::new(),
            load: 0,
            urgent: 0,
            under_way: BTreeMap::new(),
            crashed: Vec::new(),
            due: BTreeSet::new(),
            fair: Fair::default(),
            born: None,
            front: 0,
            fed: 0,
        }
    }

    /// Is told something at a time, and says what is to be done.
    pub fn step(&mut self, now: Ms, input: Input) -> Vec<Effect> {
        let born = *self.born.get_or_insert(now);
        let mut out = Vec::new();
        match input {
            Input::Tick(ready) => self.tick(now, ready, &mut out),
            Input::Job(job) => {
                let round = self.jobs.get(&job).map(|job| job.round);
                out.push(Effect::Load(job, round));
            }
            Input::Loaded(loaded) => self.loaded(now, born, *loaded, &mut out),
            Input::Flags { job, flags } => self.wished(&job, flags, &mut out),
            Input::Planned { job, pages, tree } => self.planned(now, &job, pages, tree, &mut out),
            Input::PlanFailed(job) => self.plan_failed(now, job),
            Input::Beat(beat) => self.beat(now, beat),
            Input::Began(span, node, since) => self.began(now, &span, node, since),
            Input::Ended(report) => self.ended(now, report, &mut out),
            Input::Returned(span) => self.returned(now, &span, &mut out),
            Input::Crashed(order) => self.crashed(now, order, &mut out),
            Input::Refused(span, node) => self.refused(now, &span, node),
            Input::Back(span) => self.again(now, &span),
            Input::Missing(span) => self.missing(now, &span, &mut out),
            Input::Finished(job, round) => self.finished(&job, round),
        }
        self.run_due(now, &mut out);
        self.feed(now, &mut out);
        out
    }

    /// When something is to be done although nothing is told until then.
    pub fn next_due(&self) -> Option<Ms> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Jobs that have not ended.
    pub fn jobs(&self) -> impl Iterator<Item = &JobId> {
        self.jobs.keys()
    }

    /// How far a job has come: inputs, and how those ended that have.
    pub fn counted(&self, job: &str) -> Option<Counted> {
        self.jobs.get(job).map(Job::counted)
    }

    /// Whether a job is known and goes on in that round.
    pub fn runs(&self, job: &str, round: u32) -> bool {
        let known = self.jobs.get(job);
        known.is_some_and(|job| job.round == round && !job.ending)
    }

    /// Spans on their way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Spans sent so far.
    pub fn fed(&self) -> u64 {
        self.fed
    }

    /// The nodes that live.
    pub fn living(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes.keys()
    }

    fn may_refuse(schedule: &Schedule) -> bool {
        schedule.acceptance == Acceptance::Optional && schedule.max_rejections > 0
    }

    /// Whether a span of it waits for the node that was drawn.
    fn stays(schedule: &Schedule) -> bool {
        schedule.placement == Placement::Random && schedule.acceptance == Acceptance::Mandatory
    }

    fn is_placed(schedule: &Schedule) -> bool {
        schedule.placement != Placement::Shared
    }
}
