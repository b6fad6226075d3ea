//! A cluster in simulated time that loses, doubles and delays what it is told, and whose nodes die.

use jobs::conductor::{Beat, Conductor, Effect, Flags, Input, Loaded, Loading, Settings};
use jobs::span::{End, Order, Report, Span};
use jobs::tree::{Needs, Tree};
use jobs::{JobId, Ms};
use protocol::job::Schedule;
use std::collections::{BTreeMap, BTreeSet};

/// How an image behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nature {
    Sound,
    Damaged,
    /// It fails so often in a way that passes.
    Shaky(u32),
    /// Whoever runs it dies.
    Deadly,
}

#[derive(Clone, Debug)]
pub struct Wish {
    pub inputs: Vec<Nature>,
    pub owner: usize,
    pub schedule: Schedule,
    /// Cancelled at that time.
    pub cancel: Option<Ms>,
    /// Where its inputs are the nodes of a tree.
    pub tree: Option<Tree>,
}

#[derive(Clone, Debug)]
pub struct Trouble {
    pub nodes: usize,
    /// In thousandths of messages.
    pub lost: u64,
    pub doubled: u64,
    pub late: u64,
    /// Nodes that die, and when; each comes back as another.
    pub deaths: Vec<(Ms, usize)>,
    /// When another conductor takes over.
    pub takeovers: Vec<Ms>,
    pub seed: u64,
}

pub struct Running {
    pub order: Order,
    pub until: Ms,
}

pub struct Node {
    pub name: String,
    pub running: Vec<Running>,
}

/// All that survives: the store.
#[derive(Default)]
pub struct Store {
    pub receipts: BTreeMap<Span, Report>,
    pub over: BTreeMap<String, BTreeMap<(u32, u32), End>>,
    pub cancelled: BTreeSet<String>,
}

pub struct World {
    pub wishes: BTreeMap<String, Wish>,
    pub trouble: Trouble,
    pub store: Store,
    pub conductor: Conductor,
    pub now: Ms,
    pub dice: jobs::backoff::Dice,
    pub nodes: Vec<Node>,
    pub named: usize,
    pub shared: Vec<(Ms, Order, bool)>,
    /// To the conductor.
    pub letters: Vec<(Ms, Input)>,
    pub accepted: BTreeMap<(String, u32, u32), End>,
    pub ran: u64,
    pub alone_with_others: bool,
    /// Spans that nodes began, and those of them that died with their nodes.
    pub begun: u64,
    pub died: u64,
}

pub const PAGE_OF_TESTS: usize = 8;

impl World {
    pub fn new(wishes: Vec<Wish>, trouble: Trouble) -> World {
        let wishes = wishes.into_iter().enumerate();
        let mut world = World {
            wishes: wishes.map(|(n, wish)| (format!("J{n}"), wish)).collect(),
            store: Store::default(),
            conductor: Conductor::new(settings(trouble.seed)),
            now: 0,
            dice: jobs::backoff::Dice::new(trouble.seed),
            nodes: Vec::new(),
            named: 0,
            shared: Vec::new(),
            letters: Vec::new(),
            accepted: BTreeMap::new(),
            ran: 0,
            alone_with_others: false,
            begun: 0,
            died: 0,
            trouble,
        };
        for _ in 0..world.trouble.nodes {
            world.add_node();
        }
        let ids: Vec<JobId> = world.wishes.keys().map(|id| id.as_str().into()).collect();
        for id in ids {
            world.tell(Input::Job(id));
        }
        world
    }

    pub fn add_node(&mut self) {
        self.named += 1;
        self.nodes.push(Node {
            name: format!("n{}", self.named),
            running: Vec::new(),
        });
    }

    pub fn chance(&mut self, thousandths: u64) -> bool {
        self.dice.below(1000) < thousandths
    }

    pub fn tell(&mut self, input: Input) {
        if self.chance(self.trouble.lost) {
            return;
        }
        let times = 1 + u64::from(self.chance(self.trouble.doubled));
        for _ in 0..times {
            let late = match self.chance(self.trouble.late) {
                true => self.dice.below(5000),
                false => self.dice.below(5),
            };
            self.letters.push((self.now + late, input.clone()));
        }
    }

    pub fn pages(&self, id: &str) -> Vec<Vec<Nature>> {
        let chunks = self.wishes[id].inputs.chunks(PAGE_OF_TESTS);
        chunks.map(<[Nature]>::to_vec).collect()
    }

    pub fn loaded(&self, id: &JobId) -> Loaded {
        let wish = &self.wishes[&**id];
        let most = wish.schedule.max_attempts;
        let pages = self
            .pages(id)
            .into_iter()
            .enumerate()
            .map(|(page, inputs)| {
                let (mut ended, mut again) = (BTreeMap::new(), BTreeMap::new());
                let own = self.store.receipts.iter();
                for (span, report) in
                    own.filter(|(span, _)| span.job == *id && span.page == page as u32)
                {
                    for (input, end) in &report.ends {
                        match end {
                            End::Passing if span.attempt < most => {
                                let next = again.entry(*input).or_insert(0);
                                *next = (*next).max(span.attempt + 1);
                            }
                            end => {
                                ended.entry(*input).or_insert(*end);
                            }
                        }
                    }
                }
                Loading {
                    costs: inputs.iter().map(|_| 10_000).collect(),
                    again: again
                        .into_iter()
                        .filter(|(n, _)| !ended.contains_key(n))
                        .collect(),
                    ended: ended.into_iter().collect(),
                }
            });
        Loaded {
            job: id.clone(),
            owner: format!("o{}", wish.owner).into(),
            class: 1,
            round: 1,
            flags: Flags {
                cancelled: self.store.cancelled.contains(&**id),
                paused: false,
            },
            over: self.store.over.contains_key(&**id),
            schedule: wish.schedule.clone(),
            stops: false,
            capped: false,
            pages: Some(pages.collect()),
            tree: wish.tree.clone(),
        }
    }

    /// Does what the conductor says; the store never fails here, but answers when it likes.
    pub fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Load(id, _) => {
                let loaded = self.loaded(&id);
                self.step(Input::Loaded(Box::new(loaded)));
            }
            Effect::Plan(_) => unreachable!("pages are there"),
            Effect::Feed(order, to) => {
                if self.chance(self.trouble.lost) {
                    return;
                }
                match to {
                    None => self.shared.push((self.now, order, false)),
                    Some(name) => {
                        if let Some(at) = self.nodes.iter().position(|node| *node.name == *name) {
                            self.take(at, order);
                        }
                    }
                }
            }
            Effect::Look(span) => match self.store.receipts.get(&span) {
                Some(report) => self.step(Input::Ended(report.clone())),
                None => self.step(Input::Missing(span)),
            },
            Effect::Blame(span) => {
                let report = Report {
                    ends: vec![(span.first, End::Passing)],
                    node: "conductor".into(),
                    ms: 0,
                    span: span.clone(),
                };
                let kept = self.store.receipts.entry(span).or_insert(report).clone();
                self.step(Input::Ended(kept));
            }
            Effect::Accept(job, page, ends) => {
                for (input, end) in ends {
                    let key = (job.to_string(), page, input);
                    // Another conductor may tell it once more, but never otherwise.
                    let known = *self.accepted.entry(key).or_insert(end);
                    let failed = |end| matches!(end, End::Failed | End::Passing);
                    assert!(
                        known == end || (failed(known) && failed(end)),
                        "{known:?} {end:?}"
                    );
                }
            }
            Effect::Fold(..) => {}
            Effect::Stop(job) => {
                self.store.cancelled.insert(job.to_string());
            }
            Effect::Finish(job, round) => {
                let loaded = self.loaded(&job);
                let mut ends = BTreeMap::new();
                for (page, loading) in (0..).zip(loaded.pages.unwrap()) {
                    ends.extend(loading.ended.into_iter().map(|(n, end)| ((page, n), end)));
                }
                self.store.over.entry(job.to_string()).or_insert(ends);
                self.tell(Input::Finished(job.clone(), round));
                // Where that is lost, another look finds the mark of the job gone.
                self.step(Input::Finished(job, round));
            }
        }
    }

    pub fn step(&mut self, input: Input) {
        for effect in self.conductor.step(self.now, input) {
            self.act(effect);
        }
    }

    /// A node of a tree is only run when all that it needs is there.
    fn check_needs(&self, span: &Span) {
        let Some(tree) = &self.wishes[&*span.job].tree else {
            return;
        };
        let number = u64::from(span.page) * PAGE_OF_TESTS as u64 + u64::from(span.first);
        assert_eq!(span.first, span.last);
        let Needs::Nodes(nodes) = tree.needs(number) else {
            return;
        };
        for node in nodes {
            let place = (
                (node / PAGE_OF_TESTS as u64) as u32,
                (node % PAGE_OF_TESTS as u64) as u32,
            );
            let has = |(other, report): (&Span, &Report)| {
                other.job == span.job
                    && other.page == place.0
                    && report.ends.contains(&(place.1, End::Succeeded))
            };
            let there = self.store.receipts.iter().any(has);
            assert!(there, "node {number} was run before node {node}");
        }
    }

    pub fn take(&mut self, at: usize, order: Order) {
        self.check_needs(&order.span);
        self.begun += 1;
        let until = self.now + 10 * u64::from(order.span.len()) + self.dice.below(20);
        let node = &mut self.nodes[at];
        self.alone_with_others |= order.alone && !node.running.is_empty();
        node.running.push(Running { order, until });
    }

    pub fn nature(&self, span: &Span, input: u32) -> Nature {
        let pages = self.pages(&span.job);
        pages[span.page as usize][input as usize]
    }

    /// A node ends a span: commits, then says so.
    pub fn commit(&mut self, at: usize, order: Order) {
        self.ran += 1;
        let span = order.span;
        let ends = (span.first..=span.last).map(|input| {
            let end = match self.nature(&span, input) {
                Nature::Sound | Nature::Deadly => End::Succeeded,
                Nature::Damaged => End::Failed,
                Nature::Shaky(times) if span.attempt <= times => End::Passing,
                Nature::Shaky(_) => End::Succeeded,
            };
            (input, end)
        });
        let report = Report {
            ends: ends.collect(),
            node: self.nodes[at].name.as_str().into(),
            ms: 10,
            span: span.clone(),
        };
        if self.store.over.contains_key(&*span.job) {
            return;
        }
        let kept = self.store.receipts.entry(span).or_insert(report).clone();
        self.tell(Input::Ended(kept));
    }

    /// A node dies: what it had comes to others again, who say so.
    pub fn die(&mut self, at: usize) {
        let dead = self.nodes.remove(at);
        self.died += dead.running.len() as u64;
        for Running { order, .. } in dead.running {
            self.shared.insert(0, (self.now, order, true));
        }
        self.add_node();
    }

    pub fn second(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            let beat = Beat {
                node: node.name.as_str().into(),
                slots: 2,
                load: node.running.len() as f64 / 2.0,
                hand: node.running.iter().map(|r| r.order.span.clone()).collect(),
            };
            self.tell(Input::Beat(beat));
        }
        // Jobs whose message was lost are found by their marks.
        if self.now.is_multiple_of(10_000) {
            self.tell_open();
        }
    }

    /// Tells of all jobs that have not ended.
    fn tell_open(&mut self) {
        let ids = self.wishes.keys();
        let open = ids.filter(|id| !self.store.over.contains_key(*id));
        let open: Vec<JobId> = open.map(|id| id.as_str().into()).collect();
        for id in open {
            self.step(Input::Job(id));
        }
    }

    pub fn turn(&mut self) {
        if self.now.is_multiple_of(1000) {
            self.second();
        }
        if self.now.is_multiple_of(250) {
            let ready = self.shared.len() as u64;
            self.step(Input::Tick(Some(ready)));
        }
        let cancels: Vec<String> = (self.wishes.iter())
            .filter(|(_, wish)| wish.cancel.is_some_and(|at| at == self.now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in cancels {
            self.store.cancelled.insert(id.clone());
            self.tell(Input::Job(id.as_str().into()));
        }
        if self.trouble.takeovers.contains(&self.now) {
            self.conductor = Conductor::new(settings(self.now));
            self.letters.retain(|(at, _)| at % 2 == 0);
            self.tell_open();
        }
        for (when, at) in self.trouble.deaths.clone() {
            if when == self.now {
                self.die(at % self.nodes.len());
            }
        }
        self.run_nodes();
        let (due, later) = std::mem::take(&mut self.letters)
            .into_iter()
            .partition(|(at, _)| *at <= self.now);
        self.letters = later;
        let mut due: Vec<(Ms, Input)> = due;
        while !due.is_empty() {
            let at = self.dice.below(due.len() as u64) as usize;
            let (_, input) = due.swap_remove(at);
            self.step(input);
        }
        self.now += 5;
    }

    pub fn run_nodes(&mut self) {
        let mut at = 0;
        while at < self.nodes.len() {
            let deadly = self.nodes[at].running.iter().any(|running| {
                let span = &running.order.span;
                let mut inputs = span.first..=span.last;
                running.until <= self.now && inputs.any(|n| self.nature(span, n) == Nature::Deadly)
            });
            if deadly {
                self.die(at);
                continue;
            }
            let running = std::mem::take(&mut self.nodes[at].running);
            let (ended, open): (Vec<_>, Vec<_>) =
                running.into_iter().partition(|r| r.until <= self.now);
            self.nodes[at].running = open;
            for ended in ended {
                self.commit(at, ended.order);
            }
            let alone = self.nodes[at]
                .running
                .iter()
                .any(|running| running.order.alone);
            while self.nodes[at].running.len() < 2 && !alone && !self.shared.is_empty() {
                let (_, order, returned) = self.shared.remove(0);
                let name = self.nodes[at].name.clone();
                if returned {
                    self.tell(Input::Returned(order.span));
                } else if order.copy_of.as_deref() == Some(&name) {
                    self.shared.push((self.now, order, false));
                    break;
                } else if order.may_refuse && self.chance(300) {
                    self.tell(Input::Refused(order.span, name.as_str().into()));
                } else if order.alone && !self.nodes[at].running.is_empty() {
                    self.shared.insert(0, (self.now, order, false));
                    break;
                } else {
                    self.take(at, order);
                }
            }
            at += 1;
        }
    }

    pub fn run(&mut self) {
        while self.store.over.len() < self.wishes.len() {
            self.turn();
            assert!(self.now < 3_600_000, "not ended: {:?}", self.conductor);
        }
    }
}

pub fn settings(seed: u64) -> Settings {
    Settings {
        seed,
        patience: 3000,
        settle: 1000,
        ..Settings::default()
    }
}
